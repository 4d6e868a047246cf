"""The session of the OpenAI Agents SDK, with the SDK's runner and by several processes."""

import asyncio
import itertools
import json
import threading

import pytest
from adapter_processes import PROCESSES, run_all, times

pytest.importorskip("agents", reason="needs swarm-memory[openai-agents]")

from agents import Agent, RunConfig, Runner, SessionSettings, set_tracing_disabled
from agents.memory.session import Session
from agents.testing import ScriptedModel, assistant_message

from swarm_memory import Swarm
from swarm_memory.adapters.openai_agents import SwarmSession
from swarm_memory.errors import (
    InvalidArgumentError,
    InvalidValueError,
    LimitExceededError,
)


def item(text):
    return {"role": "user", "content": text}


@pytest.fixture(autouse=True)
def _no_tracing():
    set_tracing_disabled(True)


@pytest.fixture
def swarm(engine_url):
    with Swarm.open(engine_url, agent="test", durability="relaxed") as swarm:
        yield swarm


@pytest.fixture
def session(swarm):
    return SwarmSession(swarm, "s1")


def run(*calls):
    async def in_order():
        return [await call for call in calls]

    return asyncio.run(in_order())


def test_it_is_a_session_of_the_sdk(session):
    assert isinstance(session, Session)
    assert "s1" == session.session_id
    assert SessionSettings() == session.session_settings


def test_a_session_without_a_name_is_refused(swarm):
    with pytest.raises(InvalidArgumentError):
        SwarmSession(swarm, "")


def test_items_come_back_in_order_and_the_last_ones_on_demand(session):
    run(session.add_items([item("a"), item("b")]), session.add_items([]))
    run(session.add_items([item("c")]))

    everything, last, none, negative = run(
        session.get_items(), session.get_items(2), session.get_items(0), session.get_items(-1)
    )

    assert [item("a"), item("b"), item("c")] == everything == negative
    assert [item("b"), item("c")] == last
    assert [] == none


def test_settings_limit_what_is_returned_unless_told(swarm, session):
    limited = SwarmSession(swarm, "s1", session_settings={"limit": 1})
    run(session.add_items([item("a"), item("b")]))

    assert [[item("b")], [item("a"), item("b")]] == run(limited.get_items(), limited.get_items(5))


def test_a_limit_of_thousands_is_read_in_pages(session):
    items = [item(str(n)) for n in range(2500)]
    run(session.add_items(items))

    assert [items, items[1:], items] == run(
        session.get_items(), session.get_items(2499), session.get_items(9999)
    )


def test_the_last_item_is_popped_and_its_place_used_again(session):
    run(session.add_items([item("a"), item("b")]))

    assert [item("b"), None] == run(session.pop_item(), session.add_items([item("c")]))
    assert [[item("a"), item("c")]] == run(session.get_items())
    assert [item("c"), item("a"), None, []] == run(
        session.pop_item(), session.pop_item(), session.pop_item(), session.get_items()
    )


def test_a_cleared_session_is_empty_and_begins_anew(swarm, session):
    run(session.add_items([item(str(n)) for n in range(1200)]), session.clear_session())

    assert (0, 0) == swarm.records.count()
    assert [[], None] == run(session.get_items(), session.pop_item())
    run(session.add_items([item("new")]))
    assert [[item("new")]] == run(session.get_items())


def test_sessions_are_kept_apart_whatever_they_are_called(swarm):
    names = ["s", "s/1", "s 1", "S", "s" * 300, "s" * 299 + "t", "'; DROP TABLE x; --", "ß", ".."]
    for name in names:
        run(SwarmSession(swarm, name).add_items([item(name)]))

    assert [[[item(name)]] for name in names] == [
        run(SwarmSession(swarm, name).get_items()) for name in names
    ]


def test_an_item_that_an_agent_removed_by_hand_is_missing_and_nothing_else(swarm, session):
    run(session.add_items([item("a"), item("b"), item("c")]))
    entries = [r.key for r in swarm.records.each("conversations/openai/entries")]
    swarm.records.delete(entries[2])

    assert [[item("a"), item("b")], item("b"), [item("a")]] == run(
        session.get_items(), session.pop_item(), session.get_items(3)
    )


@pytest.mark.parametrize("text", ["half \ud83d", "nul \x00", "emoji 😀", ""], ids=ascii)
def test_any_text_comes_back_as_it_was(session, text):
    run(session.add_items([item("before"), item(text)]))

    assert [[item("before"), item(text)]] == run(session.get_items())
    assert [item(text)] == run(session.pop_item())


def test_what_cannot_be_stored_is_refused_whole(session):
    with pytest.raises(InvalidValueError):
        run(session.add_items([item("a"), {"role": object()}]))
    with pytest.raises(LimitExceededError):
        run(session.add_items([item("a"), item("x" * 17_000_000)]))

    assert [[]] == run(session.get_items())


def test_an_item_costs_as_much_in_a_long_session_as_in_a_short_one(session, swarm):
    def cost(call):
        before = swarm.events.newest()
        run(call)
        return swarm.events.newest() - before

    run(session.add_items([item("a")]))
    short = cost(session.add_items([item("b")])), cost(session.pop_item())
    run(session.add_items([item(str(n)) for n in range(3000)]))
    long = cost(session.add_items([item("b")])), cost(session.pop_item())

    assert short == long == (2, 2)  # the item and the head


@pytest.mark.parametrize("streamed", [False, True])
def test_agents_of_the_runner_share_a_conversation(swarm, streamed):
    model = ScriptedModel([[assistant_message("one")], [assistant_message("two")]])
    agent = Agent(name="a", model=model)

    async def talk():
        for text in ("first", "second"):
            session = SwarmSession(swarm, "s1")
            if streamed:
                result = Runner.run_streamed(agent, text, session=session)
                async for _ in result.stream_events():
                    pass
            else:
                await Runner.run(agent, text, session=session)

    asyncio.run(talk())
    given = [one.get("content") for one in model.calls[-1].input]
    assert ["first", "second"] == [given[0], given[-1]]
    assert 3 == len(given)
    assert 4 == len(run(SwarmSession(swarm, "s1").get_items())[0])


def test_the_runners_settings_win_over_the_sessions(swarm, session):
    model = ScriptedModel([[assistant_message("one")]])
    run(session.add_items([item(str(n)) for n in range(10)]))
    config = RunConfig(session_settings=SessionSettings(limit=2))

    run(Runner.run(Agent(name="a", model=model), "now", session=session, run_config=config))

    assert ["8", "9", "now"] == [one["content"] for one in model.calls[-1].input]


def test_what_is_said_is_found_by_others(swarm, session):
    run(session.add_items([item("the pump needs a new gasket")]))

    assert "new gasket" in json.dumps([hit.record.value for hit in swarm.search("gasket pump")])


def test_a_cancelled_call_has_ended_when_its_caller_goes_on(swarm, session):
    async def cancelled():
        call = asyncio.create_task(session.add_items([item(str(n)) for n in range(500)]))
        await asyncio.sleep(0)
        call.cancel()
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        return swarm.records.count("conversations/openai/entries")[0]

    assert 500 == asyncio.run(cancelled())


def test_who_reads_while_others_clear_and_add_sees_all_or_nothing(tmp_path):
    url, count = f"sqlite:///{tmp_path}/memory.db", 4000  # several pages

    def change(done):
        with Swarm.open(url, agent="writer", durability="relaxed") as swarm:
            session = SwarmSession(swarm, "s")
            for _ in range(6):
                run(session.add_items([item(str(n)) for n in range(count)]))
                run(session.clear_session())
        done.set()

    with Swarm.open(url, durability="relaxed") as swarm:
        session, done, seen = SwarmSession(swarm, "s"), threading.Event(), set()
        thread = threading.Thread(target=change, args=(done,))
        thread.start()
        while not done.is_set():
            seen |= {len(items) for items in run(session.get_items(), session.get_items(3999))}
        thread.join()

    assert seen <= {0, 3999, count}


ADD = """
from swarm_memory.adapters.openai_agents import SwarmSession
async def main(session):
    for n in range(int(arguments[0])):
        await session.add_items([{"role": name, "content": f"{n}-{i}"} for i in range(3)])
        await session.get_items(5)
go()
asyncio.run(main(SwarmSession(swarm, "s")))
"""

POP = """
import json
from swarm_memory.adapters.openai_agents import SwarmSession
async def main(session):
    got = []
    for n in range(int(arguments[0])):
        item = await session.pop_item()
        got.append(item["content"])
        if n % 3 == 0:
            await session.add_items([{"role": "user", "content": f"{name}-{n}"}])
    print(json.dumps(got))
go()
asyncio.run(main(SwarmSession(swarm, "s")))
"""


@times(15, 40)
def test_processes_that_add_lose_nothing_and_keep_their_batches_together(shared_url, count):
    url = shared_url

    run_all(ADD, url, count)

    with Swarm.open(url) as swarm:
        items = run(SwarmSession(swarm, "s").get_items())[0]
    assert PROCESSES * count * 3 == len(items)
    batches = [items[n : n + 3] for n in range(0, len(items), 3)]
    for batch in batches:
        number = batch[0]["content"].split("-")[0]
        assert [{**batch[0], "content": f"{number}-{i}"} for i in range(3)] == batch
    for name in (f"p{n}" for n in range(PROCESSES)):
        mine = [one["content"] for one in items if one["role"] == name]
        assert [f"{n}-{i}" for n in range(count) for i in range(3)] == mine
    roles = [batch[0]["role"] for batch in batches]
    assert any(a != b for a, b in itertools.pairwise(roles)), "they did not meet"


@times(21, 60)
def test_processes_that_pop_and_add_get_each_item_once(shared_url, count):
    url = shared_url
    first = [str(n) for n in range(PROCESSES * count)]
    with Swarm.open(url) as swarm:
        run(SwarmSession(swarm, "s").add_items([item(text) for text in first]))

    popped = [json.loads(text) for text in run_all(POP, url, count)]

    with Swarm.open(url) as swarm:
        left = [one["content"] for one in run(SwarmSession(swarm, "s").get_items())[0]]
    added = [f"p{p}-{n}" for p in range(PROCESSES) for n in range(0, count, 3)]
    assert sorted(first + added) == sorted([*itertools.chain(*popped), *left])
