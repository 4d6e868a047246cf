"""What the tests of durable writing share: a write, waiting, a sync that is told when to end."""

import os
import threading

import pytest

WAIT_S = 20.0


def put(tx, value=1):
    tx.run("fact_set", swarm="s", name="n", value=value)


def start(call, *arguments):
    thread = threading.Thread(target=call, args=arguments, daemon=True)
    thread.start()
    return thread


def wait_until(condition):
    for _ in range(int(WAIT_S / 0.002)):
        if condition():
            return
        threading.Event().wait(0.002)
    pytest.fail("it did not happen")


def failing(descriptor):
    raise OSError(5, "Input/output error")


HOLD = """
import sys, time
from swarm_memory.engine.mark import Mark
mark = Mark(sys.argv[1], (0, 0), 0)
assert all(mark.lock(int(place)) for place in sys.argv[2:])
print("held", flush=True)
sys.stdin.readline()
"""


class Slow:
    """A sync that waits to be told to go on."""

    def __init__(self):
        self.began, self.go, self.count = threading.Semaphore(0), threading.Semaphore(0), 0

    def __call__(self, descriptor):
        self.count += 1
        self.began.release()
        assert self.go.acquire(timeout=WAIT_S)
        os.fdatasync(descriptor)
