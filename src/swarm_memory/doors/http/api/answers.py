"""Answers that are kept for a while: a retry gets the one that the first attempt got.

For verbs that wait or whose effect is not kept in the store under an op_id. A retry that comes
while the first attempt is still at work joins it. After a restart of the server nothing is known
any more; by then a lease that was taken lapses, and messages that were claimed come again.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import anyio

from swarm_memory.errors import OpIdReusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

KEPT_S = 600.0
KEPT_MAX = 10_000


class _Attempt:
    def __init__(self, asked: Any) -> None:
        self.asked = asked
        self.done = anyio.Event()
        self.result: Any = None
        self.error: Exception | None = None
        self.at_s = time.monotonic()


class Answers:
    """Answers by the key that a client gave its call; for one event loop."""

    def __init__(self) -> None:
        self._attempts: dict[Any, _Attempt] = {}

    async def once(self, key: Any, asked: Any, call: Callable[[], Awaitable[Any]]) -> Any:
        """Return what `call` returns or raises; for the same `key` only one call is made.

        Raises:
            OpIdReusedError: The key came with another question.
        """
        attempt = self._attempts.get(key)
        if attempt is None:
            self._forget()
            attempt = self._attempts[key] = _Attempt(asked)
            try:
                attempt.result = await call()
            except anyio.get_cancelled_exc_class():
                del self._attempts[key]  # it may be tried anew
                attempt.done.set()
                raise
            except Exception as error:  # noqa: BLE001 it is the answer, whoever asks for it
                attempt.error = error
            attempt.at_s = time.monotonic()
            attempt.done.set()
        elif attempt.asked != asked:
            raise OpIdReusedError(f"the idempotency key {key[-1]!r} was used for another call")
        else:
            await attempt.done.wait()
            if attempt.error is None and key not in self._attempts:
                return await self.once(key, asked, call)  # the first one was given up
        if attempt.error is not None:
            if getattr(attempt.error, "retryable", False):
                self._attempts.pop(key, None)
            raise attempt.error
        return attempt.result

    def _forget(self) -> None:
        old_s = time.monotonic() - KEPT_S
        for key, attempt in list(self._attempts.items()):
            over = attempt.done.is_set() and attempt.at_s < old_s
            if not over and len(self._attempts) < KEPT_MAX:
                return  # they are in the order in which they came
            if attempt.done.is_set():
                del self._attempts[key]
