"""News: telling everybody who looks that something was committed, whatever it was.

One follower for each swarm that is looked at: it waits for commits by whatever process, and says
so in one message for all who listen, made once. Leases, sessions and edits write no line in the
change log, so a message may have no events. Under load messages come at most every `PAUSE_S`, with
the last events only; who wants all of them has the stream of the API.
"""

from __future__ import annotations

import logging
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
import orjson
from anyio import to_thread

from swarm_memory.errors import SwarmMemoryError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from swarm_memory.swarm import Swarm

LOG = logging.getLogger(__name__)
PAUSE_S = 0.5  # between two messages
LOOK_S = 0.5  # how long one wait in a thread lasts; the end of the server waits for it, too
ALIVE_S = 15.0  # between two signs of life
EVENTS_MAX = 50  # of one message; the others are only counted
FOLLOWED_MAX = 64  # swarms that are followed at once
HELLO = b"retry: 1000\nevent: hello\ndata: {}\n\n"
ALIVE = b":\n\n"
LOST = b'event: lost\ndata: {"message": "the store cannot be read"}\n\n'


class News:
    """The followers of one server, by swarm."""

    def __init__(self) -> None:
        self._followers: dict[str, _Follower] = {}
        self._group: Any = None
        self._threads = anyio.CapacityLimiter(FOLLOWED_MAX)

    def start(self, group: Any) -> None:
        """Let followers run in a task group."""
        self._group = group

    def last_s(self, swarm: str) -> float:
        """Return when something was told last, by `time.monotonic`: what was read before is old."""
        follower = self._followers.get(swarm)
        return float("-inf") if follower is None else follower.told_s

    async def told(self, door: Swarm) -> AsyncIterator[bytes]:
        """Iterate over messages as server-sent events, without an end."""
        name = door.context.swarm
        follower = self._followers.get(name)
        begins = follower is None or not follower.listeners
        if follower is None or begins:
            follower = self._followers[name] = _Follower(door, self._threads)
        send, receive = anyio.create_memory_object_stream[bytes](4)
        follower.listeners.add(send)
        if begins:
            self._group.start_soon(follower.run)
        try:
            # Whoever hears this reads everything; what is committed from then on is told.
            await follower.began.wait()
            yield HELLO
            while True:
                with anyio.move_on_after(ALIVE_S) as waited:
                    message = await receive.receive()
                yield ALIVE if waited.cancelled_caught else message
        finally:
            follower.listeners.discard(send)
            send.close()
            receive.close()


class _Follower:
    """Follows one swarm until nobody listens any more."""

    def __init__(self, door: Swarm, threads: Any) -> None:
        self._door = door
        self._overview = door.overview
        self._threads = threads
        self.listeners: set[Any] = set()
        self.began = anyio.Event()
        self.told_s = float("-inf")

    async def run(self) -> None:
        at: tuple[int, int] | None = None
        while self.listeners:
            try:
                if at is None:
                    at = await self._thread(self._begin)
                    self.began.set()
                version, cursor = at
                seen = await self._thread(self._overview.wait, version, LOOK_S)
                if seen == version:
                    continue
                message, cursor = await self._thread(self._look, cursor)
                at = seen, cursor
            except Exception as error:
                if not isinstance(error, SwarmMemoryError):
                    LOG.exception("swarm %s cannot be followed", self._door.context.swarm)
                message, at = LOST, None
                self.began.set()
            self._tell(message)
            await anyio.sleep(PAUSE_S)

    def _begin(self) -> tuple[int, int]:
        """Return where to go on from: the number of the last commit, and the newest event."""
        return self._overview.version(), self._door.events.newest()

    def _look(self, cursor: int) -> tuple[bytes, int]:
        newest = self._door.events.newest()
        events = self._overview.latest(limit=EVENTS_MAX) if newest != cursor else []
        fresh = [event for event in events if event["seq"] > cursor]
        shown = {"seq": newest, "events": fresh}
        return b"event: news\ndata: %s\n\n" % orjson.dumps(shown), newest

    def _tell(self, message: bytes) -> None:
        self.told_s = time.monotonic()
        for listener in self.listeners:
            try:
                listener.send_nowait(message)
            except anyio.WouldBlock:
                # It has not taken the ones before, after which it reads everything anew.
                continue

    async def _thread(self, call: Any, *arguments: Any) -> Any:
        return await to_thread.run_sync(
            partial(call, *arguments), limiter=self._threads, abandon_on_cancel=True
        )
