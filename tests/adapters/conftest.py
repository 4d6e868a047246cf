"""What the tests of all adapters share: an open swarm on a store of its own."""

import pytest

from swarm_memory import Swarm


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/memory.db"


@pytest.fixture
def swarm(url):
    with Swarm.open(url, agent="tester", swarm="s", durability="relaxed") as swarm:
        yield swarm
