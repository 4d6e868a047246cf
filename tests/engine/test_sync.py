"""The shared sync: what is acknowledged was synced, by whom, and what happens when nobody moves."""

import os

import pytest
from syncing import WAIT_S, put, start, wait_until

from swarm_memory.engine import mark as marks
from swarm_memory.engine import mounts, open_engine, sync
from swarm_memory.engine.mark import ASSIGNED, LEAD, PUBLISHED, SYNCED, TOUCHED, Mark
from swarm_memory.errors import AmbiguousCommitError, EngineUnavailableError, InvalidArgumentError


def test_the_name_of_a_log_is_made_durable_once_for_all_processes(engine, path, monkeypatch):
    engine.write(put)
    folders = []
    monkeypatch.setattr(sync, "sync_folder", folders.append)
    engine._group._log_descriptor = None  # as in a process that comes later
    engine.write(put)
    assert [] == folders
    engine._group._mark.reset()
    engine._group._log_descriptor = None
    engine.write(put)

    assert [os.path.dirname(path)] == folders


def test_a_durable_write_syncs_the_log_and_a_relaxed_one_does_not(engine, path, syncs):
    engine.write(put)
    engine.write(put, durability="relaxed")

    assert [os.stat(path + "-wal").st_ino] == syncs


def test_a_durable_write_that_changed_nothing_syncs_what_it_relies_on(engine, syncs):
    engine.write(put, durability="relaxed")
    before = list(engine._group.counters())
    engine.write(lambda tx: tx.one("fact_get", swarm="s", name="n"))

    assert 1 == len(syncs)
    assert before == list(engine._group.counters()), "what it saw proves nothing about the mark"


def test_numbers_rise_with_what_is_written_and_an_undone_one_is_never_published(engine):
    def fail(tx):
        put(tx)
        raise KeyError("undone")

    engine.write(put)
    first = engine._group.counters()
    with pytest.raises(KeyError):
        engine.write(fail)
    engine.write(lambda tx: None)
    assert first[PUBLISHED] == engine._group.counters()[PUBLISHED]
    engine.write(put)

    second = engine._group.counters()
    assert first[SYNCED] < second[SYNCED] == second[PUBLISHED] == second[ASSIGNED]


def test_one_sync_covers_all_who_committed_before_it_began(engine, slow):
    leader = start(engine.write, put)
    assert slow.began.acquire(timeout=WAIT_S)
    # These commit after that sync began: it does not cover them, the next one covers all three.
    others = [start(engine.write, put) for _ in range(3)]
    wait_until(lambda: engine._group.counters()[PUBLISHED] == engine._group.counters()[SYNCED] + 4)
    assert all(thread.is_alive() for thread in others)
    slow.go.release()
    leader.join(WAIT_S)
    assert slow.began.acquire(timeout=WAIT_S)
    slow.go.release()
    for thread in others:
        thread.join(WAIT_S)

    assert not any(thread.is_alive() for thread in [leader, *others])
    assert 2 == slow.count


def test_threads_that_opened_the_file_twice_share_one_group(engine, path, slow):
    second = open_engine(f"sqlite:///{path}")
    assert engine._group is second._group
    leader = start(engine.write, put)
    assert slow.began.acquire(timeout=WAIT_S)
    with pytest.raises(InvalidArgumentError, match="inside a write"):
        engine.write(lambda tx: second.write(put), durability="relaxed")
    second.close()
    assert engine._group.counters() is not None
    slow.go.release()
    leader.join(WAIT_S)


def test_who_waits_for_a_frozen_leader_syncs_for_itself_and_says_nothing(engine, hold, syncs):
    before = engine._group.counters()
    hold(LEAD)
    engine.write(put)

    after = engine._group.counters()
    assert 1 == len(syncs)
    assert before[SYNCED] == after[SYNCED] < after[PUBLISHED]


def test_a_mark_that_does_not_hold_is_made_anew_after_a_sync(engine, syncs):
    os.pwrite(engine._group._mark.descriptor, b"\0" * marks.BLOCK_BYTES, 0)
    engine.write(put, durability="relaxed")

    assert 1 == len(syncs), "what was committed before is synced before the counters begin anew"
    assert engine._group.counters()[PUBLISHED] == engine._group.counters()[SYNCED] + 1


def test_a_log_that_was_replaced_under_us_is_no_log_of_ours(engine, path, syncs):
    engine.write(put)
    os.rename(path + "-wal", path + "-old")
    with open(path + "-wal", "wb") as log, open(path + "-old", "rb") as old:
        log.write(old.read())
    syncs.clear()

    with pytest.raises(AmbiguousCommitError, match="replaced"):
        engine.write(put)
    assert [] == syncs


def test_a_mark_that_was_deleted_is_left_for_the_one_that_others_use(engine, path, syncs):
    engine.write(put)
    os.unlink(path + marks.SUFFIX)
    assert 0 == engine._group.touched()
    engine.write(put)

    other = Mark(path, engine._group.place, engine.boot_id)
    assert other.read() == engine._group.counters() is not None
    other.close()


def test_a_reader_who_asks_often_sees_every_write_and_a_deleted_mark_soon(engine, path):
    def touch(tx):
        put(tx)
        tx.touched = True

    seen = set()
    for _ in range(2 * marks.LOOKS_UNMAPPED):
        engine.write(touch)
        seen.add(engine.touched())
        assert engine._group.counters()[TOUCHED] == engine.touched()
    assert 2 * marks.LOOKS_UNMAPPED == len(seen)
    assert engine._group._mark._block is not None

    os.unlink(path + marks.SUFFIX)
    while engine.touched():
        pass


@pytest.mark.parametrize("how", ["deleted", "replaced"])
def test_a_file_that_is_not_the_one_that_was_opened_is_not_written(engine, path, how):
    engine.write(put)
    os.rename(path, path + ".away")
    if how == "replaced":
        open_engine(f"sqlite:///{path}").close()

    with pytest.raises(EngineUnavailableError, match="while it was open"):
        engine.write(put)
    with pytest.raises(EngineUnavailableError, match="while it was open"):
        engine.write_one("fact_set", swarm="s", name="n", value=2)


def test_without_a_mark_every_commit_syncs_for_itself(path, monkeypatch):
    monkeypatch.setattr(marks, "supported", lambda: False)
    engine = open_engine(f"sqlite:///{path}")
    seen = []

    def look(tx):
        put(tx)
        seen.append(tx._execute("PRAGMA synchronous").fetchall()[0][0])

    engine.write(look)
    engine.write(look, durability="relaxed")
    engine.close()

    assert [2, 1] == seen
    assert not os.path.exists(path + marks.SUFFIX)


def test_a_store_on_a_network_file_system_syncs_directly(path, monkeypatch):
    monkeypatch.setattr(mounts, "on_network", lambda place: True)
    engine = open_engine(f"sqlite:///{path}")

    assert engine._group.direct
    engine.close()


def test_what_leaves_the_store_is_synced_after_its_snapshot_and_before_anybody_sees_it(
    engine, syncs
):
    engine.write(lambda tx: put(tx, 1), durability="relaxed")
    seen = []

    def look(tx):
        seen.append((tx.one("fact_get", swarm="s", name="n"), len(syncs)))

    engine.read(look, durable=True)
    engine.read(look)
    assert [((1,), 1)] * 2 == seen

    def write_meanwhile(descriptor):
        """Somebody commits while the snapshot is being synced: it is not part of that."""
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(sync, "datasync", os.fdatasync)
            engine.write(lambda tx: put(tx, 2), durability="relaxed")

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(sync, "datasync", write_meanwhile)
        engine.read(look, durable=True)
    assert (1,) == seen[-1][0]
