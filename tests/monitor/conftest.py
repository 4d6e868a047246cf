"""Swarms whose clock stands still, and calls that take as long as a test says."""

import subprocess
import sys

import pytest
from faulty import BEGIN, PROGRAMS

from swarm_memory import Swarm
from swarm_memory.testing import Store


class Timed:
    """A clock of calls: each look is so many milliseconds after the one before."""

    def __init__(self):
        self.now_ns = 0
        self.step_ms = 0.5

    def __call__(self):
        self.now_ns += round(self.step_ms * 1e6)
        return self.now_ns


@pytest.fixture
def store(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/memory.db")
    yield store
    store.close()


@pytest.fixture
def timed():
    return Timed()


@pytest.fixture
def minute(store):
    """Return a function that lets minutes pass, each with a sample, and returns the last one's."""

    def minute(swarm, minutes=1):
        for _ in range(minutes):
            store.clock.advance(60)
            taken = swarm.monitor.take()
        return taken

    return minute


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/memory.db"


@pytest.fixture
def started(url):
    """Return a function that starts a program and waits until it is ready."""
    running = []

    def start(name):
        command = [sys.executable, "-c", BEGIN + PROGRAMS[name], url, name]
        pipe = subprocess.PIPE
        process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
        running.append(process)
        assert "ready\n" == process.stdout.readline()
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


@pytest.fixture
def opened(url, monkeypatch):
    """Return a function that opens a door to swarm "s", with settings."""
    doors = []

    def open_door(clock=None, **settings):
        for name, value in settings.items():
            monkeypatch.setenv(f"SWARM_MEMORY_{name.upper()}", str(value))
        doors.append(Swarm.open(url, swarm="s", clock=clock, durability="relaxed"))
        return doors[-1]

    yield open_door
    for door in doors:
        door.close()
