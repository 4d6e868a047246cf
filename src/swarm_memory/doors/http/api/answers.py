"""Answers that are kept for a while: a retry gets the one that the first attempt got.

For verbs that wait or whose effect is not kept in the store under an op_id. Each attempt runs by
itself, and requests ask for its answer: one that comes while it is still at work joins it. So a
wait is longer than any request has to be. After a restart of the server nothing is known any more;
by then a lease that was taken lapses, and messages that were claimed come again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anyio

from swarm_memory.errors import OpIdReusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

KEPT_S = 120.0  # longer than clients go on asking
KEPT_MAX = 2000
ASKED_S_MAX = 2.0  # one request waits no longer; its client asks again
ABANDONED_S = 5.0  # nobody asks any more: what is waited for is given up
WAITING = object()  # the answer to who has to ask again


class Attempt:
    """One call, and who asks for its answer."""

    def __init__(self, asked: Any) -> None:
        self.asked = asked
        self.done = anyio.Event()
        self.result: Any = None
        self.error: Exception | None = None
        self.at_s = time.monotonic()
        self._asking = 0

    def is_abandoned(self) -> bool:
        """Tell whether nobody has asked for the answer in a while."""
        return not self._asking and time.monotonic() - self.at_s > ABANDONED_S

    async def answer(self) -> Any:
        """Return the answer, or WAITING if it takes too long for one request."""
        self._asking += 1
        try:
            with anyio.move_on_after(ASKED_S_MAX):
                await self.done.wait()
        finally:
            self._asking -= 1
            self.at_s = time.monotonic()
        if not self.done.is_set():
            return WAITING
        if self.error is not None:
            raise self.error
        return self.result


class Answers:
    """Answers by the key that a client gave its call; for one event loop."""

    def __init__(self) -> None:
        self._attempts: dict[Any, Attempt] = {}
        self._group: Any = None

    def start(self, group: Any) -> None:
        """Let attempts run in a task group."""
        self._group = group

    async def once(
        self, key: Any, asked: Any, call: Callable[[Callable[[], bool]], Awaitable[Any]]
    ) -> Any:
        """Return what `call` returns or raises; for the same `key` only one call is made.

        Args:
            call: Is given a function that tells whether nobody waits for it any more.

        Raises:
            OpIdReusedError: The key came with another question.
        """
        attempt = self._attempts.get(key)
        if attempt is not None and attempt.asked != asked:
            raise OpIdReusedError(f"the idempotency key {key[-1]!r} was used for another call")
        if attempt is None:
            self._forget()
            attempt = self._attempts[key] = Attempt(asked)
            self._group.start_soon(self._make, key, attempt, call)
        return await attempt.answer()

    async def _make(self, key: Any, attempt: Attempt, call: Callable[..., Awaitable[Any]]) -> None:
        try:
            attempt.result = await call(attempt.is_abandoned)
        except Exception as error:  # noqa: BLE001 it is raised for whoever asks
            attempt.error = error
            if getattr(error, "retryable", False):
                del self._attempts[key]  # asked again it is tried again
        finally:
            attempt.at_s = time.monotonic()
            attempt.done.set()

    def _forget(self) -> None:
        """Drop what is old, and the oldest where there is too much; not what is still at work."""
        old_s = time.monotonic() - KEPT_S
        over = len(self._attempts) - KEPT_MAX
        for key, attempt in list(self._attempts.items()):  # in the order in which they came
            if not attempt.done.is_set():
                continue
            if attempt.at_s >= old_s and over < 0:
                return
            del self._attempts[key]
            over -= 1
