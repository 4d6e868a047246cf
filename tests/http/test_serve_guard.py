"""Who may ask the server: nobody under another name, from another origin, or without the token."""

import http.client
import socket
import subprocess
from contextlib import closing

import anyio
import httpx2
import pytest
from hook_replay import COMMAND, WAIT_S
from http_stage import HttpStage

from swarm_memory import Swarm
from swarm_memory.doors.http.guard import BODY_BYTES_MAX, Guard, name_of
from swarm_memory.doors.http.serving import is_local

TOKEN = "an-arbitrary-token"
ROUTES = [("GET", "/healthz"), ("POST", "/hook"), ("POST", "/hook/Stop"), ("POST", "/mcp"),
          ("GET", "/mcp"), ("GET", "/metrics"), ("GET", "/nowhere")]  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One server for all that it refuses: nothing of it is kept."""
    stage = HttpStage(tmp_path_factory.mktemp("guard") / "stage").start()
    yield stage
    stage.kill()


@pytest.fixture(scope="module")
def guarded(tmp_path_factory):
    """One server with a token."""
    stage = HttpStage(tmp_path_factory.mktemp("guard") / "stage")
    yield stage.start(SWARM_MEMORY_TOKEN=TOKEN)
    stage.kill()


def ask(stage, method, path, **headers):
    return httpx2.request(method, f"{stage.base}{path}", headers=headers, timeout=WAIT_S)


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (421, {"Host": "evil.example"}),
        (421, {"Host": "evil.example:8377"}),
        (421, {"Host": "127.0.0.1.evil.example"}),
        (421, {"Host": "127.0.0.2"}),
        (403, {"Origin": "http://evil.example"}),
        (403, {"Origin": "http://127.0.0.1.evil.example"}),
        (403, {"Origin": "http://localhost@evil.example"}),
        (403, {"Origin": "null"}),
        (403, {"Origin": "file://localhost"}),
        (403, {"Origin": "http://[::1"}),
    ],
)
def test_another_name_or_origin_is_refused_on_every_route(status, headers, server):
    assert [status] * len(ROUTES) == [
        ask(server, method, path, **headers).status_code for method, path in ROUTES
    ]


@pytest.mark.parametrize(
    "headers",
    [{}, {"Host": "localhost:1"}, {"Host": "LOCALHOST"}, {"Host": "[::1]:8377"},
     {"Origin": "http://localhost:3000"}],
)  # fmt: skip
def test_the_names_of_this_machine_are_served(headers, server):
    assert 200 == ask(server, "GET", "/healthz", **headers).status_code
    assert 404 == ask(server, "GET", "/nowhere", **headers).status_code


@pytest.mark.parametrize("said", [None, TOKEN, f"Bearer {TOKEN}x", "Bearer x", f"Basic {TOKEN}"])
def test_without_the_token_nothing_but_health_is_answered(said, guarded):
    headers = {} if said is None else {"Authorization": said}

    got = [ask(guarded, method, path, **headers).status_code for method, path in ROUTES]

    assert [200, *[401] * (len(ROUTES) - 1)] == got


def test_with_the_token_all_is_answered(guarded):
    headers = {"Authorization": f"Bearer {TOKEN}"}

    assert 404 == ask(guarded, "GET", "/nowhere", **headers).status_code
    assert 200 == guarded.post(b"{}", **headers).status_code


def test_blanks_after_the_token_are_no_part_of_it(guarded):
    connection = http.client.HTTPConnection("127.0.0.1", guarded.port, timeout=WAIT_S)
    with closing(connection):
        for said, status in {f"Bearer {TOKEN} \t": 404, f"Bearer {TOKEN} x": 401}.items():
            # This client sends a value as it is; httpx2 would trim it.
            connection.request("GET", "/nowhere", headers={"Authorization": said})
            answer = connection.getresponse()
            answer.read()

            assert (said, status) == (said, answer.status)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "box.example"])
def test_another_host_is_refused_without_a_token(host, served):
    ran = subprocess.run(
        [COMMAND, "serve", "--port", "0", "--host", host],
        capture_output=True,
        timeout=WAIT_S,
        env=served.environment,
    )

    assert (2, b"") == (ran.returncode, ran.stdout)
    assert b"SWARM_MEMORY_TOKEN" in ran.stderr


def test_with_a_token_it_is_served_under_the_names_that_were_given(served):
    served.start("--host", "0.0.0.0", "--name", "Box.example", SWARM_MEMORY_TOKEN=TOKEN)
    served.base = f"http://127.0.0.1:{served.port}"
    headers = {"Authorization": f"Bearer {TOKEN}"}

    for host, status in (("box.example", 404), ("127.0.0.1", 404), ("other.example", 421)):
        assert status == ask(served, "GET", "/nowhere", Host=host, **headers).status_code


def test_mcp_is_served_under_the_names_that_were_given(served):
    served.start("--name", "box.example")
    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {}}
    headers = {"Host": "box.example:1", "Accept": "application/json, text/event-stream"}

    refused = httpx2.post(served.mcp, json=ping, headers=headers | {"Host": "a.example:1"})
    answered = httpx2.post(served.mcp, json=ping, headers=headers)

    assert 421 == refused.status_code
    assert "session" in answered.json()["error"]["message"].lower()  # of MCP, and not of its guard


def test_a_body_that_is_too_long_is_refused_unread(server):
    lines = ["POST /hook HTTP/1.1", "Host: localhost", "Content-Type: application/json"]
    lines.append(f"Content-Length: {BODY_BYTES_MAX + 1}")
    with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_S) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = connection.recv(100)

    assert answer.startswith(b"HTTP/1.1 413 ")


def test_a_body_of_unknown_length_is_read_whole(server):
    def parts():
        yield server.raw({"hook_event_name": "SessionStart", "session_id": "s", "cwd": "$PROJECT"})
        yield b" " * 1_000_000

    assert 200 == server.post(parts()).status_code
    assert [] == server.failures()
    with Swarm.open(server.url) as swarm:
        assert "s" in [session.session_id for session in swarm.sessions.list()]


def test_a_body_of_unknown_length_is_refused_as_soon_as_it_is_too_long():
    read, sent = [], []

    async def app(scope, receive, send):
        raise AssertionError("it was let through")

    async def receive():
        read.append(1 << 20)
        return {"type": "http.request", "body": b"x" * (1 << 20), "more_body": True}

    async def send(message):
        sent.append(message)

    headers = [(b"host", b"localhost"), (b"transfer-encoding", b"chunked")]
    scope = {"type": "http", "method": "POST", "path": "/hook", "headers": headers}
    anyio.run(Guard(app, ["localhost"], None), scope, receive, send)

    assert 413 == sent[0]["status"]
    assert BODY_BYTES_MAX < sum(read) <= BODY_BYTES_MAX + (1 << 20)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_an_event_of_a_type_that_any_page_can_send_is_refused(kind, server):
    assert 415 == server.post(b"{}", **{"Content-Type": kind}).status_code


def test_a_request_without_a_host_is_refused(server):
    with socket.create_connection(("127.0.0.1", server.port), timeout=WAIT_S) as connection:
        connection.sendall(b"GET /healthz HTTP/1.0\r\n\r\n")
        answer = connection.recv(100)

    assert answer.startswith(b"HTTP/1.1 421 ")


@pytest.mark.parametrize(
    ("host", "name"),
    [("a", "a"), ("A:1", "a"), ("[::1]:8", "[::1]"), ("[::1]", "[::1]"), ("", ""), (":1", "")],
)
def test_the_name_of_a_host(host, name):
    assert name == name_of(host)


@pytest.mark.parametrize(
    ("host", "local"),
    [("127.0.0.1", True), ("127.8.8.8", True), ("::1", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("192.168.1.5", False), ("localhost.example", False)],
)  # fmt: skip
def test_which_hosts_are_this_machine(host, local):
    assert local == is_local(host)
