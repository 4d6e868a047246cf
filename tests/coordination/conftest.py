"""A store with a manual clock, on every engine."""

import pytest
from coordination_services import Services
from waiters import Line

from swarm_memory.testing import ManualClock


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def store(engine_url, clock):
    store = Services(engine_url, clock)
    yield store
    store.engine.close()


@pytest.fixture
def line(store):
    line = Line(store)
    yield line
    line.end()
