"""Writes that run ahead of their turn: one trip in it, and as if they had waited for it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from swarm_memory import Swarm
from swarm_memory.engine.postgres.texts import Texts
from swarm_memory.engine.postgres.transactions import AheadTx
from swarm_memory.errors import ConflictError, LeaseLostError, LimitExceededError
from swarm_memory.integrity import verify_store

WAIT_S = 60
WORKER = Path(__file__).parent / "postgres_worker.py"


@pytest.fixture
def swarm(postgres_url):
    with Swarm.open(postgres_url, agent="a", swarm="s") as swarm:
        swarm.records.put("notes/warm", 0)
        swarm.records.put("notes/warm", 1)
        yield swarm


@pytest.fixture
def other(postgres_url, swarm):
    with Swarm.open(postgres_url, agent="b", swarm="s") as other:
        yield other


@pytest.fixture
def between(monkeypatch):
    """Do something once between a look and the turn; return how often somebody ran ahead."""
    waiting = AheadTx.waiting
    ran = []

    def between(call):
        def first(self):
            ran.append(self)
            if len(ran) == 1:
                monkeypatch.setattr(AheadTx, "waiting", waiting)
                call()
            return waiting(self)

        monkeypatch.setattr(AheadTx, "waiting", first)
        return ran

    return between


@pytest.mark.parametrize("key", ["notes/warm", "notes/new"])
def test_a_put_is_one_look_and_one_turn(swarm, monkeypatch, key):
    swarm.records.put("notes/other", 0)  # what hardly changes is known by now
    trips = []
    run = Texts.run
    monkeypatch.setattr(
        Texts, "run", lambda self, cursor, texts: (trips.append(texts), run(self, cursor, texts))
    )
    swarm.records.put(key, 2)

    assert [False, True] == ["COMMIT" in texts for texts in trips]


def test_who_was_first_meanwhile_is_not_overwritten_unseen(swarm, other, between):
    ran = between(lambda: other.records.put("notes/warm", "theirs"))

    written = swarm.records.put("notes/warm", "mine")

    assert 1 == len(ran)
    assert (4, "mine") == (written.version, swarm.records.get("notes/warm").value)
    assert ["mine", "theirs", 1, 0] == [r.value for r in swarm.records.history("notes/warm")]
    assert verify_store(swarm).ok


def test_an_expected_version_is_still_expected_in_its_turn(swarm, other, between):
    between(lambda: other.records.put("notes/warm", "theirs"))

    with pytest.raises(ConflictError):
        swarm.records.put("notes/warm", "mine", expect=2)
    assert "theirs" == swarm.records.get("notes/warm").value


def test_two_that_make_the_same_key_make_it_once(swarm, other, between):
    between(lambda: other.records.put("notes/new", "theirs"))

    assert 2 == swarm.records.put("notes/new", "mine").version


def test_a_key_that_was_forgotten_meanwhile_does_not_repeat_a_version(swarm, other, between):
    from swarm_memory.forgetting import forget

    def again():
        other.records.put("notes/new", "to be forgotten")
        forget(other, "text", "to be forgotten")

    swarm.records.put("notes/known", 0)
    between(again)

    assert 1 < swarm.records.put("notes/new", "mine").version


def test_an_op_id_that_was_used_meanwhile_applies_once(postgres_url, swarm, between):
    with Swarm.open(postgres_url, agent="a", swarm="s") as same:
        between(lambda: same.records.put("notes/warm", "once", op_id="once"))

        assert 3 == swarm.records.put("notes/warm", "once", op_id="once").version
    assert 3 == swarm.records.get("notes/warm").version


def test_a_fence_that_falls_meanwhile_refuses_the_write(swarm, other, between):
    lease = swarm.leases.acquire("deploy")

    def take_over():
        swarm.leases.release(swarm.leases.held("deploy", lease.token))
        other.leases.acquire("deploy")

    between(take_over)
    with pytest.raises(LeaseLostError):
        swarm.records.put("notes/warm", "mine", fence=lease)
    assert 1 == swarm.records.get("notes/warm").value


def test_a_quota_that_others_use_up_meanwhile_holds(postgres_url, between, tmp_path):
    path = tmp_path / "schema.json"
    path.write_text(json.dumps({"settings": {"total_bytes_max": 12_000}}))
    with (
        Swarm.open(postgres_url, agent="a", swarm="s", config_path=str(path)) as swarm,
        Swarm.open(postgres_url, agent="b", swarm="s", config_path=str(path)) as other,
    ):
        swarm.records.put("notes/1", _noise(1000))
        ran = between(lambda: other.records.put("notes/2", _noise(8000)))
        with pytest.raises(LimitExceededError):
            swarm.records.put("notes/1", _noise(6000))

        assert 1 == len(ran)
        assert _noise(1000) == swarm.records.get("notes/1").value


def _noise(size):
    """Return a text that no compression makes much smaller."""
    from random import Random

    return Random(size).randbytes(size).hex()


def test_counters_are_added_up_though_nobody_sees_the_number_of_its_event(swarm, monkeypatch):
    from swarm_memory import quota

    monkeypatch.setattr(quota, "FOLD_EVENTS", 4)
    for n in range(12):
        swarm.records.put(f"notes/{n}", n)
    folded = swarm._engine.one("fact_get", swarm="", name="folded_seq")

    assert folded is not None
    assert 8 <= folded[0]
    assert verify_store(swarm).ok


def test_processes_that_put_the_same_keys_lose_no_version(postgres_url, swarm):
    workers = [
        subprocess.Popen([sys.executable, WORKER, "churn", postgres_url, str(n)]) for n in range(4)
    ]

    assert [0] * 4 == [worker.wait(WAIT_S) for worker in workers]
    assert 4 * 40 == sum(swarm.records.get(f"notes/churn/{n}").version for n in range(5))
    assert verify_store(swarm).ok
