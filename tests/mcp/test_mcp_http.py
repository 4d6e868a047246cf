"""The server over streamable HTTP, on a real socket."""

import http.client
import json
from contextlib import closing
from urllib.parse import urlsplit

import httpx2
import pytest
from mcp import Client
from mcp_calls import call

from swarm_memory import Swarm

PING = {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {}}
HEADERS = {"Accept": "application/json, text/event-stream", "Content-Type": "application/json"}
WAIT_S = 60
# What revision 2026-07-28 wants in the place of a handshake.
TOLD = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientInfo": {"name": "raw", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


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
    assert (
        status == httpx2.post(url, json=PING, headers=HEADERS | header, timeout=WAIT_S).status_code
    )


def test_blanks_around_the_value_of_a_header_are_no_part_of_it(served):
    url, _ = served
    params = {"name": "recall", "arguments": {"query": "anything"}, "_meta": TOLD}
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
    said = {"MCP-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call"}
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=WAIT_S)
    with closing(connection):
        for name, status in {
            "recall": 200,
            " \trecall": 200,
            "recall \t": 200,
            "re call": 400,
        }.items():
            # This client sends a value as it is; httpx2 would trim it.
            connection.request("POST", "/mcp", body, HEADERS | said | {"Mcp-Name": name})
            answer = connection.getresponse()

            assert (name, status) == (name, answer.status), answer.read()
            answer.read()


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
