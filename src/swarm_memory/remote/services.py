"""The services of a swarm that a server keeps: each call is a request.

They take and return what the services beside the store do, since both ends read the same
signatures (see `swarm_memory.wire`). What an object of theirs does, such as to release a lease, is
done here too.
"""

from __future__ import annotations

import inspect
import math
import os
import threading
import time
from contextlib import contextmanager, suppress
from functools import cache, partial
from typing import TYPE_CHECKING, Any

import orjson

from swarm_memory.codec import encode
from swarm_memory.errors import (
    ConflictError,
    CursorExpiredError,
    EngineUnavailableError,
    InvalidArgumentError,
    LeaseHeldError,
    NotFoundError,
    SwarmMemoryError,
)
from swarm_memory.key import check_key, check_prefix
from swarm_memory.lives import LOGICAL
from swarm_memory.model import Event, Page
from swarm_memory.records import Records
from swarm_memory.remote.client import Asked, header, raised
from swarm_memory.search import Hits
from swarm_memory.seats import Lease, lost, milder_than
from swarm_memory.wire import shapes
from swarm_memory.wire.flows import party
from swarm_memory.wire.verbs import BY_NAME, KEPT, ONCE, READ, SESSION_OR_NONE, Verb
from swarm_memory.writing import check_expect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swarm_memory.context import Context
    from swarm_memory.letters import Message
    from swarm_memory.model import Json, Record
    from swarm_memory.remote.client import Client

SILENCE_S = 45.0  # a stream gives a sign of life three times as often
RETRY_S = 0.5
RESOLVED_MAX = 100
_VALUES = {"value", "body", "bodies", "decision_data", "knowledge_data"}  # checked as values are


class Wire:
    """Asks for verbs, for one agent in one swarm, or inside one transaction."""

    def __init__(
        self, client: Client, context: Context, durability: str, transaction: str | None = None
    ) -> None:
        self.client = client
        self.context = context
        self.transaction = transaction
        self._durability = durability
        self.busy = threading.local()  # whether this thread is inside a transaction
        named = {"Swarm-Agent": context.agent}
        if context.session is not None:
            named["Swarm-Session"] = context.session
        if context.origin is not None:
            named["Swarm-Origin"] = orjson.dumps(context.origin).decode()
        self.headers = {name: header(value) for name, value in named.items()}
        if "/" in context.swarm:
            raise InvalidArgumentError(
                f"swarm {context.swarm!r}", hint="over HTTP a swarm's name has no slash"
            )
        self.base = f"/swarms/{_segment(context.swarm)}"

    def within(self, transaction: str) -> Wire:
        """Return what asks inside a transaction."""
        return Wire(self.client, self.context, self._durability, transaction)

    def of(self, context: Context) -> Wire:
        """Return what asks for somebody else."""
        other = Wire(self.client, context, self._durability)
        other.busy = self.busy
        return other

    def call(self, verb: Verb, /, *arguments: Any, **options: Any) -> Any:
        """Ask for a verb and return its result."""
        op_id = options.pop("op_id", None)
        given = _bound(verb, arguments, options)
        wanted = "session_id" in shapes.arguments(verb) and "session_id" not in given
        if wanted and (self.context.session or verb.full_name not in SESSION_OR_NONE):
            given["session_id"] = self._session()
        if self.transaction is not None:
            return self._step(verb, given, op_id)
        if verb.retry != READ and getattr(self.busy, "inside", False):
            raise InvalidArgumentError(
                "a write inside transact()", hint="write through what the function is given"
            )
        if "durability" in shapes.arguments(verb) and self._durability != "full":
            given.setdefault("durability", self._durability)
        return shapes.decoder(shapes.result(verb))(self._ask(verb, given, op_id))

    def _session(self) -> str:
        if self.context.session is None:
            raise InvalidArgumentError("no session", hint="name one, or open the store in one")
        return self.context.session

    def _ask(self, verb: Verb, given: dict[str, Any], op_id: str | None) -> Any:
        headers = dict(self.headers)
        if verb.waits is not None:
            headers["Swarm-Flow"] = party()
        if verb.retry in (ONCE, KEPT):
            headers["Idempotency-Key"] = header(op_id) if op_id else os.urandom(12).hex()
        if "expect" in given and verb.service == "records":
            expect = given.pop("expect")
            headers |= {"If-None-Match": "*"} if expect == 0 else {"If-Match": f'"{expect}"'}
        path = verb.path
        for name in ("key", "conflict_id", "alert_id"):
            if f"{{{name}}}" in path:
                path = path.replace(f"{{{name}}}", _segment(given.pop(name)))
        in_query = verb.method in ("GET", "DELETE")
        query = {n: _text(v) for n, v in given.items()} if in_query else None
        body = None if in_query else orjson.dumps(given)
        waits_s = self._waits_s(verb, given)
        return self.client.ask(
            Asked(verb.method, self.base + path, query, body, headers, True, waits_s)
        )

    def _waits_s(self, verb: Verb, given: dict[str, Any]) -> float:
        if verb.waits is None:
            return 0.0
        return float(given.get(verb.waits) or self.context.config.lock_timeout_s)

    def _step(self, verb: Verb, given: dict[str, Any], op_id: str | None) -> Any:
        if op_id is not None:
            given["op_id"] = op_id
        body = orjson.dumps({"verb": verb.full_name, "arguments": given})
        path = f"{self.base}/transactions/{self.transaction}"
        answer = self.client.ask(Asked("POST", path, None, body, self.headers, False))
        return shapes.decoder(shapes.result(verb))(answer["result"])

    def undo(self, transaction: str) -> None:
        """Undo a transaction, if it is still there; else it has undone itself."""
        path = f"{self.base}/transactions/{transaction}"
        with suppress(SwarmMemoryError):
            self.client.ask(Asked("DELETE", path, None, None, self.headers, True))

    def post(self, path: str, body: Any, *, repeatable: bool) -> Any:
        """Ask for what is no verb."""
        raw = orjson.dumps(body)
        return self.client.ask(Asked("POST", self.base + path, None, raw, self.headers, repeatable))


def _segment(text: str) -> str:
    from urllib.parse import quote

    return quote(text, safe="/" if "/" in text else "")


def _text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


@cache
def _signature(verb: Verb) -> inspect.Signature:
    return inspect.signature(verb.function)


def _bound(verb: Verb, arguments: tuple[Any, ...], options: dict[str, Any]) -> dict[str, Any]:
    """Return what is sent, by name, of what somebody called the method with."""
    bound = _signature(verb).bind(None, *arguments, **options).arguments
    known = shapes.arguments(verb)
    given = {}
    for name, value in list(bound.items())[1:]:
        argument = known.get(name)
        if argument is None or (value is None and argument.default is None):
            continue
        if name == "key":
            check_key(value)
        elif name == "prefix":
            check_prefix(value)
        given[name] = _checked(name, shapes.sent(argument, value))
    return given


def _checked(name: str, value: Any) -> Any:
    """Return a value that JSON gives back unchanged."""
    if name == "expect":
        check_expect(value)
    elif name in _VALUES:
        encode(value, bytes_max=2**31)
    elif name == "items":
        for item in value:
            encode(item.get("value"), bytes_max=2**31)
    elif isinstance(value, float) and not math.isfinite(value):
        raise InvalidArgumentError(f"{name} {value!r}", hint="give a number")
    return value


class Remote:
    """A service of which each method is the verb of its name."""

    def __init__(self, wire: Wire, service: str) -> None:
        self._wire = wire
        self._service = service

    def __getattr__(self, name: str) -> Callable[..., Any]:
        verb = BY_NAME.get(f"{self._service}.{name}")
        if verb is None:
            if name.startswith("_"):
                raise AttributeError(name)
            raise InvalidArgumentError(
                f"{self._service}.{name} is not served over HTTP",
                hint="call it on the server's machine, with the URL of its store",
            )
        return partial(self._wire.call, verb)

    def _call(self, name: str, /, *arguments: Any, **options: Any) -> Any:
        return self._wire.call(BY_NAME[f"{self._service}.{name}"], *arguments, **options)


class RemoteMonitor(Remote):
    """The samples of one swarm, which the server takes."""

    @property
    def alerts(self) -> Remote:
        """What is wrong, or was."""
        return Remote(self._wire, "alerts")


class RemoteRecords(Remote):
    """The records of one swarm."""

    each = Records.each

    def get(self, key: str) -> Record | None:
        """Return the current version of `key`, None if there is none; see `Records.get`."""
        try:
            record: Record | None = self._call("get", key)
        except NotFoundError:
            return None
        return record

    def scan(self, *arguments: Any, **options: Any) -> Page:
        """Return records under a prefix; see `Records.scan`."""
        scanned = self._call("scan", *arguments, **options)
        page = Page(scanned.records)
        page.next_after = scanned.next_after
        return page

    def put(self, key: str, value: Json, **options: Any) -> Record:
        """Write the next version of `key`; see `Records.put`.

        A function that resolves conflicts runs here: what it returns is written if nobody wrote
        in between, else it runs again.
        """
        resolve = options.get("on_conflict")
        if not callable(resolve):
            written: Record = self._call("put", key, value, **options)
            return written
        return self._resolved(key, value, resolve, options | {"on_conflict": "reject"})

    def _resolved(
        self, key: str, mine: Json, resolve: Callable[..., Json], options: dict[str, Any]
    ) -> Record:
        written: Record
        try:
            written = self._call("put", key, mine, **options)
        except ConflictError as error:
            conflict = error
        else:
            return written
        for _ in range(RESOLVED_MAX):
            kept = {record.version: record for record in self._call("history", key)}
            theirs, base = kept.get(conflict.actual), kept.get(conflict.expected)
            if theirs is None or theirs.deleted or (base is None and conflict.expected):
                raise conflict
            value = resolve(base.value if base is not None else None, theirs.value, mine)
            try:
                written = self._call("put", key, value, **options | {"expect": theirs.version})
            except ConflictError as error:
                conflict.actual = error.actual
            else:
                return written
        raise conflict


class RemoteLeases(Remote):
    """The leases of one swarm."""

    def acquire(self, name: str, *arguments: Any, **options: Any) -> Lease:
        """Take a lease; see `Leases.acquire`. `given_up` is not asked."""
        options.pop("given_up", None)
        if self._wire.transaction is not None:
            options.setdefault("wait_s", 0)
        return self._lease(self._call("acquire", name, *arguments, **options))

    def try_acquire(self, name: str, *arguments: Any, **options: Any) -> Lease | None:
        """Take a lease if that is possible at once, else return None."""
        try:
            return self.acquire(name, *arguments, wait_s=0, **options)
        except LeaseHeldError:
            return None

    def acquire_all(self, *arguments: Any, **options: Any) -> list[Lease]:
        """Take several leases or none; see `Leases.acquire_all`."""
        return [self._lease(each) for each in self._call("acquire_all", *arguments, **options)]

    @contextmanager
    def hold(self, name: str, *arguments: Any, **options: Any) -> Iterator[Lease]:
        """Hold a lease inside a `with`; see `Leases.hold`."""
        with self._releasing([self.acquire(name, *arguments, **options)]) as (lease,):
            yield lease

    @contextmanager
    def hold_all(self, *arguments: Any, **options: Any) -> Iterator[list[Lease]]:
        """Hold several leases inside a `with`; see `Leases.hold_all`."""
        with self._releasing(self.acquire_all(*arguments, **options)) as leases:
            yield leases

    @contextmanager
    def _releasing(self, leases: list[Lease]) -> Iterator[list[Lease]]:
        try:
            yield leases
        except BaseException as error:
            with milder_than(error):
                self._release_all(leases)
            raise
        self._release_all(leases)

    def _release_all(self, leases: list[Lease]) -> None:
        from swarm_memory.errors import LeaseLostError

        gone = None
        for lease in reversed(leases):
            try:
                self.release(lease)
            except LeaseLostError:
                gone = lease
        if gone is not None:
            raise lost(gone)

    def held(self, name: str, token: int) -> Lease:
        """Return a lease that this agent holds; see `Leases.held`."""
        return self._lease(self._call("held", name, token))

    def renew(self, lease: Lease, ttl_s: float | None = None) -> None:
        """Begin a lease's time to live anew; see `Lease.renew`."""
        self._update(lease, self._call("renew", lease, lease.ttl_s if ttl_s is None else ttl_s))

    def upgrade(
        self, lease: Lease, mode: str = "exclusive", *, wait_s: float | None = None
    ) -> None:
        """Turn a read lease into another one; see `Lease.upgrade`."""
        self._update(lease, self._call("upgrade", lease, mode, wait_s=wait_s))

    def release(self, lease: Lease) -> bool:
        """Give up a lease; see `Lease.release`."""
        if lease._released:
            return False
        self._call("release", lease)
        if self._wire.transaction is None:  # a transaction may run again and release again
            lease._released = True
        return True

    def _lease(self, held: shapes.HeldLease) -> Lease:
        wish = _Wish(held.name, held.holder, held.mode, round(held.ttl_s * 1000))
        home: Any = self
        return Lease(home, wish, held.owner, held.token, held.expires_ms)

    def _update(self, lease: Lease, held: shapes.HeldLease) -> None:
        for field in ("holder", "mode", "token", "expires_ms", "ttl_s"):
            setattr(lease, field, getattr(held, field))


class _Wish:
    def __init__(self, name: str, holder: str, mode: str, ttl_ms: int) -> None:
        self.name = name
        self.holder = holder
        self.mode = mode
        self.ttl_ms = ttl_ms


class RemoteMessages(Remote):
    """The messages of one swarm."""

    def send(self, body: Json, **options: Any) -> Any:
        """Send a message; see `Messages.send`."""
        (sent,) = self._call("send_many", [body], **options)
        return sent

    def request(self, *arguments: Any, **options: Any) -> Message:
        """Send a message and return its answer; see `Messages.request`."""
        return self._at_home([self._call("request", *arguments, **options)])[0]

    def claim(self, *arguments: Any, **options: Any) -> list[Message]:
        """Return messages that nobody else has; see `Messages.claim`."""
        return self._at_home(self._call("claim", *arguments, **options))

    def inbox(self, *arguments: Any, **options: Any) -> list[Message]:
        """Return what could be claimed; see `Messages.inbox`."""
        return self._at_home(self._call("inbox", *arguments, **options))

    def dead(self, *arguments: Any, **options: Any) -> list[Message]:
        """Return messages that failed every attempt; see `Messages.dead`."""
        return self._at_home(self._call("dead", *arguments, **options))

    def _at_home(self, messages: list[Message]) -> list[Message]:
        home: Any = self
        for message in messages:
            message._home = home
        return messages


class RemoteSessions(Remote):
    """The sessions of one swarm."""

    def begin(self, session_id: str | None = None, **options: Any) -> Any:
        """Begin a session; see `Sessions.begin`.

        One of a process is told by its time to live alone: from there nobody sees processes here.
        """
        return self._call("begin", session_id, **options | {"kind": LOGICAL})


class RemoteFinder(Remote):
    """The search of one swarm."""

    def search(self, query: str, **options: Any) -> Hits:
        """Return records that answer a question; see `Search.search`."""
        found = self._wire.call(BY_NAME["swarm.search"], query, **options)
        hits = Hits(found.hits)
        hits.complete, hits.damaged = found.complete, found.damaged
        return hits


class RemoteEvents(Remote):
    """The change log of one swarm."""

    def watch(
        self, prefix: str = "", *, since: int | None = None, timeout_s: float | None = None
    ) -> Iterator[Event]:
        """Iterate over changes as they are committed; see `Events.watch`.

        It goes on through breaks of the connection, where it left off.
        """
        check_prefix(prefix)
        start = self._call("newest") if since is None else since
        return self._follow(prefix, start, timeout_s)

    def _follow(self, prefix: str, seq: int, timeout_s: float | None) -> Iterator[Event]:
        heard_s = time.monotonic()
        while True:
            query: dict[str, Any] = {"prefix": prefix, "since": seq}
            if timeout_s is not None:
                query["timeout_s"] = timeout_s
            wire = self._wire
            path = f"{wire.base}/events/stream"
            asked = Asked("GET", path, query, None, wire.headers, True)
            try:
                for kind, data in wire.client.stream(asked, SILENCE_S + (timeout_s or 0.0)):
                    if kind == "error":
                        raise raised(orjson.loads(data))
                    event = Event(**orjson.loads(data))
                    seq, heard_s = event.seq, time.monotonic()
                    yield event
                if timeout_s is not None:
                    return
            except CursorExpiredError:
                raise
            except EngineUnavailableError:
                if timeout_s is not None and time.monotonic() - heard_s > timeout_s + SILENCE_S:
                    raise
            time.sleep(RETRY_S)
