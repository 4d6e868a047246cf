"""Transactions that a client steers: its function runs there, what it calls runs here.

The store is written by one at a time, so a client that is slow keeps all others waiting. That is
why each has little time; what a client needs more for, it does by one verb or by compare-and-set.

Each has a thread, since a transaction belongs to one. `commit` may be asked for again: how those
ended that ended lately is remembered. A client that does not know, because the server was started
anew in between, begins again with the same op_id: what was committed is not done twice.
"""

from __future__ import annotations

import queue
import threading
import time
from typing import TYPE_CHECKING, Any

from swarm_memory.context import new_id
from swarm_memory.doors.http.api.calls import ask
from swarm_memory.doors.http.api.models import checked
from swarm_memory.errors import (
    AccessDeniedError,
    EngineBusyError,
    InvalidArgumentError,
    NotFoundError,
    SwarmMemoryError,
    WaitTimeoutError,
)
from swarm_memory.wire.shapes import encode
from swarm_memory.wire.verbs import BY_NAME, IN_TRANSACTIONS, READ

if TYPE_CHECKING:
    from swarm_memory.swarm import Swarm

DURATION_S_MAX = 5.0  # of one that writes: nobody else writes meanwhile
READING_S_MAX = 30.0
OPEN_MAX = 32  # beginning included: they stand in line for the store
ENDED_MAX = 4096
_CALL, _COMMIT, _UNDO = "call", "commit", "undo"


class _Undone(Exception):
    """Ends a transaction without a commit."""


class _Step:
    """What a client asks for next: `work` is called in the transaction, or is what it returns."""

    __slots__ = ("kind", "reply", "work")

    def __init__(self, kind: str, work: Any = None) -> None:
        self.kind = kind
        self.work = work
        self.reply: queue.SimpleQueue[tuple[Any, Exception | None]] = queue.SimpleQueue()

    def wait(self) -> Any:
        result, error = self.reply.get()
        if error is not None:
            raise error
        return result


class Open:
    """One transaction and its thread.

    Args:
        about: What its client said of it: whether it is to `read` only, its `op_id`, and the
            `name` and what else (`about`) that op_id belongs to.
    """

    def __init__(self, door: Swarm, about: dict[str, Any]) -> None:
        self.transaction_id = new_id(int(time.time() * 1000))
        self.writes = not about.get("read", False)
        self._door = door
        self._about = about
        self._begun = _Step("begin")
        self._steps: queue.SimpleQueue[_Step] = queue.SimpleQueue()
        self._last: _Step | None = None
        self._runs = 0
        self._lock = threading.Lock()
        self.ended: str | None = None
        self._result: Any = None

    def begin(self) -> dict[str, Any]:
        """Wait for its turn; return its time, or what it returned if it was done before."""
        threading.Thread(target=self._live, daemon=True, name="transaction").start()
        begun: dict[str, Any] = self._begun.wait()
        return {"transaction": self.transaction_id} | begun

    def step(self, kind: str, work: Any = None) -> Any:
        """Do one step and return what came of it.

        Raises:
            WaitTimeoutError: It has ended, since its time was over or its client said so.
            SwarmMemoryError: What the step raised; after a call the transaction goes on.
        """
        step = _Step(kind, work)
        with self._lock:
            if self.ended is None:
                self._steps.put(step)
            elif self.ended == kind:
                return self._result
            else:
                raise _ended()
        return step.wait()

    # --- in its thread ---

    def _live(self) -> None:
        try:
            result = self._run()
        except _Undone:
            self._end(_UNDO, None, None)
        except Exception as error:  # noqa: BLE001 it is told to the client, whatever it is
            self._end(_UNDO, None, error)
        else:
            self._end(_COMMIT, result, None)

    def _end(self, how: str, result: Any, error: Exception | None) -> None:
        with self._lock:
            self.ended, self._result = how, result
        if not self._runs:
            self._begun.reply.put(({"applied": True, "result": result}, error))
        if self._last is not None:
            self._last.reply.put((result, error))
        while not self._steps.empty():  # they came when its time was over
            self._steps.get().reply.put((None, _ended()))

    def _run(self) -> Any:
        about = self._about
        if not self.writes:
            return self._door.read(self._body, durable=bool(about.get("durable")))

        def body(tx: Any) -> Any:
            return self._body(tx)

        body.__qualname__ = str(about.get("name", ""))  # an op_id belongs to it
        return self._door.transact(
            body,
            op_id=about.get("op_id"),
            about=about.get("about"),
            durability=about.get("durability"),
        )

    def _body(self, tx: Any) -> Any:
        self._runs += 1
        if self._runs > 1:
            # The store begins it anew, and what the client saw is not true any more.
            raise EngineBusyError("somebody else wrote in between", hint="run it again")
        self._begun.reply.put(({"applied": False, "now_ms": tx.now_ms}, None))
        over_s = time.monotonic() + (DURATION_S_MAX if self.writes else READING_S_MAX)
        while True:
            try:
                step = self._steps.get(timeout=max(0.0, over_s - time.monotonic()))
            except queue.Empty:
                raise _Undone from None
            if step.kind != _CALL:
                self._last = step
                if step.kind == _UNDO:
                    raise _Undone
                return step.work
            try:
                step.reply.put((step.work(tx), None))
            except Exception as error:  # noqa: BLE001 the client's function decides what it means
                step.reply.put((None, error))


def _ended() -> SwarmMemoryError:
    return WaitTimeoutError(
        "the transaction has ended: its time was over, or its server is gone",
        hint=f"run it again, and do less in it: it has {DURATION_S_MAX:.0f} seconds",
    )


class Transactions:
    """The open transactions of one server, and how the last ones ended."""

    def __init__(self) -> None:
        self._all: dict[str, Open] = {}
        self._lock = threading.Lock()

    def begin(self, door: Swarm, about: dict[str, Any]) -> dict[str, Any]:
        """Begin one, waiting for its turn.

        Raises:
            EngineBusyError: There are too many.
        """
        with self._lock:
            ended = [name for name, one in self._all.items() if one.ended is not None]
            running = len(self._all) - len(ended)
            if running >= OPEN_MAX:
                raise EngineBusyError(
                    f"{running} transactions are open", hint="begin it again in a moment"
                )
            for name in ended[: max(0, len(ended) - ENDED_MAX)]:
                del self._all[name]
            one = Open(door, about)
            self._all[one.transaction_id] = one
        return one.begin()

    def call(self, transaction_id: str, name: str, given: dict[str, Any]) -> Any:
        """Run a verb inside a transaction and return its result as JSON."""
        verb = BY_NAME.get(name)
        if verb is None or verb.service not in IN_TRANSACTIONS:
            raise InvalidArgumentError(
                f"verb {name!r} in a transaction",
                hint=f"verbs of {', '.join(IN_TRANSACTIONS)}, such as records.put",
            )
        one = self._all.get(transaction_id)
        if one is None:
            raise _ended()  # with the server that it was begun at
        if not one.writes and verb.retry != READ:
            raise AccessDeniedError(f"{name} in a transaction that reads", hint="begin another")
        arguments = checked(verb, given)
        return one.step(_CALL, lambda tx: encode(ask(tx, verb, arguments)))

    def commit(self, transaction_id: str, result: Any) -> Any:
        """Commit one; return what it returned."""
        return self._one(transaction_id).step(_COMMIT, result)

    def undo(self, transaction_id: str) -> None:
        """Undo one."""
        self._one(transaction_id).step(_UNDO)

    def _one(self, transaction_id: str) -> Open:
        one = self._all.get(transaction_id)
        if one is None:
            raise NotFoundError(
                f"no transaction {transaction_id!r}",
                hint="begin it again with the same op_id: what was committed is not done twice",
            )
        return one

    def close(self) -> None:
        """Undo what is open."""
        for one in list(self._all.values()):
            if one.ended is None:
                try:
                    one.step(_UNDO)
                except WaitTimeoutError:
                    continue  # it ended by itself in between
