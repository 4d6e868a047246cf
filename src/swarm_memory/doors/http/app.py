"""The application: all routes of the server, behind one guard, with one life."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import anyio
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import Mount, Route

from swarm_memory.doors.dashboard.data import Pages
from swarm_memory.doors.dashboard.files import Files
from swarm_memory.doors.http.api.calls import Caller
from swarm_memory.doors.http.api.routes import Api
from swarm_memory.doors.http.guard import HEALTH, Guard
from swarm_memory.doors.http.hooks import HookRoute
from swarm_memory.doors.http.metrics import AGENT, MetricsRoute
from swarm_memory.doors.http.streams import Streams
from swarm_memory.doors.mcp.acting import CLAUDE_SESSION, named_in
from swarm_memory.doors.mcp.http import HERE, Trimmed, http_app
from swarm_memory.lean import NamedTuple
from swarm_memory.swarm import Swarm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping, Sequence

    from starlette.requests import Request
    from starlette.types import ASGIApp

    from swarm_memory.doors.mcp.acting import Named


class Served(NamedTuple):
    """An ASGI application, and what to call when it is to end: streams then do."""

    app: ASGIApp
    end: Callable[[], None]


def make_app(
    environment: Mapping[str, str],
    *,
    names: Sequence[str] = (),
    token: str | None = None,
    rate: float | None = None,
    everything: bool = False,
) -> Served:
    """Return the application of all routes; its lifespan opens and closes what they need.

    Args:
        environment: The variables that hooks and MCP are told by; SWARM_MEMORY_URL makes one
            store of all projects.
        names: What the server is called in requests, beside the names of this machine.
        token, rate: See `Guard`.
        everything: Offer all tools of MCP and not only the default ones.
    """
    known = list(dict.fromkeys([*HERE, *(name.lower() for name in names)]))
    hooks = HookRoute(environment)
    named = _named(environment)
    mcp = http_app(named, everything=everything, names=known)
    api = Api(lambda: Swarm.open(named.url, swarm=named.swarm), ticks=True)
    files = Files()
    pages = Pages(api.calls, swarm=named.swarm, acts=token is not None)

    @asynccontextmanager
    async def life(_: Starlette) -> AsyncIterator[None]:
        async with mcp.router.lifespan_context(mcp), anyio.create_task_group() as group:
            group.start_soon(hooks.sweep)
            api.start(group)
            pages.start(group)
            try:
                yield
            finally:
                group.cancel_scope.cancel()
                with anyio.CancelScope(shield=True):
                    await hooks.close()
                    await api.close()

    streams = Streams()
    metrics = MetricsRoute(lambda: api.calls.door(Caller(named.swarm, AGENT)))
    routes = [
        Route(HEALTH, _health),
        *hooks.routes(),
        *metrics.routes(),
        Mount("/v1", api.app(streams.around)),
        *files.routes(),
        *pages.routes(streams.around),
        Mount("/", streams.around(mcp)),
    ]
    app = Starlette(routes=routes, lifespan=life, exception_handlers={HTTPException: api.refuse})
    return Served(Trimmed(Guard(app, known, token, rate, files.paths)), streams.end)


def _named(environment: Mapping[str, str]) -> Named:
    """Return what MCP is told: not the session in which somebody happened to start the server."""
    named = named_in({n: value for n, value in environment.items() if n != CLAUDE_SESSION})
    return named._replace(url=environment.get("SWARM_MEMORY_URL"))


async def _health(_: Request) -> JSONResponse:
    """Say that the server runs; no store is asked."""
    return JSONResponse({"status": "ok", "server": "swarm-memory"})
