"""Processes of a test: all have opened their store before the first goes on, none outlives it.

They are forks of one process that has imported what their program imports, for that is most of
what they cost: 3.4 s for the SDK of Anthropic, in each. No store is open before the fork.
"""

import json
import os
import re
import subprocess
import sys
import threading
from contextlib import contextmanager

import pytest

WAIT_S = 240
PROCESSES = 4
IMPORTS = re.compile(r"^(?:import|from) .*$", re.MULTILINE)
STARTER = """
import json, os, signal, sys
program, imports, parties, ends = sys.argv[1:2] + [json.loads(word) for word in sys.argv[2:]]
exec("\\n".join(imports))
children = []
for arguments, own in zip(parties, ends):
    child = os.fork()
    if child == 0:
        for target, end in enumerate(own):
            os.dup2(end, target)
        break
    children.append(child)
for own in ends:
    for end in own:
        os.close(end)
if child == 0:
    sys.argv[1:] = arguments
    exec(compile(program, "program", "exec"))
else:
    asked = sys.stdin.readline()
    if not asked:  # nobody waits for their end any more
        for child in children:
            os.kill(child, signal.SIGKILL)
    said = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
    if asked:
        print(json.dumps(said))
"""
PRELUDE = """
import asyncio, sys
from swarm_memory import Swarm
url, name, *arguments = sys.argv[1:]
swarm = Swarm.open(url, agent=name, durability="relaxed")
def go():
    print("ready", flush=True)
    sys.stdin.readline()
"""


def times(few, many):
    """Run a test with `count` at `few`, enough for processes to meet, and at `many` by --long."""
    return pytest.mark.parametrize("count", [few, pytest.param(many, marks=pytest.mark.long)])


class Process:
    """A process, by what it is told and what it says."""

    def __init__(self):
        pipes = [os.pipe() for _ in range(3)]
        self.theirs = [pipes[0][0], pipes[1][1], pipes[2][1]]
        self.stdin = os.fdopen(pipes[0][1], "w")
        self.stdout = os.fdopen(pipes[1][0])
        self.stderr = os.fdopen(pipes[2][0])

    def leave(self):
        """Leave to it what is its own."""
        for end in self.theirs:
            os.close(end)

    def close(self):
        for stream in (self.stdin, self.stdout, self.stderr):
            stream.close()


class Running(list):
    """The processes of one program."""

    def __init__(self, program, parties):
        super().__init__(Process() for _ in parties)
        words = [program, IMPORTS.findall(program), [[*map(str, each)] for each in parties]]
        words.append([process.theirs for process in self])
        self.starter = subprocess.Popen(
            [sys.executable, "-c", STARTER, program, *map(json.dumps, words[1:])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[end for process in self for end in process.theirs],
        )
        for process in self:
            process.leave()

    def kill(self):
        """Kill those that are there, and return when they are not."""
        with self.starter:
            self.starter.stdin.close()
        for process in self:
            process.close()


@contextmanager
def started(program, *parties):
    """Start a process for each tuple of arguments; all are ready for `go` inside the block."""
    running = Running(program, parties)
    try:
        ready(running)
        yield running
    finally:
        running.kill()


def ready(running):
    """Wait until every process says that it is."""
    for process in running:
        line = process.stdout.readline()
        assert "ready\n" == line, line or process.stderr.read()


def go(running):
    """Let all go on at the same moment."""
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()


def ended(running):
    """Return what each process said after it was ready; nothing went wrong in any."""
    late = threading.Timer(WAIT_S, running.starter.stdin.close)  # which kills them
    late.start()
    for process in running:
        process.stdin.close()
    said = [process.stdout.read() for process in running]
    wrong = "\n".join(filter(None, (process.stderr.read() for process in running)))
    late.cancel()
    late.join()
    assert not wrong, wrong
    statuses, _ = running.starter.communicate("end\n", timeout=WAIT_S)
    assert [0] * len(running) == json.loads(statuses)
    return said


def run_all(program, url, *arguments):
    """Run the program in four processes; return what each says between ready and its good end."""
    parties = [(url, f"p{n}", *arguments) for n in range(PROCESSES)]
    with started(PRELUDE + program, *parties) as running:
        go(running)
        return ended(running)
