"""Forgetting in the store: found on a snapshot without a lock, removed in short transactions.

Each transaction judges again what it removes, and leaves a store that is whole: a killed run is
finished by running it again. What is written meanwhile is found by the next round.

A version that is forgotten becomes a deletion by nobody in its place, so the versions of others
before and after it stay what they were. A key of which no value is left goes altogether. A log of
practice, which is of many sessions, loses rows instead (see `target`).
"""

from __future__ import annotations

import os
from functools import partial

from swarm_memory import codec
from swarm_memory.backup.tables import EMPTY, EVENTS, RECORD_COLUMNS, VERSION_COLUMNS
from swarm_memory.backup.writing import load_dictionary
from swarm_memory.codec import Compressor
from swarm_memory.errors import CorruptValueError
from swarm_memory.forgetting.tables import ERASE, RUN_COLUMNS, SEAT_COLUMNS, TABLES
from swarm_memory.forgetting.target import FORGET, blank, is_blank
from swarm_memory.lean import NamedTuple
from swarm_memory.paging import Pager
from swarm_memory.rows import meaning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swarm_memory.engine import Row, Tx
    from swarm_memory.forgetting.target import Target
    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm, Transaction

    Named = dict[str, Json]

ERASED = "erased"  # the fact that is another number after each time something was forgotten
BATCH = 200  # keys or rows that one transaction removes
_ID = 10  # the column of a version's row that its id stands in
PENDING = "forget/dictionaries"
_BEFORE_ALL = -1


class Found(NamedTuple):
    """What a look at the store found: what is to be removed, and how much it is, by kind."""

    keys: list[tuple[str, str]]
    orphans: list[Named]
    events: list[Named]
    rows: list[tuple[str, Named]]
    runs: list[Named]
    seats: list[Named]
    damaged: list[str]
    counts: dict[str, int]

    @property
    def nothing(self) -> bool:
        return not (self.keys or self.orphans or self.events or self.rows or self.runs) and (
            not self.seats
        )


class Values:
    """Expands stored values of all swarms within one transaction."""

    def __init__(self, tx: Tx, bytes_max: int) -> None:
        self._tx = tx
        self._bytes_max = bytes_max
        self._expanders: dict[str, Compressor] = {}

    def encoded(self, row: Named) -> bytes | None:
        """Return the JSON bytes of a version's row.

        Raises:
            CorruptValueError: It is damaged, so nobody can tell what it holds.
        """
        frame = row["value"]
        if frame is None:
            return None
        try:
            said = meaning(*(row[name] for name in VERSION_COLUMNS[:-1]))
            return self.of(row["swarm"]).expand(*codec.unseal(frame, said))
        except (ValueError, TypeError) as error:
            raise CorruptValueError(row["key"], str(error)) from error

    def of(self, swarm: str) -> Compressor:
        """Return the compressor of one swarm."""
        if swarm not in self._expanders:
            load = partial(load_dictionary, self._tx, swarm)
            newest = self._tx.one("dictionary_newest", swarm=swarm)
            number = int(newest[0]) if newest else 0
            self._expanders[swarm] = Compressor(load, lambda: number, self._bytes_max)
        return self._expanders[swarm]


def find(tx: Tx, target: Target, bytes_max: int) -> Found:
    """Return all that is to be forgotten, as one snapshot shows it."""
    found = Found([], [], [], [], [], [], [], {})
    _find_versions(tx, target, Values(tx, bytes_max), found)
    known = set(found.keys)
    for event in pages(tx, EVENTS.page, 1, EVENTS.columns):
        owned = event["op"] != FORGET and target.owns_key(event["swarm"], event["key"])
        if (owned and (event["swarm"], event["key"]) not in known) or (
            not owned and target.concerns("events", event)
        ):
            found.events.append(event | {"whole": owned})
    for table in TABLES:
        for row in pages(tx, table.page, table.place, table.columns):
            if target.concerns(table.name, row):
                found.rows.append((table.name, row))
                _count(found.counts, table.name)
    for row in pages(tx, "forget_run_pages", 3, RUN_COLUMNS):
        if target.concerns("message_runs", row):
            found.runs.append(row)
    for row in pages(tx, "forget_seat_pages", 3, SEAT_COLUMNS):
        if target.concerns("seats", row):
            found.seats.append(row)
            _count(found.counts, "leases")
    return found


def _find_versions(tx: Tx, target: Target, values: Values, found: Found) -> None:
    keys: dict[tuple[str, str], None] = {}

    def judge(table: str, row: Named) -> bool:
        where = (row["swarm"], row["key"])
        try:
            hit = target.owns_key(*where) or target.concerns(table, row, values.encoded(row))
        except CorruptValueError as error:
            found.damaged.append(f"{where[0]}: {where[1]} version {row['version']}: {error}")
            return False
        if hit:
            keys[where] = None
        return hit

    for row in pages(tx, "backup_records", 2, RECORD_COLUMNS):
        if judge("records", row) and row["value"] is not None:
            _count(found.counts, "telemetry" if row["telemetry"] else "records")
    after, pager = _BEFORE_ALL, Pager()
    while rows := tx.all("verify_history", after=after, limit=pager.rows):
        for plain in rows:
            row = dict(zip(VERSION_COLUMNS, _ordered(plain), strict=True))
            if judge("history", row):
                found.orphans.append(row | {"id": plain[_ID]})
                _count(found.counts, "older versions")
        after = rows[-1][_ID]
        pager.saw(rows, 9)
    found.keys.extend(keys)


def _ordered(row: Row) -> Row:
    """Return the columns of a version; statements give them in the order of VERSION_COLUMNS."""
    return row[: len(VERSION_COLUMNS)]


def pages(
    tx: Tx, statement: str, place: int, columns: tuple[str, ...] | list[str]
) -> Iterator[Named]:
    """Yield all rows of a table as dictionaries, read in pages."""
    if place == 0:
        yield from (dict(zip(columns, row, strict=True)) for row in tx.all(statement))
        return
    pager = Pager()
    names = ("after_a", "after_b", "after_c")[:place]
    first: tuple[Json, ...] = EMPTY if place > 1 else (_BEFORE_ALL,)
    where = dict(zip(names, first, strict=False))
    while rows := tx.all(statement, **where, limit=pager.rows):
        for row in rows:
            yield dict(zip(columns, row, strict=False))
        where = dict(zip(names, rows[-1], strict=False))
        pager.saw(rows, 9 if statement == "backup_records" else None)


def erase(swarm: Swarm, target: Target, found: Found) -> None:
    """Remove what was found, in transactions of at most `BATCH` keys or rows each."""
    # Whoever copies a swarm to another store meanwhile has to begin anew.
    number = int.from_bytes(os.urandom(6), "big")
    swarm.transact(lambda handle: handle.tx.run("fact_set", swarm="", name=ERASED, value=number))
    bytes_max = swarm.config.value_bytes_max
    orphans: dict[tuple[str, str], list[Named]] = {}
    for row in found.orphans:
        orphans.setdefault((row["swarm"], row["key"]), []).append(row)
    _each(swarm, found.keys, partial(_erase_keys, target, orphans, bytes_max))
    _each(swarm, found.events, _erase_events)
    _each(swarm, found.rows, _erase_rows)
    _each(swarm, found.runs, partial(_erase_runs, target))
    _each(swarm, found.seats, partial(_erase_seats, target))


def _each(swarm: Swarm, items: list[Json], fn: Callable[[Tx, list[Json]], None]) -> None:
    for start in range(0, len(items), BATCH):
        swarm.transact(partial(_within, fn, items[start : start + BATCH]))


def _within(fn: Callable[[Tx, list[Json]], None], items: list[Json], handle: Transaction) -> None:
    fn(handle.tx, items)


# --- within a transaction ---


def _erase_keys(
    target: Target,
    orphans: dict[tuple[str, str], list[Named]],
    bytes_max: int,
    tx: Tx,
    keys: list[tuple[str, str]],
) -> None:
    fold(tx)
    values = Values(tx, bytes_max)
    dropped: list[tuple[str, str]] = []
    blanked: list[tuple[str, str, int]] = []
    for where in keys:
        versions = _versions(tx, *where)
        chain = {row.get("id") for row in versions}
        for row in orphans.get(where, ()):
            if row["id"] not in chain:
                tx.run("forget_version", id=row["id"], swarm=where[0], key=where[1])
        after = forget_versions(target, versions, values)
        if after is None:
            _drop(tx, *where, versions)
            dropped.append(where)
        elif after != versions:
            _replace(tx, versions, after)
            blanked += [
                (*where, a["version"])
                for a, b in zip(after, versions, strict=True)
                if a != b and is_blank(a)
            ]
    gone, emptied = _json(dropped), _json(blanked)
    tx.run("forget_events_of_keys", keys=gone)
    tx.run("forget_conflicts_of_keys", keys=gone)
    tx.run("forget_events_of_versions", versions=emptied)
    tx.run("forget_conflicts_of_versions", versions=emptied)
    tx.run("forget_injections_of_keys", keys=gone)
    tx.run("forget_handles_of_keys", keys=gone)
    tx.run("forget_usage")


def forget_versions(
    target: Target, versions: list[Named], values: Values | None = None
) -> list[Named] | None:
    """Return what the versions of one key, oldest first, become; None if nothing is to stay.

    `values` expands what is stored; without it rows bring their JSON in `encoded`.
    """
    after = []
    hit = False
    for row in versions:
        try:
            encoded = values.encoded(row) if values is not None else row.get("encoded")
        except CorruptValueError:
            encoded = None  # it is named in the report, and stays
        concerned = target.owns_key(row["swarm"], row["key"]) or target.concerns(
            "records", {n: v for n, v in row.items() if n != "encoded"}, encoded
        )
        hit = hit or concerned
        thinner = _thinner(target, row, encoded, values) if concerned else row
        after.append(blank(row) if thinner is None else thinner)
    if hit and (
        all(row["value"] is None for row in after)
        or target.owns_key(versions[0]["swarm"], versions[0]["key"])
    ):
        return None
    return after


def _thinner(
    target: Target, row: Named, encoded: bytes | None, values: Values | None
) -> Named | None:
    """Return a version of a log of practice with the rows that stay; None if nothing of it does."""
    about = {n: v for n, v in row.items() if n not in ("value", "encoded")}
    if encoded is None or target.concerns("records", about):
        return None
    stay = target.thinned(row["key"], encoded)
    if not stay:
        return None
    encoded = codec.dumps(stay)
    if values is None:
        return row | {"value": [stay], "encoded": encoded}
    said = meaning(*(row[name] for name in VERSION_COLUMNS[:-1]))
    packed = values.of(row["swarm"]).compress(encoded)
    return row | {"value": codec.seal(*packed, said)}


def _versions(tx: Tx, swarm: str, key: str) -> list[Named]:
    """Return the versions of a key, oldest first; the last is the record itself."""
    rows = [
        dict(zip(VERSION_COLUMNS, row, strict=False)) | {"id": row[_ID]}
        for row in tx.all("backup_history", swarm=swarm, key=key)
    ]
    record = tx.one("backup_record", swarm=swarm, key=key)
    return rows if record is None else [*rows, dict(zip(RECORD_COLUMNS, record, strict=False))]


def _drop(tx: Tx, swarm: str, key: str, versions: list[Named]) -> None:
    if not versions:
        return
    _uncount(tx, versions[-1])
    _mark_pending(tx, swarm)
    tx.run("history_trim", swarm=swarm, key=key, keep=0)
    tx.run("restore_drop_record", swarm=swarm, key=key)
    # Versions must not repeat, so new keys of this swarm start above every forgotten one.
    newest = versions[-1]["version"]
    tx.run("fact_raise", swarm=swarm, name="version_floor", value=newest)


def _replace(tx: Tx, before: list[Named], after: list[Named]) -> None:
    """Write the whole chain anew: a row of it is removed only with all others."""
    swarm, key = after[-1]["swarm"], after[-1]["key"]
    _mark_pending(tx, swarm)
    tx.run("history_trim", swarm=swarm, key=key, keep=0)
    history_id = None
    for row in after[:-1]:
        version = {name: row[name] for name in VERSION_COLUMNS}
        stored = tx.one("history_load", prev_id=history_id, **version)
        history_id = stored[0] if stored else None
    if after[-1] != before[-1]:
        _uncount(tx, before[-1])
        _uncount(tx, after[-1], -1)
    record = {name: after[-1][name] for name in RECORD_COLUMNS}
    tx.run("record_put", history_id=history_id, **record)


def _uncount(tx: Tx, record: Named, times: int = 1) -> None:
    """Take a live record out of the counters, so many times; -1 counts it in."""
    if record.get("value") is not None and "scope" in record:
        said = {name: record[name] for name in ("swarm", "scope", "category", "telemetry")}
        size = len(record["value"]) + len(record["key"])
        tx.run("usage_add", **said, records=-times, bytes=-times * size)


def _mark_pending(tx: Tx, swarm: str) -> None:
    """Note that dictionaries up to now may hold parts of what was removed."""
    newest = tx.one("dictionary_newest", swarm=swarm)
    if newest and newest[0]:
        tx.run("fact_raise", swarm=swarm, name=PENDING, value=newest[0])


def fold(tx: Tx) -> None:
    """Add up the counters of all events, so that these can be changed."""
    span = tx.one("event_span")
    if span and span[1]:
        tx.run("usage_fold")
        tx.run("fact_set", swarm="", name="folded_seq", value=span[1])


def _erase_events(tx: Tx, events: list[Named]) -> None:
    fold(tx)
    for event in events:
        tx.run("forget_event" if event["whole"] else "forget_event_author", seq=event["seq"])


def _erase_rows(tx: Tx, rows: list[tuple[str, Named]]) -> None:
    tables = {table for table, _ in rows}
    for table, row in rows:
        if table == "sessions":
            tx.run("forget_session_agents", **row)
        if table == "outcomes":
            tx.run("forget_relabels", **row)
        tx.run(ERASE[table], **row)
    if tables & {"outcomes", "relabels"}:
        tx.run("restore_clear_models")  # what was learned of the row goes with it
        tx.run("restore_clear_arms")
        tx.run("restore_arms")
    if "messages" in tables:
        tx.run("forget_runs_shorten")
        tx.run("forget_runs_empty")


def _erase_runs(target: Target, tx: Tx, rows: list[Named]) -> None:
    for row in rows:
        queue = {"swarm": row["swarm"], "queue": row["queue"]}
        whose = "run_drop" if target.concerns("message_runs", queue) else "forget_run"
        tx.run(whose, **row)


def _erase_seats(target: Target, tx: Tx, rows: list[Named]) -> None:
    for row in rows:
        if target.kind == "text" and target.is_in(row["name"]):
            tokens = tx.one("forget_seat_tokens", swarm=row["swarm"], name=row["name"])
            floor = {"swarm": row["swarm"], "name": "lease_token_floor"}
            tx.run("fact_raise", **floor, value=tokens[0] if tokens else 0)
            tx.run("forget_seats_of_name", **row)
        else:
            tx.run("forget_seat_first", **row)
            tx.run("forget_seat", **row)


def _json(items: list[Json]) -> str:
    return codec.dumps(items).decode()


def _count(counts: dict[str, int], name: str) -> None:
    counts[name] = counts.get(name, 0) + 1
