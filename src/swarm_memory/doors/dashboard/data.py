"""What the pages ask beyond the API: one question each, answered by `overview`, and only read.

Many people look at the same moment: what they all ask for is answered once for all of them.
"""

from __future__ import annotations

import time
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import anyio
import orjson
from anyio import to_thread
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from swarm_memory.doors.dashboard.files import HEADERS
from swarm_memory.doors.dashboard.news import News
from swarm_memory.doors.http.api.calls import Caller
from swarm_memory.doors.http.api.models import Text
from swarm_memory.errors import HTTP_STATUS, InvalidArgumentError, SwarmMemoryError
from swarm_memory.lean import NamedTuple
from swarm_memory.wire.limits import NAME

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from swarm_memory.doors.http.api.calls import Calls
    from swarm_memory.overview import Overview
    from swarm_memory.swarm import Swarm

    Asked = Callable[[Request], Awaitable[Any]]

BASE = "/ui/data"
AGENT = "dashboard"  # by whose name is looked
WORKING_MAX = 8  # questions at once
SHARED_S = 0.5  # so long an answer serves others who ask the same
SHARED_MAX = 256
SWARM = Text("swarm", NAME)
WHOLE_MAX = 2**53  # what a browser tells apart


class Question(NamedTuple):
    """One question: how it is answered, by which parameters ("text", "whole" or "switch"), and
    whether many ask it again and again.
    """

    answer: Callable[..., Any]
    parameters: dict[str, str]
    shared: bool = False


def _questions() -> dict[str, Question]:
    from swarm_memory.overview import Overview

    return {
        "now": Question(Overview.now, {}, shared=True),
        "kinds": Question(Overview.kinds, {}, shared=True),
        "activity": Question(Overview.activity, {}, shared=True),
        "latest": Question(Overview.latest, {"telemetry": "switch", "limit": "whole"}, shared=True),
        "level": Question(Overview.level, {"prefix": "text", "after": "text", "limit": "whole"}),
        "record": Question(Overview.record, {"key": "text"}),
        "version": Question(Overview.at_version, {"key": "text", "version": "whole"}),
        "conflicts": Question(Overview.conflicts, {"limit": "whole"}, shared=True),
        "messages": Question(Overview.messages, {"limit": "whole"}, shared=True),
        "locks": Question(Overview.locks, {}, shared=True),
        "learning": Question(Overview.learning, {}, shared=True),
        "insights": Question(Overview.insights, {}, shared=True),
        "condition": Question(Overview.condition, {}, shared=True),
        "shown": Question(
            Overview.shown,
            {"agent": "text", "kind": "text", "item": "text", "before": "whole", "limit": "whole"},
        ),
    }


QUESTIONS = _questions()


class Pages:
    """What the pages ask: the routes below `/ui/data`.

    Args:
        calls: What opens doors to the store.
        swarm: Which one is shown at first.
        acts: Whether the pages may change anything: there is a token.
    """

    def __init__(self, calls: Calls, *, swarm: str, acts: bool) -> None:
        self._calls = calls
        self._swarm = swarm
        self._acts = acts
        self._news = News()
        self._shared: dict[Any, _Shared] = {}
        self._working = anyio.CapacityLimiter(WORKING_MAX)

    def start(self, group: Any) -> None:
        """Let what follows the store run in a task group."""
        self._news.start(group)

    def routes(self, lasting: Callable[[ASGIApp], ASGIApp]) -> list[Route]:
        """Return the routes; `lasting` is put around what may stay open."""
        news = Route(f"{BASE}/swarms/{{swarm}}/news", _guarded(self._follow))
        news.app = lasting(news.app)
        return [
            Route(f"{BASE}/start", _guarded(self._start)),
            news,
            Route(f"{BASE}/swarms/{{swarm}}/{{question}}", _guarded(self._answer)),
        ]

    async def _start(self, _: Request) -> Response:
        """Answer what the frame has to know before any page."""

        def look() -> Any:
            return self._overview(self._swarm).swarms()

        # Those whose names stand in no path of a URL are for the command line.
        swarms = [name for name in await self._once(("swarms",), look) if _fits(name)]
        start = {"swarm": self._swarm, "swarms": swarms, "acts": self._acts}
        return _json(start | {"version": version("swarm-memory")})

    async def _answer(self, request: Request) -> Response:
        name, swarm = request.path_params["question"], request.path_params["swarm"]
        question = QUESTIONS.get(name)
        if question is None:
            return _json({"error": "not_found", "message": "no such question", "hint": ""}, 404)
        given = _given(question, dict(request.query_params))

        def look() -> Any:
            return question.answer(self._overview(swarm), **given)

        if question.shared:
            told_s = self._news.last_s(swarm)
            return _json(await self._once((swarm, name, tuple(given.items())), look, told_s))
        return _json(await to_thread.run_sync(look, limiter=self._working))

    async def _follow(self, request: Request) -> Response:
        swarm = request.path_params["swarm"]
        door = await to_thread.run_sync(partial(self._door, swarm), limiter=self._working)
        told = self._news.told(door)
        return StreamingResponse(told, headers=HEADERS, media_type="text/event-stream")

    async def _once(self, key: Any, look: Callable[[], Any], since_s: float = 0.0) -> Any:
        """Return an answer that is no older than `SHARED_S`, nor than `since_s`.

        Who asks while it is looked for waits for it. Whoever was told that something is new must
        not get what was looked for before.
        """
        while len(self._shared) >= SHARED_MAX:
            del self._shared[next(iter(self._shared))]
        shared = self._shared.setdefault(key, _Shared())
        async with shared.lock:
            now_s = time.monotonic()
            if shared.at_s < max(now_s - SHARED_S, since_s):
                shared.answer = await to_thread.run_sync(look, limiter=self._working)
                shared.at_s = now_s  # it was looked for later than this
        return shared.answer

    def _overview(self, swarm: str) -> Overview:
        return self._door(swarm).overview

    def _door(self, swarm: str) -> Swarm:
        return self._calls.door(Caller(SWARM.check(swarm), AGENT))


class _Shared:
    """An answer, when it was given, and who is at it."""

    __slots__ = ("answer", "at_s", "lock")

    def __init__(self) -> None:
        self.answer: Any = None
        self.at_s = float("-inf")
        self.lock = anyio.Lock()


def _fits(name: str) -> bool:
    try:
        SWARM.check(name)
    except InvalidArgumentError:
        return False
    return True


def _given(question: Question, query: dict[str, str]) -> dict[str, Any]:
    """Return the arguments that a query says, by the names of the parameters.

    Raises:
        InvalidArgumentError: One is unknown, or not what it should be.
    """
    given: dict[str, Any] = {}
    for name, text in query.items():
        kind = question.parameters.get(name)
        if kind is None:
            known = ", ".join(question.parameters) or "none"
            raise InvalidArgumentError(f"parameter {name!r:.80}", hint=f"known: {known}")
        if kind == "text":
            given[name] = text
        elif kind == "switch":
            given[name] = text != "0"
        elif text.isascii() and text.isdecimal() and len(text) < 20 and int(text) <= WHOLE_MAX:
            given[name] = int(text)
        else:
            raise InvalidArgumentError(f"{name} {text!r:.80}", hint="give a whole number")
    missing = [n for n in ("key", "version") if n in question.parameters and n not in given]
    if missing:
        raise InvalidArgumentError(f"no {missing[0]}", hint=f"?{missing[0]}=…")
    return given


def _guarded(endpoint: Asked) -> Asked:
    """Return an endpoint whose errors are responses of the form that the API's have."""

    async def answer(request: Request) -> Any:
        try:
            return await endpoint(request)
        except SwarmMemoryError as error:
            return _json(error.to_dict(), HTTP_STATUS[error.code])

    return answer


def _json(shown: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(shown), status, HEADERS, media_type="application/json")
