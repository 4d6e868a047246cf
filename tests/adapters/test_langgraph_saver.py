"""LangGraph's checkpointer on a swarm: conformant, whole, and safe for many processes."""

import asyncio
import json
import random
import subprocess
import sys

import pytest

pytest.importorskip("langgraph.checkpoint.base", reason="the extra langgraph is not installed")
pytest.importorskip("langgraph.checkpoint.conformance", reason="their suite is not installed")
pytest.importorskip("langgraph.graph", reason="langgraph is not installed")

from typing import TypedDict

from langgraph.checkpoint import conformance
from langgraph.checkpoint.base import ERROR, INTERRUPT, create_checkpoint, empty_checkpoint
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.graph import START, StateGraph
from langgraph.types import Command, interrupt

from swarm_memory import Swarm
from swarm_memory.adapters.langgraph_checkpoint import SwarmSaver
from swarm_memory.errors import InvalidArgumentError, LimitExceededError

PROCESSES, ROUNDS = 4, 30


@pytest.fixture
def saver(swarm):
    return SwarmSaver(swarm)


class Blocking(SwarmSaver):
    """The async calls do what the sync ones do, in the same thread."""

    async def aget_tuple(self, config):
        return self.get_tuple(config)

    async def alist(self, config, **options):
        for item in self.list(config, **options):
            yield item

    async def aput(self, *arguments):
        return self.put(*arguments)

    async def aput_writes(self, *arguments, **options):
        self.put_writes(*arguments, **options)

    async def adelete_thread(self, thread_id):
        self.delete_thread(thread_id)

    async def adelete_for_runs(self, run_ids):
        self.delete_for_runs(run_ids)

    async def acopy_thread(self, *arguments):
        self.copy_thread(*arguments)

    async def aprune(self, thread_ids, **options):
        self.prune(thread_ids, **options)


@pytest.mark.parametrize("made", [SwarmSaver, Blocking], ids=["async", "sync"])
def test_langgraphs_own_conformance_suite_passes(made, engine_url):
    @conformance.checkpointer_test(name=f"swarm-memory {made.__name__}")
    async def checkpointer():
        with Swarm.open(engine_url, durability="relaxed") as swarm:
            yield made(swarm)

    report = asyncio.run(conformance.validate(checkpointer))

    found = {str(c): (r.passed, r.tests_failed) for c, r in report.results.items()}
    assert report.passed_all(), report.to_dict()
    assert report.passed_all_base()
    assert 8 == len(found)
    assert {(True, 0)} == set(found.values())


def config(thread="t", space="", **more):
    return {"configurable": {"thread_id": thread, "checkpoint_ns": space, **more}}


def fill(saver, thread="t", space="", count=3, **metadata):
    """Put a chain of checkpoints and return their configurations."""
    stored, at, checkpoint = [], config(thread, space), empty_checkpoint()
    for step in range(count):
        checkpoint = create_checkpoint(checkpoint, {}, step)
        checkpoint["channel_values"] = {"step": step}
        at = saver.put(at, checkpoint, {"source": "loop", "step": step, **metadata}, {})
        stored.append(at)
    return stored


def ids(found):
    return [item.config["configurable"]["checkpoint_id"] for item in found]


# --- what is stored ---


def test_a_checkpoint_is_one_record_that_others_can_read(saver, swarm):
    (at,) = fill(saver, thread="team/1", count=1, run_id="r1")
    name = at["configurable"]["checkpoint_id"]

    record = swarm.records.get(f"checkpoints/langgraph/team+2F1/+/c/{name}")

    plain = {"source": "loop", "step": 0, "run_id": "r1"}
    assert ("team/1", {"plain": plain}) == (record.value["thread_id"], record.value["metadata"])
    assert {"type", "base64"} == set(record.value["checkpoint"])
    assert [] == list(swarm.records.each())
    assert 1 == len(swarm.records.scan("checkpoints/langgraph"))
    assert [] == swarm.search("loop step team")


def test_a_checkpoint_outlives_its_process_and_comes_back_equal(saver, swarm, url):
    value = {"text": "ä", "set": {1, 2}, "bytes": b"\0\xff", "list": [1, None]}
    checkpoint = create_checkpoint(empty_checkpoint(), {}, 1)
    checkpoint["channel_values"] = value
    at = saver.put(config(), checkpoint, {"source": "input", "odd": {1: [2]}}, {"text": 1})
    saver.put_writes(at, [("text", {"deep": {3}})], "task", "path")

    with Swarm.open(url, swarm="s") as another:
        found = SwarmSaver(another).get_tuple(config())

    assert checkpoint == found.checkpoint
    assert {"source": "input", "odd": {1: [2]}} == found.metadata
    assert (at, None) == (found.config, found.parent_config)
    assert [("task", "text", {"deep": {3}})] == found.pending_writes


class Backwards:
    """A cipher of the kind that LangGraph takes; nobody should use this one."""

    def encrypt(self, plaintext):
        return "backwards", plaintext[::-1]

    def decrypt(self, ciphername, ciphertext):
        assert "backwards" == ciphername
        return ciphertext[::-1]


def test_what_is_encrypted_is_stored_so(swarm):
    saver = SwarmSaver(swarm, serde=EncryptedSerializer(Backwards()))
    checkpoint = create_checkpoint(empty_checkpoint(), {}, 1)
    checkpoint["channel_values"] = {"secret": "rosebud"}
    saver.put(config(), checkpoint, {}, {})

    (record,) = swarm.records.scan("checkpoints/langgraph")

    assert record.value["checkpoint"]["type"].endswith("+backwards")
    assert "rosebud" == saver.get_tuple(config()).checkpoint["channel_values"]["secret"]


def test_names_of_any_length_are_kept_apart_and_come_back(saver):
    names = ["t" * 300, "t" * 299 + "u", "a/b", "a", "ü" * 100]
    for thread in names:
        fill(saver, thread=thread, space="node:" + "n" * 200, count=1)

    for thread in names:
        (found,) = saver.list({"configurable": {"thread_id": thread}})
        where = found.config["configurable"]
        assert (thread, "node:" + "n" * 200) == (where["thread_id"], where["checkpoint_ns"])
    saver.delete_thread("a")
    assert 4 == len(list(saver.list(None)))


def test_a_checkpoint_that_is_too_large_is_refused(url):
    with Swarm.open(url, durability="relaxed") as swarm:
        checkpoint = create_checkpoint(empty_checkpoint(), {}, 1)
        checkpoint["channel_values"] = {
            "data": random.Random(1).randbytes(swarm.config.value_bytes_max)
        }
        with pytest.raises(LimitExceededError):
            SwarmSaver(swarm).put(config(), checkpoint, {}, {})
        assert None is SwarmSaver(swarm).get_tuple(config())


# --- listing ---


def test_lists_come_newest_first_whatever_they_span(saver):
    first, second = fill(saver, "t1", count=30), fill(saver, "t2", "child", count=30)
    mixed = sorted([c["configurable"]["checkpoint_id"] for c in first + second], reverse=True)

    assert mixed == ids(saver.list(None))
    assert ids(saver.list(config("t1"))) == [i for i in mixed if i in str(first)]
    assert mixed[:5] == ids(saver.list(None, limit=5))
    assert [] == list(saver.list(config("t1"), limit=0))
    before = first[25]
    assert 25 == len(list(saver.list(config("t1"), before=before)))
    assert 2 == len(
        list(saver.list(config("t1"), before=before, filter={"source": "loop"}, limit=2))
    )
    assert [first[7]] == [c.config for c in saver.list(first[7])]
    assert [] == list(saver.list(first[7], before=first[7]))
    (inside,) = fill(saver, "t3", count=1, user={"name": "ada"})
    assert [inside] == [c.config for c in saver.list(None, filter={"user.name": "ada"})]


# --- writes ---


def test_the_first_writes_of_a_task_stay_and_of_errors_the_last_counts(saver):
    (at,) = fill(saver, count=1)
    saver.put_writes(at, [("a", 1), ("b", 2)], "t2", "~b")
    saver.put_writes(at, [("a", 9), ("b", 9), ("c", 3)], "t2", "~b")
    saver.put_writes(at, [(ERROR, "first")], "t1", "~c")
    saver.put_writes(at, [(ERROR, "last"), (INTERRUPT, "wait")], "t1", "~c")
    saver.put_writes(at, [("a", 0)], "t3", "~a")

    found = saver.get_tuple(at).pending_writes

    expected = [("t3", "a", 0), ("t2", "a", 1), ("t2", "b", 2), ("t2", "c", 3)]
    assert expected == found[:4]
    assert {("t1", ERROR, "last"), ("t1", INTERRUPT, "wait")} == set(found[4:])


def test_what_was_first_stays_whatever_the_category_does_with_conflicts(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({"categories": {"checkpoints": {"on_conflict": "last_write"}}}))
    with Swarm.open("sqlite:///:memory:", config_path=str(path)) as swarm:
        saver = SwarmSaver(swarm)
        (at,) = fill(saver, count=1)
        saver.put_writes(at, [("a", "first"), ("b", "first")], "t")
        saver.put_writes(at, [("a", "second")], "t")

        found = saver.get_tuple(at).pending_writes
        assert [("t", "a", "first"), ("t", "b", "first")] == found


def test_writes_that_were_told_again_write_nothing(saver, swarm):
    (at,) = fill(saver, count=1)
    saver.put_writes(at, [("a", 1)], "t")
    newest = swarm.events.newest()

    saver.put_writes(at, [("a", 2)], "t")

    assert newest == swarm.events.newest()


WRITE = """
import json, sys
from langgraph.checkpoint.base import create_checkpoint, empty_checkpoint
from swarm_memory import Swarm
from swarm_memory.adapters.langgraph_checkpoint import SwarmSaver
url, name, own, rounds, at = *sys.argv[1:3], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5]
at = json.loads(at)
with Swarm.open(url, agent=name, swarm="s") as swarm:
    saver = SwarmSaver(swarm)
    print("ready", flush=True)
    for number in range(rounds):
        task = f"task-{number}"
        sys.stdin.readline()
        saver.put_writes(at, [("mine", name)] * own, task)
        found = saver.get_tuple(at).pending_writes
        saver.put({"configurable": {"thread_id": name, "checkpoint_ns": ""}},
                  create_checkpoint(empty_checkpoint(), {}, number), {"step": number}, {})
        print(json.dumps([value for t, _, value in found if t == task]), flush=True)
"""


def test_processes_that_write_for_the_same_tasks_lose_nothing(saver, swarm, url):
    (at,) = fill(saver, count=1)
    running = [
        subprocess.Popen(
            [sys.executable, "-c", WRITE, url, f"p{n}", str(n + 1), str(ROUNDS), json.dumps(at)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for n in range(PROCESSES)
    ]
    try:
        assert {"ready\n"} == {process.stdout.readline() for process in running}
        seen = [_round(running) for _ in range(ROUNDS)]
    finally:
        errors = [process.communicate(timeout=60)[1] for process in running]

    assert [""] * PROCESSES == errors
    found = saver.get_tuple(at).pending_writes
    for number in range(ROUNDS):
        values = [value for task, _, value in found if task == f"task-{number}"]
        # Each tells one write more than the one before, and what was there first stays there.
        assert PROCESSES == len(values), number
        for early in seen[number]:
            assert early == values[: len(early)], number
    for n in range(PROCESSES):
        assert ROUNDS == len(list(saver.list(config(f"p{n}"))))
    assert ROUNDS < sum("/w/" in event.key for event in swarm.events.since(0)), "they never met"


def _round(running):
    """Let all processes go at one moment; return what each of them saw."""
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    return [json.loads(process.stdout.readline()) for process in running]


# --- removing and copying ---


def test_pruning_keeps_what_a_channel_of_differences_begins_with(saver):
    stored, at, checkpoint = [], config(), empty_checkpoint()
    for step in range(6):
        checkpoint = create_checkpoint(checkpoint, {}, step)
        values = {"log": ["so far"]} if step == 2 else {}
        checkpoint["channel_values"] = {"plain": step, **values}
        counters = {"counters_since_delta_snapshot": {"log": [step, step]}}
        at = saver.put(at, checkpoint, {"step": step, **counters}, {})
        saver.put_writes(at, [("log", step)], f"task-{step}")
        stored.append(at)
    whole = saver.get_delta_channel_history(config=stored[-1], channels=["log", "none"])

    saver.prune(["t"])

    left = saver.get_delta_channel_history(config=stored[-1], channels=["log", "none"])
    assert whole == left
    assert ["so far"] == left["log"]["seed"]
    assert [2, 3, 4] == [value for _, _, value in left["log"]["writes"]]
    assert [5, 4, 3, 2] == [item.metadata["step"] for item in saver.list(config())]
    assert whole == asyncio.run(
        saver.aget_delta_channel_history(config=stored[-1], channels=["log", "none"])
    )


def test_a_ring_of_parents_has_an_end(saver):
    first, second = fill(saver, count=2)
    checkpoint = saver.get_tuple(first).checkpoint
    saver.put_writes(first, [("log", 1)], "task")
    counters = {"counters_since_delta_snapshot": {"log": [1, 1]}}
    saver.put(second, checkpoint, counters, {})

    history = saver.get_delta_channel_history(config=second, channels=["log"])

    assert {"log": {"writes": [("task", "log", 1)]}} == history
    saver.prune(["t"])
    assert {} == saver.get_delta_channel_history(config=second, channels=[])


def test_pruning_keeps_the_newest_of_each_namespace_and_takes_the_writes_of_the_others(
    saver, swarm
):
    for space in ("", "child"):
        for at in fill(saver, space=space):
            saver.put_writes(at, [("a", 1)], "task")

    saver.prune(["t", "none"])

    assert [2, 2] == [item.metadata["step"] for item in saver.list(config(space=None))]
    assert 4 == len(swarm.records.keys("checkpoints/langgraph"))
    with pytest.raises(InvalidArgumentError):
        saver.prune(["t"], strategy="keep_all")
    saver.prune(["t"], strategy="delete")
    assert [] == swarm.records.keys("checkpoints/langgraph")


def test_a_copied_thread_has_everything_under_its_own_name(saver):
    *_, last = fill(saver, "one", count=3)
    fill(saver, "one", "child", count=2)
    saver.put_writes(last, [("a", 1)], "task")
    fill(saver, "two", count=1)

    saver.copy_thread("one", "copy")

    where = {"configurable": {"thread_id": "copy"}}
    copied, source = (
        list(saver.list(where)),
        list(saver.list({"configurable": {"thread_id": "one"}})),
    )
    assert ids(source) == ids(copied)
    assert {"copy"} == {item.config["configurable"]["thread_id"] for item in copied}
    assert [("task", "a", 1)] == saver.get_tuple(config("copy")).pending_writes
    assert "copy" == saver.get_tuple(config("copy")).parent_config["configurable"]["thread_id"]
    saver.delete_thread("one")
    assert 5 == len(list(saver.list(where)))


def test_versions_grow_and_differ_between_branches(saver):
    first = saver.get_next_version(None, None)
    second = saver.get_next_version(first, None)
    other = saver.get_next_version(first, None)

    assert first < second < saver.get_next_version(second, None)
    assert second != other
    assert 8 == int(saver.get_next_version(7, None).partition(".")[0])


# --- with graphs ---


class State(TypedDict):
    text: str


def build(saver):
    builder = StateGraph(State)
    builder.add_node("ask", lambda state: {"text": state["text"] + interrupt("name?")})
    builder.add_edge(START, "ask")
    return builder.compile(checkpointer=saver)


def test_a_graph_goes_on_where_it_was_interrupted_in_another_process(saver, url):
    where = {"configurable": {"thread_id": "t"}}
    build(saver).invoke({"text": "hello "}, where)
    with Swarm.open(url, swarm="s") as another:
        answer = build(SwarmSaver(another)).invoke(Command(resume="ada"), where)

    expected = build(InMemorySaver())
    expected.invoke({"text": "hello "}, where)
    assert expected.invoke(Command(resume="ada"), where) == answer == {"text": "hello ada"}
    steps = [state.metadata["step"] for state in build(saver).get_state_history(where)]
    assert [s.metadata["step"] for s in expected.get_state_history(where)] == steps


def test_a_graph_that_is_awaited_stores_the_same(saver):
    where = {"configurable": {"thread_id": "t"}}

    async def run():
        graph = build(saver)
        await graph.ainvoke({"text": "hello "}, where)
        answer = await graph.ainvoke(Command(resume="ada"), where)
        return answer, [state.values async for state in graph.aget_state_history(where)]

    answer, states = asyncio.run(run())

    assert {"text": "hello ada"} == answer == states[0]
    assert 3 == len(states)
