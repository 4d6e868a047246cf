"""Claims: what a consumer takes of a queue, and the receipts by which it says what became of it."""

from __future__ import annotations

import os

from swarm_memory import runs
from swarm_memory.errors import StaleReceiptError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarm_memory.context import Context
    from swarm_memory.engine import Reader, Row, Tx
    from swarm_memory.letters import Message


class Claim:
    """One call of claim: who takes what, looked at first and taken then."""

    def __init__(
        self, context: Context, queue: str, limit: int, hide_ms: int, strict: bool, ahead: bool
    ) -> None:
        self.receipt = os.urandom(8).hex()
        self.visible_ms = 0
        self._context = context
        self._queue = queue
        self._limit = limit
        self._hide_ms = hide_ms
        self._strict = strict
        self._ahead = ahead and not strict  # read before the lock is taken
        self._offer: runs.Offer | None = None

    def look(self, db: Reader) -> runs.Place:
        """Return where the queue stands, and read what `take` is likely to take."""
        swarm, queue = self._context.swarm, self._queue
        place = runs.place_of(db, swarm, queue)
        if self._ahead:
            self._offer = runs.offer(db, swarm, queue, place, self._limit)
        return place

    def take(self, tx: Tx) -> list[Row]:
        """Take what is there."""
        context, queue = self._context, self._queue
        self.visible_ms = tx.now_ms + self._hide_ms
        hand = runs.Hand(self.receipt, context.agent, context.session, self.visible_ms)
        if self._offer is not None and runs.accept(tx, self._offer, hand):
            rows: list[Row] = self._offer.rows
            return rows
        return runs.take(tx, context.swarm, queue, self._limit, hand, strict=self._strict)


def shown(message: Message | str) -> str:
    return message if isinstance(message, str) else str(message.receipt)


def place_of(message: Message | str) -> tuple[int, str]:
    """Return where in the store a receipt points, and what it is proven by."""
    seq, _, receipt = shown(message).partition("-")
    known = seq.isascii() and seq.isdigit() and len(seq) < 19
    return (int(seq), receipt) if known else (-1, "")


def claims_of(messages: Sequence[Message | str]) -> tuple[dict[str, set[int]], list[str]]:
    """Return messages by their claims, and the receipts that point nowhere or came before."""
    claims: dict[str, set[int]] = {}
    unknown = []
    for message in messages:
        seq, receipt = place_of(message)
        seqs = claims.setdefault(receipt, set())
        if not receipt or seq in seqs:
            unknown.append(shown(message))
        else:
            seqs.add(seq)
    return claims, unknown


def refuse_stale(receipts: list[str]) -> None:
    if receipts:
        raise StaleReceiptError(
            f"receipt {', '.join(receipts)} is not current: the message was given to somebody"
            " else, or acknowledged already"
        )
