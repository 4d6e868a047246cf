"""Async twins: the same calls, awaited, each run in a worker thread.

The store waits on files and not on sockets, so a thread is what an async program needs anyway;
one implementation cannot drift from another. Whichever thread a call runs in, the leases that it
takes and waits for count as those of the task that awaits it.
"""

from __future__ import annotations

import asyncio
import functools
from contextlib import asynccontextmanager
from weakref import WeakKeyDictionary

from swarm_memory.lines import in_flow, new_flow
from swarm_memory.manager import SwarmMemoryManager
from swarm_memory.swarm import Swarm

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from types import TracebackType
    from typing import Any, Self

    from swarm_memory.model import Event
    from swarm_memory.seats import Lease

_flows: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()


class AsyncTwin:
    """Awaitable calls of the public methods of `twin`; values that are no methods pass through."""

    def __init__(self, twin: Any) -> None:
        self.twin = twin

    def __getattr__(self, name: str) -> Any:
        value = getattr(self.twin, name)
        return _awaitable(value) if callable(value) else value

    def __dir__(self) -> list[str]:
        return dir(self.twin)


def _awaitable(call: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(call)
    async def awaited(*arguments: Any, **options: Any) -> Any:
        step = functools.partial(call, *arguments, **options)
        return await asyncio.to_thread(in_flow, _flow_of(asyncio.current_task()), step)

    return awaited


def _flow_of(task: asyncio.Task[Any] | None) -> int:
    """Return the flow of a task, its own: it does not inherit that of whoever started it."""
    if task is None:
        return new_flow()
    if task not in _flows:
        _flows[task] = new_flow()
    return _flows[task]


class AsyncLeases(AsyncTwin):
    """Awaitable leases: `async with swarm.leases.hold(name) as lease:`."""

    async def acquire(self, *arguments: Any, **options: Any) -> Lease:
        """Take a lease; see `Leases.acquire`.

        If the waiting is cancelled the place in line is kept until its time is over, and what is
        granted by then is given back at once.
        """
        step = functools.partial(self.twin.acquire, *arguments, **options)
        flow = _flow_of(asyncio.current_task())
        loop = asyncio.get_running_loop()
        work = loop.run_in_executor(None, in_flow, flow, step)
        try:
            lease: Lease = await asyncio.shield(work)
        except asyncio.CancelledError:
            work.add_done_callback(functools.partial(_give_back, loop))
            raise
        return lease

    @asynccontextmanager
    async def hold(self, *arguments: Any, **options: Any) -> AsyncIterator[Lease]:
        """Hold a lease inside an `async with`; see `Leases.hold`."""
        lease = await self.acquire(*arguments, **options)
        try:
            yield lease
        finally:
            await asyncio.shield(asyncio.to_thread(lease.release))


def _give_back(loop: asyncio.AbstractEventLoop, work: asyncio.Future[Lease]) -> None:
    if not work.cancelled() and work.exception() is None:
        loop.run_in_executor(None, work.result().release)


class _AsyncDoor(AsyncTwin):
    """An async context manager around something that closes."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()


class AsyncSwarm(_AsyncDoor):
    """A `Swarm` whose calls are awaited: `await swarm.records.get(key)`."""

    twin: Swarm

    @classmethod
    async def open(cls, url: str | None = None, **options: Any) -> Self:
        """Open a store; arguments as in `Swarm.open`."""
        return cls(await asyncio.to_thread(functools.partial(Swarm.open, url, **options)))

    @property
    def records(self) -> AsyncTwin:
        return AsyncTwin(self.twin.records)

    @property
    def leases(self) -> AsyncLeases:
        return AsyncLeases(self.twin.leases)

    @property
    def messages(self) -> AsyncTwin:
        return AsyncTwin(self.twin.messages)

    @property
    def sessions(self) -> AsyncTwin:
        return AsyncTwin(self.twin.sessions)

    @property
    def events(self) -> AsyncTwin:
        return AsyncTwin(self.twin.events)

    @property
    def outcomes(self) -> AsyncTwin:
        return AsyncTwin(self.twin.outcomes)

    async def watch(
        self, prefix: str = "", *, since: int | None = None, timeout_s: float | None = None
    ) -> AsyncIterator[Event]:
        """Iterate over changes; see `Swarm.watch`."""
        events = self.twin.watch(prefix, since=since, timeout_s=timeout_s)
        while (event := await asyncio.to_thread(next, events, None)) is not None:
            yield event


class AsyncSwarmMemoryManager(_AsyncDoor):
    """A `SwarmMemoryManager` whose calls are awaited.

    Made like its twin, or by `await AsyncSwarmMemoryManager.create(…)`, which opens the store in
    a thread too.
    """

    twin: SwarmMemoryManager

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(SwarmMemoryManager(*arguments, **options))

    @classmethod
    async def create(cls, *arguments: Any, **options: Any) -> Self:
        """Open a store in a worker thread."""
        return await asyncio.to_thread(cls, *arguments, **options)

    @property
    def swarm(self) -> AsyncSwarm:
        return AsyncSwarm(self.twin.swarm)
