"""A store behind a server, to check `Swarm.open("http://…")` with the same conformance suite."""

from __future__ import annotations

import threading
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.routing import Mount

from swarm_memory.doors.http.api.routes import Api
from swarm_memory.doors.http.serving import bound, url_of
from swarm_memory.doors.http.streams import Streams
from swarm_memory.swarm import Swarm
from swarm_memory.testing import Store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from swarm_memory.model import Json


class Server:
    """The API on a store, served by a thread of this process on a free port until `close`.

    Args:
        open_store: Opens the store.
    """

    def __init__(self, open_store: Callable[[], Swarm]) -> None:
        api, self._streams = Api(open_store), Streams()

        @asynccontextmanager
        async def life(_: Starlette) -> AsyncIterator[None]:
            async with anyio.create_task_group() as group:
                api.start(group)
                try:
                    yield
                finally:
                    group.cancel_scope.cancel()
                    with anyio.CancelScope(shield=True):
                        await api.close()

        app = Starlette(
            routes=[Mount("/v1", api.app(self._streams.around))],
            lifespan=life,
            exception_handlers={HTTPException: api.refuse},
        )
        self._listening = bound("127.0.0.1", 0, None)
        self.url = url_of(self._listening)
        self._server = uvicorn.Server(
            uvicorn.Config(app, lifespan="on", ws="none", log_level="warning", access_log=False)
        )
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [self._listening]}, daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """End it and wait for that."""
        self._server.should_exit = True
        self._thread.join()
        self._listening.close()


class ServedStore(Store):
    """A store to check an API with: each door is over HTTP, to a server of its own."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._servers: list[Server] = []

    def open(self, agent: str = "a", swarm: str = "s", settings: Json = None, **more: Any) -> Swarm:
        """Return a door to the store over HTTP; `settings` are the server's."""
        opened = super().open
        server = Server(lambda: opened(agent, swarm, settings))
        self._servers.append(server)
        door = Swarm.open(server.url, agent=agent, swarm=swarm, **more)
        self._doors.append(door)
        return door

    def close(self) -> None:
        """Close all doors, then the servers, which close their stores."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        super().close()
