"""The route of hooks: the JSON that a command hook gets on stdin in, what it prints out.

One server answers for several projects. Which one an event belongs to is told by its `cwd`: the
variable by which a command hook knows it is one of the agent's process and does not come along.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from anyio import to_thread
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from swarm_memory.doors.hooks import DURATION_S_MAX, answer, open_store
from swarm_memory.doors.http.stores import Stores

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager

    from starlette.requests import Request

    from swarm_memory.doors.hooks.event import Event
    from swarm_memory.doors.hooks.place import Place
    from swarm_memory.swarm import Swarm

PATH = "/hook"
WORKING_MAX = 8  # events at once; more only wait for each other in the store
SWEEP_S = 30.0  # between two looks at which stores are idle
JSON = "application/json"
# Of whoever started the server: an agent's session is told by its events.
_STARTERS = ("CLAUDE_PROJECT_DIR",)


class HookRoute:
    """Answers events in threads, from stores that stay open between them."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {n: value for n, value in environment.items() if n not in _STARTERS}
        self._stores = Stores(lambda url: open_store(url, self._environment, DURATION_S_MAX))
        self._working = anyio.CapacityLimiter(WORKING_MAX)

    def routes(self) -> list[Route]:
        """Return `POST /hook` and `POST /hook/{event}`."""
        paths = (PATH, f"{PATH}/{{event}}")
        return [Route(path, self._hook, methods=["POST"]) for path in paths]

    async def sweep(self) -> None:
        """Close idle stores, again and again until it is cancelled."""
        while True:
            await anyio.sleep(SWEEP_S)
            await to_thread.run_sync(self._stores.close_idle, limiter=self._working)

    async def close(self) -> None:
        """Close all stores."""
        await to_thread.run_sync(self._stores.close, limiter=self._working)

    async def _hook(self, request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != JSON:
            # A page of another port of this machine can send other types without being asked.
            return PlainTextResponse(f"give the event as {JSON}\n", 415)
        try:
            raw = await request.body()
        except ClientDisconnect:
            return Response(status_code=400)  # nobody is left to read it
        text = await to_thread.run_sync(
            answer,
            raw,
            request.path_params.get("event"),
            self._environment,
            self._lend,
            limiter=self._working,
        )
        return Response(text, media_type=JSON) if text else Response()

    def _lend(
        self, event: Event, place: Place, environment: Mapping[str, str]
    ) -> AbstractContextManager[Swarm]:
        return self._stores.lent(place.url, place.store)
