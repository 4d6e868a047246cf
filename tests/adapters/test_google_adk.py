"""ADK's memory service on a swarm: found again, once each, by its own user and nobody else."""

import asyncio
import json
from itertools import product

import pytest

pytest.importorskip("google.adk", reason="google-adk is not installed")

from adapter_processes import ended, go, ready, started
from google.adk.agents import BaseAgent
from google.adk.events.event import Event
from google.adk.memory.memory_entry import MemoryEntry
from google.adk.runners import Runner
from google.adk.sessions import InMemorySessionService
from google.adk.sessions.session import Session
from google.genai.types import Blob, Content, Part

from swarm_memory import ConflictError, Put, Swarm, SwarmMemoryManager
from swarm_memory.adapters.google_adk import SwarmMemoryService

ME = {"app_name": "shop", "user_id": "ada"}


@pytest.fixture
def swarm(engine_url):
    with Swarm.open(engine_url, agent="concierge", swarm="hotel") as swarm:
        yield swarm


@pytest.fixture
def service(swarm):
    return SwarmMemoryService(swarm)


def event(name, text, author="user", at_s=1_000.0, **more):
    parts = [] if text is None else [Part(text=text)]
    content = Content(role=author, parts=parts)
    return Event(id=name, author=author, timestamp=at_s, content=content, **more)


def session(*events, name="s1", app_name="shop", user_id="ada"):
    return Session(app_name=app_name, user_id=user_id, id=name, events=list(events))


def add(service, *sessions):
    for each in sessions:
        asyncio.run(service.add_session_to_memory(each))


def found(service, query, **scope):
    answer = asyncio.run(service.search_memory(query=query, **(ME | scope)))
    return [memory.content.parts[0].text for memory in answer.memories]


def test_an_event_is_found_with_its_author_time_and_id(service):
    add(service, session(event("e1", "The harbour opens at nine", "model", 1_700_000_000.5)))

    (memory,) = asyncio.run(
        service.search_memory(query="when does the harbour open", **ME)
    ).memories

    assert Content(role="model", parts=[Part(text="The harbour opens at nine")]) == memory.content
    assert ("e1", "model") == (memory.id, memory.author)
    assert "2023-11-14T22:13:20.500000+00:00" == memory.timestamp


def test_a_session_that_is_added_again_adds_only_what_is_new(service, swarm):
    first, second = event("e1", "tea is served"), event("e2", "tea is over", at_s=1_001.0)
    add(service, session(first), session(first), session(first, second))

    records = list(swarm.records.each("adk/shop/ada/sessions/s1/"))

    assert [("e1", 1), ("e2", 1)] == [(r.value["id"], r.version) for r in records]


def test_an_event_with_the_id_of_another_changes_nothing(service):
    add(service, session(event("e1", "tea is served")))
    again = event("e1", "tea is cancelled", at_s=2_000.0)
    asyncio.run(service.add_events_to_memory(events=[again], session_id="s1", **ME))

    assert ["tea is served"] == found(service, "tea")


def test_events_without_a_text_are_left_out(service, swarm):
    add(service, session(event("e1", None), Event(id="e2", author="user"), event("e3", "tea")))

    assert ["e3"] == [record.value["id"] for record in swarm.records.each("adk/")]


def test_events_can_come_without_a_session(service):
    asyncio.run(service.add_events_to_memory(events=[event("e1", "tea is served")], **ME))

    assert ["tea is served"] == found(service, "tea")


def test_what_is_more_than_a_text_comes_back_whole(service, swarm):
    parts = [
        Part(text="a chart of the harbour"),
        Part(inline_data=Blob(mime_type="image/png", data=b"\0\xff")),
    ]
    content = Content(role="user", parts=parts)
    add(service, session(Event(id="e1", author="user", content=content)))

    (memory,) = asyncio.run(service.search_memory(query="harbour", **ME)).memories

    assert content == memory.content
    (record,) = swarm.records.each("adk/")
    assert "a chart of the harbour" == record.value["text"]


# Names that would share a prefix, or fold into one, if they were keys as they are.
NAMES = [
    "ada",
    "ad",
    "ad-ad",
    "ad/ad",
    "ad.ad",
    "ADA",
    "ada*",
    "ad+2Fad",
    "",
    "..",
    "a" * 300,
    "a" * 299 + "b",
]


def test_no_app_and_no_user_ever_sees_anothers_memories(service):
    owners = list(product(NAMES, NAMES))
    for number, (app, user) in enumerate(owners):
        text = f"secret number{number}x"
        add(service, session(event(f"e{number}", text), app_name=app, user_id=user))

    for number, (app, user) in enumerate(owners):
        assert [f"secret number{number}x"] == found(service, "secret", app_name=app, user_id=user)


def test_nobody_deletes_anothers_memories(service):
    add(service, session(event("e1", "tea is served")))
    for scope in ({"user_id": "bob"}, {"app_name": "other"}):
        asyncio.run(service.delete_memory(memory_id="e1", **(ME | scope)))

    assert ["tea is served"] == found(service, "tea")


def test_a_question_that_only_names_the_user_finds_nothing(service):
    add(service, session(event("e1", "tea is served")))

    assert [] == found(service, "adk shop ada sessions")


@pytest.mark.parametrize("query", ["", "  \n", "\0", "!?", "zebra"])
def test_what_asks_for_nothing_finds_nothing(service, query):
    add(service, session(event("e1", "tea is served")))

    assert [] == found(service, query)


def test_the_best_come_first_and_not_more_than_asked_for(swarm):
    service = SwarmMemoryService(swarm, limit=3)
    notes = [event(f"n{n}", f"note {n} about work", at_s=n) for n in range(20)]
    add(service, session(*notes, event("best", "the backlog note about work", at_s=30)))

    texts = found(service, "work backlog note")

    assert ("the backlog note about work", 3) == (texts[0], len(texts))


def test_what_was_just_written_is_found_however_much_it_is(service, swarm):
    assert [] == found(service, "zebra")  # there is an index, which has to catch up
    swarm.records.put_many((f"log/{n:04}", f"entry {n}") for n in range(5000))
    add(service, session(event("e1", "a zebra at last")))

    assert ["a zebra at last"] == found(service, "zebra")


def test_a_deleted_event_is_not_found_and_does_not_come_back(service):
    chat = session(event("e1", "tea is served"), event("e2", "tea is over"))
    add(service, chat)
    asyncio.run(service.delete_memory(memory_id="e1", **ME))
    add(service, chat)

    assert ["tea is over"] == found(service, "tea")


def test_memories_are_added_replaced_and_deleted(service):
    def remember(text):
        entry = MemoryEntry(
            id="drink",
            author="ada",
            timestamp="2026-01-02",
            custom_metadata={"sure": True},
            content=Content(parts=[Part(text=text)]),
        )
        asyncio.run(service.add_memory(memories=[entry], custom_metadata={"from": "form"}, **ME))

    remember("prefers tea")
    remember("prefers green tea")
    (memory,) = asyncio.run(service.search_memory(query="tea", **ME)).memories
    assert ("drink", "ada", "2026-01-02") == (memory.id, memory.author, memory.timestamp)
    assert {"sure": True, "from": "form"} == memory.custom_metadata
    assert "prefers green tea" == memory.content.parts[0].text

    asyncio.run(service.delete_memory(memory_id="drink", **ME))
    assert [] == found(service, "tea")
    remember("prefers coffee")
    assert ["prefers coffee"] == found(service, "coffee")


def test_memories_without_an_id_get_one_each(service):
    entries = [MemoryEntry(content=Content(parts=[Part(text=f"tea {n}")])) for n in range(3)]
    asyncio.run(service.add_memory(memories=entries, **ME))

    memories = asyncio.run(service.search_memory(query="tea", **ME)).memories

    assert 3 == len({memory.id for memory in memories})
    asyncio.run(service.delete_memory(memory_id=memories[0].id, **ME))
    assert 2 == len(found(service, "tea"))


def test_a_time_to_live_is_kept_to(service, swarm):
    events = [event("e1", "tea is served")]
    about = {"ttl_s": 60, "mood": "good"}
    asyncio.run(service.add_events_to_memory(events=events, custom_metadata=about, **ME))

    (record,) = swarm.records.each("adk/")

    assert 60_000 == record.expires_ms - record.updated_ms
    assert {"mood": "good"} == record.value["metadata"]


def test_what_the_swarm_shares_is_found_by_every_user_and_cannot_be_deleted(service, swarm):
    shared = SwarmMemoryManager.of(swarm).share_knowledge_with_swarm("tides", "high tide at noon")

    (memory,) = asyncio.run(service.search_memory(query="tide", **ME)).memories

    assert ("high tide at noon", shared.key) == (memory.content.parts[0].text, memory.id)
    assert "concierge" == memory.author
    asyncio.run(service.delete_memory(memory_id=memory.id, **ME))
    assert swarm.records.get(shared.key) is not None


def test_other_places_are_looked_in_if_they_are_named(swarm):
    swarm.records.put("notes/tide", {"text": "low tide at six"})
    swarm.records.put("notes/list", ["tide", 1])
    SwarmMemoryManager.of(swarm).share_knowledge_with_swarm("tides", "high tide at noon")

    assert ["low tide at six", '["tide", 1]'] == sorted(
        found(SwarmMemoryService(swarm, also=["notes/"]), "tide"), reverse=True
    )
    assert [] == found(SwarmMemoryService(swarm, also=()), "tide")


def test_records_of_others_among_its_own_do_no_harm(service, swarm):
    for name, value in [("a", "tea"), ("b", None), ("c", {"id": 5}), ("d", {"text": "tea"})]:
        swarm.records.put(f"adk/shop/ada/sessions/s1/{name}", value)
    add(service, session(event("e1", "tea is served")))
    asyncio.run(service.delete_memory(memory_id="e1", **ME))

    assert ["tea", "tea"] == found(service, "tea")


def test_a_change_to_an_event_afterwards_changes_no_memory(service):
    chat = session(event("e1", "tea is served"))
    add(service, chat)
    chat.events[0].content.parts[0].text = "coffee is served"

    assert ["tea is served"] == found(service, "served")


def test_no_call_blocks_the_loop(service, swarm, monkeypatch):
    """While the store is busy with one call, the loop goes on."""
    import threading

    entered, let_go = threading.Event(), threading.Event()
    put_many = swarm.records.put_many

    def slow(puts, **how):
        entered.set()
        assert let_go.wait(5)
        return put_many(puts, **how)

    monkeypatch.setattr(
        type(swarm.records), "put_many", lambda self, puts, **how: slow(puts, **how)
    )

    async def both():
        adding = asyncio.create_task(service.add_session_to_memory(session(event("e1", "tea"))))
        assert await asyncio.to_thread(entered.wait, 5)
        let_go.set()  # only a loop that goes on comes here
        await adding

    asyncio.run(both())


class Parrot(BaseAgent):
    """An agent that needs no model: it says what memory holds about what it was told."""

    async def _run_async_impl(self, context):
        query = context.user_content.parts[0].text
        answer = await context.memory_service.search_memory(
            app_name=context.app_name, user_id=context.user_id, query=query
        )
        said = "; ".join(m.content.parts[0].text for m in answer.memories) or "nothing"
        content = Content(role="model", parts=[Part(text=f"I know: {said}")])
        yield Event(author=self.name, invocation_id=context.invocation_id, content=content)


def test_a_runner_of_adk_remembers_from_one_session_in_the_next(service):
    async def chat(text):
        sessions = InMemorySessionService()
        runner = Runner(
            app_name="shop",
            agent=Parrot(name="parrot"),
            session_service=sessions,
            memory_service=service,
        )
        made = await sessions.create_session(**ME)
        message = Content(role="user", parts=[Part(text=text)])
        said = [
            e
            async for e in runner.run_async(user_id="ada", session_id=made.id, new_message=message)
        ]
        kept = await sessions.get_session(session_id=made.id, **ME)
        await service.add_session_to_memory(kept)
        return said[-1].content.parts[0].text

    assert "I know: nothing" == asyncio.run(chat("My berth is number twelve"))
    assert "My berth is number twelve" in asyncio.run(chat("Which berth is mine?"))


RACE = """
import asyncio, sys
from google.adk.events.event import Event
from google.adk.sessions.session import Session
from google.genai.types import Content, Part
from swarm_memory import Swarm
from swarm_memory.adapters.google_adk import SwarmMemoryService
url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])

def event(n, who):
    content = Content(parts=[Part(text=f"{who} said {n}")])
    return Event(id=f"{who}-{n}", author=who, timestamp=1000.0 + n, content=content)

async def round(service, number):
    # A session that all add and that grows, one event of it that all delete, and one's own.
    scope = {"app_name": "shop", "user_id": "ada"}
    events = [event(n, "all") for n in range((number + 1) * count)]
    await service.add_session_to_memory(Session(id="s1", events=events, **scope))
    await service.delete_memory(memory_id=f"all-{number}", **scope)
    await service.add_events_to_memory(session_id="s1", events=[event(number, name)], **scope)

with Swarm.open(url, agent=name, swarm="race") as swarm:
    service = SwarmMemoryService(swarm)
    print("ready", flush=True)
    for number, _ in enumerate(sys.stdin):
        asyncio.run(round(service, number))
        print("ready", flush=True)
"""
PROCESSES, ROUNDS, EVENTS = 4, 8, 30


def test_processes_that_add_one_session_add_each_event_once_and_lose_none(tmp_path):
    url = f"sqlite:///{tmp_path}/memory.db"
    Swarm.open(url, swarm="race").close()
    with started(RACE, *((url, f"p{n}", EVENTS) for n in range(PROCESSES))) as running:
        for _ in range(ROUNDS):
            go(running)
            ready(running)
        ended(running)

    with Swarm.open(url, swarm="race") as swarm:
        records = {r.value["id"]: r for r in swarm.records.each("adk/")}
    own = {f"p{p}-{n}" for p in range(PROCESSES) for n in range(ROUNDS)}
    shared = {f"all-{n}" for n in range(ROUNDS * EVENTS)}
    assert own | shared == set(records)
    # Written once, and those that all deleted once more; nobody who added them again was heard.
    deleted = {f"all-{n}" for n in range(ROUNDS)}
    assert deleted == {name for name, record in records.items() if "deleted" in record.value}
    assert {2} == {records[name].version for name in deleted}
    assert {1} == {record.version for name, record in records.items() if name not in deleted}


def test_a_writer_that_always_comes_first_is_an_error_in_the_end(service, swarm, monkeypatch):
    puts = []

    def refuse(self, given, **how):
        puts.append(list(given))
        raise ConflictError("adk/x", 0, 1)

    monkeypatch.setattr(type(swarm.records), "put_many", refuse)

    with pytest.raises(ConflictError):
        add(service, session(event("e1", "tea")))
    assert 100 == len(puts)
    assert all(isinstance(put, Put) and 0 == put.expect for given in puts for put in given)


def test_what_is_stored_is_plain_json_that_names_who_and_when(service, swarm):
    long = "u" * 300
    add(service, session(event("e1", "tea is served"), name=long, user_id=long))

    (record,) = swarm.records.each("adk/")

    assert record.key.startswith("adk/shop/uuuu") and len(record.key) < 255
    assert {
        "text": "tea is served",
        "role": "user",
        "id": "e1",
        "session": long,
        "author": "user",
        "timestamp": "1970-01-01T00:16:40+00:00",
    } == json.loads(json.dumps(record.value))
