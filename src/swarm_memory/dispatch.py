"""Callbacks: work through messages by their type."""

from __future__ import annotations

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
REASON_CHARACTERS_MAX = 500


class Dispatcher:
    """Claims messages and gives each to the callback of its type.

    A callback that returns has done the message: it is acknowledged. One that raises has not:
    the message comes again, and after its last attempt it is dead with the error as the reason.
    A callback is called at least once per message, so it should apply once (see `op_id`).
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
        self, *, limit: int = 10, wait_s: float = 0.0, visible_after_s: float = VISIBLE_AFTER_S
    ) -> int:
        """Work through up to `limit` messages, waiting `wait_s` for a first; return how many."""
        if not self._callbacks:
            raise InvalidArgumentError("no callbacks", hint="register some with on() first")
        messages = self._messages.claim(
            self._topic, limit=limit, wait_s=wait_s, visible_after_s=visible_after_s
        )
        for message in messages:
            self._call(message)
        return len(messages)

    def run(self, *, timeout_s: float) -> int:
        """Work until nothing came for `timeout_s` seconds; return how many were worked through."""
        total = 0
        idle_since = time.monotonic()
        while (left_s := idle_since + timeout_s - time.monotonic()) > 0:
            done = self.run_once(wait_s=left_s)
            if done:
                total += done
                idle_since = time.monotonic()
        return total

    def _call(self, message: Message) -> None:
        callback = self._callbacks.get(message.type or ANY_TYPE) or self._callbacks.get(ANY_TYPE)
        try:
            if callback is None:
                message.nack(reason=f"no callback for type {message.type!r}")
                return
            try:
                callback(message)
            except Exception as error:  # noqa: BLE001 the callback is somebody else's code
                reason = f"{type(error).__name__}: {error}"
                message.nack(reason=reason[:REASON_CHARACTERS_MAX].replace("\0", ""))
                return
            message.ack()
        except StaleReceiptError:
            return  # it took longer than its time: another consumer has the message by now
