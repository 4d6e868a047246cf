"""What the tests of search share: stores with a manual clock, and ways to ask."""

import pytest

from swarm_memory.testing import Store


@pytest.fixture
def store(engine_url):
    """An empty store whose doors share one manual clock."""
    store = Store(engine_url)
    yield store
    store.close()


@pytest.fixture
def swarm(store):
    return store.open()
