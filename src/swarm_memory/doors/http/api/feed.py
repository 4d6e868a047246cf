"""Changes as they happen: one thread follows a swarm's change log for all who listen to it."""

from __future__ import annotations

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import anyio
from anyio import to_thread

from swarm_memory.errors import SwarmMemoryError
from swarm_memory.key import in_prefix

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable

    from swarm_memory.model import Event
    from swarm_memory.swarm import Swarm

T = TypeVar("T")
LOG = logging.getLogger(__name__)
LOOK_S = 0.25  # how long one look waits for a change; the end of the server waits too
PAGE = 1000
BEHIND_MAX = 100  # looks that a listener has not heard of yet; then it reads for itself


class _Listener:
    """Somebody who listens: what he has to be told, or that he has to read for himself."""

    def __init__(self) -> None:
        self.send, self.receive = anyio.create_memory_object_stream[list["Event"]](BEHIND_MAX)
        self.missed = False

    def close(self) -> None:
        self.send.close()
        self.receive.close()


class _Follower:
    """Follows one swarm's log in a thread until nobody listens any more."""

    def __init__(self, door: Swarm) -> None:
        self.door = door
        self.listeners: set[_Listener] = set()
        self.ends = False

    async def run(self) -> None:
        cursor = await self._newest(0)
        self._all_missed()  # what came before this
        while not self.ends and self.listeners:
            try:
                events = await threaded(self._look, cursor)
            except Exception as error:
                # Gone too far back, or the store cannot be read.
                if not isinstance(error, SwarmMemoryError):
                    LOG.exception(
                        "the change log of %s cannot be followed", self.door.context.swarm
                    )
                await anyio.sleep(LOOK_S)
                events = []
                cursor = await self._newest(cursor)
                self._all_missed()
            if events:
                cursor = events[-1].seq
                self._tell(events)

    async def _newest(self, cursor: int) -> int:
        try:
            return await threaded(self.door.events.newest)
        except Exception:  # noqa: BLE001 the next look raises it again
            return cursor

    def _all_missed(self) -> None:
        for listener in self.listeners:
            listener.missed = True

    def _look(self, cursor: int) -> list[Event]:
        for _ in self.door.watch(since=cursor, timeout_s=LOOK_S):
            return self.door.events.since(cursor, limit=PAGE)
        return []

    def _tell(self, events: list[Event]) -> None:
        for listener in self.listeners:
            try:
                listener.send.send_nowait(events)
            except anyio.WouldBlock:
                listener.missed = True


class Feeds:
    """The followers of one server, by swarm."""

    def __init__(self) -> None:
        self._followers: dict[str, _Follower] = {}
        self._group: Any = None

    def start(self, group: Any) -> None:
        """Let followers run in a task group."""
        self._group = group

    async def events(
        self, door: Swarm, prefix: str, since: int | None, idle_s: float | None
    ) -> AsyncGenerator[Event | None, None]:
        """Iterate over a swarm's events under `prefix`; None now and then when nothing happens.

        Ends when nothing happened for `idle_s`.

        Raises:
            CursorExpiredError: `since` is older than what is kept.
        """
        listener = _Listener()
        follower = self._join(door, listener)
        try:
            cursor = since if since is not None else await threaded(door.events.newest)
            quiet_s = 0.0
            listener.missed = True
            while True:
                if listener.missed:
                    listener.missed = False
                    async for event, cursor in _read(door, prefix, cursor):  # noqa: B007, B020
                        quiet_s = 0.0
                        yield event
                if idle_s is not None and quiet_s >= idle_s:
                    return
                pause_s = LOOK_S if idle_s is None else min(LOOK_S, idle_s - quiet_s)
                with anyio.move_on_after(pause_s) as waited:
                    events = await listener.receive.receive()
                if waited.cancelled_caught:
                    quiet_s += pause_s
                    yield None
                    continue
                for event in events:
                    if event.seq > cursor and in_prefix(event.key, prefix):
                        quiet_s = 0.0
                        yield event
                cursor = max(cursor, events[-1].seq)
        finally:
            follower.listeners.discard(listener)
            listener.close()

    def _join(self, door: Swarm, listener: _Listener) -> _Follower:
        name = door.context.swarm
        follower = self._followers.get(name)
        if follower is None or not follower.listeners:
            follower = self._followers[name] = _Follower(door)
            follower.listeners.add(listener)
            self._group.start_soon(follower.run)
        follower.listeners.add(listener)
        return follower

    def end(self) -> None:
        """Let all followers end at their next look."""
        for follower in self._followers.values():
            follower.ends = True


async def _read(door: Swarm, prefix: str, cursor: int) -> AsyncIterator[tuple[Event, int]]:
    """Iterate over what is in the log after `cursor`."""
    while True:
        events = await threaded(partial(door.events.since, cursor, prefix, limit=PAGE))
        for event in events:
            cursor = event.seq
            yield event, cursor
        if len(events) < PAGE:
            return


async def threaded(call: Callable[..., T], *arguments: Any) -> T:
    """Run a call in a thread; who is cancelled does not wait for it."""
    return await to_thread.run_sync(call, *arguments, abandon_on_cancel=True)
