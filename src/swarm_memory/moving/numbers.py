"""Numbers that all swarms of a store share, and how those of a swarm fit into another store.

Events and messages are numbered by the store. In a store that has none they keep their numbers.
Elsewhere all of them are shifted by a multiple of 2^32, into a block that is reserved when the copy
begins; the store goes on above the block meanwhile. So the order stays, and a number that somebody
remembers from the old store (a cursor of the change log) is known to be of there, and is shifted
as the events were (see `events`).
"""

from __future__ import annotations

import os

from swarm_memory.backup.loading import leap
from swarm_memory.events import (
    CURSOR,
    MOVED_END,
    MOVED_FIRST,
    MOVED_MINE,
    MOVED_OFFSET,
    MOVED_SINCE,
    Moved,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.engine import Reader, Row, Tx

MARK = "restore"  # the op of events that are about no key


class Numbers:
    """What is added to the numbers of events and messages of one swarm.

    Args:
        source: The store that they come from.
    """

    def __init__(self, source: Reader, swarm: str) -> None:
        span: Row = source.one("event_span") or (0, 0)
        self._newest = int(span[1])
        self._newest_message = _newest_message(source)
        self._before = Moved.of(source, swarm)
        self.events = self.messages = self._end = 0
        self.store_id = int.from_bytes(os.urandom(6), "big")

    def reserve(self, tx: Tx, swarm: str) -> None:
        """Reserve a block of numbers in the store that the swarm moves to, whose counters were
        added up."""
        newest = int((tx.one("event_span") or (0, 0))[1])
        self.events = leap(max(newest, self._newest)) if newest else 0
        self._end = leap(self.events + self._newest)
        nobody: dict[str, str] = dict.fromkeys(("swarm", "author", "scope", "category"), "")
        nothing = dict.fromkeys(("version", "telemetry", "records", "bytes"), 0)
        mark = {"seq": self._end, "key": MARK, "op": MARK, "at_ms": tx.now_ms}
        tx.run("restore_event", **mark, **nobody, **nothing)
        # Counters are added up to here, so those of events that enter the block count nowhere.
        tx.run("fact_set", swarm="", name="folded_seq", value=self._end)
        self._reserve_messages(tx, swarm)

    def _reserve_messages(self, tx: Tx, swarm: str) -> None:
        newest = _newest_message(tx)
        self.messages = leap(max(newest, self._newest_message)) if newest else 0
        end = leap(self.messages + self._newest_message)
        empty = dict.fromkeys(("type", "correlation", "reply_to", "expires_ms"))
        words = dict.fromkeys(("queue", "message_id", "sender", "body"), "")
        zeros = dict.fromkeys(("rank", "attempts_max", "sent_ms", "visible_ms"), 0)
        tx.run("restore_message", seq=end, swarm=swarm, odd=None, **empty, **words, **zeros)
        tx.run("move_message_drop", swarm=swarm, seq=end)

    def fact(self, name: str, value: int) -> int:
        """Return what a fact of the swarm says here: cursors are shifted as the events are."""
        if not name.startswith(CURSOR):
            return value
        here = self._before.here(value)
        return value if here is None else here + self.events

    def places(self, source: Reader, swarm: str, newest: int) -> dict[str, int]:
        """Return the facts by which cursors of the old store are understood in this one."""
        span: Row = source.one("event_span") or (0, 0)
        first = source.one("event_first", swarm=swarm, after=self._before.offset)
        oldest = max(int(span[0]), self._before.floor(None if first is None else first[0]))
        before = self._before
        return {
            MOVED_OFFSET: self.events or before.offset,
            MOVED_SINCE: before.offset if self.events else before.since,
            MOVED_END: self._end,
            MOVED_FIRST: self.events + oldest,
            MOVED_MINE: self.events + (newest + 1 if first is None else int(first[0])),
        }


def _newest_message(db: Reader) -> int:
    row = db.one("move_message_newest")
    return int(row[0]) if row else 0
