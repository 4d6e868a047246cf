"""Records that several clients write at once are written by one transaction.

Each write waits for the disk, and one server has many clients: what comes while one transaction is
being written goes into the next one. A write that is refused is undone by itself. If anything else
goes wrong with one of them, each is written alone, and has its own answer.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread

from swarm_memory.doors.http.api.calls import ask
from swarm_memory.errors import ConflictError, LeaseLostError, OpIdReusedError
from swarm_memory.wire.verbs import BY_NAME

if TYPE_CHECKING:
    from swarm_memory.swarm import Swarm

TOGETHER_MAX = 64
PUT = BY_NAME["records.put"]
REFUSED = (ConflictError, LeaseLostError, OpIdReusedError)  # raised before anything is written


class _One:
    """One write that waits for its transaction."""

    def __init__(self, door: Swarm, given: dict[str, Any]) -> None:
        self.door = door
        self.given = given
        self.done = anyio.Event()
        self.result: Any = None
        self.error: Exception | None = None


class Puts:
    """Writes of records, by swarm; for one event loop."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[_One]] = {}
        self._working: set[str] = set()
        self._group: Any = None

    def start(self, group: Any) -> None:
        """Let them be written in a task group."""
        self._group = group

    async def put(self, door: Swarm, given: dict[str, Any]) -> Any:
        """Write a record, together with what others write; return it."""
        one, swarm = _One(door, given), door.context.swarm
        self._waiting.setdefault(swarm, []).append(one)
        if swarm not in self._working:
            self._working.add(swarm)
            self._group.start_soon(self._work, swarm)
        await one.done.wait()
        if one.error is not None:
            raise one.error
        return one.result

    async def _work(self, swarm: str) -> None:
        try:
            while waiting := self._waiting.pop(swarm, []):
                batch, rest = waiting[:TOGETHER_MAX], waiting[TOGETHER_MAX:]
                if rest:
                    self._waiting[swarm] = rest
                await to_thread.run_sync(_write, batch)
                for one in batch:
                    one.done.set()
        finally:
            self._working.discard(swarm)


def _write(batch: list[_One]) -> None:
    """Write a batch by one transaction, or else each by its own."""
    if len(batch) > 1 and _written_together(batch):
        return
    for one in batch:
        one.result, one.error = None, None
        try:
            one.result = ask(one.door, PUT, one.given)
        except Exception as error:  # noqa: BLE001 it is raised for whoever asked
            one.error = error


def _written_together(batch: list[_One]) -> bool:
    """Tell whether one transaction has an answer for each."""
    try:
        batch[0].door.transact(partial(_write_within, batch))
    except Exception as error:  # noqa: BLE001 which of them it is about shows when each is alone
        if not getattr(error, "retryable", False):
            return False
        # It is about the store. If it is not known what became of the commit, to write again
        # is for whoever has a key.
        for one in batch:
            one.result, one.error = None, error
    return True


def _write_within(batch: list[_One], tx: Any) -> None:
    for one in batch:
        one.result, one.error = None, None  # a transaction may run again
        try:
            one.result = ask(_Bound(one.door.records.within(tx.tx)), PUT, one.given)
        except REFUSED as error:
            one.error = error


class _Bound:
    """The services of one agent in a transaction of several agents."""

    def __init__(self, records: Any) -> None:
        self.records = records
