"""The server over streamable HTTP, on a real socket."""

import httpx2
import pytest
from mcp import Client
from mcp_calls import call

from swarm_memory import Swarm

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {}}
HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_clients_share_the_store_over_http(place, served, run, mode):
    url, _ = served

    async def story():
        async with Client(url, mode=mode) as one, Client(url, mode=mode) as other:
            await call(one, "store", value="over HTTP", key="a")
            return await call(other, "retrieve", key="a")

    assert "over HTTP" == run(story)["value"]


def test_a_subscriber_over_http_hears_of_what_another_process_writes(place, served, run):
    url, _ = served
    uri = "swarm-memory://record/a"

    async def story():
        async with Client(url) as client, client.listen(resource_subscriptions=[uri]) as changes:
            with Swarm.open(place.url) as swarm:
                swarm.records.put("a", 1)
            return str((await anext(changes)).uri)

    assert uri == run(story)


@pytest.mark.parametrize(
    ("header", "status"),
    [({"Host": "evil.example"}, 421), ({"Origin": "http://evil.example"}, 403)],
)
def test_requests_from_elsewhere_are_refused(served, header, status):
    url, _ = served
    assert status == httpx2.post(url, json=PING, headers=HEADERS | header, timeout=60).status_code


def test_the_end_of_the_server_ends_its_session(place, served, run):
    url, process = served

    async def story():
        async with Client(url) as client:
            await call(client, "lock", name="deploy")

    run(story)
    process.terminate()
    process.wait(120)

    with Swarm.open(place.url) as swarm:
        assert ["ended"] == [session.state for session in swarm.sessions.list()]
        assert [] == swarm.leases.list()
