"""Leases and messages between real processes: they are killed, they crowd, nothing is shared.

An overlap detector proves exclusion: each holder creates a file that must not exist, works, and
removes it. Interleaving is proven by the tokens: they rise over all processes, and no process
has all of its own in a row.
"""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from swarm_memory.codec import Compressor
from swarm_memory.config import load_config
from swarm_memory.context import Context
from swarm_memory.engine import open_engine
from swarm_memory.leases import Leases
from swarm_memory.messages import Messages
from swarm_memory.records import Records

PROCESSES = 8
ROUNDS = 40
WAIT_S = 20.0

PRELUDE = """
import json, os, sys, time
from swarm_memory.codec import Compressor
from swarm_memory.config import load_config
from swarm_memory.context import Context
from swarm_memory.engine import open_engine
from swarm_memory.leases import Leases
from swarm_memory.messages import Messages
from swarm_memory.records import Records
url, agent, folder = sys.argv[1:4]
engine = open_engine(url)
config = load_config()
compressor = Compressor(lambda number: b"", lambda: 0, config.value_bytes_max)
context = Context("race", agent, None, config, compressor)
leases = Leases(engine, context, engine)
messages = Messages(engine, context, engine)
records = Records(engine, context)
def say(value):
    print(json.dumps(value), flush=True)
def go():
    sys.stdin.readline()
"""

CONTEND = """
go()
tokens, overlaps = [], 0
for _ in range(int(sys.argv[4])):
    with leases.hold("x", wait_s=60) as lease:
        try:
            os.close(os.open(folder + "/inside", os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            overlaps += 1
        value = records.get("race/counter").value
        time.sleep(0.0005)
        records.put("race/counter", value + 1, fence=lease)
        os.unlink(folder + "/inside")
        tokens.append(lease.token)
say({"tokens": tokens, "overlaps": overlaps})
"""

READ_OR_WRITE = """
go()
number, bad = int(agent[1:]), 0
for turn in range(int(sys.argv[4])):
    mode = "write" if (number + turn) % 4 == 0 else "read"
    with leases.hold("x", mode, wait_s=60):
        mine = f"{folder}/{mode}-{agent}"
        os.close(os.open(mine, os.O_CREAT))
        names = os.listdir(folder)
        writers = [name for name in names if name.startswith("write")]
        if (mode == "read" and writers) or (mode == "write" and len(names) > 1):
            bad += 1
        time.sleep(0.0005)
        os.unlink(mine)
say({"bad": bad})
"""

HOLD = """
lease = leases.acquire("x", ttl_s=float(sys.argv[4]), wait_s=60)
say({"token": lease.token})
go()
try:
    records.put("race/late", agent, fence=lease)
    say("written")
except Exception as error:
    say(error.code)
"""

WAIT_IN_LINE = """
go()
with leases.hold("x", wait_s=60, ttl_s=5) as lease:
    say({"agent": agent, "token": lease.token, "at": time.time()})
"""

CONSUME = """
go()
crash = sys.argv[4]
while True:
    found = messages.claim("t", limit=3, visible_after_s=1.0, wait_s=4)
    if not found:
        break
    for message in found:
        if crash == "yes" and message.body == 7:
            say("about to die")
            time.sleep(60)
        say({"body": message.body, "attempts": message.attempts})
        message.ack()
"""


def start(program, url, agent, folder="", argument="", **options):
    return subprocess.Popen(
        [sys.executable, "-c", PRELUDE + program, url, agent, str(folder), str(argument)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def release(process):
    process.stdin.write("go\n")
    process.stdin.flush()


def finish(processes):
    """Return what each process said, line by line."""
    said = []
    for process in processes:
        stdout, stderr = process.communicate(timeout=120)
        assert "" == stderr
        said.append([json.loads(line) for line in stdout.splitlines()])
    return said


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/memory.db"


@pytest.fixture
def services(url):
    engine = open_engine(url)
    config = load_config()
    compressor = Compressor(lambda number: b"", lambda: 0, config.value_bytes_max)
    context = Context("race", "test", None, config, compressor)
    waiting = (engine, context, engine)
    records = Records(engine, context)
    records.put("race/counter", 0)
    yield Leases(*waiting), Messages(*waiting), records
    engine.close()


@pytest.fixture
def processes():
    """Processes that must not outlive the test."""
    running = []
    yield running
    for process in running:
        process.kill()
        process.communicate()


def until(condition):
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)


def waiting(leases):
    return [seat.owner for seat in leases.list("x") if seat.state == "waiting"]


def test_no_two_processes_are_inside_at_once(url, services, processes, tmp_path):
    folder = tmp_path / "detector"
    folder.mkdir()
    for number in range(PROCESSES):
        processes.append(start(CONTEND, url, f"p{number}", folder, ROUNDS))
    for process in processes:
        release(process)

    said = [lines[0] for lines in finish(processes)]

    assert [0] * PROCESSES == [each["overlaps"] for each in said]
    tokens = [each["tokens"] for each in said]
    assert all(each == sorted(each) for each in tokens)
    together = sorted(token for each in tokens for token in each)
    assert len(together) == len(set(together)) == PROCESSES * ROUNDS
    assert PROCESSES * ROUNDS == services[2].get("race/counter").value
    alone = [each for each in tokens if each[-1] - each[0] == ROUNDS - 1]
    assert not alone, "a process had the lease all the time: nothing was contended"
    assert [] == services[0].list()


def test_readers_share_and_writers_do_not(url, services, processes, tmp_path):
    folder = tmp_path / "detector"
    folder.mkdir()
    for number in range(PROCESSES):
        processes.append(start(READ_OR_WRITE, url, f"p{number}", folder, ROUNDS))
    for process in processes:
        release(process)

    assert [0] * PROCESSES == [lines[0]["bad"] for lines in finish(processes)]


def test_when_a_holder_is_killed_the_next_is_served_after_its_time(url, services, processes):
    leases, ttl_s = services[0], 3.0
    holder = start(HOLD, url, "holder", argument=ttl_s)
    processes.append(holder)
    token = json.loads(holder.stdout.readline())["token"]
    began = time.time()
    followers = []
    for number in range(10):
        processes.append(start(WAIT_IN_LINE, url, f"p{number}"))
        followers.append(processes[-1])
        release(processes[-1])
    until(lambda: len(waiting(leases)) == 10)
    holder.kill()

    said = [lines[0] for lines in finish(followers)]

    said.sort(key=lambda each: each["token"])
    assert all(each["token"] > token for each in said)
    assert [each["at"] for each in said] == sorted(each["at"] for each in said)
    # The time to live began at most the start of a process before `began`.
    assert ttl_s - 0.5 < said[0]["at"] - began < ttl_s + 1
    assert 10 == len({each["agent"] for each in said})


def test_a_killed_waiter_does_not_hold_up_those_behind_it(url, services, processes):
    leases = services[0]
    held = leases.acquire("x", ttl_s=60)
    for number in range(3):
        processes.append(start(WAIT_IN_LINE, url, f"p{number}"))
        release(processes[-1])
        until(lambda number=number: len(waiting(leases)) == number + 1)
    processes[0].kill()
    released = time.time()
    held.release()

    said = [lines[0] for lines in finish(processes[1:])]

    assert ["p1", "p2"] == [each["agent"] for each in said]
    assert said[0]["token"] < said[1]["token"]
    assert said[0]["at"] - released < 4


def test_eight_contenders_are_served_in_the_order_in_which_they_came(url, services, processes):
    leases = services[0]
    held = leases.acquire("x", ttl_s=60)
    for number in range(PROCESSES):
        processes.append(start(WAIT_IN_LINE, url, f"p{number}"))
        release(processes[-1])
        until(lambda number=number: len(waiting(leases)) == number + 1)
    order = waiting(leases)
    held.release()

    said = [lines[0] for lines in finish(processes)]

    said.sort(key=lambda each: each["token"])
    assert [f"p{n}" for n in range(PROCESSES)] == order == [each["agent"] for each in said]
    assert [each["at"] for each in said] == sorted(each["at"] for each in said)


def test_a_holder_that_was_stopped_past_its_time_cannot_write(url, services, processes):
    leases, _, records = services
    holder = start(HOLD, url, "stopped", argument=0.5)
    processes.append(holder)
    holder.stdout.readline()
    os.kill(holder.pid, signal.SIGSTOP)
    with leases.hold("x", wait_s=WAIT_S) as lease:
        records.put("race/late", "mine", fence=lease)
        release(holder)
        os.kill(holder.pid, signal.SIGCONT)

        assert [["lease_lost"]] == finish([holder])
    assert "mine" == records.get("race/late").value


def test_what_a_killed_consumer_had_comes_again_and_nothing_is_lost(url, services, processes):
    messages = services[1]
    for number in range(30):
        messages.send(number, topic="t")
    doomed = start(CONSUME, url, "doomed", argument="yes")
    others = [start(CONSUME, url, f"p{n}", argument="no") for n in range(2)]
    processes += [doomed, *others]
    release(doomed)
    done = []
    while (line := json.loads(doomed.stdout.readline())) != "about to die":
        done.append(line)
    for process in others:
        release(process)
    doomed.kill()

    done += [line for lines in finish(others) for line in lines]

    assert list(range(30)) == sorted(line["body"] for line in done)
    again = {line["body"] for line in done if line["attempts"] == 2}
    assert again == {7, 8}, "the dead one had claimed 6, 7 and 8 and acknowledged 6"
    assert (0, 0, 0, 0) == messages.counts()[:4]
