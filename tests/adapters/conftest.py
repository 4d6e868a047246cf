"""What the tests of all adapters share: an open swarm on a store of its own."""

import json

import pytest

from swarm_memory import Swarm


@pytest.fixture(params=["file", "postgresql"])
def shared_url(request, tmp_path):
    """Return the URL of a store that several processes can open, on each engine."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path}/memory.db"


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/memory.db"


@pytest.fixture
def swarm(url):
    with Swarm.open(url, agent="tester", swarm="s", durability="relaxed") as swarm:
        yield swarm


@pytest.fixture
def overwriting(tmp_path):
    """Return a swarm whose settings let the last write win where nothing else is said."""
    settings = {"categories": {"other": {"keys": ["**"], "on_conflict": "last_write"}}}
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(settings))
    with Swarm.open("sqlite:///:memory:", config_path=str(path)) as swarm:
        yield swarm
