"""What the tests of edits share: a store with a manual clock, and agents that edit."""

import pytest

from swarm_memory.testing import Store


@pytest.fixture
def store(engine_url):
    store = Store(engine_url)
    yield store
    store.close()


@pytest.fixture
def swarm(store):
    return store.open()
