"""CrewAI's locks are leases: of many processes one has a lock, and a dead one does not keep it."""

import json
import threading

import pytest
from adapter_processes import ended, go, started

from swarm_memory import LeaseHeldError, LeaseLostError, Swarm
from swarm_memory.adapters import crewai_locks
from swarm_memory.adapters.crewai_locks import swarm_lock_backend

COUNT = """
import json, sys
from pathlib import Path
from swarm_memory import Swarm
from swarm_memory.adapters.crewai_locks import swarm_lock_backend
url, folder, count = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
inside, counter = folder / "inside", folder / "counter"
with Swarm.open(url, agent=sys.argv[4], swarm="race") as swarm:
    lock = swarm_lock_backend(swarm)
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(count):
        with lock("file:/counter", timeout=60):
            inside.mkdir()  # fails if anybody else is in here
            counter.write_text(str(int(counter.read_text()) + 1))
            inside.rmdir()
print("done")
"""
HOLD = """
import sys
from swarm_memory import Swarm
from swarm_memory.adapters import crewai_locks
crewai_locks.TTL_S = float(sys.argv[2])
with Swarm.open(sys.argv[1], agent="holder", swarm="race") as swarm:
    with crewai_locks.swarm_lock_backend(swarm)("build"):
        print("ready", flush=True)
        sys.stdin.readline()
"""


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/memory.db"


@pytest.fixture
def swarm(url):
    with Swarm.open(url, agent="test", swarm="race") as swarm:
        yield swarm


@pytest.fixture
def lock(swarm):
    return swarm_lock_backend(swarm)


def test_processes_exclude_each_other(url, tmp_path):
    (tmp_path / "counter").write_text("0")
    with started(COUNT, *((url, tmp_path, 25, f"p{n}") for n in range(4))) as running:
        go(running)
        assert ["done\n"] * 4 == ended(running)

    assert "100" == (tmp_path / "counter").read_text()


def test_who_waits_too_long_is_told_who_has_it(lock):
    with lock("build"), pytest.raises(LeaseHeldError, match="crewai:build"):
        threaded(lambda: lock("build", timeout=0).__enter__())


def test_it_is_free_again_after_the_block_and_after_an_error_in_it(lock):
    with lock("build"):
        pass
    with pytest.raises(ZeroDivisionError), lock("build"):
        raise ZeroDivisionError
    with lock("build", timeout=0):
        pass


def test_different_names_do_not_meet_be_they_paths_or_patterns(lock):
    with lock("file:/a/**", timeout=0), lock("file:/a/b", timeout=0), lock("lancedb:/a", timeout=0):
        pass


@pytest.mark.parametrize("name", ["", "a" * 5000, "a\0b", "\ud800", "ß" * 800, "lancedb:/x y"])
def test_any_name_is_a_lock_and_is_one_lock(lock, name):
    with lock(name), pytest.raises(LeaseHeldError):
        threaded(lambda: lock(name, timeout=0).__enter__())


def test_a_lock_is_renewed_for_as_long_as_it_is_held(lock, swarm, monkeypatch):
    monkeypatch.setattr(crewai_locks, "TTL_S", 0.6)
    renewed = threading.Event()
    leases = type(swarm.leases)
    renew = leases.renew
    seen = []

    def count(self, lease, ttl_s=None):
        renew(self, lease, ttl_s)
        seen.append(lease.expires_ms)
        if len(seen) == 5:  # more than one time to live
            renewed.set()

    monkeypatch.setattr(leases, "renew", count)
    with lock("build"):
        assert renewed.wait(5)
        assert ["crewai:build"] == [seat.name for seat in swarm.leases.list()]
    assert [] == swarm.leases.list()


def test_who_lost_a_lock_while_he_had_it_is_told(lock, monkeypatch):
    def take():
        with lock("build", timeout=5):
            pass

    monkeypatch.setattr(crewai_locks, "TTL_S", 0.2)
    monkeypatch.setattr(crewai_locks, "BEATS", 0.001)  # as if it were frozen
    with pytest.raises(LeaseLostError):
        with lock("build"):
            threaded(take)


def test_a_dead_process_does_not_keep_its_lock(url, swarm, lock):
    with started(HOLD, (url, 0.5)):
        assert ["crewai:build"] == [seat.name for seat in swarm.leases.list()]
    # It was killed.
    with lock("build", timeout=30):
        pass


def test_a_living_process_keeps_its_lock_beyond_its_time_to_live(url, lock):
    with started(HOLD, (url, 0.5)) as holder:
        with pytest.raises(LeaseHeldError):
            lock("build", timeout=1.5).__enter__()
        go(holder)
        ended(holder)

    with lock("build", timeout=5):
        pass


def test_crewai_uses_it_for_its_locks(lock, swarm):
    lock_store = pytest.importorskip(
        "crewai_core.lock_store", reason="CrewAI has an environment of its own"
    )
    lock_store.set_lock_backend(lock)
    try:
        with lock_store.lock("file:/tmp/trace.json", timeout=3):
            (seat,) = swarm.leases.list()
            shown = json.loads(json.dumps(seat.to_dict()))
    finally:
        lock_store.set_lock_backend(None)

    assert "crewai:file:/tmp/trace.json" == shown["name"]


def threaded(step):
    """Run a step in another thread, which to a lease is somebody else; raise what it raised."""
    raised = []

    def run():
        try:
            step()
        except Exception as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    if raised:
        raise raised[0]
