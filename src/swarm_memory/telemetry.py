"""Spans: every memory operation of a swarm by OpenTelemetry's conventions for generative AI.

    swarm = instrument(Swarm.open(url))

Nothing else in the package imports OpenTelemetry, and a swarm that is not instrumented pays
nothing. A span is named by its operation, which is what the caller asked for: `create_memory` (a
put with `expect=0`, a memory without a key), `update_memory` (a put with the version that was
seen, a rollback, a memory that supersedes), `upsert_memory` (any other put), `delete_memory` and
`search_memory`. Reading by key is no operation of the conventions and has no span.

`gen_ai.memory.store.id` is the swarm and `gen_ai.memory.record.id` the key. What is asked and
what is stored stay out of the spans unless `content` lets them in, and so do the words of errors,
which may quote them: `error.type` is the error's code (see docs/reference.md).

In a transaction of the caller's each operation has its span when it is done there, once more if
the transaction has to run again, and also if it is undone.

How long an operation took is a histogram as well, `gen_ai.client.operation.duration`. What the
store as a whole is like, which all processes tell the same, is told by the one that calls
`observe`:

    observe(swarm)
"""

from __future__ import annotations

import json
import threading
import time
from contextlib import contextmanager
from contextvars import ContextVar
from urllib.parse import parse_qsl, urlsplit

from swarm_memory.errors import InvalidArgumentError, SwarmMemoryError

try:
    from opentelemetry.metrics import Observation, get_meter
    from opentelemetry.trace import SpanKind, Status, StatusCode, get_tracer
except ImportError as error:
    raise ImportError(f"{error}; pip install 'swarm-memory[otel]'", name=error.name) from error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, TracerProvider

    from swarm_memory.model import Json, Record
    from swarm_memory.monitor.metrics import Family
    from swarm_memory.swarm import Swarm

OPERATION = "gen_ai.operation.name"
STORE, RECORD, COUNT = (
    f"gen_ai.memory.{name}" for name in ("store.id", "record.id", "record.count")
)
QUERY, RECORDS = "gen_ai.memory.query.text", "gen_ai.memory.records"
AGENT, CONVERSATION = "gen_ai.agent.id", "gen_ai.conversation.id"
ERROR = "error.type"
SERVER, PORT = "server.address", "server.port"
PORTS = {"postgresql": 5432, "http": 80, "https": 443}

DURATION = "gen_ai.client.operation.duration"
# Seconds, as the conventions have it for databases: a put takes less than a model's first bound.
BOUNDS_S = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
PREFIX = "swarm_memory."  # of metrics of the store, and of what they are told by
UNITS = {"seconds": "s", "bytes": "By", "ratio": "1", "": ""}
READ_S = 0.5  # what the callbacks of one collection tell is read once

_inside: ContextVar[bool] = ContextVar("_inside", default=False)


def instrument(
    swarm: Swarm,
    *,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
    content: bool = False,
) -> Swarm:
    """Give the memory operations of an open swarm spans and durations, and return it.

    Those of other agents' doors have them, too, if they are made from it afterwards.

    Args:
        tracer_provider: Where the spans go; None is OpenTelemetry's global one.
        meter_provider: Where the durations go; None is OpenTelemetry's global one.
        content: Whether questions, and the records that are stored and found, are part of the
            spans. They may hold what no log should.
    """
    tracer = get_tracer("swarm_memory", tracer_provider=tracer_provider)
    durations = get_meter("swarm_memory", meter_provider=meter_provider).create_histogram(
        DURATION,
        unit="s",
        description="How long memory operations took.",
        explicit_bucket_boundaries_advisory=BOUNDS_S,
    )
    swarm.wrap(lambda door: _Spans(door, tracer, durations, content).wrapped)
    return swarm


def observe(swarm: Swarm, *, meter_provider: MeterProvider | None = None) -> None:
    """Let OpenTelemetry ask for the metrics of a swarm, as long as it is open.

    They are those of `/metrics` of the server (see docs/metrics.md), as observable gauges and
    counters, without the histogram. They are of the store and not of this process, so one process
    of a swarm is enough. Where the store cannot be asked there are no numbers.

    Args:
        meter_provider: Who asks; None is OpenTelemetry's global one.

    Raises:
        InvalidArgumentError: The swarm is a server's, which tells them itself.
    """
    from swarm_memory.monitor.metrics import COUNTER, HISTOGRAM, catalogue

    if swarm.url.startswith(("http://", "https://")):
        raise InvalidArgumentError(
            f"the metrics of {swarm.url} are not told here", hint="scrape /metrics of that server"
        )
    meter = get_meter("swarm_memory", meter_provider=meter_provider)
    reading = _Reading(swarm)
    for family in catalogue():
        if family.kind != HISTOGRAM:
            counts = family.kind == COUNTER
            make = meter.create_observable_counter if counts else meter.create_observable_gauge
            make(
                PREFIX + family.name,
                callbacks=[reading.callback(family.name)],
                unit=UNITS[family.unit],
                description=family.text,
            )


class _Reading:
    """What the store tells, read once for all callbacks of a collection."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        self._lock = threading.Lock()
        self._families: dict[str, Family] = {}
        self._read_s = float("-inf")

    def callback(self, name: str) -> Callable[..., list[Observation]]:
        """Return what OpenTelemetry calls for the values of a family."""

        def values(_: object) -> list[Observation]:
            family = self._newest().get(name)
            if family is None:
                return []
            labels = [PREFIX + label for label in family.labels]
            return [
                Observation(value, dict(zip(labels, point, strict=True)))
                for point, value in family.points.items()
                if not isinstance(value, tuple)
            ]

        return values

    def _newest(self) -> dict[str, Family]:
        from swarm_memory.monitor.metrics import families_of

        with self._lock:
            if time.monotonic() - self._read_s >= READ_S:
                # Before it is tried: if it fails that is said once and not by each callback.
                self._read_s, self._families = time.monotonic(), {}
                families = families_of([(self._swarm.context.swarm, self._swarm.monitor)])
                self._families = {family.name: family for family in families}
                self._read_s = time.monotonic()
            return self._families


class _Spans:
    """Makes the spans of one agent's door to a swarm."""

    def __init__(self, swarm: Swarm, tracer: Any, durations: Any, content: bool) -> None:
        self._tracer = tracer
        self._durations = durations
        self._content = content
        scheme, address, port = _server_of(swarm.url)
        self._kind = SpanKind.INTERNAL if scheme == "sqlite" else SpanKind.CLIENT
        about = {
            STORE: swarm.context.swarm,
            AGENT: swarm.context.agent,
            CONVERSATION: swarm.context.session,
            SERVER: address,
            PORT: port,
        }
        self._about = {name: value for name, value in about.items() if value is not None}
        # Agents and sessions are no labels of a metric: there are ever more of them.
        kept = (STORE, SERVER, PORT)
        self._labels = {name: value for name, value in self._about.items() if name in kept}

    def wrapped(self, name: str, service: Any) -> Any:
        """Return what stands in for a service."""
        kinds = {"records": _Records, "finder": _Finder, "memories": _Memories}
        return kinds[name](service, self)

    @contextmanager
    def span(self, operation: str, **attributes: Any) -> Iterator[Callable[..., None]]:
        """Run a block in a span; yields what tells the span more once it is known.

        What a memory operation does by others is part of it and has no span of its own.
        """
        if _inside.get():
            yield lambda **more: None
            return
        mark = _inside.set(True)
        begun_s, failed = time.perf_counter(), {}
        try:
            with self._tracer.start_as_current_span(
                operation,
                kind=self._kind,
                attributes=self._about | {OPERATION: operation},
                record_exception=False,
                set_status_on_exception=False,
            ) as span:
                self._tell(span, **attributes)
                try:
                    yield lambda **more: self._tell(span, **more)
                except Exception as error:
                    failed = {ERROR: _kind_of(error)}
                    span.set_attributes(failed)
                    span.set_status(Status(StatusCode.ERROR))
                    raise
        finally:
            _inside.reset(mark)
            took_s = time.perf_counter() - begun_s
            self._durations.record(took_s, self._labels | {OPERATION: operation} | failed)

    def _tell(
        self,
        span: Span,
        *,
        key: str | None = None,
        count: int | None = None,
        query: str | None = None,
        records: Iterable[tuple[str | None, Json, float | None]] | None = None,
    ) -> None:
        if key is not None:
            span.set_attribute(RECORD, key)
        if count is not None:
            span.set_attribute(COUNT, count)
        if self._content and query is not None:
            span.set_attribute(QUERY, query)
        if self._content and records is not None:
            shown = [
                {"id": key, "content": value} | ({} if score is None else {"score": score})
                for key, value, score in records
            ]
            span.set_attribute(RECORDS, json.dumps(shown, ensure_ascii=False, default=repr))


class _Wrapped:
    """A service some of whose calls have spans."""

    def __init__(self, wrapped: Any, spans: _Spans) -> None:
        self.wrapped = wrapped
        self._spans = spans

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)

    def __dir__(self) -> list[str]:
        return dir(self.wrapped)


class _Records(_Wrapped):
    def within(self, tx: Any) -> _Records:
        return _Records(self.wrapped.within(tx), self._spans)

    def put(self, key: str, value: Json, **options: Any) -> Record:
        operation = _operation(options.get("expect"))
        with self._spans.span(operation, key=key, count=1, records=[(key, value, None)]):
            record: Record = self.wrapped.put(key, value, **options)
            return record

    def put_many(self, items: Iterable[Any], **options: Any) -> list[Record]:
        items = list(items)
        operations = {_operation(item[2] if len(item) > 2 else None) for item in items}
        with self._spans.span(
            operations.pop() if len(operations) == 1 else "upsert_memory",
            key=items[0][0] if len(items) == 1 else None,
            count=len(items),
            records=[(item[0], item[1], None) for item in items],
        ):
            records: list[Record] = self.wrapped.put_many(items, **options)
            return records

    def delete(self, key: str, **options: Any) -> bool:
        with self._spans.span("delete_memory", key=key, count=1):
            deleted: bool = self.wrapped.delete(key, **options)
            return deleted

    def rollback(self, key: str, *arguments: Any, **options: Any) -> Record:
        with self._spans.span("update_memory", key=key, count=1) as tell:
            record: Record = self.wrapped.rollback(key, *arguments, **options)
            tell(records=[(key, record.value, None)])
            return record


class _Finder(_Wrapped):
    def search(self, query: str, **options: Any) -> Any:
        with self._spans.span("search_memory", query=query) as tell:
            hits = self.wrapped.search(query, **options)
            found = [(hit.record.key, hit.record.value, hit.score) for hit in hits]
            tell(count=len(hits), records=found)
            return hits


class _Memories(_Wrapped):
    def store(self, value: Json, **options: Any) -> Any:
        key = options.get("key")
        operation = "create_memory" if key is None else _operation(options.get("expect"))
        with self._spans.span(operation, key=key, count=1) as tell:
            stored = self.wrapped.store(value, **options)
            tell(key=stored.record.key, records=[(stored.record.key, value, None)])
            return stored

    def supersede(self, key: str, value: Json, **options: Any) -> Any:
        count = 1 + len(options.get("also", ()))
        with self._spans.span("update_memory", key=key, count=count, records=[(key, value, None)]):
            return self.wrapped.supersede(key, value, **options)


def _server_of(url: str) -> tuple[str, str | None, int | None]:
    """Return the scheme of a store's URL, and the host and port that it names, if it does."""
    parts = urlsplit(url)
    if parts.scheme == "sqlite":
        return parts.scheme, None, None
    query = dict(parse_qsl(parts.query))  # where PostgreSQL's URLs name sockets
    host = parts.hostname or query.get("host")
    port = parts.port or query.get("port")
    if port is None and host is not None and not host.startswith("/"):
        port = PORTS.get(parts.scheme)
    return parts.scheme, host, int(port) if host and port else None


def _operation(expect: int | None) -> str:
    """Return what a put asks for, by what it expects to be there."""
    if expect is None:
        return "upsert_memory"
    return "create_memory" if expect == 0 else "update_memory"


def _kind_of(error: Exception) -> str:
    return error.code if isinstance(error, SwarmMemoryError) else type(error).__qualname__


__all__ = ["instrument", "observe"]
