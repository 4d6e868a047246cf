"""The session store of the Claude Agent SDK, by the SDK's own rules and by several processes."""

import asyncio
import itertools
import json
import threading
import uuid
from pathlib import Path

import pytest
from adapter_processes import PROCESSES, run_all, times

sdk = pytest.importorskip("claude_agent_sdk", reason="needs swarm-memory[claude-sdk]")

from claude_agent_sdk.testing import run_session_store_conformance  # noqa: E402

from swarm_memory import Swarm  # noqa: E402
from swarm_memory.adapters.claude_sdk import SwarmSessionStore  # noqa: E402
from swarm_memory.errors import LimitExceededError  # noqa: E402

KEY = {"project_key": "-home-me-project", "session_id": "4b6f9f0e-6f3a-4f39-9d7b-0d3a5d6c1a2b"}
SUBAGENT = {**KEY, "subpath": "subagents/agent-1"}


def entry(uuid=None, **fields):
    return {"type": "user", **({} if uuid is None else {"uuid": uuid}), **fields}


def said(uuid, text):
    return entry(uuid, message={"role": "user", "content": text}, timestamp="2026-01-01T00:00:00Z")


@pytest.fixture
def swarm(engine_url):
    with Swarm.open(engine_url, agent="test", durability="relaxed") as swarm:
        yield swarm


@pytest.fixture
def store(swarm):
    return SwarmSessionStore(swarm)


def test_it_keeps_all_contracts_of_the_sdk(engine_url):
    numbers = itertools.count()

    with Swarm.open(engine_url, durability="relaxed") as swarm:

        def make():
            return SwarmSessionStore(swarm.as_agent("test", swarm=f"s{next(numbers)}"))

        asyncio.run(run_session_store_conformance(make))

    assert 15 <= next(numbers)  # a store for each contract and one that is only looked at


@pytest.mark.parametrize("method", ["append", "load", "list_sessions", "list_session_summaries"])
def test_no_contract_is_skipped_because_a_method_is_inherited(method):
    assert method in vars(SwarmSessionStore)
    assert {"delete", "list_subkeys"} < set(vars(SwarmSessionStore))


def test_what_was_appended_already_is_stored_once_and_stays_where_it_was(store):
    async def run():
        await store.append(KEY, [entry("a", n=1), entry("b", n=2)])
        await store.append(KEY, [entry("b", n=3), entry("c", n=4), entry("c", n=5)])
        await store.append(KEY, [entry("a"), entry("b"), entry("c")])
        return await store.load(KEY)

    assert [entry("a", n=1), entry("b", n=2), entry("c", n=4)] == asyncio.run(run())


def test_entries_without_uuid_are_appended_each_time(store):
    async def run():
        await store.append(KEY, [entry(n=1), entry("a")])
        await store.append(KEY, [entry(n=1), entry("a")])
        return await store.load(KEY)

    assert [entry(n=1), entry("a"), entry(n=1)] == asyncio.run(run())


def test_a_repeated_batch_changes_neither_summary_nor_time(store):
    async def run():
        await store.append(KEY, [said("a", "first")])
        before = await store.list_session_summaries(KEY["project_key"])
        await store.append(KEY, [said("a", "other")])
        return before, await store.list_session_summaries(KEY["project_key"])

    before, after = asyncio.run(run())
    assert before == after
    assert "first" == before[0]["data"]["first_prompt"]


def test_summary_and_list_of_sessions_tell_the_same_time(store):
    async def run():
        await store.append(KEY, [said("a", "hello")])
        await store.append(SUBAGENT, [said("b", "never shown")])
        listed = await store.list_sessions(KEY["project_key"])
        return listed, await store.list_session_summaries(KEY["project_key"])

    listed, summaries = asyncio.run(run())
    assert [KEY["session_id"]] == [one["session_id"] for one in listed]
    assert [one["mtime"] for one in listed] == [one["mtime"] for one in summaries]
    assert "hello" == summaries[0]["data"]["first_prompt"]


def test_a_session_begins_anew_after_it_was_deleted(store):
    async def run():
        await store.append(KEY, [said("a", "before"), entry(n=1)])
        await store.append(SUBAGENT, [said("b", "before")])
        await store.delete(KEY)
        await store.append(KEY, [said("a", "after")])
        return (
            await store.load(KEY),
            await store.load(SUBAGENT),
            await store.list_subkeys(KEY),
            await store.list_session_summaries(KEY["project_key"]),
        )

    loaded, subagent, subkeys, summaries = asyncio.run(run())
    assert [said("a", "after")] == loaded
    assert (None, []) == (subagent, subkeys)
    assert ["after"] == [one["data"]["first_prompt"] for one in summaries]


def test_deleting_leaves_no_record_behind(store, swarm):
    async def run():
        await store.append(KEY, [entry(n=n) for n in range(1200)])
        await store.append(SUBAGENT, [entry("b")])
        await store.delete(KEY)

    asyncio.run(run())

    assert (0, 0) == swarm.records.count()


def test_a_deletion_that_was_killed_half_way_is_finished_by_the_next(store, swarm):
    asyncio.run(store.append(KEY, [entry(n=n) for n in range(10)]))
    heads = [r.key for r in swarm.records.each("conversations") if "/sessions/" in r.key]
    swarm.records.delete(*heads)
    assert 10 == swarm.records.count("conversations")[0]

    assert asyncio.run(store.load(KEY)) is None
    asyncio.run(store.append(KEY, [entry("new")]))
    assert [entry("new")] == asyncio.run(store.load(KEY))
    asyncio.run(store.delete(KEY))

    assert (0, 0) == swarm.records.count()


ODD = [
    {"project_key": "-home-" + "very-long-" * 30 + "x", "session_id": "s" * 200},
    {"project_key": "-home-" + "very-long-" * 30 + "y", "session_id": "s" * 200},
    {"project_key": "Ünï/códe +", "session_id": "../..", "subpath": "a/b/../c" * 40},
    {"project_key": "Ünï/códe +", "session_id": "../.."},
    {"project_key": "Ünï/códe ", "session_id": "../.."},
]


def test_names_of_any_length_and_letters_are_kept_apart_and_come_back(store):
    async def run():
        for number, key in enumerate(ODD):
            await store.append(key, [entry("u" * 300, n=number)])
        return [await store.load(key) for key in ODD], await store.list_subkeys(ODD[3])

    loaded, subkeys = asyncio.run(run())
    assert [[entry("u" * 300, n=number)] for number in range(len(ODD))] == loaded
    assert [ODD[2]["subpath"]] == subkeys
    listed = asyncio.run(store.list_sessions(ODD[0]["project_key"]))
    assert [ODD[0]["session_id"]] == [one["session_id"] for one in listed]


def deep(levels):
    return [] if not levels else [deep(levels - 1)]


@pytest.mark.parametrize(
    "odd", ["half \ud83d", "nul \x00", 2**80, 1e300, deep(100)], ids=lambda v: ascii(v)[:12]
)
def test_any_json_comes_back_as_it_was(store, odd):
    async def run():
        await store.append(KEY, [said("a", odd if isinstance(odd, str) else "x"), entry(odd=odd)])
        await store.append(KEY, [entry("b")])
        return await store.load(KEY)

    assert [said("a", odd if isinstance(odd, str) else "x"), entry(odd=odd), entry("b")] == (
        asyncio.run(run())
    )


def test_what_the_store_refuses_is_refused_whole(swarm, store):
    with pytest.raises(LimitExceededError):
        asyncio.run(store.append(KEY, [entry("a"), entry("b", text="x" * 17_000_000)]))

    assert asyncio.run(store.load(KEY)) is None
    assert (0, 0) == swarm.records.count()


def test_an_append_writes_as_much_to_a_long_session_as_to_a_short_one(store, swarm):
    def cost():
        before = swarm.records.count("conversations")[1], swarm.events.newest()
        asyncio.run(store.append(KEY, [entry(n=1)]))
        after = swarm.records.count("conversations")[1], swarm.events.newest()
        return after[0] - before[0], after[1] - before[1]

    asyncio.run(store.append(KEY, [entry(n=1)]))
    short = cost()
    asyncio.run(store.append(KEY, [entry(n=n) for n in range(3000)]))
    long = cost()

    assert short[1] == long[1] == 2  # the entry and the head
    assert long[0] < short[0] + 20


def test_text_of_a_session_is_found_by_others(store, swarm):
    asyncio.run(store.append(KEY, [said("a", "the pump needs a new gasket")]))

    assert "new gasket" in json.dumps([hit.record.value for hit in swarm.search("gasket pump")])


def test_who_reads_while_others_append_sees_a_beginning_without_holes(tmp_path):
    url, count = f"sqlite:///{tmp_path}/memory.db", 1500  # more than one page

    def append(done):
        with Swarm.open(url, agent="writer", durability="relaxed") as swarm:
            store = SwarmSessionStore(swarm)
            for _ in range(60):
                asyncio.run(store.append(KEY, [entry(str(uuid.uuid4())) for _ in range(3)]))
        done.set()

    with Swarm.open(url, durability="relaxed") as swarm:
        store, done, seen = SwarmSessionStore(swarm), threading.Event(), []
        asyncio.run(store.append(KEY, [entry(str(uuid.uuid4())) for _ in range(count)]))
        thread = threading.Thread(target=append, args=(done,))
        thread.start()
        while not done.is_set() or len(seen) < 2:
            seen.append(asyncio.run(store.load(KEY)))
        thread.join()
        seen.append(asyncio.run(store.load(KEY)))

    assert all(before == after[: len(before)] for before, after in itertools.pairwise(seen))
    assert count + 180 == len(seen[-1])


def test_a_store_whose_categories_overwrite_keeps_entries_all_the_same(overwriting):
    store = SwarmSessionStore(overwriting)

    async def run():
        await store.append(KEY, [entry("a", n=1)])
        await store.append(KEY, [entry("a", n=2), entry("b")])
        return await store.load(KEY)

    assert [entry("a", n=1), entry("b")] == asyncio.run(run())


APPEND = """
from swarm_memory.adapters.claude_sdk import SwarmSessionStore
KEY = {"project_key": "p", "session_id": "s"}
async def main(store):
    for n in range(int(arguments[0])):
        entries = [{"type": "user", "uuid": f"{name}-{n}-{i}", "by": name, "n": n} for i in (0, 1)]
        both = {"type": "user", "uuid": f"shared-{n}", "by": "all"}
        await store.append(KEY, [*entries, both, {"type": "mode", "by": name}])
go()
asyncio.run(main(SwarmSessionStore(swarm)))
"""


@times(15, 40)
def test_processes_that_append_to_one_session_lose_and_double_nothing(shared_url, count):
    url = shared_url
    run_all(APPEND, url, count)

    with Swarm.open(url) as swarm:
        store = SwarmSessionStore(swarm)
        loaded = asyncio.run(store.load({"project_key": "p", "session_id": "s"}))
    uuids = [one["uuid"] for one in loaded if "uuid" in one]
    assert len(set(uuids)) == len(uuids) == PROCESSES * count * 2 + count
    assert PROCESSES * count == sum(one["type"] == "mode" for one in loaded)
    for name in (f"p{n}" for n in range(PROCESSES)):
        mine = [u for u in uuids if u.startswith(f"{name}-")]
        assert [f"{name}-{n}-{i}" for n in range(count) for i in (0, 1)] == mine
        places = [uuids.index(f"{name}-{n}-0") for n in range(count)]
        assert [uuids[place + 1] for place in places] == [f"{name}-{n}-1" for n in range(count)]
    turns = [u.split("-")[0] for u in uuids if u.endswith("-0")]
    assert any(a != b for a, b in itertools.pairwise(turns)), "they did not meet"


def test_the_sdk_resumes_and_forks_what_another_process_wrote(swarm, store, tmp_path):
    project = sdk.project_key_for_directory(tmp_path)
    key = {"project_key": project, "session_id": KEY["session_id"]}
    first = said("8a2c3f9e-0000-4000-8000-000000000001", "hello there")
    first |= {"parentUuid": None, "sessionId": KEY["session_id"], "isSidechain": False}
    asyncio.run(store.append(key, [first]))

    async def run():
        listed = await sdk.list_sessions_from_store(store, directory=str(tmp_path))
        messages = await sdk.get_session_messages_from_store(
            store, KEY["session_id"], directory=str(tmp_path)
        )
        await sdk.delete_session_via_store(store, KEY["session_id"], directory=str(tmp_path))
        return listed, messages, await sdk.list_sessions_from_store(store, directory=str(tmp_path))

    listed, messages, after = asyncio.run(run())
    assert ["hello there"] == [one.first_prompt for one in listed]
    assert ["hello there"] == [one.message["content"] for one in messages]
    assert [] == after
    assert Path(tmp_path).is_dir()
