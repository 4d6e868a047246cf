"""A sync that fails: who is told, and that nothing is called durable after it."""

import os

import apsw
import pytest
from syncing import WAIT_S, failing, put, start, wait_until

from swarm_memory.engine import checkpoint, open_engine, sync
from swarm_memory.engine.mark import PUBLISHED, SYNCED, Mark
from swarm_memory.errors import AmbiguousCommitError, EngineUnavailableError


def test_a_failed_sync_is_ambiguous_and_nothing_durable_is_promised_until_a_new_beginning(
    engine, path, monkeypatch
):
    engine.write(put)
    with monkeypatch.context() as patched:
        patched.setattr(sync, "datasync", failing)
        with pytest.raises(AmbiguousCommitError, match="syncing"):
            engine.write(lambda tx: put(tx, 2))

    with pytest.raises(EngineUnavailableError, match=r"sync of .* failed") as caught:
        engine.write(lambda tx: put(tx, 3))
    assert not caught.value.retryable
    engine.write(lambda tx: put(tx, 4), durability="relaxed")
    assert (4,) == engine.one("fact_get", swarm="s", name="n")

    engine.close()
    again = open_engine(f"sqlite:///{path}")
    again.write(lambda tx: put(tx, 5))
    assert (5,) == again.one("fact_get", swarm="s", name="n")
    again.close()


def test_a_store_whose_disk_still_fails_stays_refused(engine, path, monkeypatch):
    monkeypatch.setattr(sync, "datasync", failing)
    with pytest.raises(EngineUnavailableError, match="cannot write"):
        engine.write(put)
    again = open_engine(f"sqlite:///{path}")

    with pytest.raises(EngineUnavailableError, match=r"sync of .* failed"):
        again.write(put)
    again.close()


def test_who_waits_for_a_leader_that_fails_is_told_too(engine, slow, monkeypatch):
    def fail_slowly(descriptor):
        slow(descriptor)
        failing(descriptor)

    monkeypatch.setattr(sync, "datasync", fail_slowly)
    errors = []

    def write():
        try:
            engine.write(put)
        except AmbiguousCommitError as error:
            errors.append(str(error))

    threads = [start(write)]
    assert slow.began.acquire(timeout=WAIT_S)
    threads.append(start(write))
    wait_until(lambda: engine._group.counters()[PUBLISHED] == engine._group.counters()[SYNCED] + 2)
    slow.go.release()
    slow.go.release()
    for thread in threads:
        thread.join(WAIT_S)

    assert 2 == len(errors)
    assert 1 == slow.count


def failing_once(monkeypatch):
    """Let the next sync fail and the ones after it succeed, as the system does."""
    outcomes = [failing]
    monkeypatch.setattr(sync, "datasync", lambda fd: (outcomes.pop() if outcomes else os.fsync)(fd))


@pytest.mark.parametrize(
    "call",
    [
        lambda engine: engine.write(lambda tx: None),
        lambda engine: engine.read(lambda tx: None, durable=True),
        lambda engine: engine.flush(),
    ],
)
def test_after_a_failed_sync_nothing_is_called_durable(engine, monkeypatch, call):
    engine.write(put)
    failing_once(monkeypatch)
    with pytest.raises(AmbiguousCommitError):
        engine.write(put)

    with pytest.raises(AmbiguousCommitError, match="a sync of"):
        call(engine)


def test_who_leads_after_a_leader_that_failed_is_told_too(engine, monkeypatch):
    engine.write(put)
    group, read = engine._group, Mark.read
    failing_once(monkeypatch)

    def read_then_fail(mark):
        """Another thread leads and fails right after this one has looked at the mark."""
        monkeypatch.setattr(Mark, "read", read)
        counters = mark.read()
        with pytest.raises(AmbiguousCommitError):
            group._sync_alone()
        return counters

    def write(tx):
        put(tx)
        monkeypatch.setattr(Mark, "read", read)

    monkeypatch.setattr(
        sync.CommitGroup,
        "publish",
        lambda self, number: monkeypatch.setattr(Mark, "read", read_then_fail),
    )
    with pytest.raises(AmbiguousCommitError):
        engine.write(write)


def test_a_sync_that_fails_in_sqlite_is_remembered(engine, monkeypatch):
    engine.write(put)

    class Failed(apsw.IOError):
        extendedresult = apsw.SQLITE_IOERR_FSYNC

    def move(db):
        raise Failed("disk I/O error")

    monkeypatch.setattr(checkpoint, "move", move)
    engine._checkpointer._moved = True
    engine.write(put, durability="relaxed")  # the commit before the checkpoint is complete

    with pytest.raises(EngineUnavailableError, match=r"sync of .* failed"):
        engine.write(put)


def test_a_checkpoint_that_finds_the_disk_full_does_not_undo_an_acknowledged_write(
    engine, monkeypatch
):
    def move(db):
        raise apsw.FullError("database or disk is full")

    monkeypatch.setattr(checkpoint, "move", move)
    engine._checkpointer._moved = True
    engine.write(put)
    engine.write(lambda tx: put(tx, 2))

    assert (2,) == engine.one("fact_get", swarm="s", name="n")
