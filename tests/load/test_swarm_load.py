"""The load generator: latencies count from when a call was due; all verbs reach a real store."""

import json
import random
import subprocess
import sys

import pytest

from swarm_memory.errors import EngineBusyError

LIMIT_S = 120


@pytest.fixture
def load(bench):
    return bench("swarm_load")


@pytest.fixture
def profile(bench):
    return bench("load_profile")


class Clock:
    """A time that passes only when somebody sleeps or works."""

    def __init__(self):
        self.now_s = 0.0

    def __call__(self):
        return self.now_s

    def sleep(self, seconds):
        self.now_s += seconds


def played(load, do, *, clock, until_s=100.0, from_s=0.0, agents=10, think_s=10.0):
    schedule = load.Schedule(range(agents), think_s, seed=1)
    calls = load.played(
        schedule, do, from_s=from_s, until_s=until_s, clock=clock, sleep=clock.sleep
    )
    return calls, schedule.count_until(until_s)


def test_a_call_that_was_due_behind_a_slow_one_counts_its_wait(load):
    clock, slow_s = Clock(), [5.0]

    calls, _ = played(load, lambda *_: clock.sleep(slow_s.pop() if slow_s else 0.0), clock=clock)

    behind = [call for call in calls if call.late_ms > 0 and call.took_ms == 0]
    assert 5000 == pytest.approx(calls[0].late_ms)
    assert len(behind) >= 2
    assert all(call.late_ms < 5000 for call in behind)


def test_a_slow_store_is_asked_no_less(load):
    def due(took_s):
        clock = Clock()
        calls, backlog = played(load, lambda *_: clock.sleep(took_s), clock=clock)
        return len(calls) + backlog

    assert due(0.0) == due(3.0)


def test_what_the_store_did_not_get_to_is_told(load):
    clock = Clock()

    calls, backlog = played(load, lambda *_: clock.sleep(3.0), clock=clock)

    assert len(calls) <= 34
    assert backlog > 50


def test_agents_call_as_often_as_they_are_said_to(load):
    calls, _ = played(load, lambda *_: None, clock=Clock(), until_s=1000.0, agents=50)

    assert 5.0 == pytest.approx(len(calls) / 1000, rel=0.05)


def test_the_beginning_is_done_and_not_counted(load):
    done = []

    calls, _ = played(load, lambda *_: done.append(1), clock=Clock(), from_s=50.0)

    assert 0 < len(calls) < len(done)


def test_an_error_of_the_store_is_counted_and_has_no_latency(load):
    def fail(*_):
        raise EngineBusyError("busy")

    calls, _ = played(load, fail, clock=Clock())
    report = load.Report(None, len(calls), calls, 100.0, 0, None, None, None)

    assert {"EngineBusyError": len(calls)} == report.errors
    assert (0, []) == (report.rate, report.late())


def test_an_error_that_is_none_of_the_stores_ends_the_load(load):
    with pytest.raises(ZeroDivisionError):
        played(load, lambda *_: 1 / 0, clock=Clock())


def test_agents_do_what_was_counted(profile):
    pick = random.Random(3)

    drawn = [profile.draw_verb(pick) for _ in range(50_000)]

    assert 1.0 == pytest.approx(sum(profile.shares().values()))
    for verb, share in profile.shares().items():
        assert share == pytest.approx(drawn.count(verb) / len(drawn), abs=0.01)


def test_values_are_as_large_as_those_that_were_counted(profile):
    pick = random.Random(4)

    sizes = sorted(profile.draw_bytes(pick) for _ in range(50_000))

    for share, size in profile.SIZES[1:4]:
        assert size == pytest.approx(sizes[int(share * len(sizes))], rel=0.1)


@pytest.fixture
def agents(load, profile, engine_url):
    opened = load.Agents(load.Load(engine_url, 3, 0, 1, 1, profile.THINK_S, "relaxed"), 0, 3)
    yield opened
    opened.root.close()


def test_every_verb_is_done_on_a_real_store(load, profile, agents):
    pick = random.Random(2)

    agents.fill()
    for verb in profile.VERBS:
        for number in range(3):
            agents.do(verb, number, pick)

    swarm = agents.door(0)
    assert 3 * load.RECORDS_EACH == swarm.records.count()[0]
    assert 3 == swarm.outcomes.count()
    assert swarm.search(swarm.records.scan(limit=1)[0].value["note"]).complete


@pytest.mark.parametrize("engine_url", ["file", "postgresql"], indirect=True)
def test_the_command_plays_a_swarm_and_reports_it(load, engine_url):
    command = [sys.executable, load.__file__, "--store", engine_url, "--agents", "8", "--json"]
    command += ["--seconds", "1", "--think", "0.2", "--processes", "2", "--threads", "2"]

    run = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S)

    assert 0 == run.returncode, run.stderr
    said = json.loads(run.stdout)
    assert {} == said["errors"]
    assert said["due"] == said["ms"]["all"]["calls"] + said["backlog"]
    assert ("postgresql" in engine_url) == (said["turns_utilisation"] is not None)
