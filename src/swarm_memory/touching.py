"""Touching: a record lives on from now without a new version, so that its value may expire by use.

Who keeps something alive by reading it changes nothing that others compare with or go back to.
"""

from __future__ import annotations

from swarm_memory import codec
from swarm_memory.errors import CorruptValueError
from swarm_memory.lean import NamedTuple
from swarm_memory.rows import meaning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.context import Context
    from swarm_memory.engine import Row, Tx
    from swarm_memory.quota import Quota

SLACK = 20  # what would move an expiry by less than this part of the time to live is not written


class Touch(NamedTuple):
    """A key that is to live for `ttl_ms` from now, if it is at version `expect` (None: any)."""

    key: str
    ttl_ms: int
    expect: int | None


class Touched(NamedTuple):
    """How many of the keys live on, and the touches that have to be written for it."""

    lives: int
    due: list[Touch]


def look(tx: Tx, context: Context, touches: list[Touch]) -> Touched:
    """Tell which touches change anything; of those that do not most come from frequent readers."""
    lives, due = 0, []
    for touch in touches:
        head = tx.one("record_head", swarm=context.swarm, key=touch.key)
        if head is not None and _lives(head, touch, tx.now_ms):
            lives += 1
            if _moves(head, touch, tx.now_ms):
                due.append(touch)
    return Touched(lives, due)


def apply(tx: Tx, context: Context, quota: Quota, touches: list[Touch]) -> int:
    """Write touches and their events; return how many of the keys live on."""
    lives = 0
    for touch in touches:
        head = tx.one("record_head", swarm=context.swarm, key=touch.key)
        if head is None or not _lives(head, touch, tx.now_ms):
            continue
        if _moves(head, touch, tx.now_ms):
            if not _write(tx, context, touch):
                continue  # replaced or packed in this moment: it has another time already
            quota.touch(tx, touch.key, head)
        lives += 1
    return lives


def _lives(head: Row, touch: Touch, now_ms: int) -> bool:
    if head[6] is None or (head[1] is not None and head[1] <= now_ms):
        return False
    return touch.expect is None or touch.expect == head[0]


def _moves(head: Row, touch: Touch, now_ms: int) -> bool:
    """Tell whether the expiry moves by enough; what is kept for good stays so."""
    if head[1] is None:
        return False
    moved_ms = abs(now_ms + touch.ttl_ms - int(head[1]))
    return moved_ms * SLACK >= touch.ttl_ms


def _write(tx: Tx, context: Context, touch: Touch) -> bool:
    row = tx.one("record_current", swarm=context.swarm, key=touch.key)
    if row is None or row[8] is None:
        return False
    key, version, author, session, created_ms, updated_ms, was_ms, provenance, frame = row
    expires_ms = tx.now_ms + touch.ttl_ms
    said = [key, version, author, session, created_ms, updated_ms, was_ms, provenance]
    try:
        format_, body = codec.unseal(frame, meaning(context.swarm, *said))
    except ValueError as error:  # sealing it anew would give it a valid checksum
        raise CorruptValueError(touch.key, str(error)) from error
    said[6] = expires_ms
    value = codec.seal(format_, body, meaning(context.swarm, *said))
    where = {"swarm": context.swarm, "key": key, "version": version, "before": frame}
    return bool(tx.run("record_touch", **where, expires_ms=expires_ms, value=value))
