"""The shared sync: what is acknowledged was synced, by whom, and what happens when nobody moves."""

import os
import subprocess
import sys
import threading

import pytest

from swarm_memory.engine import mark as marks
from swarm_memory.engine import open_engine, sync
from swarm_memory.engine.mark import ASSIGNED, GATE, LEAD, PUBLISHED, SYNCED, TURN, Mark
from swarm_memory.errors import AmbiguousCommitError, EngineUnavailableError, InvalidArgumentError

BOOT = 7
WAIT_S = 20.0


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "memory.db")


@pytest.fixture
def engine(path):
    engine = open_engine(f"sqlite:///{path}")
    yield engine
    engine.close()


@pytest.fixture
def syncs(engine, monkeypatch):
    """What is synced after a first write, in order, as inodes."""
    engine.write(put, durability="relaxed")
    seen = []

    def datasync(descriptor):
        os.fdatasync(descriptor)
        seen.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(sync, "datasync", datasync)
    return seen


def put(tx, value=1):
    tx.run("fact_set", swarm="s", name="n", value=value)


# --- the mark ---


@pytest.fixture
def mark(path):
    mark = Mark(path, (1, 2), BOOT)
    yield mark
    mark.close()


def test_a_new_mark_holds_nothing_and_a_reset_one_does(mark, path):
    assert mark.read() is None
    mark.reset()

    words = mark.read()
    assert words[ASSIGNED] == words[PUBLISHED] == words[SYNCED] > 0
    assert marks.BLOCK_BYTES == os.path.getsize(path + marks.SUFFIX)


@pytest.mark.parametrize("place, boot", [((1, 3), BOOT), ((2, 2), BOOT), ((1, 2), BOOT + 1)])
def test_a_mark_of_another_file_or_start_does_not_hold(mark, path, place, boot):
    mark.reset()
    other = Mark(path, place, boot)
    assert other.read() is None
    other.reset()

    assert other.read() is not None
    assert mark.read() is None
    other.close()


def test_every_changed_byte_of_the_header_and_a_cut_file_are_seen(mark, path):
    mark.reset()
    with open(path + marks.SUFFIX, "rb") as file:
        whole = file.read()
    for place in range(48):
        broken = bytearray(whole)
        broken[place] ^= 0x10
        os.pwrite(mark.descriptor, bytes(broken), 0)
        assert mark.read() is None, place
    os.pwrite(mark.descriptor, whole, 0)
    assert mark.read() is not None
    os.ftruncate(mark.descriptor, 40)
    assert mark.read() is None


@pytest.mark.parametrize("word", [SYNCED, PUBLISHED])
def test_counters_that_cannot_be_true_do_not_hold(mark, word):
    mark.reset()
    mark.write(word, mark.read()[ASSIGNED] + 1)

    assert mark.read() is None


def test_a_reset_begins_above_every_number_before(mark):
    mark.reset()
    far = mark.read()[ASSIGNED] + 10**12
    mark.write(ASSIGNED, far)
    mark.reset()

    assert far < mark.read()[SYNCED]


HOLD = """
import sys, time
from swarm_memory.engine.mark import Mark
mark = Mark(sys.argv[1], (0, 0), 0)
assert all(mark.lock(int(place)) for place in sys.argv[2:])
print("held", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def hold(path):
    """Another process that holds locks of the mark and does not move until it is let go."""
    running = []

    def hold(*places):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, path, *map(str, places)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert "held\n" == process.stdout.readline()
        return process

    yield hold
    for process in running:
        process.kill()
        process.communicate()


def test_a_lock_is_one_processs_and_the_system_tells_whose(mark, hold):
    other = hold(GATE)

    assert not mark.lock(GATE)
    assert mark.lock(LEAD)
    assert other.pid == mark.holder(GATE)
    assert mark.holder(TURN) is None
    other.kill()
    other.wait()
    assert mark.lock(GATE)


# --- who is acknowledged ---


def test_a_durable_write_syncs_the_log_and_a_relaxed_one_does_not(engine, path, syncs):
    engine.write(put)
    engine.write(put, durability="relaxed")

    assert [os.stat(path + "-wal").st_ino] == syncs


def test_a_durable_write_that_changed_nothing_syncs_what_it_relies_on(engine, syncs):
    engine.write(put, durability="relaxed")
    before = list(engine._group.words())
    engine.write(lambda tx: tx.one("fact_get", swarm="s", name="n"))

    assert 1 == len(syncs)
    assert before == list(engine._group.words()), "what it saw proves nothing about the mark"


def test_numbers_rise_with_what_is_written_and_an_undone_one_is_never_published(engine):
    def fail(tx):
        put(tx)
        raise KeyError("undone")

    engine.write(put)
    first = engine._group.words()
    with pytest.raises(KeyError):
        engine.write(fail)
    engine.write(lambda tx: None)
    assert first[PUBLISHED] == engine._group.words()[PUBLISHED]
    engine.write(put)

    second = engine._group.words()
    assert first[SYNCED] < second[SYNCED] == second[PUBLISHED] == second[ASSIGNED]


class Slow:
    """A sync that waits to be told to go on."""

    def __init__(self):
        self.began, self.go, self.count = threading.Semaphore(0), threading.Semaphore(0), 0

    def __call__(self, descriptor):
        self.count += 1
        self.began.release()
        assert self.go.acquire(timeout=WAIT_S)
        os.fdatasync(descriptor)


@pytest.fixture
def slow(engine, monkeypatch):
    engine.write(put)
    slow = Slow()
    monkeypatch.setattr(sync, "datasync", slow)
    monkeypatch.setattr(sync, "LEAD_S", 2 * WAIT_S)
    return slow


def start(call, *arguments):
    thread = threading.Thread(target=call, args=arguments)
    thread.start()
    return thread


def test_one_sync_covers_all_who_committed_before_it_began(engine, slow):
    leader = start(engine.write, put)
    assert slow.began.acquire(timeout=WAIT_S)
    # These commit after that sync began: it does not cover them, the next one covers all three.
    others = [start(engine.write, put) for _ in range(3)]
    wait_until(lambda: engine._group.words()[PUBLISHED] == engine._group.words()[SYNCED] + 4)
    assert all(thread.is_alive() for thread in others)
    slow.go.release()
    leader.join(WAIT_S)
    assert slow.began.acquire(timeout=WAIT_S)
    slow.go.release()
    for thread in others:
        thread.join(WAIT_S)

    assert not any(thread.is_alive() for thread in [leader, *others])
    assert 2 == slow.count


def wait_until(condition):
    for _ in range(int(WAIT_S / 0.002)):
        if condition():
            return
        threading.Event().wait(0.002)
    pytest.fail("it did not happen")


def test_threads_that_opened_the_file_twice_share_one_group(engine, path, slow):
    second = open_engine(f"sqlite:///{path}")
    assert engine._group is second._group
    leader = start(engine.write, put)
    assert slow.began.acquire(timeout=WAIT_S)
    with pytest.raises(InvalidArgumentError, match="inside a write"):
        engine.write(lambda tx: second.write(put), durability="relaxed")
    second.close()
    assert engine._group.words() is not None
    slow.go.release()
    leader.join(WAIT_S)


def test_who_waits_for_a_frozen_leader_syncs_for_itself_and_says_nothing(engine, hold, syncs):
    before = engine._group.words()
    hold(LEAD)
    engine.write(put)

    after = engine._group.words()
    assert 1 == len(syncs)
    assert before[SYNCED] == after[SYNCED] < after[PUBLISHED]


@pytest.mark.parametrize("places", [(GATE,), (TURN,), (TURN, GATE)])
def test_a_frozen_process_at_the_gate_holds_nobody_up_for_long(engine, hold, monkeypatch, places):
    engine.write(put)
    looks = []
    monkeypatch.setattr(
        sync, "_wait_for", lambda mark, place, *rest: looks.append(place) or mark.lock(place)
    )
    frozen = hold(*places)
    for _ in range(3):
        engine.write(put)
    # Only the first one waited to see whether it moves.
    assert looks == [TURN] if TURN in places else [TURN, GATE]
    frozen.kill()
    frozen.wait()
    engine._group._run_until = 0.0
    engine.write(put)
    engine._group._run_until = 0.0
    engine.write(put)
    assert [TURN, GATE] == looks[-2:]


def test_a_mark_that_does_not_hold_is_made_anew_after_a_sync(engine, syncs):
    os.pwrite(engine._group._mark.descriptor, b"\0" * marks.BLOCK_BYTES, 0)
    engine.write(put, durability="relaxed")

    assert 1 == len(syncs), "what was committed before is synced before the counters begin anew"
    assert engine._group.words()[PUBLISHED] == engine._group.words()[SYNCED] + 1


def test_a_log_that_is_another_file_now_is_opened_anew(engine, path, syncs):
    engine.write(put)
    first = os.stat(path + "-wal").st_ino
    os.rename(path + "-wal", path + "-old")
    with open(path + "-wal", "wb") as log, open(path + "-old", "rb") as old:
        log.write(old.read())
    engine.write(put)

    assert [first, os.stat(path + "-wal").st_ino] == syncs


# --- failures ---


def failing(descriptor):
    raise OSError(5, "Input/output error")


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
    with pytest.raises(EngineUnavailableError, match="cannot sync"):
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
    wait_until(lambda: engine._group.words()[PUBLISHED] == engine._group.words()[SYNCED] + 2)
    slow.go.release()
    slow.go.release()
    for thread in threads:
        thread.join(WAIT_S)

    assert 2 == len(errors)
    assert 1 == slow.count


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
    monkeypatch.setattr(sync, "_on_network", lambda place: True)
    engine = open_engine(f"sqlite:///{path}")

    assert engine._group.direct
    engine.close()


def test_a_forked_child_has_its_own_descriptors_and_leaves_its_parents_locks(engine, path):
    engine.write(put)
    parents = engine._group
    assert parents._mark.lock(GATE)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        ok = parents._mark is None and parents._log_descriptor is None
        fresh = Mark(path, (0, 0), 0)
        os.write(write, b"y" if ok and not fresh.lock(GATE) else b"n")
        os._exit(0)
    assert b"y" == os.read(read, 1)
    os.waitpid(child, 0)
    os.close(read)
    os.close(write)
    other = subprocess.run(
        [sys.executable, "-c", HOLD, path, str(GATE)], capture_output=True, input="", text=True
    )

    assert "AssertionError" in other.stderr, "the parent still has its lock"
