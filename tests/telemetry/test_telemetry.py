"""Spans of memory operations: named by what was asked for, and silent about what is in it."""

import asyncio
import json
import subprocess
import sys

import pytest

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from swarm_memory import ConflictError, LimitExceededError, Put, Swarm, SwarmMemoryManager
from swarm_memory.aio import AsyncSwarm
from swarm_memory.telemetry import _server_of, instrument


class Traced:
    """A swarm with spans, and what they were."""

    def __init__(self, swarm, **options):
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.swarm = instrument(swarm, tracer_provider=self.provider, **options)

    def spans(self):
        spans = self.exporter.get_finished_spans()
        self.exporter.clear()
        return spans

    def told(self):
        """Return the operations since the last time, with their records and counts."""
        attributes = [span.attributes for span in self.spans()]
        return [
            tuple(
                each.get(f"gen_ai.{name}")
                for name in ("operation.name", "memory.record.id", "memory.record.count")
            )
            for each in attributes
        ]


@pytest.fixture
def swarm(engine_url):
    with Swarm.open(engine_url, agent="cook", swarm="boat", session="monday") as swarm:
        yield swarm


@pytest.fixture
def traced(swarm):
    return Traced(swarm)


def test_an_operation_is_named_by_what_was_asked_for(traced):
    records = traced.swarm.records
    records.put("a", 1, expect=0)
    records.put("a", 2, expect=1)
    records.put("a", 3)
    records.rollback("a", 1)
    records.delete("a")

    assert [
        ("create_memory", "a", 1),
        ("update_memory", "a", 1),
        ("upsert_memory", "a", 1),
        ("update_memory", "a", 1),
        ("delete_memory", "a", 1),
    ] == traced.told()


def test_many_puts_are_one_span_with_their_number(traced):
    records = traced.swarm.records
    records.put_many(iter([Put("a", 1, 0), Put("b", 1, 0)]))
    records.put_many([("a", 2), Put("b", 2, 1)])
    records.put_many([("c", 1)])

    assert [
        ("create_memory", None, 2),
        ("upsert_memory", None, 2),
        ("upsert_memory", "c", 1),
    ] == traced.told()


def test_a_search_says_how_many_it_found(traced):
    traced.swarm.records.put_many([("a", "green tea"), ("b", "black tea")])
    traced.told()
    assert 2 == len(traced.swarm.search("tea", limit=5))
    assert 1 == len(traced.swarm.finder.search("green"))

    assert [("search_memory", None, 2), ("search_memory", None, 1)] == traced.told()


def test_memories_are_one_span_each_whatever_they_do_inside(traced):
    stored = traced.swarm.memories.store("tea is served")
    traced.swarm.memories.store("tea is over", key="tea", expect=0)
    traced.swarm.memories.supersede("tea", "coffee", also=[stored.record.key])

    assert [
        ("create_memory", stored.record.key, 1),
        ("create_memory", "tea", 1),
        ("update_memory", "tea", 2),
    ] == traced.told()


def test_operations_in_a_transaction_have_spans(traced):
    record = SwarmMemoryManager.of(traced.swarm).share_knowledge_with_swarm("tea", "served")

    assert [("create_memory", record.key, 1)] == traced.told()


def test_a_span_says_whose_store_and_which_agent_and_session(traced, swarm):
    swarm.records.put("a", 1)

    (span,) = traced.spans()

    assert ("upsert_memory", "boat", "cook", "monday") == (
        span.name,
        span.attributes["gen_ai.memory.store.id"],
        span.attributes["gen_ai.agent.id"],
        span.attributes["gen_ai.conversation.id"],
    )
    kind = SpanKind.CLIENT if swarm.url.startswith("postgresql") else SpanKind.INTERNAL
    assert kind == span.kind


@pytest.mark.parametrize(
    ("url", "server"),
    [
        ("sqlite:////var/memory.db", ("sqlite", None, None)),
        ("postgresql://u:secret@db.example:5433/x", ("postgresql", "db.example", 5433)),
        ("postgresql://u@db.example/x", ("postgresql", "db.example", 5432)),
        ("postgresql:///x?host=/run/pg&port=5434", ("postgresql", "/run/pg", 5434)),
        ("postgresql:///x?host=/run/pg", ("postgresql", "/run/pg", None)),
        ("http://[::1]:8080/m", ("http", "::1", 8080)),
    ],
)
def test_the_server_is_what_the_url_names_without_its_secrets(url, server):
    assert server == _server_of(url)


def test_other_agents_doors_have_spans_under_their_own_names(traced):
    traced.swarm.as_agent("guest").records.put("a", 1)
    traced.swarm.as_agent("guest", swarm="harbour").memories.store("tea")

    told = [
        (span.attributes["gen_ai.memory.store.id"], span.attributes["gen_ai.agent.id"])
        for span in traced.spans()
    ]
    assert [("boat", "guest"), ("harbour", "guest")] == told


SECRET = "xyzzy"


def test_nothing_that_is_stored_or_asked_is_in_a_span_by_default(traced):
    swarm = traced.swarm
    swarm.records.put("a", {"text": SECRET})
    swarm.records.put_many([("b", SECRET)])
    swarm.memories.store(SECRET)
    swarm.search(SECRET)
    with pytest.raises(ConflictError):
        swarm.records.put("a", SECRET, expect=9)

    spans = traced.spans()

    assert 5 == len(spans)
    assert SECRET not in " ".join(span.to_json() for span in spans)


def test_contents_are_in_spans_on_request_as_the_conventions_have_them(swarm):
    traced = Traced(swarm, content=True)
    swarm.records.put("a", {"text": "green tea"})
    (hit,) = swarm.search("where is tea")

    put, search = traced.spans()

    assert [{"id": "a", "content": {"text": "green tea"}}] == json.loads(
        put.attributes["gen_ai.memory.records"]
    )
    assert "where is tea" == search.attributes["gen_ai.memory.query.text"]
    assert [{"id": "a", "content": {"text": "green tea"}, "score": hit.score}] == json.loads(
        search.attributes["gen_ai.memory.records"]
    )


def test_an_error_is_told_by_its_code_and_raised(traced):
    with pytest.raises(ConflictError):
        traced.swarm.records.put("a", 1, expect=7)
    with pytest.raises(LimitExceededError):
        traced.swarm.records.put_many([(f"k{n}", 1) for n in range(10_001)])
    with pytest.raises(TypeError):
        traced.swarm.records.put("a", 1, nonsense=True)

    spans = traced.spans()

    assert ["conflict", "limit_exceeded", "TypeError"] == [
        s.attributes["error.type"] for s in spans
    ]
    assert {StatusCode.ERROR} == {span.status.status_code for span in spans}
    assert not any(span.events or span.status.description for span in spans)


def test_what_went_well_has_no_error(traced):
    traced.swarm.records.put("a", 1)

    (span,) = traced.spans()

    assert "error.type" not in span.attributes
    assert StatusCode.UNSET == span.status.status_code


def test_a_span_has_the_callers_span_as_its_parent(traced):
    tracer = traced.provider.get_tracer("test")
    with tracer.start_as_current_span("agent"):
        traced.swarm.records.put("a", 1)

    inner, outer = traced.spans()

    assert outer.context.span_id == inner.parent.span_id


def test_async_calls_have_spans_below_the_task_that_awaits_them(traced):
    swarm = AsyncSwarm(traced.swarm)

    async def run():
        with traced.provider.get_tracer("test").start_as_current_span("agent"):
            await swarm.records.put("a", 1)

    asyncio.run(run())

    inner, outer = traced.spans()
    assert ("upsert_memory", outer.context.span_id) == (inner.name, inner.parent.span_id)


def test_results_and_other_calls_are_those_of_the_service(traced, swarm):
    plain = swarm.as_agent("plain")
    put = swarm.records.put("a", [1])
    assert put == swarm.records.get("a") == plain.records.get("a")
    assert [put] == list(swarm.records.scan("")) == swarm.records.history("a")
    assert swarm.records.delete("a") and not swarm.records.delete("a")
    with pytest.raises(AttributeError):
        swarm.records.nonsense  # noqa: B018
    assert "scan" in dir(swarm.records)


def test_instrumenting_twice_makes_one_span(swarm):
    first, second = Traced(swarm), Traced(swarm)
    swarm.records.put("a", 1)
    swarm.search("a")

    assert [] == list(first.spans())
    assert 2 == len(second.spans())


def test_reading_by_key_has_no_span(traced):
    traced.swarm.records.get("a")
    traced.swarm.records.scan("")

    assert [] == traced.told()


def test_who_does_not_instrument_never_imports_opentelemetry(tmp_path):
    code = (
        "import sys, swarm_memory, swarm_memory.doors.hooks\n"
        f"with swarm_memory.Swarm.open('sqlite:///{tmp_path}/m.db') as swarm:\n"
        "    swarm.memories.store('tea')\n"
        "    swarm.search('tea')\n"
        "    swarm.as_agent('b').records.get('a')\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert ("[]\n", "") == (run.stdout, run.stderr)
