"""The routes of the API: a request becomes a verb and its arguments, a result becomes JSON."""

from __future__ import annotations

import time
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import anyio
import orjson
from anyio import to_thread
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Match, Route, Router, request_response

from swarm_memory.doors.http.api.answers import ASKED_S_MAX, WAITING, Answers
from swarm_memory.doors.http.api.calls import Caller, Calls
from swarm_memory.doors.http.api.feed import Feeds
from swarm_memory.doors.http.api.models import Text, checked
from swarm_memory.doors.http.api.openapi import document
from swarm_memory.doors.http.api.puts import Puts
from swarm_memory.doors.http.api.transactions import Transactions
from swarm_memory.errors import (
    HTTP_STATUS,
    InvalidArgumentError,
    NotFoundError,
    SwarmMemoryError,
)
from swarm_memory.wire.limits import NAME, PREFIX, WHOLE_MAX, text
from swarm_memory.wire.shapes import arguments, encode
from swarm_memory.wire.verbs import KEPT, VERBS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable

    from starlette.types import ASGIApp

    from swarm_memory.swarm import Swarm
    from swarm_memory.wire.verbs import Verb

    Endpoint = Callable[[Request], Awaitable[Response]]

BASE = "/swarms/{swarm}"  # below /v1
JSON = "application/json"
CALLER = {name: f"swarm-{name}" for name in ("agent", "session", "origin", "flow")}
KEY, MATCH, NONE_MATCH, LAST = "idempotency-key", "if-match", "if-none-match", "last-event-id"
HEADERS = {name.encode(): name for name in (*CALLER.values(), KEY, MATCH, NONE_MATCH, LAST)}
DURABILITIES = ("full", "relaxed")
NAMES = {
    "swarm": Text("swarm", NAME),
    "transaction": Text("transaction", NAME),
    "agent": Text("Swarm-Agent", text(100)),
    "session": Text("Swarm-Session", text(100)),
    "key": Text("Idempotency-Key", text(100)),
    "op_id": Text("op_id", text(100)),
}
WORKING_MAX = 40  # calls at once; those of a store that writes stand in line there
WAITING_MAX = 200  # calls that may wait for something: a lease, a message, an answer
VERSIONED = ("records.get", "records.put", "records.rollback")  # what is returned has an ETag
ALIVE_S = 15.0  # between two signs of life of a stream


class Api:
    """The API on one store: its routes, and what lives as long as the server."""

    def __init__(self, open_store: Callable[[], Swarm], *, ticks: bool = False) -> None:
        self._calls = Calls(open_store, ticks=ticks)
        self._answers = Answers()
        self._transactions = Transactions()
        self._feeds = Feeds()
        self._puts = Puts()
        self._all: list[Route] = []
        self._working = anyio.CapacityLimiter(WORKING_MAX)
        self._waiting = anyio.CapacityLimiter(WAITING_MAX)

    @property
    def calls(self) -> Calls:
        """What opens doors to the store, for who looks at it beside the API."""
        return self._calls

    def start(self, group: Any) -> None:
        """Let what works in the background run in a task group."""
        self._feeds.start(group)
        self._answers.start(group)
        self._puts.start(group)

    async def close(self) -> None:
        """Undo open transactions and close the store."""
        self._feeds.end()
        await to_thread.run_sync(self._transactions.close)
        await to_thread.run_sync(self._calls.close)

    def app(self, lasting: Callable[[ASGIApp], ASGIApp]) -> Router:
        """Return the application, to be mounted at `/v1`.

        What it raises for a path or a method that it does not have is for `refuse`.

        Args:
            lasting: What is put around routes that may be open for long, and end with the server.
        """
        self._all = self._routes(lasting)
        return Router(self._all)

    async def refuse(self, request: Request, error: Exception) -> Response:
        """Answer what no route takes: 404, or 405 with what may be asked there."""
        status: int = getattr(error, "status_code", 404)
        if not request.url.path.startswith("/v1/"):
            return PlainTextResponse(getattr(error, "detail", ""), status)
        allowed: set[str] = set()
        below = dict(request.scope) | {"root_path": "/v1"}
        for route in self._all:
            match, _ = route.matches(below)
            if match is not Match.NONE:
                allowed |= route.methods or set()
        if status == 405 and allowed:
            hint = ", ".join(sorted(allowed))
            refused: SwarmMemoryError = InvalidArgumentError(f"method {request.method}", hint=hint)
            return _json(_shown(refused), 405, {"Allow": hint})
        refused = NotFoundError("no such path", hint="see /v1/openapi.json")
        return _json(_shown(refused), status)

    def _routes(self, lasting: Callable[[ASGIApp], ASGIApp]) -> list[Route]:
        """Return all routes, those that are asked for most first."""
        begin, one = f"{BASE}/transactions", f"{BASE}/transactions/{{transaction}}"

        def route(path: str, method: str, endpoint: Endpoint, lasts: bool = False) -> Route:
            answer = _guarded(endpoint)
            app: Any = lasting(request_response(answer)) if lasts else answer
            return Route(path, app, methods=[method])

        # A key has slashes of its own, so what ends in one comes after all else.
        verbs = sorted(VERBS, key=lambda verb: verb.path.endswith("{conflict_id}"))
        return [
            *[
                route(
                    BASE + verb.path.replace("{key}", "{key:path}"),
                    verb.method,
                    partial(self._verb, verb),
                    verb.waits is not None,
                )
                for verb in verbs
            ],
            route(f"{BASE}/events/stream", "GET", self._stream, lasts=True),
            route(f"{BASE}/config", "GET", self._config),
            route(begin, "POST", self._begin),
            route(one, "POST", self._call),
            route(f"{one}/commit", "POST", self._commit),
            route(one, "DELETE", self._undo),
            Route("/openapi.json", _openapi),
        ]

    # --- verbs ---

    async def _verb(self, verb: Verb, request: Request) -> Response:
        caller, op_id = _caller(request), _headers(request).get(KEY)
        if op_id is not None:
            NAMES["key"].check(op_id)
        given = checked(verb, await _given(verb, request))
        if verb.retry != KEPT:
            run = partial(self._calls.run, caller, verb, given, op_id)
            if verb.full_name == "records.get" and self._calls.at_hand(caller) is not None:
                # A read of one record takes less than to have a thread do it.
                return _result(verb, run(), request)
            if verb.full_name == "records.put" and "durability" not in given:
                door = self._calls.at_hand(caller)
                if door is not None:
                    named = given if op_id is None else given | {"op_id": op_id}
                    return _result(verb, await self._puts.put(door, named), request)
            result = await to_thread.run_sync(run, limiter=self._working)
            return _result(verb, result, request)
        if op_id is None:
            if verb.waits is not None:  # nobody can ask again for what bears no key
                given = {verb.waits: ASKED_S_MAX} | given
                given[verb.waits] = min(given[verb.waits] or 0.0, ASKED_S_MAX / 2)
            result = await self._attempt(caller, verb, given, lambda: False)
            return _result(verb, result, request)
        asked = (verb.full_name, orjson.dumps(given, default=encode))
        key = (*caller[:4], op_id)
        result = await self._answers.once(key, asked, partial(self._attempt, caller, verb, given))
        if result is WAITING:
            return _json({"waiting": True}, 202, {"Retry-After": "0"})
        return _result(verb, result, request)

    async def _attempt(
        self, caller: Caller, verb: Verb, given: dict[str, Any], abandoned: Callable[[], bool]
    ) -> Any:
        waits = verb.waits is not None
        if "given_up" in verb.hidden:
            given = given | {"given_up": abandoned}
        return await to_thread.run_sync(
            partial(self._calls.run, caller, verb, given),
            limiter=self._waiting if waits else self._working,
            abandon_on_cancel=waits,
        )

    # --- transactions ---

    async def _begin(self, request: Request) -> Response:
        caller, about = _caller(request), await _body(request)
        known = {"read": bool, "durable": bool, "op_id": str, "name": str, "durability": str}
        if "op_id" in about and isinstance(about["op_id"], str):
            NAMES["op_id"].check(about["op_id"])
        if about.get("durability", "full") not in DURABILITIES:
            raise InvalidArgumentError("durability", hint=" or ".join(DURABILITIES))
        for name, value in about.items():
            if name != "about" and (name not in known or not isinstance(value, known[name])):
                raise InvalidArgumentError(f"{name} {value!r}", hint=f"known: {', '.join(known)}")
        door = await to_thread.run_sync(self._calls.door, caller)
        begun = await to_thread.run_sync(
            self._transactions.begin, door, about, limiter=self._waiting
        )
        return _json(begun, 201)

    async def _call(self, request: Request) -> Response:
        step, transaction = await _body(request), _transaction(request)
        name, given = step.get("verb"), step.get("arguments", {})
        if (
            not isinstance(name, str)
            or not isinstance(given, dict)
            or not step.keys() <= {"verb", "arguments"}
        ):
            raise InvalidArgumentError(
                "a step of a transaction", hint='{"verb": "records.put", "arguments": {…}}'
            )
        result = await to_thread.run_sync(
            self._transactions.call, transaction, name, given, limiter=self._waiting
        )
        return _json({"result": result})

    async def _commit(self, request: Request) -> Response:
        body, transaction = await _body(request), _transaction(request)
        if not body.keys() <= {"result"}:
            raise InvalidArgumentError("the body of a commit", hint='{"result": …} or nothing')
        result = body.get("result")
        result = await to_thread.run_sync(
            self._transactions.commit, transaction, result, limiter=self._waiting
        )
        return _json({"result": result})

    async def _undo(self, request: Request) -> Response:
        await to_thread.run_sync(
            self._transactions.undo, _transaction(request), limiter=self._waiting
        )
        return Response(status_code=204)

    # --- what is no verb ---

    async def _config(self, request: Request) -> Response:
        door = await to_thread.run_sync(self._calls.door, _caller(request))
        shown = door.config.to_dict()
        # Only the server delivers, and such a URL is often a secret.
        shown["settings"] |= {"alert_webhook": ""}
        return _json(shown)

    async def _stream(self, request: Request) -> Response:
        given = _stream_arguments(request)
        door = await to_thread.run_sync(self._calls.door, _caller(request))
        events = self._feeds.events(door, *given)
        first = await anext(events, _ENDED)  # an error now is a response of its own
        return StreamingResponse(_told(events, first), media_type="text/event-stream")


_ENDED = object()


async def _told(events: AsyncGenerator[Any, None], first: Any) -> AsyncIterator[bytes]:
    """Return events as server-sent ones; the id of each is where to go on."""
    async with aclosing(events):
        async for line in _lines(events, first):
            yield line


async def _lines(events: AsyncGenerator[Any, None], first: Any) -> AsyncIterator[bytes]:
    said_s = 0.0
    event = first
    while event is not _ENDED:
        if event is not None:
            yield b"id: %d\ndata: %s\n\n" % (event.seq, orjson.dumps(event.to_dict()))
            said_s = time.monotonic()
        elif time.monotonic() - said_s >= ALIVE_S:
            yield b":\n\n"
            said_s = time.monotonic()
        try:
            event = await anext(events, _ENDED)
        except SwarmMemoryError as error:
            yield b"event: error\ndata: %s\n\n" % orjson.dumps(_shown(error))
            return


def _stream_arguments(request: Request) -> tuple[str, int | None, float | None]:
    import re

    query = dict(request.query_params)
    said = query.pop("since", None) or _headers(request).get(LAST)
    idle = query.pop("timeout_s", None)
    prefix = query.pop("prefix", "")
    if query:
        raise InvalidArgumentError(f"{', '.join(query)}", hint="prefix, since and timeout_s")
    if not re.fullmatch(PREFIX, prefix):
        raise InvalidArgumentError(f"prefix {prefix!r}", hint="such as notes/")
    if said is not None and not (said.isascii() and said.isdecimal() and int(said) <= WHOLE_MAX):
        raise InvalidArgumentError(f"since {said!r}", hint="the seq of an event")
    try:
        idle_s = None if idle is None else float(idle)
    except ValueError:
        idle_s = -1.0
    if idle_s is not None and not 0 <= idle_s <= 86_400:
        raise InvalidArgumentError(f"timeout_s {idle!r}", hint="0 to 86400 seconds")
    return prefix, None if said is None else int(said), idle_s


def _guarded(endpoint: Endpoint) -> Endpoint:
    """Return an endpoint whose errors are responses."""

    async def answer(request: Request) -> Response:
        try:
            return await endpoint(request)
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is left to read it
        except SwarmMemoryError as error:
            status = HTTP_STATUS[error.code]
            headers = {"Retry-After": "1"} if status == 503 else None
            return _json(_shown(error), status, headers)

    return answer


def _shown(error: SwarmMemoryError) -> dict[str, Any]:
    """Return an error with the fields by which a client raises it again."""
    fields = {n: v for n, v in vars(error).items() if n not in ("hint", "retryable")}
    return error.to_dict() | {"fields": fields}


async def _given(verb: Verb, request: Request) -> dict[str, Any]:
    """Return what a request gives, by the names of the verb's arguments."""
    given: dict[str, Any] = {n: v for n, v in request.path_params.items() if n != "swarm"}
    if verb.method in ("GET", "DELETE"):
        given |= dict(request.query_params)
    else:
        given |= await _body(request)
    if verb.service == "records" and "expect" in arguments(verb):
        expect = _expected(request)
        if expect is not None:
            given["expect"] = expect
    return given


def _expected(request: Request) -> int | None:
    """Return the version that a request's conditions ask for."""
    said_all = _headers(request)
    unless = said_all.get(NONE_MATCH)
    if unless == "*":
        return 0
    if unless is not None:
        raise InvalidArgumentError(f"If-None-Match {unless!r}", hint="* if it must not exist")
    said = said_all.get(MATCH)
    if said is None:
        return None
    digits = said.strip().removeprefix('"').removesuffix('"')
    if not (digits.isascii() and digits.isdecimal() and len(digits) <= 18):
        raise InvalidArgumentError(f"If-Match {said!r}", hint='the ETag of a record, such as "3"')
    return int(digits)


async def _body(request: Request) -> dict[str, Any]:
    raw = await request.body()
    if not raw:
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        # A page of another port of this machine can send other types without being asked.
        raise InvalidArgumentError(f"a body of type {kind!r}", hint=f"give {JSON}")
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise InvalidArgumentError(f"the body is no JSON: {error}", hint="give an object") from None
    if not isinstance(body, dict):
        raise InvalidArgumentError("the body is no object", hint='give {"name": value, …}')
    return body


def _caller(request: Request) -> Caller:
    said = _headers(request)
    named = {name: said[header] for name, header in CALLER.items() if header in said}
    for name in ("agent", "session"):
        if name in named:
            NAMES[name].check(named[name])
    return Caller(NAMES["swarm"].check(request.path_params["swarm"]), **named)


def _transaction(request: Request) -> str:
    _caller(request)  # a request that names nobody is refused, whatever it is about
    return NAMES["transaction"].check(request.path_params["transaction"])


def _headers(request: Request) -> dict[str, str]:
    """Return the headers that mean something here; what is no ASCII is percent-encoded in them."""
    said = {}
    for raw, value in request.scope["headers"]:
        if raw in HEADERS:
            text = value.decode("latin-1")
            said[HEADERS[raw]] = unquote(text) if "%" in text else text
    return said


def _result(verb: Verb, result: Any, request: Request) -> Response:
    if verb.full_name not in VERSIONED:
        return _json(encode(result))
    if result is None:
        key = request.path_params["key"]
        shown = {"error": "not_found", "message": f"{key} does not exist", "retryable": False}
        return _json(shown | {"hint": "GET records lists what there is", "fields": {}}, 404)
    tag = f'"{result.version}"'
    if verb.method == "GET" and request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers={"ETag": tag})
    return _json(encode(result), headers={"ETag": tag})


def _json(shown: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(orjson.dumps(shown), status, headers, media_type=JSON)


async def _openapi(_: Request) -> Response:
    return _json(document())
