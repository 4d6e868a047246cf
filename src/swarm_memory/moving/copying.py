"""Copying a swarm into a store that it does not live in yet, while everybody goes on writing.

What is copied lies behind the fence of that store, so nobody writes it but who copies: each of his
transactions takes the swarm's row out of the fence and puts it back before it commits.

Records follow the change log: what changed after the last round is copied anew, key by key. The
other tables are read through and compared with what was copied, by a digest of each row, so a round
also finds what was changed and removed. No round has to see one moment, because the last one does.
"""

from __future__ import annotations

from functools import partial
from hashlib import blake2b
from itertools import chain

from swarm_memory.engine.routed import ARRIVING
from swarm_memory.errors import InvalidArgumentError
from swarm_memory.moving.numbers import Numbers
from swarm_memory.moving.tables import COPIED, FACTS, INJECTIONS, SESSIONS, WIPE, Table
from swarm_memory.paging import Pager

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from swarm_memory.engine import Engine, Reader, Row, Tx

    Named = dict[str, Any]
    Tell = Callable[[int], object]

BATCH_ROWS = 500
VALUE = 9  # the column of a record's row that its value stands in
DIGEST_BYTES = 16
VERSION_COLUMNS = (
    "swarm", "key", "version", "author", "session", "created_ms", "updated_ms", "expires_ms",
    "provenance", "value",
)  # fmt: skip
RECORD_COLUMNS = (*VERSION_COLUMNS, "scope", "category", "telemetry")
EVENT_COLUMNS = (
    "seq", "key", "version", "op", "author", "at_ms", "scope", "category", "telemetry", "records",
    "bytes",
)  # fmt: skip


class Change:
    """Rows of one table that differ: `entered` as they are now, `dropped` by their names."""

    __slots__ = ("digests", "dropped", "entered", "table")

    def __init__(self, table: Table) -> None:
        self.table = table
        self.entered: list[Row] = []
        self.dropped: list[Row] = []
        self.digests: dict[Row, bytes] = {}

    def __len__(self) -> int:
        return len(self.entered) + len(self.dropped)


class Delta:
    """What happened to a swarm since the last round: up to event `seq`."""

    __slots__ = ("changes", "events", "keys", "seq")

    def __init__(self, seq: int) -> None:
        self.seq = seq
        self.keys: list[tuple[str, list[Row], Row | None]] = []
        self.events: list[Row] = []
        self.changes: list[Change] = []

    def __len__(self) -> int:
        return len(self.keys) + len(self.events) + sum(len(change) for change in self.changes)


class Copy:
    """One swarm as it was copied so far.

    Args:
        origin: What the row of the fence says: where the swarm still lives.
        move: The move's own number; another that takes the copy over has another.
    """

    def __init__(
        self, target: Engine, swarm: str, numbers: Numbers, origin: str, move: str, tell: Tell
    ) -> None:
        self._target = target
        self._swarm = swarm
        self._numbers = numbers
        self._origin = origin
        self._move = move
        self._tell = tell
        self._digests: dict[str, dict[Row, bytes]] = {table.name: {} for table in COPIED}
        self.seq = 0  # of the source: changes of records up to here are copied
        self.rows: dict[str, int] = {}

    # --- the first round ---

    def records(self, source: Reader) -> None:
        """Copy all records with their history."""
        pager, after = Pager(), ""
        while page := source.read(partial(self._page_of_records, after=after, limit=pager.rows)):
            pager.saw([record for _, _, record in page], VALUE)
            self._within(partial(self._enter_keys, keys=page, new=True))
            after = page[-1][0]

    def _page_of_records(self, tx: Tx, after: str, limit: int) -> list[tuple[str, list[Row], Row]]:
        rows = tx.all("backup_records", after_a=self._swarm, after_b=after, limit=limit)
        return [(r[1], self._history(tx, r), r) for r in rows if r[0] == self._swarm]

    def _history(self, tx: Tx, record: Row) -> list[Row]:
        if record[13] is None:
            return []
        return tx.all("backup_history", swarm=self._swarm, key=record[1])

    def events(self, source: Reader, upto: int) -> None:
        """Copy the change log up to an event."""
        for rows in self._events_after(source, -1, upto):
            self._within(partial(self._enter_events, rows=rows))

    def _events_after(self, source: Reader, after: int, upto: int) -> Iterator[list[Row]]:
        where = {"swarm": self._swarm, "limit": 2 * BATCH_ROWS}
        while rows := source.all("move_events", after=after, **where):
            yield [row for row in rows if row[0] <= upto]
            after = rows[-1][0]
            if after >= upto:
                return

    # --- every further round ---

    def delta(self, source: Reader, upto: int) -> Delta:
        """Return what happened since the last round; `upto` is the newest event."""
        delta = Delta(upto)
        for (key,) in source.all("move_changed", swarm=self._swarm, after=self.seq):
            record = source.one("backup_record", swarm=self._swarm, key=key)
            older: list[Row] = []
            if record is not None and record[13] is not None:
                older = source.all("backup_history", swarm=self._swarm, key=key)
            delta.keys.append((key, older, record))
        for rows in self._events_after(source, self.seq, upto):
            delta.events += rows
        delta.changes = self.others(source)
        return delta

    def others(self, source: Reader) -> list[Change]:
        """Return how the other tables differ from what was copied."""
        return [change for change in (self._differing(source, t) for t in COPIED) if len(change)]

    def _differing(self, source: Reader, table: Table) -> Change:
        change, known = Change(table), self._digests[table.name]
        gone = set(known)
        for row in pages(source, table, self._swarm):
            name = row[: table.place]
            digest = blake2b(repr(row).encode(), digest_size=DIGEST_BYTES).digest()
            gone.discard(name)
            if known.get(name) != digest:
                change.entered.append(row)
                change.digests[name] = digest
        change.dropped = list(gone)
        return change

    def apply(self, delta: Delta) -> None:
        """Write a delta, in as many transactions as it takes."""
        for keys in _batches(delta.keys):
            self._within(partial(self._enter_keys, keys=keys))
        for events in _batches(delta.events):
            self._within(partial(self._enter_events, rows=events))
        self.seq = max(self.seq, delta.seq)
        self.apply_others(delta.changes)

    def apply_others(self, changes: Iterable[Change]) -> None:
        """Write how other tables differ, in as many transactions as it takes."""
        for change in changes:
            for part in _parts(change):
                self._within(partial(self._enter_change, change=part))
                self._note(part)

    def apply_last(self, delta: Delta, source: Reader) -> None:
        """Write the last delta and what goes with the switch, in one transaction."""
        tokens = source.one("move_tokens", swarm=self._swarm) or (0,)
        shown = list(pages(source, INJECTIONS, self._swarm))
        places = self._numbers.places(source, self._swarm, delta.seq)

        def write(tx: Tx) -> None:
            self._enter_keys(tx, delta.keys)
            self._enter_events(tx, delta.events)
            for change in delta.changes:
                self._enter_change(tx, change)
            tx.run("move_wipe_injections", swarm=self._swarm)
            tx.many("move_injection", [self._named(INJECTIONS, row, tx) for row in shown])
            floor = {"swarm": self._swarm, "name": "lease_token_floor"}
            tx.run("fact_raise", **floor, value=tokens[0])
            for name, value in places.items():
                tx.run("fact_set", swarm=self._swarm, name=name, value=value)
            # The copy has events that none of the increments of this store's backups covers.
            tx.run("fact_set", swarm="", name="store_id", value=self._numbers.store_id)

        self._within(write)
        self.rows["injections"] = len(shown)
        self.seq = max(self.seq, delta.seq)
        for change in delta.changes:
            self._note(change)

    def _note(self, change: Change) -> None:
        known = self._digests[change.table.name]
        known.update(change.digests)
        for name in change.dropped:
            known.pop(name, None)
        self.rows[change.table.name] = len(known)

    # --- within a transaction of the target ---

    def begin(self, tx: Tx) -> None:
        """Empty the place, put it behind the fence and take numbers; all in one transaction."""
        row = tx.one("moved_get", swarm=self._swarm)
        if row is not None:
            tx.run("moved_drop", swarm=self._swarm, state=row[0], move_id=row[2])
        wipe(tx, self._swarm, blank=row is not None and row[0] != ARRIVING)
        self._numbers.reserve(tx, self._swarm)
        tx.fence(True)
        self._put_back(tx)

    def _within(self, fn: Callable[[Tx], None]) -> None:
        """Run `fn` behind the fence, if this move is still the one that writes there.

        Raises:
            InvalidArgumentError: Another move took over.
        """

        def write(tx: Tx) -> None:
            if not tx.run("moved_drop", swarm=self._swarm, state=ARRIVING, move_id=self._move):
                raise InvalidArgumentError(
                    f"another move of {self._swarm!r} to {self._target.url} took over",
                    hint="let it end; the swarm stays where it is",
                )
            fn(tx)
            self._put_back(tx)

        self._target.write(write, durability="full")

    def _put_back(self, tx: Tx) -> None:
        where = {"swarm": self._swarm, "url": self._origin, "move_id": self._move}
        tx.run("moved_put", **where, state=ARRIVING, at_ms=tx.now_ms)

    def _enter_keys(
        self, tx: Tx, keys: Iterable[tuple[str, list[Row], Row | None]], *, new: bool = False
    ) -> None:
        moved: dict[tuple[str, str], list[int]] = {}
        entered: list[Named] = []
        for key, older, record in keys:
            if not new:
                self._remove_key(tx, key, moved)
            if record is None:
                continue
            named = dict(zip(RECORD_COLUMNS, record, strict=False))
            entered.append(named | {"history_id": self._enter_history(tx, older)})
            if record[VALUE] is not None:
                size = len(key) + len(record[VALUE])
                _count(moved, record[10], record[11], record[12], 1, size)
            self._counted(1, len(older))
        tx.many("record_put", entered)  # at once: one by one each is a trip to a server
        for (scope, category), (telemetry, records, size) in moved.items():
            where = {"swarm": self._swarm, "scope": scope, "category": category}
            tx.run("usage_add", **where, telemetry=telemetry, records=records, bytes=size)

    def _enter_history(self, tx: Tx, older: list[Row]) -> int | None:
        """Write the versions before the current one, oldest first; return the last one's id."""
        history_id = None
        for version in older:
            named = dict(zip(VERSION_COLUMNS, version, strict=False))
            stored = tx.one("history_load", prev_id=history_id, **named)
            history_id = int(stored[0]) if stored else None
        return history_id

    def _remove_key(self, tx: Tx, key: str, moved: dict[tuple[str, str], list[int]]) -> None:
        head = tx.one("record_head", swarm=self._swarm, key=key)
        if head is None:
            return
        if head[6] is not None:
            _count(moved, head[2], head[3], head[4], -1, -(len(key) + head[6]))
        tx.run("history_trim", swarm=self._swarm, key=key, keep=0)
        tx.run("restore_drop_record", swarm=self._swarm, key=key)

    def _counted(self, records: int, older: int) -> None:
        self.rows["records"] = self.rows.get("records", 0) + records
        self.rows["history"] = self.rows.get("history", 0) + older
        self._tell(sum(self.rows.values()))

    def _enter_events(self, tx: Tx, rows: list[Row]) -> None:
        named = [dict(zip(EVENT_COLUMNS, row, strict=True)) for row in rows]
        for event in named:
            event |= {"swarm": self._swarm, "seq": event["seq"] + self._numbers.events}
        tx.many("move_event", named)
        self.rows["events"] = self.rows.get("events", 0) + len(rows)
        self._tell(sum(self.rows.values()))

    def _enter_change(self, tx: Tx, change: Change) -> None:
        table = change.table
        names = chain((row[: table.place] for row in change.entered), change.dropped)
        known = self._digests[table.name]
        tx.many(table.drop, [self._name(table, name) for name in names if name in known])
        tx.many(table.enter, [self._named(table, row, tx) for row in change.entered])
        self._tell(sum(self.rows.values()))

    def _name(self, table: Table, name: Row) -> Named:
        named = dict(zip(table.columns, name, strict=False)) | {"swarm": self._swarm}
        return self._shifted(table, named)

    def _named(self, table: Table, row: Row, tx: Tx) -> Named:
        named = dict(zip(table.columns, row, strict=True)) | {"swarm": self._swarm}
        if table is SESSIONS and named["state"] == "active":
            # Counted by the clock of this store from now on.
            boot = {"boot_id": self._target.boot_id}
            named |= boot | {"expires_ms": tx.uptime_ms + named["ttl_ms"]}
        elif table is SESSIONS:
            named["expires_ms"] = 0
        elif table is FACTS:
            named["value"] = self._numbers.fact(named["name"], named["value"])
        return self._shifted(table, named)

    def _shifted(self, table: Table, named: Named) -> Named:
        for column in table.shifted:
            if column in named:
                named[column] += self._numbers.messages
        return named


def wipe(tx: Tx, swarm: str, *, blank: bool) -> None:
    """Remove all rows of a swarm; with `blank` the numbers of its events stay, without a word."""
    fold(tx)
    if blank:
        tx.run("move_blank_events", swarm=swarm)
    for statement in WIPE:
        tx.run(statement, swarm=swarm)


def fold(tx: Tx) -> None:
    """Add up the counters of all events, so that these can go."""
    span = tx.one("event_span")
    if span and span[1]:
        tx.run("usage_fold")
        tx.run("fact_set", swarm="", name="folded_seq", value=span[1])


def pages(source: Reader, table: Table, swarm: str) -> Iterator[Row]:
    """Yield all rows of a table that belong to a swarm, read in pages."""
    pager, after = Pager(), table.first
    while True:
        where = dict(zip("ab", after, strict=False))
        rows = source.all(table.page, swarm=swarm, **where, limit=pager.rows)
        if not rows:
            return
        yield from rows
        after = rows[-1][: table.place]
        pager.saw(rows)


def _count(
    moved: dict[tuple[str, str], list[int]], scope: str, category: str, telemetry: int,
    records: int, size: int,
) -> None:  # fmt: skip
    counter = moved.setdefault((scope, category), [telemetry, 0, 0])
    counter[1] += records
    counter[2] += size


def _batches(rows: list[Any]) -> Iterator[list[Any]]:
    for start in range(0, len(rows), BATCH_ROWS):
        yield rows[start : start + BATCH_ROWS]


def _parts(change: Change) -> Iterator[Change]:
    for rows in _batches(change.entered):
        part = Change(change.table)
        part.entered = rows
        names = [row[: change.table.place] for row in rows]
        part.digests = {name: change.digests[name] for name in names}
        yield part
    for names in _batches(change.dropped):
        part = Change(change.table)
        part.dropped = names
        yield part
