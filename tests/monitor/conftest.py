"""Swarms whose clock stands still, and calls that take as long as a test says."""

import pytest

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
