"""The feed: whoever subscribed to a resource hears of its changes, whatever process made them.

One task follows the store's change log while anybody is subscribed. A change is told by URI only
and may be told once for several: it says that reading anew is worth while.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread
from mcp.server.subscriptions import (
    InMemorySubscriptionBus,
    ListenHandler,
    ResourcesListChanged,
    ResourceUpdated,
)
from mcp_types import EmptyResult

from swarm_memory.doors.mcp import resources
from swarm_memory.errors import CursorExpiredError, SwarmMemoryError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from mcp.server import ServerRequestContext
    from mcp.server.session import ServerSession
    from mcp_types import (
        SubscribeRequestParams,
        SubscriptionsListenRequestParams,
        SubscriptionsListenResult,
        UnsubscribeRequestParams,
    )

    from swarm_memory.doors.mcp.acting import Acting
    from swarm_memory.model import Event

    Context = ServerRequestContext[Any, Any]

LOOK_S = 0.25  # how long one look at the log waits for a change; the end of the server waits too
RETRY_S = 1.0  # after the store could not be read
EVENTS_MAX = 1000  # of one look
SUBSCRIBED_MAX = 4096  # URIs, over all clients
GONE = {"delete", "expire"}


class Feed:
    """Subscriptions to resources, in both ways of the protocol, and what feeds them."""

    def __init__(self, acting: Acting) -> None:
        self._acting = acting
        self._bus = InMemorySubscriptionBus()
        self._listen = ListenHandler(self._bus)
        self._streams: Counter[str] = Counter()
        self._listeners = 0
        self._sessions: dict[str, list[ServerSession]] = {}
        self._limiter = anyio.CapacityLimiter(1)
        self._needed = anyio.Event()
        self._cursor: int | None = None

    # --- what clients ask for ---

    async def listen(
        self, context: Context, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Serve one stream of changes, from the protocol of 2026 on."""
        uris = list(params.notifications.resource_subscriptions or ())
        if not (uris or params.notifications.resources_list_changed):
            return await self._listen(context, params)  # tools and prompts do not change
        self._check(uris)
        await self._begin()
        self._streams.update(uris)
        self._listeners += 1
        try:
            return await self._listen(context, params)
        finally:
            self._listeners -= 1
            self._streams.subtract(uris)
            self._streams += Counter()  # forget those that nobody hears any more

    async def subscribe(self, context: Context, params: SubscribeRequestParams) -> EmptyResult:
        """Subscribe a connection to a resource, in the protocols before that."""
        uri = str(params.uri)
        self._check([uri])
        await self._begin()
        sessions = self._sessions.setdefault(uri, [])
        if not any(same(session, context.session) for session in sessions):
            sessions.append(context.session)
        return EmptyResult()

    async def unsubscribe(self, context: Context, params: UnsubscribeRequestParams) -> EmptyResult:
        """End what `subscribe` began; harmless where nothing was begun."""
        uri = str(params.uri)
        left = [s for s in self._sessions.pop(uri, []) if not same(s, context.session)]
        if left:
            self._sessions[uri] = left
        return EmptyResult()

    def _check(self, uris: Iterable[str]) -> None:
        subscribed = self._streams.keys() | self._sessions.keys() | set(uris)
        for uri in uris:
            resources.parse(uri)
        if len(subscribed) > SUBSCRIBED_MAX:
            raise resources.refused(f"more than {SUBSCRIBED_MAX} resources are subscribed to")

    async def _begin(self) -> None:
        """Follow the log from now on, if nobody does yet."""
        if self._cursor is None:
            self._cursor = await to_thread.run_sync(self._newest, limiter=self._limiter)
        self._needed.set()

    def _newest(self) -> int:
        return self._acting.swarm().events.newest()

    # --- what feeds them ---

    async def run(self) -> None:
        """Follow the change log for as long as anybody is subscribed, until cancelled."""
        while True:
            await self._needed.wait()
            if not (self._listeners or self._sessions):
                self._needed, self._cursor = anyio.Event(), None
                continue
            try:
                events = await to_thread.run_sync(self._look, limiter=self._limiter)
            except CursorExpiredError:
                # What was missed is not known, so everything may have changed.
                self._cursor = await to_thread.run_sync(self._newest, limiter=self._limiter)
                await self._tell(self._streams.keys() | self._sessions.keys(), listed=True)
            except SwarmMemoryError:
                await anyio.sleep(RETRY_S)
            else:
                await self._tell_of(events)

    def _look(self) -> list[Event]:
        """Return what happened since the last look, waiting a moment for it."""
        swarm = self._acting.swarm()
        since = self._cursor or 0
        for _ in swarm.watch(since=since, timeout_s=LOOK_S):
            break
        events = swarm.events.since(since, limit=EVENTS_MAX)
        if events:
            self._cursor = events[-1].seq
        config = swarm.config
        return [event for event in events if not config.category_of(event.key).telemetry]

    async def _tell_of(self, events: list[Event]) -> None:
        if not events:
            return
        keys = {event.key for event in events}
        wanted = self._streams.keys() | self._sessions.keys()
        changed = {uri for uri in wanted if resources.covers(uri, keys)}
        listed = any(event.version == 1 or event.op in GONE for event in events)
        await self._tell(changed, listed=listed)

    async def _tell(self, uris: Iterable[str], *, listed: bool) -> None:
        if listed:
            await self._bus.publish(ResourcesListChanged())
        for uri in uris:
            await self._bus.publish(ResourceUpdated(uri))
            for session in list(self._sessions.get(uri, ())):
                try:
                    await session.send_resource_updated(uri)
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    self._sessions[uri].remove(session)  # its client has gone


def same(one: ServerSession, other: ServerSession) -> bool:
    """Tell whether two requests came over one connection."""
    # Each request has a session object of its own; the connection behind them is what lasts.
    return one._connection is other._connection
