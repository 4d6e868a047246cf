"""The kernel names who is inside a write, and asking disturbs nobody."""

import os
import subprocess
import sys

import pytest
from doctor_processes import IN_A_READ, IN_A_WRITE

from swarm_memory import Swarm
from swarm_memory.engine import holder

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")

LOCK_IT = """
import sys, apsw
db = apsw.Connection(sys.argv[1])
db.set_busy_timeout(0)
try:
    db.execute("BEGIN IMMEDIATE")
except apsw.BusyError:
    print("busy")
else:
    print("locked")
"""


def test_the_process_inside_a_write_is_named(store, start):
    writer = start(IN_A_WRITE, store)

    assert writer.pid == holder.holder_of_write_lock(store)


def test_a_frozen_writer_is_named_too(store, start, stop):
    writer = start(IN_A_WRITE, store)
    stop(writer)

    assert writer.pid == holder.holder_of_write_lock(store)


def test_nobody_is_named_when_nobody_writes(store):
    assert holder.holder_of_write_lock(store) is None


def test_nobody_is_named_where_there_is_no_store(path):
    assert holder.holder_of_write_lock(path) is None


def test_a_file_that_is_no_log_index_names_nobody(path):
    with open(f"{path}-shm", "wb") as file:
        file.write(b"torn")

    assert holder.holder_of_write_lock(path) is None


def test_a_pipe_in_place_of_the_index_does_not_hang(path):
    os.mkfifo(f"{path}-shm")

    assert holder.holder_of_write_lock(path) is None


def test_asking_keeps_the_locks_of_the_process_that_asks(store):
    with Swarm.open(f"sqlite:///{store}") as swarm:

        def ask(tx):
            tx.records.put("notes/2", "mine")
            named = holder.holder_of_write_lock(store)
            # Another process must still be kept out: asking has dropped nothing.
            other = subprocess.run(
                [sys.executable, "-c", LOCK_IT, store], capture_output=True, text=True, check=True
            )
            return named, other.stdout

        assert (os.getpid(), "busy\n") == swarm.transact(ask)


def test_readers_are_named_with_how_much_of_the_log_they_see(store, start):
    reader = start(IN_A_READ, store)
    seen = holder.wal_locks(store).frames
    with Swarm.open(f"sqlite:///{store}") as swarm:
        swarm.records.put("notes/2", "later")

        locks = holder.wal_locks(store)

    assert ((reader.pid, seen),) == locks.readers
    assert locks.frames > seen
    assert locks.frames == locks.behind
    assert (None, None, None) == (locks.writer, locks.checkpointer, locks.recoverer)
    assert reader.pid == locks.user or os.getpid() == locks.user


def test_elsewhere_than_on_linux_nothing_is_asked(store, start, monkeypatch):
    start(IN_A_WRITE, store)
    monkeypatch.setattr(sys, "platform", "darwin")

    assert holder.holder_of_write_lock(store) is None


def test_importing_it_imports_no_more_than_the_engine_has():
    needed = (
        "import sys, swarm_memory.engine; before = set(sys.modules)\n"
        "import swarm_memory.engine.holder\nprint(*sorted(set(sys.modules) - before))"
    )
    ran = subprocess.run([sys.executable, "-c", needed], capture_output=True, text=True, check=True)

    assert "swarm_memory.engine.holder\n" == ran.stdout
