"""The line at the gate and before a sync: who is woken, and what happens when a wake is lost.

Nobody here looks by himself, unless a test says so: whoever goes on was woken.
"""

import os
import signal
import subprocess
import sys
import threading
from _socket import AF_UNIX, SOCK_DGRAM, socket

import pytest
from syncing import WAIT_S, put, start, wait_until

from swarm_memory.engine import gate as gates
from swarm_memory.engine import seats as rows
from swarm_memory.engine.gate import Gate
from swarm_memory.engine.mark import ASSIGNED, BLOCK_BYTES, GATE, PUBLISHED, SEATS, SYNCED, Mark
from swarm_memory.engine.seats import FOR_GATE, FOR_SYNC, Seats

NEVER_S = 1000.0

WAIT = """
import sys
from swarm_memory.engine import gate as gates, seats as rows
from swarm_memory.engine.mark import Mark
path, look_s, network = sys.argv[1:]
rows.WAITS_UNSEATED, gates.LOOK_S, gates.GATE_S = 0, float(look_s), 1000.0
mark = Mark(path, (0, 0), 0)
gate = gates.Gate(mark, rows.Seats(mark, (0, int(network))))  # whose names others do not know
gate.enter()
print("in", flush=True)
sys.stdin.readline()
gate.leave(last=True)
print("out", flush=True)
sys.stdin.readline()
"""

WRITE = """
import sys
from swarm_memory.engine import open_engine, seats as rows, sync
rows.WAITS_UNSEATED, sync.LEAD_LOOK_S, sync.LEAD_S = 0, 1000.0, 1000.0
engine = open_engine("sqlite:///" + sys.argv[1])
engine.write(lambda tx: tx.run("fact_set", swarm="s", name="n", value=2))
print("durable", flush=True)
"""


@pytest.fixture
def gate(path):
    mark = Mark(path, (0, 0), 0)
    gate = Gate(mark, Seats(mark, (0, 0)))
    yield gate
    gate._seats.close()
    mark.close()


@pytest.fixture
def run(path):
    running = []

    def run(program, *arguments):
        pipe = subprocess.PIPE
        command = [sys.executable, "-c", program, path, *map(str, arguments)]
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        end = threading.Timer(WAIT_S, process.kill)  # who is never woken says nothing
        end.start()
        running.append((process, end))
        return process

    yield run
    for process, end in running:
        end.cancel()
        process.kill()
        process.communicate()


def in_line(gate):
    return [seat for _, seat in gate._seats.waiting(FOR_GATE)]


def wait_in_line(run, gate, count, look_s=NEVER_S, network=0):
    """Start processes that come to the gate one after the other."""
    processes = []
    for number in range(1, count + 1):
        processes.append(run(WAIT, look_s, network))
        wait_until(lambda number=number: number == len(in_line(gate)))
    return processes


def go_on(process):
    process.stdin.write("\n")
    process.stdin.flush()
    assert "out\n" == process.stdout.readline()


def test_those_in_line_are_woken_in_the_order_in_which_they_came(run, gate):
    gate.enter()
    processes = wait_in_line(run, gate, 4)
    line = in_line(gate)
    gate.leave(last=True)

    for number, process in enumerate(processes, 1):
        assert "in\n" == process.stdout.readline()
        assert line[number:] == in_line(gate)
        go_on(process)


def test_one_who_comes_does_not_go_before_those_in_line(run, gate, monkeypatch):
    gate.enter()
    (process,) = wait_in_line(run, gate, 1)
    gate._mark.unlock(GATE)  # as if the wake were on its way
    monkeypatch.setattr(gates, "GATE_S", 0.0)
    monkeypatch.setattr(gates, "RUN_S", 0.0)
    stood = []
    monkeypatch.setattr(gate, "_stand_in_line", lambda limit_s: stood.append(limit_s) or True)
    gate._run_until = 0.0
    gate.enter()

    assert [0.0] == stood
    gate.leave(last=True)
    assert "in\n" == process.stdout.readline()


@pytest.fixture
def often(gate, monkeypatch):
    """A gate through which this process goes on and on."""
    monkeypatch.setattr(gates, "RUN_S", NEVER_S)
    monkeypatch.setattr(gates, "BACK_S", NEVER_S)
    for _ in range(gates.BACK_TIMES + 1):
        gate.enter()
        gate.leave(last=False)
    return gate


def test_who_writes_on_and_on_wakes_nobody_until_its_run_is_over(run, often):
    often.enter()
    (process,) = wait_in_line(run, often, 1)
    for _ in range(often._run):
        often.leave(last=False)
        assert 1 == len(in_line(often))
        often.enter()
    often.leave(last=False)

    assert "in\n" == process.stdout.readline()


def test_nor_until_its_time_is_over(run, often):
    often.enter()
    (process,) = wait_in_line(run, often, 1)
    often._run_until = 0.0
    often.leave(last=False)

    assert "in\n" == process.stdout.readline()


def test_one_who_was_held_up_once_still_writes_on_and_on(run, often, monkeypatch):
    for _ in range(gates.BACK_TIMES):
        often.enter()
        often.leave(last=False)
    monkeypatch.setattr(gates, "BACK_S", 0.0)
    often.enter()
    assert often._times_back >= gates.BACK_TIMES
    often.leave(last=False)
    often.enter()
    assert often._times_back < gates.BACK_TIMES, "one who is slow twice does not"


def test_who_only_looks_breaks_into_nobodys_run(gate, monkeypatch):
    mark, seats = gate._mark, gate._seats
    mark.reset()
    tried, looks = [], []

    def sleep(what, limit_s):
        looks.append(limit_s)
        if len(looks) <= 5:  # somebody writes on and on
            number = mark.read()[PUBLISHED] + 1
            mark.write(ASSIGNED, number)
            mark.write(PUBLISHED, number)
        return False

    def lock(place):
        tried.append(len(looks))
        return True

    monkeypatch.setattr(rows, "WAITS_UNSEATED", 0)
    monkeypatch.setattr(Seats, "sleep", lambda seats, *arguments: sleep(*arguments))
    gate._times_back = gates.BACK_TIMES  # else who comes tries once at once
    assert seats.seated()
    monkeypatch.setattr(Mark, "lock", lambda mark, place: lock(place))

    assert gate._stand_in_line(NEVER_S)
    assert [6] == tried


def test_a_wake_that_came_late_is_not_the_next_one(gate, monkeypatch):
    monkeypatch.setattr(rows, "WAITS_UNSEATED", 0)
    seats = gate._seats
    assert seats.seated()
    seats.wake(FOR_GATE, [seats._own])
    seats.drain(FOR_GATE)

    assert not seats.sleep(FOR_GATE, 0.001)
    seats.wake(FOR_GATE, [seats._own])
    assert seats.sleep(FOR_GATE, NEVER_S)


def test_who_was_killed_in_line_is_passed_over(run, gate):
    gate.enter()
    killed, *others = wait_in_line(run, gate, 3)
    killed.kill()
    killed.wait()
    gate.leave(last=True)

    for process in others:
        assert "in\n" == process.stdout.readline()
        go_on(process)


def test_who_is_frozen_in_line_holds_up_nobody_who_looks(run, gate):
    gate.enter()
    frozen, other = wait_in_line(run, gate, 2, look_s=0.01)
    frozen.send_signal(signal.SIGSTOP)
    gate.leave(last=True)

    assert "in\n" == other.stdout.readline()
    go_on(other)
    frozen.send_signal(signal.SIGCONT)
    assert "in\n" == frozen.stdout.readline()


def test_who_is_called_and_cannot_hear_it_does_not_wait_until_nobody_writes(run, gate):
    mark, over = gate._mark, threading.Event()
    mark.reset()

    def write():
        while not over.is_set():
            number = mark.read()[PUBLISHED] + 1
            mark.write(ASSIGNED, number)
            mark.write(PUBLISHED, number)

    gate.enter()
    writer = start(write)
    try:
        processes = wait_in_line(run, gate, 2, look_s=0.05, network=1)
        gate.leave(last=True)
        said = [process.stdout.readline() for process in processes[:1]]
        go_on(processes[0])
        said += [process.stdout.readline() for process in processes[1:]]
    finally:
        over.set()
        writer.join(WAIT_S)

    assert ["in\n"] * 2 == said


def test_who_leaves_a_closed_gate_writes_to_no_file_that_has_got_its_descriptor(path, tmp_path):
    mark = Mark(path, (0, 0), 0)
    gate = Gate(mark, Seats(mark, (0, 0)))
    gate.enter()
    number = mark.descriptor
    gate._seats.close()
    mark.close()  # as a child does that was forked inside a write
    other = tmp_path / "other"
    other.write_bytes(b"x" * BLOCK_BYTES)
    descriptor = os.open(other, os.O_RDWR)
    os.dup2(descriptor, number)
    gate.leave(last=True)

    assert b"x" * BLOCK_BYTES == other.read_bytes()
    os.close(number)
    if descriptor != number:
        os.close(descriptor)


def test_where_every_name_is_taken_a_process_waits_without_a_seat(run, gate):
    squatters = [socket(AF_UNIX, SOCK_DGRAM) for _ in range(SEATS)]
    for seat, squatter in enumerate(squatters):
        squatter.bind(gate._seats._at(FOR_GATE, seat))
    gate.enter()
    process = run(WAIT, NEVER_S, 0)
    gate.leave(last=True)

    assert "in\n" == process.stdout.readline()
    go_on(process)
    assert [] == in_line(gate)
    for squatter in squatters:
        squatter.close()


def test_who_only_passes_by_takes_no_seat(gate):
    assert [False] * rows.WAITS_UNSEATED == [
        gate._seats.seated() for _ in range(rows.WAITS_UNSEATED)
    ]
    assert gate._seats.seated()


def test_whoever_synced_wakes_the_next_to_lead_who_wakes_those_it_covered(engine, run, slow):
    before = engine._group.counters()[SYNCED]
    leader = start(engine.write, put)
    assert slow.began.acquire(timeout=WAIT_S)
    others = [run(WRITE) for _ in range(3)]
    seats = engine._group._seats
    wait_until(lambda: before + 4 == engine._group.counters()[PUBLISHED])
    wait_until(lambda: 3 == len(seats.waiting(FOR_SYNC)))
    slow.go.release()
    leader.join(WAIT_S)

    assert ["durable\n"] * 3 == [process.stdout.readline() for process in others]
    assert before + 4 == engine._group.counters()[SYNCED]


def test_a_frozen_process_at_the_gate_holds_nobody_up_for_long(engine, hold, monkeypatch):
    engine.write(put)
    pauses = []
    monkeypatch.setattr(gates, "pause", pauses.append)
    monkeypatch.setattr(gates, "GATE_S", 0.05)
    frozen = hold(GATE)
    patience = []
    for _ in range(3):
        pauses.clear()
        engine.write(put)
        patience.append(bool(pauses))

    # Only the first one waited to see whether it moves.
    assert [True, False, False] == patience
    frozen.kill()
    frozen.wait()
    engine.write(put)
    assert not engine._group._gate.stuck
