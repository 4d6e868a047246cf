"""The judge of the failovers finds what it is there for: planted, after a run without a fault."""

import copy
import shutil

import pytest
from failover_judge import judge, longest_s, of_kind, read
from failover_worker import COUNT, GUARDED, SWARM
from failovers import CREW, STEPS, Crew, table

from swarm_memory import Swarm

TOO_LATE_NS = 1_000_000_000_000


@pytest.fixture(scope="module")
def worked(tmp_path_factory):
    """Return the folder of a store in which a crew has worked, and their ledgers."""
    folder = tmp_path_factory.mktemp("worked")
    (folder / "store").mkdir()
    url = f"sqlite:///{folder}/store/memory.db"
    with Crew(url, folder) as crew:
        crew.start(*CREW)
        crew.until(lambda: min(crew.done().values()) >= STEPS)
        crew.stop()
        return folder / "store", [read(ledger) for _, ledger in crew.running.values()]


@pytest.fixture
def ledgers(worked):
    return copy.deepcopy(worked[1])


@pytest.fixture
def swarm(worked, tmp_path):
    shutil.copytree(worked[0], tmp_path / "store")
    with Swarm.open(f"sqlite:///{tmp_path}/store/memory.db", agent="judge", swarm=SWARM) as swarm:
        yield swarm


def first(ledgers, kind):
    return next(line for ledger in ledgers for line in ledger if line.get("kind") == kind)


def ledger_of(ledgers, kind):
    return next(ledger for ledger in ledgers if of_kind(ledger, kind))


def test_a_run_without_a_fault_is_without_a_fault(swarm, ledgers):
    verdict = judge(swarm, ledgers)

    assert ([], [], [], {}) == (verdict.lost, verdict.twice, verdict.fences, verdict.errors)
    assert len(CREW) * STEPS <= verdict.acked


def test_an_acknowledged_record_that_is_gone_is_lost(swarm, ledgers):
    key = first(ledgers, "put")["key"]
    swarm.records.delete(key)

    assert [key] == judge(swarm, ledgers).lost


def test_a_record_that_was_written_again_was_written_twice(swarm, ledgers):
    key = first(ledgers, "put")["key"]
    swarm.records.put(key, 1)

    assert [key] == judge(swarm, ledgers).twice


def test_a_count_that_nobody_asked_for_is_found(swarm, ledgers):
    reached = swarm.records.get(COUNT).value
    swarm.records.put(COUNT, reached + 1)

    assert [f"{COUNT} {reached + 1}"] == judge(swarm, ledgers).lost


def test_two_who_were_told_one_number_are_found(swarm, ledgers):
    one, other = of_kind([line for ledger in ledgers for line in ledger], "count")[:2]
    swarm.records.delete(other["key"])
    swarm.records.put(other["key"], one["value"])

    verdict = judge(swarm, ledgers)

    assert f"{COUNT} {one['value']}" in verdict.twice
    assert other["key"] in verdict.lost


def test_a_message_that_nobody_got_is_lost(swarm, ledgers):
    body = ledger_of(ledgers, "sent")[-1]["body"] = "send/lost"

    assert [f"message {body}"] == judge(swarm, ledgers).lost


def test_a_message_that_came_after_its_acknowledgement_is_found(swarm, ledgers):
    ledger = ledger_of(ledgers, "received")
    got = next(line for line in ledger if line["what"] == "got")
    ledger.append(got | {"began": got["began"] + TOO_LATE_NS})

    assert [f"message {got['body']}"] == judge(swarm, ledgers).twice


def test_a_message_that_was_sent_twice_is_found(swarm, ledgers):
    ledger = ledger_of(ledgers, "received")
    got = next(line for line in ledger if line["what"] == "got")
    ledger.append(got | {"id": "another"})

    assert [f"message {got['body']}"] == judge(swarm, ledgers).twice


def test_a_write_with_an_older_token_is_found(swarm, ledgers):
    newest = max(
        of_kind([line for ledger in ledgers for line in ledger], "guarded"),
        key=lambda line: line["version"],
    )
    swarm.records.put(GUARDED, {"holder": "late", "token": 0})
    late = {"holder": "late", "token": 0, "version": newest["version"] + 1}
    ledgers[0].append(newest | late)

    assert [(newest, newest | late)] == judge(swarm, ledgers).fences


def test_a_token_that_two_had_is_found(swarm, ledgers):
    guarded = first(ledgers, "guarded")
    ledgers[0].append(guarded | {"holder": "another"})

    fences = judge(swarm, ledgers).fences

    assert (guarded["token"], sorted(["another", guarded["holder"]])) in fences


def test_the_longest_gap_is_measured_in_seconds():
    assert 2.0 == longest_s([0, 1_000_000_000, 3_000_000_000])
    assert 0.0 == longest_s([5])


def test_runs_of_one_fault_are_one_row():
    run = {"fault": "f", "acked": 5, "lost": [], "twice": ["k"], "fences": [], "committed": 1}
    run |= {"uncommitted": 0, "errors": {"busy": 2}, "gap_s": 1.0, "pause_s": 2.0}

    row = table([run, run | {"gap_s": 3.0, "errors": {}}]).splitlines()[-1]

    assert row == ("| f | 2 | 2.0 s | 3.0 s | 3.0 s | 2.0 s | 10 | 0 | 2 | 0 | 2 / 0 | 2 busy |")
