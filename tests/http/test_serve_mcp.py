"""MCP under the server: beside the hooks, and its clients do not keep it from ending."""

import signal

import anyio
import pytest
from hook_replay import WAIT_S
from mcp import Client

from swarm_memory import Swarm

START = {"hook_event_name": "SessionStart", "source": "startup", "session_id": "s", "cwd": "."}


def run(story):
    async def bounded():
        with anyio.fail_after(WAIT_S):
            return await story()

    return anyio.run(bounded)


@pytest.fixture
def here(served):
    """A server that was started in the project: MCP serves where it runs."""
    return served.start(cwd=served.project, CLAUDE_CODE_SESSION_ID="of-whoever-started-it")


def test_what_is_stored_by_mcp_is_shown_by_a_hook_of_the_same_server(here):
    async def story():
        async with Client(here.mcp) as client:
            arguments = {"value": "the port of the database is 5433", "kind": "fact"}
            return await client.call_tool("store", arguments)

    assert not run(story).is_error

    assert "5433" in here.process(START | {"cwd": "$PROJECT"})
    with Swarm.open(here.url) as swarm:
        assert "of-whoever-started-it" not in [s.session_id for s in swarm.sessions.list()]


def test_sigterm_ends_a_server_to_which_somebody_listens(here):
    uri = "swarm-memory://record/a"

    async def story():
        async with Client(here.mcp) as client, client.listen(resource_subscriptions=[uri]):
            await client.call_tool("lock", {"name": "deploy"})
            here.server.send_signal(signal.SIGTERM)
            return await anyio.to_thread.run_sync(here.server.wait, WAIT_S)

    assert 0 == run(story)
    with Swarm.open(here.url) as swarm:
        assert {"ended"} == {session.state for session in swarm.sessions.list()}
        assert [] == swarm.leases.list()
