"""A server as somebody starts it: a real process on a free port."""

import pytest

pytest.importorskip("mcp", reason="the extra [server] is not installed")

import httpx2
from http_stage import HttpStage

from swarm_memory import Swarm
from swarm_memory.testing.served import Server


@pytest.fixture
def served(tmp_path):
    stage = HttpStage(tmp_path / "stage")
    yield stage
    stage.kill()


@pytest.fixture
def server(served):
    """A stage whose server runs."""
    return served.start()


@pytest.fixture
def api(tmp_path):
    """The API on an empty store, in a thread of this process."""
    server = Server(lambda: Swarm.open(f"sqlite:///{tmp_path}/memory.db"))
    yield server
    server.close()


@pytest.fixture
def ask(api):
    """What asks the API as any HTTP client does."""
    with httpx2.Client(base_url=f"{api.url}/v1/swarms/s", timeout=30) as client:
        yield client


@pytest.fixture
def opened(api):
    """What opens doors to the API, which are closed at the end."""
    doors = []

    def open_door(agent="a", **more):
        doors.append(Swarm.open(api.url, agent=agent, swarm="s", **more))
        return doors[-1]

    yield open_door
    for door in doors:
        door.close()
