"""Callbacks: work through messages by their type."""

from __future__ import annotations

import contextlib
import time

from swarm_memory.errors import InvalidArgumentError, StaleReceiptError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from swarm_memory.letters import Message
    from swarm_memory.messages import Messages

    Callback = Callable[[Message], object]

ANY_TYPE = "*"
VISIBLE_AFTER_S = 60.0
LIMIT = 10
ACK_S_MAX = 1.0  # what is done is acknowledged at the latest after so long
REASON_CHARACTERS_MAX = 500


class Dispatcher:
    """Claims messages and gives each to the callback of its type.

    A callback that returns has done the message: it is acknowledged. One that raises has not:
    the message comes again, and after its last attempt it is dead with the error as the reason.
    A callback is called at least once per message, so it should apply once (see `op_id`).

    What is done is acknowledged together: with the next claim, at the end, or after the callback
    that ends a second later. A process that is killed has what it did since then done again.
    """

    def __init__(self, messages: Messages, topic: str | None = None) -> None:
        self._messages = messages
        self._topic = topic
        self._callbacks: dict[str, Callback] = {}

    def on(self, type: str, callback: Callback) -> Dispatcher:
        """Call `callback` for messages of `type`; "*" is for all that have no callback."""
        if not callable(callback):
            raise InvalidArgumentError(f"callback {callback!r}", hint="give a function")
        self._callbacks[type] = callback
        return self

    def run_once(
        self, *, limit: int = LIMIT, wait_s: float = 0.0, visible_after_s: float = VISIBLE_AFTER_S
    ) -> int:
        """Work through up to `limit` messages, waiting `wait_s` for a first; return how many."""
        done = _Done(self._messages, self._topic)
        try:
            return self._work(done, limit, wait_s, visible_after_s)
        finally:
            done.acknowledge()

    def run(self, *, timeout_s: float) -> int:
        """Work until nothing came for `timeout_s` seconds; return how many were worked through."""
        total = 0
        done = _Done(self._messages, self._topic)
        idle_since = time.monotonic()
        try:
            while (left_s := idle_since + timeout_s - time.monotonic()) > 0:
                count = self._work(done, LIMIT, left_s, VISIBLE_AFTER_S)
                if count:
                    total += count
                    idle_since = time.monotonic()
        finally:
            done.acknowledge()
        return total

    def _work(self, done: _Done, limit: int, wait_s: float, visible_after_s: float) -> int:
        if not self._callbacks:
            raise InvalidArgumentError("no callbacks", hint="register some with on() first")
        messages = done.claim(limit, wait_s, visible_after_s)
        for message in messages:
            if self._call(message):
                done.add(message)
        return len(messages)

    def _call(self, message: Message) -> bool:
        """Tell whether the message is done; if it is not, it has been given back."""
        callback = self._callbacks.get(message.type or ANY_TYPE) or self._callbacks.get(ANY_TYPE)
        if callback is None:
            _give_back(message, f"no callback for type {message.type!r}")
            return False
        try:
            callback(message)
        except Exception as error:  # noqa: BLE001 the callback is somebody else's code
            reason = f"{type(error).__name__}: {error}"
            _give_back(message, reason[:REASON_CHARACTERS_MAX].replace("\0", ""))
            return False
        return True


class _Done:
    """What is done and not acknowledged yet.

    A stale receipt among it is no error: the work took longer than its time, and another consumer
    has the message by now.
    """

    def __init__(self, messages: Messages, topic: str | None) -> None:
        self._messages = messages
        self._topic = topic
        self._done: list[Message] = []
        self._since = 0.0

    def add(self, message: Message) -> None:
        """Remember a message; acknowledge all if the first has waited for long enough."""
        now = time.monotonic()
        if not self._done:
            self._since = now
        self._done.append(message)
        if now - self._since >= ACK_S_MAX:
            self.acknowledge()

    def claim(self, limit: int, wait_s: float, visible_after_s: float) -> list[Message]:
        """Acknowledge all and claim more."""

        def claim(done: list[Message]) -> list[Message]:
            return self._messages.claim(
                self._topic, limit=limit, wait_s=wait_s, visible_after_s=visible_after_s, done=done
            )

        try:
            messages = claim(self._done)
        except StaleReceiptError:
            messages = claim([])
        self._done = []
        return messages

    def acknowledge(self) -> None:
        """Acknowledge all."""
        if self._done:
            with contextlib.suppress(StaleReceiptError):
                self._messages.ack(*self._done)
            self._done = []


def _give_back(message: Message, reason: str) -> None:
    with contextlib.suppress(StaleReceiptError):  # see _Done
        message.nack(reason=reason)
