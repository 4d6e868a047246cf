"""What the tests of search share: stores with a manual clock, and ways to ask."""

import pytest

from swarm_memory.testing import Store


@pytest.fixture
def store(tmp_path):
    """An empty store whose doors share one manual clock."""
    store = Store(f"sqlite:///{tmp_path}/memory.db")
    yield store
    store.close()


@pytest.fixture
def swarm(store):
    return store.open()
