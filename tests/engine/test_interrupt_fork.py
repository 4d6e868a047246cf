"""Engines that are closed, interrupted and forked in the middle of something."""

import gc
import os
import signal
import subprocess
import sys
import threading

import apsw
import pytest
from syncing import HOLD, WAIT_S, put, start

from swarm_memory.engine import open_engine
from swarm_memory.engine.mark import GATE, Mark
from swarm_memory.engine.sync import joined
from swarm_memory.errors import EngineUnavailableError, InvalidArgumentError

INTERRUPTIONS = 200


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


def test_a_closed_engine_opens_no_connection_to_watch_with(engine):
    before = engine.version()
    engine.close()

    with pytest.raises(EngineUnavailableError, match="closed"):
        engine.version()
    with pytest.raises(EngineUnavailableError, match="closed"):
        engine.wait(before, WAIT_S)


def test_an_engine_that_nobody_closed_leaves_no_group_behind(path, tmp_path):
    # A new file often gets the number of the last one that was deleted.
    forgotten = open_engine(f"sqlite:///{path}")
    forgotten.write(put)
    group = joined(path)
    del forgotten
    gc.collect()
    other = open_engine(f"sqlite:///{tmp_path}/other.db")

    assert (None, 0) == (joined(path), group.users)
    other.close()


def test_who_waits_while_the_engine_is_closed_is_told(engine):
    said = []

    def wait():
        try:
            engine.wait(engine.version(), WAIT_S)
        except EngineUnavailableError as error:
            said.append(str(error))

    thread = start(wait)
    engine.close()
    thread.join(WAIT_S)

    assert [True] == ["closed" in each for each in said]


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
