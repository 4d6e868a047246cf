"""Servers as processes: several at once, ended in every way, and given what is no request."""

import os
import random
import signal
from contextlib import AsyncExitStack

import anyio
import pytest
from mcp_calls import call, refused
from mcp_place import COMMAND
from mcp_raw import WAIT_S, RawServer

from swarm_memory import Swarm
from swarm_memory.doors.mcp import full
from swarm_memory.errors import EXIT_STATUS

CLIENTS, STORES = 8, 20


@pytest.fixture
def raw(place):
    """Start servers that are spoken to line by line; those that live on are ended."""
    started = []

    def start(*arguments, **environment):
        started.append(RawServer(place, *arguments, **environment))
        return started[-1]

    yield start
    for server in started:
        server.close()


def states(place):
    with Swarm.open(place.url) as swarm:
        return {session.session_id: session.state for session in swarm.sessions.list()}


# --- several at once ---


def test_two_clients_see_what_the_other_stores(place, run):
    async def story():
        async with place.client() as one, place.client(mode="legacy") as other:
            await call(one, "store", value="from one", key="shared/a")
            first = await call(other, "retrieve", key="shared/a")
            await call(other, "store", value="from other", key="shared/a", expect=1)
            told = await refused(one, "store", value="late", key="shared/a", expect=1)
            return first, told, await call(one, "retrieve", key="shared/a")

    first, told, last = run(story)

    assert "from one" == first["value"]
    assert "conflict" == told["error"]
    assert ("from other", 2) == (last["value"], last["version"])


def test_eight_clients_store_at_once_and_every_store_is_there(place, run):
    async def stores(client, number):
        for count in range(STORES):
            await call(client, "store", value=f"{number}/{count}")

    async def story():
        async with AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(place.client()) for _ in range(CLIENTS)]
            async with anyio.create_task_group() as group:
                for number, client in enumerate(clients):
                    group.start_soon(stores, client, number)

    run(story)

    with Swarm.open(place.url) as swarm:
        values = [record.value for record in swarm.records.each()]
        assert swarm.verify().ok
    expected = {f"{number}/{count}" for number in range(CLIENTS) for count in range(STORES)}
    assert (expected, CLIENTS * STORES) == (set(values), len(values))


# --- waiting ---


def test_a_call_that_waits_does_not_hold_up_others_and_gets_its_turn(place, run):
    async def story():
        taken = []
        async with place.client() as one, place.client() as other:
            held = await call(one, "lock", name="deploy")

            async def wait():
                taken.append(await call(other, "lock", name="deploy", wait_s=60))

            async with anyio.create_task_group() as group:
                group.start_soon(wait)
                while not await waiting(place):
                    await anyio.sleep(0.01)
                await call(other, "store", value="meanwhile", key="a")
                assert [] == taken
                await call(one, "unlock", name="deploy", token=held["token"])
            return held, taken[0]

    held, taken = run(story)
    assert held["token"] < taken["token"]


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_a_cancelled_wait_leaves_the_line(place, run, mode):
    async def story():
        async with place.client() as one, place.client(mode=mode) as other:
            await call(one, "lock", name="deploy")
            async with anyio.create_task_group() as group:
                group.start_soon(call_forever, other)
                while not await waiting(place):
                    await anyio.sleep(0.01)
                group.cancel_scope.cancel()
            while await waiting(place):
                await anyio.sleep(0.01)
            await call(other, "store", value="still there", key="a")

    async def call_forever(client):
        await call(client, "lock", name="deploy", wait_s=600)

    run(story)
    with Swarm.open(place.url) as swarm:
        assert swarm.records.get("a") is not None


async def waiting(place):
    """Tell whether somebody waits in line for `deploy`."""

    def look():
        with Swarm.open(place.url) as swarm:
            return any(seat.state == "waiting" for seat in swarm.leases.list("deploy"))

    return await anyio.to_thread.run_sync(look)


# --- the end ---


def test_the_end_of_input_ends_the_server_its_session_and_its_locks(place, raw):
    server = raw()
    server.begin()
    server.call("lock", name="deploy", ttl_s=3600)
    (session,) = states(place)

    assert (0, b"") == server.end()

    assert {session: "ended"} == states(place)
    with Swarm.open(place.url) as swarm:
        assert [] == swarm.leases.list()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_and_its_session(place, raw, number):
    server = raw()
    server.begin()
    server.call("lock", name="deploy", ttl_s=3600)

    server.process.send_signal(number)

    assert 128 + number == server.process.wait(WAIT_S)
    assert ["ended"] == list(states(place).values())
    with Swarm.open(place.url) as swarm:
        assert [] == swarm.leases.list()


def test_a_named_session_outlives_the_server_and_its_locks_do_not(place, raw):
    server = raw(SWARM_MEMORY_SESSION="conversation-1")
    server.begin()
    server.call("lock", name="deploy", ttl_s=3600)
    server.end()

    assert {"conversation-1": "active"} == states(place)
    with Swarm.open(place.url) as swarm:
        assert [] == swarm.leases.list()


def test_a_server_that_nobody_asked_anything_makes_no_store(place, raw):
    server = raw()
    assert "swarm-memory" in server.begin()["instructions"]
    server.end()
    assert [] == os.listdir(place.folder)


def test_what_a_killed_server_has_answered_is_there(place, raw):
    server = raw()
    server.begin()
    for number in range(20):
        server.call("store", value=number, key=f"a/{number}")
    for number in range(20, 40):  # asked without waiting: some are done, one may be half done
        arguments = {"value": number, "key": f"a/{number}"}
        server.send("tools/call", {"name": "store", "arguments": arguments}, 1000 + number)
    answered = {server.read()["id"] for _ in range(3)}

    server.process.kill()
    server.process.wait(WAIT_S)

    with Swarm.open(place.url) as swarm:
        there = {record.value for record in swarm.records.scan("a", limit=100)}
        assert swarm.verify().ok
    assert there >= {*range(20), *(number - 1000 for number in answered)}


# --- what is no request ---


def test_garbage_on_the_input_is_answered_in_the_protocol_and_survived(place, raw):
    server = raw()
    server.begin()
    for line in (b"", b"hello", b"{", b"[]", b'{"jsonrpc":"2.0"}', b"\xff\xfe", b"[" * 5000):
        server.write(line)

    assert 1 == server.call("store", value="alive", key="a")["version"]
    assert (0, b"") == server.end()


def test_a_store_that_cannot_be_opened_is_told_and_tried_again(place, raw):
    blocked = place.folder / "folder"
    blocked.write_text("in the way")
    server = raw(SWARM_MEMORY_URL=f"sqlite:///{blocked}/memory.db")
    server.begin()

    assert "engine_unavailable" == server.call("store", value=1, key="a")["error"]
    blocked.unlink()
    blocked.mkdir()
    assert 1 == server.call("store", value=1, key="a")["version"]


def test_fuzzed_arguments_get_typed_errors_and_write_nothing(place, raw):
    server = raw("--tools", "full")
    server.begin()
    server.call("store", value=1, key="a")
    seen = set()
    with Swarm.open(place.url) as swarm:
        for tool, arguments in fuzzed(random.Random(7), 400):
            before = swarm.events.newest()
            answer = server.call(tool, **arguments)
            if "error" in answer:
                seen.add(answer["error"])
                assert answer["error"] in EXIT_STATUS
                assert "error" != answer["error"], (tool, arguments)
                assert before == swarm.events.newest(), (tool, arguments)
    assert seen >= {"invalid_argument", "invalid_key", "not_found"}


def fuzzed(dice, count):
    """Yield tools with arguments that mostly do not fit, some of them only just."""
    odd = [None, True, -1, 0, 1, 2**31, 2**70, 1.5, -0.5, 1e308, "", "a", "a/b", "\0", "é" * 300]
    odd += ["../x", "file:", "file:/etc", "file:[", "\ud83d\ude00", "x" * 5000, [], ["a"], [1]]
    odd += [{}, {"task_type": "t"}, {"a": [{}]}, [[[[]]]]]
    tools = [tool for tool in full.TOOLS if tool.name not in {"backup", "import", "verify"}]
    for _ in range(count):
        tool = dice.choice(tools)
        names = [*tool.arguments["properties"], "unknown"]
        chosen = dice.sample(names, dice.randint(0, min(4, len(names))))
        chosen += [name for name in tool.arguments.get("required", ()) if dice.random() < 0.8]
        # Nobody waits here for a lock, and nothing is asked for that lasts an hour.
        yield tool.name, {name: dice.choice(odd) for name in chosen if name != "wait_s"}


def test_the_command_is_the_one_that_is_installed():
    assert os.access(COMMAND, os.X_OK)
