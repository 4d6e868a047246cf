"""What the tests of briefing share: a store, agents that note things, and token counters."""

import pytest

import token_counters
from swarm_memory.testing import Store


@pytest.fixture
def store(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/m.db")
    yield store
    store.close()


@pytest.fixture
def swarm(store):
    return store.open()


@pytest.fixture
def briefing(swarm):
    return swarm.briefing


@pytest.fixture
def note(swarm):
    """Return a function by which another agent keeps a memory."""

    def keep(text, *, kind="decision", agent="main@s9", session="s9", key=None):
        door = swarm.as_agent(agent, session=session)
        return door.memories.store(text, kind=kind, key=key).record.key

    return keep


@pytest.fixture
def count():
    """Return a function that counts the tokens of a text, by whatever tokenizer finds most."""
    return token_counters.count
