"""Letters: what is sent, what is delivered, and how many there are."""

from __future__ import annotations

from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarm_memory.messages import Messages
    from swarm_memory.model import Json

VISIBLE_S_DEFAULT = 60.0


class Sent(NamedTuple):
    """What was sent. It can be claimed from `visible_ms` on and before `expires_ms` (None: ever).

    Times are epoch milliseconds by the store's clock.
    """

    message_id: str
    sent_ms: int
    visible_ms: int
    expires_ms: int | None

    def to_dict(self) -> dict[str, Json]:
        """Return it as every door shows it."""
        return self._asdict()


class Counts(NamedTuple):
    """How many messages are in which state; `oldest_ms` is the age of the oldest ready one.

    What is said to everyone counts once per agent that has claimed it, not before. If it has a
    priority, a delay or `attempts_max` of its own it counts from that agent's next look on.
    """

    ready: int
    delayed: int
    claimed: int
    dead: int
    oldest_ms: int

    def to_dict(self) -> dict[str, Json]:
        """Return the counts as every door shows them."""
        return self._asdict()


class _Delivery(NamedTuple):
    message_id: str
    body: Json
    sender: str
    to: str | None
    topic: str | None
    type: str | None
    priority: int
    attempts: int
    receipt: str | None
    sent_ms: int
    visible_ms: int
    expires_ms: int | None
    correlation: str | None
    reply_to: str | None
    reason: str | None
    dead_ms: int | None


class Message(_Delivery):
    """One delivery of a message.

    `to` is the agent whose inbox it lies in, `topic` where it was claimed from; one is None.
    `attempts` counts the claims, this one included. `receipt` proves that it is this consumer's,
    until `visible_ms`; None if it was only looked at. `reply_to` is an address such as
    "agent:NAME". `reason` says why an earlier attempt failed or the message died, at `dead_ms`.
    Times are epoch milliseconds by the store's clock.
    """

    _home: Messages

    def ack(self) -> None:
        """Say that it is done: the message is deleted.

        Raises:
            StaleReceiptError: It was given to somebody else, or acknowledged already.
        """
        self._home.ack(self)

    def nack(self, delay_s: float = 0.0, reason: str | None = None) -> None:
        """Give it back, to come again after `delay_s` seconds or, after the last attempt, to die.

        Raises:
            StaleReceiptError: See `ack`.
        """
        self._home.nack(self, delay_s=delay_s, reason=reason)

    def extend(self, visible_after_s: float = VISIBLE_S_DEFAULT) -> None:
        """Keep it hidden from others for `visible_after_s` seconds from now.

        Raises:
            StaleReceiptError: See `ack`.
        """
        self._home.extend(self, visible_after_s)

    def reply(self, body: Json, *, type: str | None = None, op_id: str | None = None) -> Sent:
        """Send an answer to `reply_to`, else to the sender; the correlation tells to what.

        It does not acknowledge the message.
        """
        return self._home.reply(self, body, type=type, op_id=op_id)

    def to_dict(self) -> dict[str, Json]:
        """Return the message as every door shows it."""
        return self._asdict()


class Letter(NamedTuple):
    """Checked messages that wait for their transaction; they differ in their bodies only."""

    queue: str
    type: str | None
    bodies: Sequence[str]
    rank: int
    delay_ms: int
    ttl_ms: int | None
    attempts_max: int
    correlation: str | None
    reply_to: str | None
