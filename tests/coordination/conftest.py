"""A store with a manual clock, on a file and in memory."""

import pytest
from coordination_services import Services
from waiters import Line

from swarm_memory.testing import ManualClock


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture(params=["file", "memory"])
def store(request, tmp_path, clock):
    url = "sqlite:///:memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/m.db"
    store = Services(url, clock)
    yield store
    store.engine.close()


@pytest.fixture
def line(store):
    line = Line(store)
    yield line
    line.end()
