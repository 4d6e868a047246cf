"""Processes that run a few lines on an open store, say where they are and wait to be told."""

import json
import os
import subprocess
import sys
import time

WAIT_S = 30.0
SWARM = "hostile"

PRELUDE = """
import json, os, signal, sys, time
from swarm_memory import Swarm
from swarm_memory.errors import SwarmMemoryError
url, agent, *arguments = sys.argv[1:]
swarm = Swarm.open(url, agent=agent, swarm="hostile", durability="relaxed")
leases, messages, records = swarm.leases, swarm.messages, swarm.records
def say(value):
    print(json.dumps(value), flush=True)
def go():
    if not sys.stdin.readline():
        os._exit(0)
def outcome(call):
    try:
        call()
        return "done"
    except SwarmMemoryError as error:
        return error.code
say("ready")
go()
"""


class Process:
    """A Python process that runs `program` and talks in lines of JSON."""

    def __init__(self, program, url, agent, *arguments):
        command = [sys.executable, "-c", PRELUDE + program, url, agent, *map(str, arguments)]
        pipe = subprocess.PIPE
        # Without a buffer: what `hear` has read ahead would be lost to `communicate`, which
        # reads the pipe itself.
        self.popen = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0)

    def hear(self):
        line = self.popen.stdout.readline()
        assert line, self.popen.communicate()[1].decode()
        return json.loads(line)

    def go(self):
        self.popen.stdin.write(b"go\n")

    def send(self, number):
        os.kill(self.popen.pid, number)

    def finish(self):
        """Return what else it says until it ends, which it must do well."""
        said = self.end()
        assert 0 == self.popen.returncode
        return said

    def end(self):
        """Return what else it says until it ends, by itself or killed, and without complaint."""
        stdout, stderr = self.popen.communicate(timeout=2 * WAIT_S)
        assert "" == stderr.decode()
        return [json.loads(line) for line in stdout.splitlines()]


def until(condition):
    end = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.005)
