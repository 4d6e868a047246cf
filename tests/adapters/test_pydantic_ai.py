"""The conversation store of pydantic-ai, beside its own in memory, and by several processes."""

import asyncio
import itertools
import random
from datetime import UTC, datetime

import pytest
from adapter_processes import PROCESSES, run_all, times

pytest.importorskip("pydantic_ai", reason="needs swarm-memory[pydantic-ai]")

from pydantic_ai import Agent, BinaryContent
from pydantic_ai.conversation import Conversation
from pydantic_ai.conversation_store import (
    ConversationConflict,
    ConversationEntry,
    ConversationRecord,
    ConversationStore,
    InMemoryConversationStore,
)
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, ToolCallPart, UserPromptPart
from pydantic_ai.models.test import TestModel
from pydantic_ai.tools import DeferredToolRequests
from pydantic_ai.usage import RunUsage

from swarm_memory import Swarm
from swarm_memory.adapters.pydantic_ai import SwarmConversationStore

SEEDS, STEPS = 20, 60


def says(text):
    return ModelRequest(parts=[UserPromptPart(content=text)])


def talk(*texts, conversation_id="c"):
    return Conversation(conversation_id=conversation_id, messages=[says(text) for text in texts])


def texts(conversation):
    return [message.parts[0].content for message in conversation.messages]


@pytest.fixture
def swarm(engine_url):
    with Swarm.open(engine_url, agent="test", durability="relaxed") as swarm:
        yield swarm


@pytest.fixture
def store(swarm):
    return SwarmConversationStore(swarm)


class Both(ConversationStore):
    """A store that asks two others and insists that they answer the same."""

    def __init__(self, mine, theirs):
        self.stores = mine, theirs

    async def ask(self, name, *arguments, **options):
        outcomes = []
        for store in self.stores:
            try:
                outcomes.append(await getattr(store, name)(*arguments, **options))
            except (UserError, LookupError) as error:
                outcomes.append(LookupError if isinstance(error, LookupError) else type(error))
        mine, theirs = outcomes
        assert theirs == mine, (name, arguments, options)
        if isinstance(mine, type):
            raise mine(arguments[0] if isinstance(arguments[0], str) else "c")
        return mine

    async def read_record(self, *arguments, **options):
        return await self.ask("read_record", *arguments, **options)

    async def read_records(self, *arguments, **options):
        return await self.ask("read_records", *arguments, **options)

    async def write_record(self, *arguments, **options):
        await self.ask("write_record", *arguments, **options)

    async def delete_record(self, *arguments, **options):
        await self.ask("delete_record", *arguments, **options)

    async def read_entry(self, *arguments, **options):
        return await self.ask("read_entry", *arguments, **options)

    async def read_history(self, *arguments, **options):
        return await self.ask("read_history", *arguments, **options)


async def step(store, choose, known):
    """Do one thing with a conversation; what is loaded may be stale when it is saved."""
    name = choose.choice(["a", "b", "c"])
    scope = choose.choice([None, None, "x", "y"])
    what = choose.choice(["new", "load", "extend", "extend", "rewrite", "branch", "fork", "delete"])
    if what == "new":
        known[name] = talk(str(choose.random()), conversation_id=name)
    elif what == "load":
        known[name] = await store.load(name, limit=choose.choice([None, 0, 2]), scope=scope)
    elif what == "branch":
        entries = [e.id for record in await store.read_records() for e in await line(store, record)]
        where = {"at": choose.randrange(4)} if choose.random() < 0.5 or not entries else {}
        where = where or {"from_entry": choose.choice(entries)}
        revision = known[name].revision if known.get(name) else None
        known[name] = await store.branch(name, expected_revision=revision, scope=scope, **where)
    elif what == "fork":
        into = choose.choice(["a", "b", "c", "d", "e"])
        at = choose.choice([None, 0, 1, 2])
        known[into] = await store.fork(name, at=at, new_conversation_id=into, scope=scope)
    elif what == "delete":
        await store.delete(choose.choice(["a", "b", "c", "d", "e"]), scope=scope)
    elif known.get(name) is not None:
        conversation = known[name]
        if what == "rewrite" and conversation.messages:
            conversation.messages = conversation.messages[: choose.randrange(3)]
        conversation.messages.append(says(str(choose.random())))
        await store.save(conversation, scope=scope)


async def line(store, record):
    return await store.read_history(record.head_id)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_it_behaves_as_the_store_in_memory_on_random_calls(seed):
    choose = random.Random(seed)
    theirs = InMemoryConversationStore()

    async def run(mine):
        store, known, refused, done = Both(mine, theirs), {}, 0, 0
        for _ in range(STEPS):
            try:
                await step(store, choose, known)
                done += 1
            except UserError:
                refused += 1
            for scope in (None, "x"):
                records = await store.read_records(scope=scope, limit=choose.choice([None, 1]))
                for record in records:
                    await line(store, record)
        return done, refused

    with Swarm.open("sqlite:///:memory:") as swarm:
        done, refused = asyncio.run(run(SwarmConversationStore(swarm)))
        entries = {
            record.value["id"] for record in swarm.records.each("conversations/pydantic-ai/entries")
        }
        # Of what no conversation reaches any more nothing is left, as in memory.
        assert set(theirs._entries) == entries
    assert done > 10 and refused > 0


def test_a_conversation_comes_back_whole(store):
    usage = RunUsage(requests=2, input_tokens=3, tool_calls=1, details={"x": 4})
    call = ToolCallPart(tool_name="pay", args={"amount": 1}, tool_call_id="t1")
    raw = b"\x00\xff\xfe"
    paused = DeferredToolRequests(approvals=[call], metadata={"t1": {"why": "much"}})
    messages = [
        ModelRequest(
            parts=[UserPromptPart(content=["see", BinaryContent(raw, media_type="audio/wav")])]
        ),
        ModelResponse(parts=[TextPart(content="ü 😀"), call], timestamp=datetime.now(UTC)),
    ]
    said = Conversation(
        conversation_id="c", messages=messages, usage=usage, deferred_tool_requests=paused
    )

    async def run():
        await store.save(said, scope="me")
        return await store.load("c"), await store.read_record("c")

    loaded, record = asyncio.run(run())
    assert messages == loaded.messages
    assert (usage, paused, said.revision) == (
        loaded.usage,
        loaded.deferred_tool_requests,
        loaded.revision,
    )
    assert ("me", record.revision) == (record.scope, said.revision)


@pytest.mark.parametrize("text", ["half \ud83d", "nul \x00", ""], ids=ascii)
def test_any_text_comes_back_as_it_was(store, text):
    async def run():
        await store.save(talk("before", text))
        return await store.load("c")

    assert ["before", text] == texts(asyncio.run(run()))


def test_an_agents_runs_are_continued_by_whoever_loads_them(swarm):
    agent = Agent(TestModel(custom_output_text="yes"))

    async def run():
        said = talk(conversation_id="pump")
        for name in ("clerk", "fitter"):
            store = SwarmConversationStore(swarm.as_agent(name))
            result = await agent.run(name, conversation=await store.load("pump") or said)
            await store.save(result)
        return await store.load("pump")

    conversation = asyncio.run(run())
    prompts = [m.parts[0].content for m in conversation.messages if m.kind == "request"]
    assert ["clerk", "fitter"] == prompts
    assert 2 == conversation.usage.requests
    authors = {r.author for r in swarm.records.each("conversations/pydantic-ai/entries")}
    assert {"clerk", "fitter"} == authors


def test_a_save_stores_each_message_once(store, swarm):
    async def run():
        conversation = talk(*map(str, range(100)))
        await store.save(conversation)
        before = swarm.events.newest()
        conversation.messages.append(says("new"))
        await store.save(conversation)
        return swarm.events.newest() - before

    assert 2 == asyncio.run(run())  # the message and the record


def test_the_newest_come_first_and_of_one_scope_if_asked(store):
    async def run():
        for number in range(6):
            record = ConversationRecord(
                conversation_id=f"c{number}",
                head_id=None,
                scope="even" if number % 2 == 0 else "odd",
                updated_at=datetime(2026, 1, (number * 4) % 7 + 1, tzinfo=UTC),
            )
            await store.write_record(record, expected_revision=None)
        return await store.list_conversations(), await store.list_conversations(
            scope="even", limit=2
        )

    everything, even = asyncio.run(run())
    assert ["c5", "c3", "c1", "c4", "c2", "c0"] == [r.conversation_id for r in everything]
    assert ["c4", "c2"] == [r.conversation_id for r in even]


def test_who_is_late_gets_a_conflict_and_writes_nothing(store, swarm):
    async def run():
        await store.save(talk("a"))
        mine, theirs = await store.load("c"), await store.load("c")
        theirs.messages.append(says("theirs"))
        await store.save(theirs)
        count = swarm.records.count()
        mine.messages.append(says("mine"))
        with pytest.raises(ConversationConflict):
            await store.save(mine)
        with pytest.raises(ConversationConflict):
            await store.save(talk("another with this id"))
        assert count == swarm.records.count()
        return await store.load("c")

    assert ["a", "theirs"] == texts(asyncio.run(run()))


def test_an_entry_is_never_written_over(store):
    async def run():
        entry = ConversationEntry(parent_id=None, message=says("first"))
        record = ConversationRecord(conversation_id="a", head_id=entry.id)
        await store.write_record(record, new_entries=[entry], expected_revision=None)
        other = ConversationEntry(id=entry.id, parent_id=None, message=says("second"))
        with pytest.raises(ConversationConflict):
            await store.write_record(
                ConversationRecord(conversation_id="b", head_id=entry.id),
                new_entries=[other],
                expected_revision=None,
            )
        return await store.read_entry(entry.id)

    assert says("first").parts[0].content == asyncio.run(run()).message.parts[0].content


def test_what_points_at_nothing_is_a_conflict(store):
    lost = ConversationEntry(parent_id="gone", message=says("x"))

    async def run():
        for head, entries in (("gone", []), (lost.id, [lost])):
            record = ConversationRecord(conversation_id="c", head_id=head)
            with pytest.raises(ConversationConflict):
                await store.write_record(record, new_entries=entries, expected_revision=None)
        with pytest.raises(LookupError):
            await store.read_entry("gone")

    asyncio.run(run())


def test_a_fork_of_what_is_deleted_meanwhile_is_a_conflict_and_leaves_nothing(store, swarm):
    class Slow(SwarmConversationStore):
        async def write_record(self, record, **options):
            await store.delete("c")
            await super().write_record(record, **options)

    async def run():
        await store.save(talk("1", "2"))
        with pytest.raises(ConversationConflict):
            await Slow(swarm).fork("c", at=1)

    asyncio.run(run())
    assert (0, 0) == swarm.records.count()


def test_deleting_leaves_what_a_fork_needs_and_the_last_one_leaves_nothing(store, swarm):
    async def run():
        await store.save(talk("1", "2", "3"))
        fork = await store.fork("c", at=2, new_conversation_id="fork")
        second = await store.fork("fork", new_conversation_id="second")
        second.messages.append(says("4"))
        await store.save(second)
        await store.delete("c")
        await store.delete("fork")
        kept = await store.load("second")
        entries = swarm.records.count("conversations/pydantic-ai/entries")[0]
        await store.delete("second")
        return fork, kept, entries

    fork, kept, entries = asyncio.run(run())
    assert ["1", "2"] == texts(fork)
    assert ["1", "2", "4"] == texts(kept)
    assert 3 == entries
    assert (0, 0) == swarm.records.count()


def test_a_store_whose_categories_overwrite_tells_of_conflicts_all_the_same(overwriting):
    store = SwarmConversationStore(overwriting)

    async def run():
        entry = ConversationEntry(parent_id=None, message=says("first"))
        for name in ("a", "b"):
            record = ConversationRecord(conversation_id=name, head_id=entry.id)
            await store.write_record(record, new_entries=[entry], expected_revision=None)

    with pytest.raises(ConversationConflict):
        asyncio.run(run())


SAVE = """
from pydantic_ai.conversation_store import ConversationConflict
from pydantic_ai.messages import ModelRequest, UserPromptPart
from swarm_memory.adapters.pydantic_ai import SwarmConversationStore
async def main(store):
    for n in range(int(arguments[0])):
        while True:
            conversation = await store.load("c")
            said = ModelRequest(parts=[UserPromptPart(content=f"{name} {n}")])
            conversation.messages.append(said)
            try:
                await store.save(conversation)
                break
            except ConversationConflict:
                pass
go()
asyncio.run(main(SwarmConversationStore(swarm)))
"""

FORK = """
from pydantic_ai.conversation import Conversation
from pydantic_ai.exceptions import UserError
from pydantic_ai.messages import ModelRequest, UserPromptPart
from swarm_memory.adapters.pydantic_ai import SwarmConversationStore
RECORDS = "conversations/pydantic-ai/records"
async def main(store):
    for n in range(int(arguments[0])):
        said = [ModelRequest(parts=[UserPromptPart(content=str(i))]) for i in range(30)]
        await store.save(Conversation(conversation_id=name, messages=said))
        before = swarm.records.count(RECORDS)
        for _ in range(500):  # most are forked before they go
            if swarm.records.count(RECORDS) != before:
                break
        await store.delete(name)
    swarm.records.put(f"done/{name}", True)
async def fork(store):
    n = 0
    while swarm.records.count("done")[0] < 2:
        n += 1
        try:
            fork = await store.fork(f"p{n % 2}", at=5)
            fork.messages.append(ModelRequest(parts=[UserPromptPart(content="more")]))
            await store.save(fork)
        except UserError:  # it is gone
            pass
go()
asyncio.run((main if name in ("p0", "p1") else fork)(SwarmConversationStore(swarm)))
"""


@times(15, 40)
def test_processes_that_save_one_conversation_lose_nothing(shared_url, count):
    url = shared_url
    with Swarm.open(url) as swarm:
        asyncio.run(SwarmConversationStore(swarm).save(talk("first")))

    run_all(SAVE, url, count)

    with Swarm.open(url) as swarm:
        first, *said = texts(asyncio.run(SwarmConversationStore(swarm).load("c")))
    assert "first" == first
    assert sorted(f"p{p} {n}" for p in range(PROCESSES) for n in range(count)) == sorted(said)
    for name in (f"p{n}" for n in range(PROCESSES)):
        mine = [text for text in said if text.startswith(name)]
        assert [f"{name} {n}" for n in range(count)] == mine
    turns = [text.split()[0] for text in said]
    assert any(a != b for a, b in itertools.pairwise(turns)), "they did not meet"


@times(15, 40)
def test_processes_that_fork_and_delete_leave_whole_histories_and_nothing_else(shared_url, count):
    url = shared_url

    run_all(FORK, url, count)

    async def reached(store):
        records = await store.list_conversations()
        assert records, "nobody could fork"
        return {entry.id for record in records for entry in await line(store, record)}

    with Swarm.open(url) as swarm:
        there = {r.value["id"] for r in swarm.records.each("conversations/pydantic-ai/entries")}
        assert asyncio.run(reached(SwarmConversationStore(swarm))) == there
