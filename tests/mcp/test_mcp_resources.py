"""Resources, subscriptions across processes, and prompts."""

import json

import anyio
import pytest
from mcp.shared.exceptions import MCPError
from mcp_calls import call
from mcp_types import ResourceUpdatedNotification

from swarm_memory import Swarm
from swarm_memory.doors.mcp.resources import covers, parse, uri_of, uri_of_list

RECORD, LIST = "swarm-memory://record/notes/a", "swarm-memory://records/notes"


def put(place, key, value):
    with Swarm.open(place.url, agent="elsewhere") as swarm:
        swarm.records.put(key, value)


# --- reading ---


def test_a_record_and_a_list_are_read_by_their_uris(place, run):
    put(place, "notes/a", {"x": 1})
    put(place, "notes/b+c@d", 2)
    put(place, "notesx", 3)

    async def story():
        async with place.client() as client:
            record = await client.read_resource(RECORD)
            odd = await client.read_resource(uri_of("notes/b+c@d"))
            return record, odd, await client.read_resource(LIST)

    record, odd, listed = [json.loads(read.contents[0].text) for read in run(story)]

    assert ({"x": 1}, "elsewhere") == (record["value"], record["author"])
    assert 2 == odd["value"]
    assert ["notes/a", "notes/b+c@d"] == [row["key"] for row in listed["records"]]


@pytest.mark.parametrize(
    "uri",
    [
        "swarm-memory://record/missing",
        "swarm-memory://record/",
        "swarm-memory://record/a b",
        "swarm-memory://record/../etc/passwd",
        "swarm-memory://other/a",
        "file:///etc/passwd",
    ],
)
def test_what_is_not_there_is_an_error_of_the_protocol_that_names_it(place, run, uri):
    async def story():
        async with place.client() as client:
            with pytest.raises(MCPError) as caught:
                await client.read_resource(uri)
            return caught.value

    error = run(story)
    assert (-32602, {"uri": uri}) == (error.error.code, error.error.data)


def test_resources_are_listed_page_by_page(place, run):
    with Swarm.open(place.url) as swarm:
        swarm.records.put_many((f"notes/{number:03}", number) for number in range(150))

    async def story():
        async with place.client() as client:
            first = await client.list_resources()
            return first, await client.list_resources(cursor=first.next_cursor)

    first, second = run(story)

    assert (101, 50) == (len(first.resources), len(second.resources))
    assert uri_of_list() == str(first.resources[0].uri)
    assert second.next_cursor is None


def test_a_uri_covers_its_own_record_or_whole_segments():
    assert covers(RECORD, {"notes/a"})
    assert not covers(RECORD, {"notes/a/b", "notes"})
    assert covers(LIST, {"notes/a"})
    assert covers("swarm-memory://records", {"anything"})
    assert not covers(LIST, {"notesx/a"})
    assert ("record", "a+b/c") == parse(uri_of("a+b/c"))


# --- subscriptions ---


def test_a_subscriber_hears_of_what_another_process_writes(place, run):
    async def story():
        async with (
            place.client() as client,
            client.listen(resource_subscriptions=[RECORD, LIST]) as changes,
        ):
            await anyio.to_thread.run_sync(put, place, "other/a", 1)
            await anyio.to_thread.run_sync(put, place, "notes/a", 1)
            return {str((await anext(changes)).uri), str((await anext(changes)).uri)}

    assert {RECORD, LIST} == run(story)


def test_a_subscriber_to_the_list_of_resources_hears_of_new_records_only(place, run):
    put(place, "notes/a", 1)

    async def story():
        kinds = []
        async with (
            place.client() as client,
            client.listen(resources_list_changed=True, resource_subscriptions=[RECORD]) as changes,
        ):
            await anyio.to_thread.run_sync(put, place, "notes/a", 2)
            kinds.append(type(await anext(changes)).__name__)
            await anyio.to_thread.run_sync(put, place, "notes/b", 1)
            kinds.append(type(await anext(changes)).__name__)
        return kinds

    assert ["ResourceUpdated", "ResourcesListChanged"] == run(story)


@pytest.mark.filterwarnings("ignore::mcp.shared.exceptions.MCPDeprecationWarning")
def test_the_older_way_to_subscribe_works_until_it_is_ended(place, run):
    async def story():
        heard, send = [], None
        send, receive = anyio.create_memory_object_stream(100)

        async def handler(message):
            if isinstance(message, ResourceUpdatedNotification):
                await send.send(str(message.params.uri))

        async with send, receive, place.client(mode="legacy", handler=handler) as client:
            await client.subscribe_resource(RECORD)
            await client.subscribe_resource(LIST)
            await anyio.to_thread.run_sync(put, place, "notes/a", 1)
            heard += [await receive.receive(), await receive.receive()]
            await client.unsubscribe_resource(RECORD)
            await anyio.to_thread.run_sync(put, place, "notes/a", 2)
            heard.append(await receive.receive())
        return heard

    heard = run(story)
    assert {RECORD, LIST} == set(heard[:2])
    assert LIST == heard[2]


def test_what_the_server_itself_writes_is_told_too(place, run):
    async def story():
        async with (
            place.client() as client,
            client.listen(resource_subscriptions=[RECORD]) as changes,
        ):
            await call(client, "store", value=1, key="notes/a")
            return str((await anext(changes)).uri)

    assert RECORD == run(story)


def test_a_subscription_to_no_resource_of_ours_is_refused(place, run):
    async def story():
        async with place.client() as client:
            with pytest.raises(MCPError):
                async with client.listen(resource_subscriptions=["file:///etc/passwd"]):
                    pass

    run(story)


# --- prompts ---


def test_a_briefing_tells_what_was_stored_and_not_twice(place, run):
    with Swarm.open(place.url, agent="elsewhere") as swarm:
        swarm.memories.store("Redis keeps the sessions", kind="decision")

    async def story():
        async with place.client() as client:
            first = await client.get_prompt("briefing")
            return first, await client.get_prompt("briefing")

    first, second = [prompt.messages[0].content.text for prompt in run(story)]

    assert "Redis keeps the sessions" in first
    assert "Redis" not in second


def test_a_hand_over_names_what_the_session_shared_and_holds(place, run):
    async def story():
        async with place.client() as client:
            stored = await call(client, "store", value="half done", kind="fact")
            await call(client, "lock", name="deploy")
            return stored["key"], await client.get_prompt("handover", {"task": "the deploy"})

    key, prompt = run(story)
    text = prompt.messages[0].content.text
    assert key in text
    assert "deploy (token 1)" in text


def test_prompts_are_described_and_unknown_ones_refused(place, run):
    async def story():
        async with place.client() as client:
            listed = await client.list_prompts()
            for name, arguments in (("other", {}), ("briefing", {"x": "y"})):
                with pytest.raises(MCPError):
                    await client.get_prompt(name, arguments)
            return listed.prompts

    prompts = run(story)
    assert ["briefing", "handover"] == [prompt.name for prompt in prompts]
    assert all(prompt.description for prompt in prompts)
