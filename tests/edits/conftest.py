"""What the tests of edits share: a store with a manual clock, and agents that edit."""

import pytest

from swarm_memory.testing import Store


@pytest.fixture(params=["file", "memory"])
def store(request, tmp_path):
    url = "sqlite:///:memory:" if request.param == "memory" else f"sqlite:///{tmp_path}/m.db"
    store = Store(url)
    yield store
    store.close()


@pytest.fixture
def swarm(store):
    return store.open()
