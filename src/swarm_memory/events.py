"""The change log: what happened to which key, in order, and how far a reader has come."""

from __future__ import annotations

import time

from swarm_memory.checks import check_name
from swarm_memory.errors import CursorExpiredError, InvalidArgumentError
from swarm_memory.key import check_prefix
from swarm_memory.model import Event

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarm_memory.context import Context
    from swarm_memory.engine import Engine, Reader, Row, Tx
    from swarm_memory.reports import Changes

PAGE_ROWS = 1000
NAME_BYTES_MAX = 255
CURSOR = "cursor/"  # how the facts of readers are called
# Facts about the last move of a swarm, see `Moved`.
MOVED_OFFSET, MOVED_SINCE, MOVED_END = "moved/offset", "moved/since", "moved/end"
MOVED_FIRST, MOVED_MINE = "moved/first", "moved/mine"
CHANGES_MAX = 10_000


class Moved:
    """How the change log of a swarm came into this store, if it was moved here.

    Its events were shifted by `offset`, so a number below that is of the store before, in which
    its own begin with `since`; numbers of stores before that one are not known any more. Below
    `end` there are only events that were moved. They are pruned by their time, as all are, while
    others with smaller numbers may be kept: how far they reach back is looked at here, by the
    first of them (`mine` when they came, with all after `first`).
    """

    __slots__ = ("end", "first", "mine", "offset", "since")

    def __init__(self, facts: dict[str, int]) -> None:
        self.offset = facts.get(MOVED_OFFSET, 0)
        self.since = facts.get(MOVED_SINCE, 0)
        self.end = facts.get(MOVED_END, 0)
        self.first = facts.get(MOVED_FIRST, 0)
        self.mine = facts.get(MOVED_MINE, 0)

    @classmethod
    def of(cls, db: Reader, swarm: str) -> Moved:
        """Return how the swarm came here."""
        return cls({str(name): int(value) for name, value in db.all("event_moved", swarm=swarm)})

    def here(self, seq: int) -> int | None:
        """Return what a reader's number is in this store; None if that is not known any more."""
        if seq == 0 or seq >= self.offset:
            return seq
        return seq + self.offset if seq >= self.since else None

    def floor(self, first: int | None) -> int:
        """Return the oldest event that a cursor below `end` may go on with.

        `first` is the swarm's first event from `offset` on.
        """
        if first is not None and first <= self.mine:
            return self.first
        return self.end if first is None else min(first, self.end)


class Events:
    """The change log of one swarm, on an engine or inside a transaction.

    Args:
        engine: What to wait on for a change; None in a transaction, where nothing is waited for.
    """

    __slots__ = ("_context", "_db", "_engine")

    def __init__(self, db: Reader, context: Context, engine: Engine | None = None) -> None:
        self._db = db
        self._context = context
        self._engine = engine

    def within(self, tx: Tx) -> Events:
        """Return this log bound to a transaction."""
        return Events(tx, self._context)

    def since(self, seq: int, prefix: str = "", *, limit: int = PAGE_ROWS) -> list[Event]:
        """Return up to `limit` events after `seq` of keys under `prefix`, in order.

        Raises:
            CursorExpiredError: Events right after `seq` were pruned already.
        """

        def read(tx: Tx) -> list[Event]:
            after, oldest, newest = self._place(tx, seq)
            if after and after + 1 < oldest:
                raise CursorExpiredError(f"events after {seq} are gone; the oldest is {oldest}")
            if after > newest:
                raise CursorExpiredError(f"event {seq} does not exist; the newest is {newest}")
            exact, low, high = check_prefix(prefix)
            rows = tx.all(
                "event_list",
                swarm=self._context.swarm,
                after=after,
                low=low,
                high=high,
                exact=exact or "",
                limit=limit,
            )
            return [Event(*row) for row in rows]

        return self._db.read(read, durable=True)

    def newest(self) -> int:
        """Return the seq of the newest event of the store, 0 for none."""
        return self._span(self._db)[1]

    def newest_at(self) -> tuple[int, int | None]:
        """Return the seq and the time of this swarm's newest event, (0, None) for none."""
        row = self._db.one("event_newest", swarm=self._context.swarm)
        return (int(row[0]), int(row[1])) if row else (0, None)

    def changes(self, name: str, prefix: str = "", *, limit: int = CHANGES_MAX) -> Changes:
        """Return what happened since this agent last asked under `name`, and remember that.

        Up to `limit` events; the next call goes on after them. `complete` is False when events in
        between were pruned already: then the records have to be read anew.
        """
        check_name("name", name, NAME_BYTES_MAX)
        where = {"swarm": self._context.swarm, "name": f"{CURSOR}{self._context.agent}/{name}"}

        from swarm_memory.reports import Changes

        def read(tx: Tx) -> Changes:
            row = tx.one("fact_get", **where)
            seq, oldest, newest = self._place(tx, row[0] if row else 0)
            # A seq beyond the newest is from before a restore: it means nothing any more.
            complete = seq + 1 >= oldest and seq <= newest
            if not complete:
                seq = oldest - 1
            events = self.within(tx).since(seq, prefix, limit=limit) if newest else []
            reached = events[-1].seq if len(events) == limit else newest
            tx.run("fact_set", **where, value=reached)
            return Changes(reached, events, complete)

        return self._db.write(read)

    def watch(
        self, prefix: str = "", *, since: int | None = None, timeout_s: float | None = None
    ) -> Iterator[Event]:
        """Iterate over events under `prefix` as they are committed, by whatever process.

        Starts after `since`, else with what happens from now on (from the call, not from the
        first step). Ends when nothing happened for `timeout_s`; None never ends.

        Raises:
            CursorExpiredError: `since` is older than the events that are kept.
        """
        check_prefix(prefix)
        if self._engine is None:
            raise InvalidArgumentError(
                "a transaction sees one moment", hint="watch outside of transact()"
            )
        start = self.newest() if since is None else since
        return self._follow(self._engine, prefix, start, timeout_s)

    def _follow(
        self, engine: Engine, prefix: str, seq: int, timeout_s: float | None
    ) -> Iterator[Event]:
        idle_since = time.monotonic()
        while True:
            # Before the look: a commit right after it then changes the version we wait on.
            seen = engine.version()
            newest = self.newest()
            events = self.since(seq, prefix) if newest != seq else []
            for event in events:
                seq = event.seq
                yield event
                idle_since = time.monotonic()
            if len(events) == PAGE_ROWS:
                continue
            seq = max(seq, newest) if not events else seq
            pause_s = self._context.config.sync_interval_s
            if timeout_s is not None:
                left_s = idle_since + timeout_s - time.monotonic()
                if left_s <= 0:
                    return
                pause_s = min(pause_s, left_s)
            engine.wait(seen, pause_s)

    def _place(self, tx: Tx, seq: int) -> tuple[int, int, int]:
        """Return a reader's number as it is here, the oldest event it may need, and the newest."""
        oldest, newest = self._span(tx)
        moved = Moved.of(tx, self._context.swarm)
        if not moved.end:
            return seq, oldest, newest
        here = moved.here(seq)
        if here is None:
            return seq, moved.first, newest
        if here < moved.end:
            first = tx.one("event_first", swarm=self._context.swarm, after=moved.offset)
            oldest = max(oldest, moved.floor(None if first is None else int(first[0])))
        return here, oldest, newest

    def _span(self, db: Reader) -> tuple[int, int]:
        row: Row | None = db.one("event_span")
        return (int(row[0]), int(row[1])) if row else (0, 0)
