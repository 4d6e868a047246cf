"""The shared sync: what is acknowledged was synced, by whom, and what happens when nobody moves."""

import os
import signal
import subprocess
import sys
import threading
import time

import apsw
import pytest

from swarm_memory.engine import checkpoint, open_engine, sync
from swarm_memory.engine import mark as marks
from swarm_memory.engine.mark import ASSIGNED, GATE, LEAD, PUBLISHED, SYNCED, TURN, Mark
from swarm_memory.errors import AmbiguousCommitError, EngineUnavailableError, InvalidArgumentError

BOOT = 7
WAIT_S = 20.0
INTERRUPTIONS = 200


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


def test_a_reset_begins_far_from_every_number_before(mark):
    bases = []
    for _ in range(50):
        mark.reset()
        bases.append(mark.read()[ASSIGNED])

    near = [1 for one in bases for other in bases if 0 < abs(one - other) < 10**9]
    assert 50 == len(set(bases))
    assert [] == near


def test_a_number_beyond_all_numbers_does_not_hold(mark):
    mark.reset()
    mark.write(ASSIGNED, 2**64 - 1)

    assert mark.read() is None


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


def test_a_lock_is_one_processs_and_ends_with_it(mark, hold):
    other = hold(GATE)

    assert not mark.lock(GATE)
    assert mark.lock(LEAD)
    other.kill()
    other.wait()
    assert mark.lock(GATE)


# --- who is acknowledged ---


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
    thread = threading.Thread(target=call, args=arguments, daemon=True)
    thread.start()
    return thread


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


@pytest.mark.parametrize("places", [(GATE,), (TURN,), (TURN, GATE)])
def test_a_frozen_process_at_the_gate_holds_nobody_up_for_long(engine, hold, monkeypatch, places):
    engine.write(put)
    waits = []

    def wait_for(mark, place, pause_s, deadline, pause_s_max=0.0):
        waits.append(deadline > time.monotonic())
        return mark.lock(place)

    monkeypatch.setattr(sync, "_wait_for", wait_for)
    frozen = hold(*places)
    patience = []
    for _ in range(3):
        waits.clear()
        engine._group._run_until = 0.0
        engine.write(put)
        patience.append(any(waits))
    # Only the first one waited to see whether it moves.
    assert [True, False, False] == patience
    frozen.kill()
    frozen.wait()
    engine._group._run_until = 0.0
    engine.write(put)
    assert not engine._group._gate_stuck


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


# --- a failed sync is remembered ---


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
    engine._checkpointer._moved.set()
    engine.write(put, durability="relaxed")  # the commit before the checkpoint is complete

    with pytest.raises(EngineUnavailableError, match=r"sync of .* failed"):
        engine.write(put)


def test_a_checkpoint_that_finds_the_disk_full_does_not_undo_an_acknowledged_write(
    engine, monkeypatch
):
    def move(db):
        raise apsw.FullError("database or disk is full")

    monkeypatch.setattr(checkpoint, "move", move)
    engine._checkpointer._moved.set()
    engine.write(put)
    engine.write(lambda tx: put(tx, 2))

    assert (2,) == engine.one("fact_get", swarm="s", name="n")


# --- closing, interrupting, forking ---


def test_a_write_that_is_under_way_when_the_engine_closes_is_synced_and_acknowledged(engine, syncs):
    inside, go = threading.Event(), threading.Event()

    def write(tx):
        put(tx)
        inside.set()
        assert go.wait(WAIT_S)
        return "done"

    said = []
    thread = start(lambda: said.append(engine.write(write)))
    assert inside.wait(WAIT_S)
    engine.close()
    go.set()
    thread.join(WAIT_S)

    assert ["done"] == said
    assert 1 == len(syncs)
    with pytest.raises(EngineUnavailableError, match="closed"):
        engine.write(put)


def test_an_unknown_durability_of_a_call_is_refused(engine):
    with pytest.raises(InvalidArgumentError, match="durability"):
        engine.write(put, durability="Full")


@pytest.mark.parametrize("call", ["write", "write_one", "read"])
def test_an_interrupted_call_leaves_nothing_locked(engine, path, call):
    engine.write(put)
    calls = {
        "write": lambda: engine.write(put),
        "write_one": lambda: engine.write_one("fact_set", swarm="s", name="n", value=1),
        "read": lambda: engine.read(lambda tx: tx.one("fact_get", swarm="s", name="n")),
    }
    other = apsw.Connection(path)
    interrupted, delay_s = 0, 1e-6
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        while interrupted < INTERRUPTIONS:
            try:
                signal.setitimer(signal.ITIMER_REAL, delay_s)
                calls[call]()
                signal.setitimer(signal.ITIMER_REAL, 0)
                delay_s = 1e-6  # it came through: begin again at its start
            except KeyboardInterrupt:
                interrupted += 1
                delay_s *= 1.1
                other.execute("BEGIN IMMEDIATE; ROLLBACK")  # without waiting
                engine.write(put)
                done = []
                thread = start(lambda done=done: done.append(engine.write(put)))
                thread.join(WAIT_S)
                assert [None] == done
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        other.close()


FORK = """
import os, subprocess, sys, apsw
from swarm_memory.engine import open_engine
path = sys.argv[1]
put = lambda tx, value: tx.run("fact_set", swarm="s", name="n", value=value)
engine = open_engine(f"sqlite:///{path}")
engine.write(lambda tx: put(tx, 1))
list(engine.all("fact_get", swarm="s", name="n")); engine.version()
read, write = os.pipe()
child = os.fork()
if child == 0:
    engine.write(lambda tx: put(tx, 2))
    engine.version()
    os.read(read, 1)
    engine.write(lambda tx: put(tx, 3))
    engine.close()
    os._exit(0)
while engine.one("fact_get", swarm="s", name="n") != (2,):
    pass
engine.close()
foreign = "import apsw, sys; apsw.Connection(sys.argv[1]).execute('SELECT * FROM facts').get"
subprocess.run([sys.executable, "-c", foreign, path], check=True)  # the last, if nobody is seen
os.write(write, b"x")
assert os.waitpid(child, 0)[1] == 0
print(open_engine(f"sqlite:///{path}").one("fact_get", swarm="s", name="n"))
"""


def test_a_forked_child_has_locks_of_its_own_so_that_nobody_removes_its_log(path):
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK, path], capture_output=True, text=True
    )

    assert ("(3,)\n", "") == (run.stdout, run.stderr)


FORK_IN_USE = """
import os, sys, threading
from swarm_memory.engine import open_engine
from swarm_memory.errors import EngineUnavailableError
path = sys.argv[1]
engine = open_engine(f"sqlite:///{path}")
inside, go = threading.Event(), threading.Event()
def hold(tx):
    inside.set()
    go.wait()
thread = threading.Thread(target=engine.read, args=(hold,))
thread.start()
inside.wait()
child = os.fork()
if child == 0:
    refused = 0
    for call in (
        lambda: engine.one("fact_get", swarm="s", name="n"),
        lambda: engine.write(lambda tx: None),
        lambda: open_engine(f"sqlite:///{path}").write(lambda tx: None),
    ):
        try:
            call()
        except EngineUnavailableError as error:
            refused += "fork" in str(error)
    os._exit(10 + refused)
go.set()
thread.join()
engine.write(lambda tx: None)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_child_that_was_forked_while_a_thread_used_the_store_is_refused(path):
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORK_IN_USE, path], capture_output=True, text=True
    )

    assert ("13\n", "") == (run.stdout, run.stderr)


def test_a_forked_child_does_not_have_its_parents_place_at_the_gate(engine, path):
    engine.write(put)
    assert engine._group._mark.lock(GATE)
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        fresh = Mark(path, (0, 0), 0)
        os.write(write, b"y" if not fresh.lock(GATE) else b"n")
        os._exit(0)
    assert b"y" == os.read(read, 1)
    os.waitpid(child, 0)
    os.close(read)
    os.close(write)
    other = subprocess.run(
        [sys.executable, "-c", HOLD, path, str(GATE)], capture_output=True, input="", text=True
    )

    assert "AssertionError" in other.stderr, "the parent still has its lock"
