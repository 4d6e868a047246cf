"""LangGraph's store on a swarm: like InMemoryStore, kept, shared, and nothing lost."""

import asyncio
import json
import subprocess
import sys
from datetime import UTC, datetime
from itertools import pairwise

import pytest

pytest.importorskip("langgraph.store.base", reason="the extra langgraph is not installed")

from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.store.base import (
    GetOp,
    InvalidNamespaceError,
    ListNamespacesOp,
    MatchCondition,
    PutOp,
    SearchOp,
)
from langgraph.store.memory import InMemoryStore

from swarm_memory import Swarm
from swarm_memory.adapters.langgraph import SwarmStore
from swarm_memory.adapters.langgraph_items import path_of, place_of
from swarm_memory.errors import ConflictError, InvalidValueError
from swarm_memory.layout import Layout
from swarm_memory.testing import ManualClock

PROCESSES, STEPS = 4, 60


@pytest.fixture
def store(swarm):
    return SwarmStore(swarm)


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def aging(clock):
    """A store whose time stands still until it is moved."""
    with Swarm.open("sqlite:///:memory:", agent="tester", swarm="s", clock=clock) as swarm:
        yield SwarmStore(swarm)


# --- side by side with the reference ---

LABELS = st.sampled_from(["a", "b", "ab", "A", "a b", "ä/ö", "+h", "*", "a-", "long" * 40])
SPACES = st.lists(LABELS, min_size=1, max_size=4).map(tuple)
NAMES = st.sampled_from(["k", "k.1", "", "..", "K", "k/1", "x" * 300])
VALUES = st.fixed_dictionaries(
    {"n": st.integers(0, 3)},
    optional={
        "tag": st.sampled_from(["x", "y"]),
        "in": st.fixed_dictionaries({"m": st.booleans()}),
    },
)
FILTERS = st.sampled_from(
    [
        None,
        {},
        {"n": 1},
        {"n": {"$gt": 1}},
        {"n": {"$gte": 1, "$lt": 3}},
        {"n": {"$lte": "2"}},
        {"tag": {"$ne": "x"}},
        {"tag": {"$eq": "x"}},
        {"in": {"m": True}},
        {"tag": "y", "n": 2},
    ]
)
PATHS = st.lists(st.one_of(LABELS, st.just("*")), max_size=2).map(tuple)
CONDITIONS = st.builds(MatchCondition, st.sampled_from(["prefix", "suffix"]), PATHS)
PUTS = st.tuples(SPACES, NAMES, st.one_of(VALUES, VALUES, st.none())).map(lambda o: PutOp(*o))
GETS = st.tuples(SPACES, NAMES).map(lambda o: GetOp(*o))
SEARCHES = st.tuples(st.lists(LABELS, max_size=2).map(tuple), FILTERS, st.just(1000))
LISTINGS = st.tuples(
    st.one_of(st.none(), st.lists(CONDITIONS, max_size=2).map(tuple)),
    st.one_of(st.none(), st.integers(1, 3)),
    st.just(1000),
)
OPS = st.one_of(
    PUTS,
    PUTS,
    GETS,
    SEARCHES.map(lambda o: SearchOp(*o)),
    LISTINGS.map(lambda o: ListNamespacesOp(*o)),
)


def expected_of(reference, ops):
    """Return what a batch must answer: all reads come before all writes.

    The reference goes on listing namespaces that were only looked into, or lost their last item;
    those are taken out of it before each read.
    """
    results = []
    for op in ops:
        for space in [space for space, items in reference._data.items() if not items]:
            del reference._data[space]
        results.append(None if isinstance(op, PutOp) else reference.batch([op])[0])
    reference.batch([op for op in ops if isinstance(op, PutOp)])
    return results


def shown(op, result):
    """Return a result as both stores must give it: theirs is in the order of insertion."""
    if isinstance(op, SearchOp):
        return sorted((item.namespace, item.key, json.dumps(item.value)) for item in result)
    if isinstance(op, GetOp) and result is not None:
        return result.namespace, result.key, result.value
    return result


@settings(max_examples=80, deadline=None)
@given(batches=st.lists(st.lists(OPS, min_size=1, max_size=5), max_size=8))
def test_every_batch_is_answered_as_in_memory_store_answers_it(batches):
    reference = InMemoryStore()
    with Swarm.open("sqlite:///:memory:") as swarm:
        store = SwarmStore(swarm)
        for ops in batches:
            wanted = expected_of(reference, ops)
            for op, expected, found in zip(ops, wanted, store.batch(ops), strict=True):
                assert shown(op, expected) == shown(op, found), op


def test_pages_of_a_search_make_up_the_whole(store):
    for number in range(25):
        store.put(("docs", str(number % 3)), f"k{number}", {"n": number})

    whole = store.search(("docs",), limit=100)
    pages = [store.search(("docs",), limit=10, offset=start) for start in (0, 10, 20, 30)]
    even = store.search(("docs",), filter={"n": {"$lt": 12}}, limit=5, offset=10)

    assert 25 == len(whole)
    assert whole == [item for page in pages for item in page]
    assert 2 == len(even)


def test_a_filter_that_cannot_be_answered_leaves_out_or_is_refused(store):
    store.put(("docs",), "text", {"at": "2026-02-01", "user": {"name": "ada"}})
    store.put(("docs",), "none", {})

    later = store.search(("docs",), filter={"at": {"$gt": "2026-01-01"}})
    inside = store.search(("docs",), filter={"user.name": "ada"})

    assert ["text"] == [item.key for item in later] == [item.key for item in inside]
    assert [] == store.search(("docs",), filter={"at": {"$lt": 5}})
    with pytest.raises(ValueError, match="Unsupported operator"):
        store.search(("docs",), filter={"at": {"$like": "x"}})


def test_every_engine_answers_the_same(engine_url):
    with Swarm.open(engine_url, agent="tester", swarm="s") as swarm:
        store = SwarmStore(swarm)
        store.batch([PutOp(("a", "b"), f"k{n}", {"n": n, "text": "plan"}) for n in range(5)])
        store.put(("a", "B"), "k", {"text": "other"}, ttl=60)
        store.batch([PutOp(("a", "b"), "k0", None), PutOp(("a", "b"), "k1", {"n": 10})])
        store.update(("a", "b"), "k1", lambda value: {"n": value["n"] + 1})
        swarm.records.touch("a/B/k", 5)

        assert {"n": 11} == store.get(("a", "b"), "k1").value
        assert "a/B/k" == swarm.events.since(0)[-1].key
        assert store.get(("a", "B"), "k") is not None
        assert ["touch", "touch"] == [e.op for e in swarm.events.since(0) if e.key == "a/B/k"][1:]
        assert ["k3", "k4"] == [i.key for i in store.search(("a",), filter={"n": {"$gt": 2}})][1:]
        assert {"k2", "k3", "k4"} == {i.key for i in store.search(("a",), query="a plan")}
        assert [("a", "B"), ("a", "b")] == store.list_namespaces()
        assert [11, 10, 1] == [r.value["n"] for r in store.history(("a", "b"), "k1")]


# --- names and paths ---


def test_an_item_is_the_record_of_its_path(store, swarm):
    store.put(("users", "ada"), "prefs", {"theme": "dark"})

    record = swarm.records.get("users/ada/prefs")

    assert ({"theme": "dark"}, None, "tester") == (record.value, record.provenance, record.author)


def test_what_others_wrote_is_found_by_its_path(store, swarm):
    swarm.records.put("memories/notes.md", "plain text")
    swarm.records.put("memories/list", [1, 2])
    swarm.records.put("top", {"n": 1})
    swarm.records.put("memories/x+y", {"n": 2})

    found = {(item.namespace, item.key): item.value for item in store.search(())}

    assert {"value": "plain text"} == store.get(("memories",), "notes.md").value
    assert {
        (("memories",), "notes.md"): {"value": "plain text"},
        (("memories",), "list"): {"value": [1, 2]},
        ((), "top"): {"n": 1},
        (("memories",), "x+y"): {"n": 2},
    } == found
    assert [(), ("memories",)] == store.list_namespaces()


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(min_size=1, max_size=300), min_size=1, max_size=9).map(tuple))
def test_every_name_has_a_path_and_comes_back(names):
    with Swarm.open("sqlite:///:memory:") as swarm:
        *space, key = (name.replace(".", "_").replace("\0", "_") for name in names)
        store = SwarmStore(swarm)
        store.put(("root", *space), key, {"here": True})

        (item,) = store.search(("root", *space))
        (record,) = swarm.records.scan()

        assert (("root", *space), key) == (item.namespace, item.key)
        assert item.value == store.get(("root", *space), key).value
        assert (("root", *space), key) == place_of(record)
        assert path_of(("root", *space, key)) == record.key


def test_a_folded_path_lies_below_the_namespaces_before_it(store):
    deep = tuple(f"level-{number:02}" for number in range(60))
    store.put(deep, "end", {"n": 1})
    store.put((*deep[:20], "other"), "end", {"n": 2})

    for depth in range(60):
        assert 1 in [i.value["n"] for i in store.search(deep[: depth + 1], limit=5)], depth
    assert [] == store.search((*deep[:40], "elsewhere"))
    assert [deep] == store.list_namespaces(prefix=deep[:50])
    store.delete(deep, "end")
    assert None is store.get(deep, "end")


def test_names_that_mean_nothing_are_refused_in_batches_too(store):
    for space in (("a.b",), ("",), ("nul\0",), (1,)):
        for op in (GetOp(space, "k"), PutOp(space, "k", {}), SearchOp(space)):
            with pytest.raises(InvalidNamespaceError):
                store.batch([PutOp(("good",), "k", {}), op])
    for space in ((), ("langgraph", "x")):
        with pytest.raises(InvalidNamespaceError):
            store.put(space, "k", {})
        with pytest.raises(InvalidNamespaceError):
            store.update(space, "k", lambda value: {})
    assert [] == store.search(())


# --- writing ---


def test_a_batch_is_written_whole_or_not_at_all(store, swarm):
    store.put(("a",), "old", {"n": 1})
    newest = swarm.events.newest()

    with pytest.raises(InvalidValueError):
        store.batch([PutOp(("a",), "new", {}), PutOp(("a",), "bad", {"set": {1}})])
    with pytest.raises(InvalidValueError):
        store.batch([PutOp(("a",), "old", None), PutOp(("a",), "bad", {"set": {1}})])

    assert newest == swarm.events.newest()
    ops = [PutOp(("a",), "new", {"n": n}) for n in range(3)]
    store.batch([*ops, PutOp(("a",), "old", None), GetOp(("a",), "old")])
    assert ["new"] == [item.key for item in store.search(("a",))]
    assert {"n": 2} == store.get(("a",), "new").value
    assert newest + 2 == swarm.events.newest()


def test_created_at_is_kept_when_an_item_is_written_anew(aging, clock):
    aging.put(("a",), "k", {"n": 1})
    clock.advance(10)
    aging.put(("a",), "k", {"n": 2})

    item = aging.get(("a",), "k")

    now = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
    assert (now, 10.0) == (item.updated_at, (now - item.created_at).total_seconds())


def test_earlier_versions_are_kept(store):
    for number in range(3):
        store.put(("a",), "k", {"n": number})
    store.delete(("a",), "k")

    versions = store.history(("a",), "k")

    assert [None, {"n": 2}, {"n": 1}, {"n": 0}] == [record.value for record in versions]
    assert [True, False, False, False] == [record.deleted for record in versions]


def test_update_runs_again_when_somebody_else_was_first(store):
    seen = []

    def add_one(value):
        seen.append(value)
        if len(seen) == 2:
            store.put(("a",), "count", {"n": 40})
        return {"n": (value or {"n": 0})["n"] + 1}

    first = store.update(("a",), "count", add_one)
    second = store.update(("a",), "count", add_one)

    assert [None, {"n": 1}, {"n": 40}] == seen
    assert ({"n": 1}, {"n": 41}) == (first.value, second.value)
    assert ("a",) == second.namespace and "count" == second.key


@pytest.mark.parametrize("strategy", ["last_write", "first_write", "merge", "keep_both"])
def test_update_loses_nothing_whatever_the_category_does_with_conflicts(tmp_path, strategy):
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"categories": {"other": {"on_conflict": strategy}}}))
    with Swarm.open("sqlite:///:memory:", config_path=str(config)) as swarm:
        store = SwarmStore(swarm)
        store.put(("a",), "count", {"n": 0})
        late = [True]

        def add_one(value):
            if late.pop() if late else False:
                store.put(("a",), "count", {"n": 10})
            return {"n": value["n"] + 1}

        assert {"n": 11} == store.update(("a",), "count", add_one).value
        assert {"n": 11} == store.get(("a",), "count").value


def test_update_gives_up_in_the_end(store, monkeypatch):
    monkeypatch.setattr("swarm_memory.adapters.langgraph.UPDATE_ATTEMPTS_MAX", 3)

    def always_late(value):
        store.put(("a",), "k", {"n": 1})
        return {"n": 2}

    with pytest.raises(ConflictError):
        store.update(("a",), "k", always_late)


COUNT = """
import sys
from swarm_memory import Swarm
from swarm_memory.adapters.langgraph import SwarmStore
url, name, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
with Swarm.open(url, agent=name, swarm="s") as swarm:
    store = SwarmStore(swarm)
    print("ready", flush=True)
    sys.stdin.readline()
    for number in range(steps):
        store.update(("race",), "count", lambda value: {"n": value["n"] + 1})
        store.put(("race", name), str(number), {"n": number})
print("done")
"""


def test_processes_that_update_at_once_lose_nothing(store, swarm, url):
    store.put(("race",), "count", {"n": 0})
    running = [
        subprocess.Popen(
            [sys.executable, "-c", COUNT, url, f"p{number}", str(STEPS)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number in range(PROCESSES)
    ]
    for process in running:
        assert "ready\n" == process.stdout.readline()
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()
    ends = [process.communicate(timeout=120) for process in running]

    assert [("done\n", "")] * PROCESSES == ends
    assert {"n": PROCESSES * STEPS} == store.get(("race",), "count").value
    assert PROCESSES * STEPS + 1 == len(store.search(("race",), limit=10_000))
    authors = [event.author for event in swarm.events.since(0) if event.key == "race/count"]
    turns = sum(a != b for a, b in pairwise(authors))
    assert turns > PROCESSES, "the processes never met"


# --- search ---


def test_a_query_gives_what_answers_it_best_first_with_scores(store):
    store.put(("team", "docs"), "deploy", {"text": "The deploy script needs a rollback plan"})
    store.put(("team", "docs"), "lunch", {"text": "Lunch is at noon"})
    store.put(("team",), "plan", {"text": "rollback", "kind": "note"})
    store.put(("other",), "x", {"text": "another rollback plan"})

    found = store.search(("team",), query="rollback plan for the deploy script")
    notes = store.search(("team",), query="rollback", filter={"kind": "note"})

    assert ["deploy", "plan"] == [item.key for item in found]
    assert 1 >= found[0].score > found[1].score > 0
    assert ["plan"] == [item.key for item in notes]
    assert found[1:] == store.search(
        ("team",), query="rollback plan for the deploy script", offset=1
    )
    assert [] == store.search(("team",), query="quantum chromodynamics")


def test_what_is_not_to_be_indexed_is_not_found_by_a_query(store):
    store.put(("a",), "open", {"text": "rollback plan"})
    store.put(("a",), "closed", {"text": "rollback plan"}, index=False)
    store.update(("a",), "closed", lambda value: {**value, "n": 1})

    assert ["open"] == [item.key for item in store.search(("a",), query="rollback plan")]
    assert 2 == len(store.search(("a",)))
    assert {"text": "rollback plan", "n": 1} == store.get(("a",), "closed").value


def test_what_a_query_leaves_out_makes_room_for_others(store):
    for number in range(12):
        store.put(("a",), f"closed-{number}", {"text": "rollback plan"}, index=False)
    store.put(("a",), "open", {"text": "a plan, and what else there is to say of it"})

    assert ["open"] == [item.key for item in store.search(("a",), query="rollback plan", limit=3)]


def test_shared_knowledge_is_found_beside_the_namespace_if_asked_for(swarm):
    knowledge = Layout("s", "tester").knowledge()
    swarm.records.put(f"{knowledge}lesson/1", {"text": "deploy on Tuesdays"})
    alone, beside = SwarmStore(swarm), SwarmStore(swarm, also=[knowledge])
    beside.put(("notes",), "mine", {"text": "deploy with care"})

    assert ["mine"] == [item.key for item in alone.search(("notes",), query="deploy")]
    found = beside.search(("notes",), query="deploy")
    assert {"mine", "1"} == {item.key for item in found}
    assert ["1"] == [item.key for item in found if item.namespace[0] != "notes"]
    assert 2 == len(beside.search((), query="deploy"))


# --- times to live ---


def test_an_item_expires_after_its_minutes_and_is_hidden_at_once(aging, clock):
    aging.put(("a",), "short", {"text": "brief words"}, ttl=1)
    aging.put(("a",), "long", {"text": "brief words"})
    clock.advance(59.9)
    assert 2 == len(aging.search(("a",), refresh_ttl=False))
    clock.advance(0.1)

    assert None is aging.get(("a",), "short")
    assert ["long"] == [item.key for item in aging.search(("a",))]
    assert ["long"] == [item.key for item in aging.search(("a",), query="brief words")]
    assert 1 == aging.sweep_ttl()
    assert 0 == aging.sweep_ttl()


@pytest.mark.parametrize("read", ["get", "search", "query"])
def test_reading_lets_an_item_live_longer_without_a_new_version(aging, clock, read):
    reads = {
        "get": lambda **how: aging.get(("a",), "k", **how),
        "search": lambda **how: aging.search(("a",), **how),
        "query": lambda **how: aging.search(("a",), query="words", **how),
    }
    aging.put(("a",), "k", {"text": "some words"}, ttl=1)
    for _ in range(5):
        clock.advance(40)
        assert reads[read]()
    clock.advance(40)
    assert reads[read](refresh_ttl=False)
    clock.advance(20)

    assert not reads[read]()
    assert 1 == max(event.version for event in aging._swarm.events.since(0))


def test_the_default_time_to_live_is_taken_and_can_be_overridden(clock):
    with Swarm.open("sqlite:///:memory:", clock=clock) as swarm:
        store = SwarmStore(swarm, ttl={"default_ttl": 1, "refresh_on_read": False})
        store.put(("a",), "default", {})
        store.put(("a",), "longer", {}, ttl=2)
        store.put(("a",), "kept", {}, ttl=None)
        store.update(("a",), "new", lambda value: {})
        store.update(("a",), "longer", lambda value: {"n": 1})
        clock.advance(60)
        assert ["kept", "longer"] == [item.key for item in store.search(("a",))]
        clock.advance(60)

        assert ["kept"] == [item.key for item in store.search(("a",))]


def test_a_refresh_does_not_shorten_what_somebody_else_wrote_meanwhile(aging, clock):
    aging.put(("a",), "k", {}, ttl=1)
    record = aging._swarm.records.get("a/k")
    aging.put(("a",), "k", {}, ttl=60)

    aging._refresh([record])
    clock.advance(600)

    assert aging.get(("a",), "k") is not None


def test_the_sweeper_sweeps_until_it_is_stopped(swarm):
    store = SwarmStore(swarm, ttl={"sweep_interval_minutes": 1})
    store.put(("a",), "k", {}, ttl=0.001 / 60)

    future = store.start_ttl_sweeper(0.0001)
    for event in swarm.watch(timeout_s=5):
        if event.op == "expire":
            break

    assert ("a/k", "expire") == (event.key, event.op)
    assert not future.done()
    assert store.stop_ttl_sweeper(5)
    assert None is future.result(5)
    again = store.start_ttl_sweeper()
    assert again.cancel()
    store._sweeper.join(5)
    assert not store._sweeper.is_alive()
    assert SwarmStore(swarm).start_ttl_sweeper().done()


# --- async ---


def test_async_calls_do_the_same_without_blocking(store, swarm):
    async def work():
        await store.aput(("a",), "k", {"n": 1}, ttl=5)
        await asyncio.gather(*[store.aput(("a",), f"k{n}", {"n": n}) for n in range(20)])
        ones = [store.aupdate(("a",), "k", lambda value: {"n": value["n"] + 1}) for _ in range(10)]
        await asyncio.gather(*ones)
        await store.adelete(("a",), "k0")
        item = await store.aget(("a",), "k")
        found = await store.asearch(("a",), filter={"n": {"$gt": 10}}, limit=50)
        return item, found, await store.alist_namespaces()

    item, found, spaces = asyncio.run(work())

    assert ({"n": 11}, 10, [("a",)]) == (item.value, len(found), spaces)
