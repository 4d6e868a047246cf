"""The checks of `verify`, each a function of a transaction and the log of what is wrong.

A check reads pages of rows and keeps no more than the rows it cannot judge yet. The remedies are
sentences for the person who reads the report.
"""

from __future__ import annotations

from itertools import pairwise
from zlib import crc32

from swarm_memory import codec
from swarm_memory.errors import CorruptValueError
from swarm_memory.learned import unsealed
from swarm_memory.paging import Pager
from swarm_memory.rows import unseal_dictionary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarm_memory.engine import Row, Tx
    from swarm_memory.integrity.verify import Log

MARK = "restore"  # the op of events that are about no key
EPOCH_LEAP = 2**32  # of numbers of events, when a store is restored or a swarm moves to it
ROWS_MAX = 1000  # of one kind of finding that are read; more say nothing new
SALVAGE = "save what can be read: swarm-memory repair --to NEW; or restore a backup"
OLDER = "an older version may be intact: swarm-memory history KEY, then rollback; or a backup"
LOST = "take it from a backup; swarm-memory repair --to NEW keeps what is left"
RELEARN = "swarm-memory learn rebuild"
RECOUNT = "swarm-memory repair --to NEW counts anew"
OPTIMIZE = "swarm-memory repair --to NEW leaves it behind; it does no harm"
NEWS_OPS = {"put", "rollback", "touch"}  # after which a key has a value
GONE_OPS = {"delete", "expire"}


def structure(tx: Tx, log: Log) -> None:
    """SQLite's own check of pages, trees and indexes."""
    sizes = tx.one("verify_sizes")
    log.expected_rows = sum(sizes) if sizes else 0
    for row in tx.all("verify_structure"):
        if row[0] != "ok":
            log.damage("", "", str(row[0]), SALVAGE)


def schema(tx: Tx, log: Log) -> None:
    """The schema is the one that this version makes."""
    found: dict[str, str] = dict(tx.all("verify_schema"))
    for name, made in tx.schema_made().items():
        if found.get(name) != made:
            log.damage("", name, "the schema is not the one that was made", SALVAGE)


def dictionaries(tx: Tx, log: Log) -> None:
    """The checksum of every dictionary, and that no number is missing."""
    newest: dict[str, int] = {}
    for swarm, number, sealed in tx.all("verify_dictionaries"):
        log.read("dictionaries", 1)
        if number != newest.get(swarm, number - 1) + 1:
            log.damage(swarm, f"dictionary {number}", "the one before it is missing", LOST)
        newest[swarm] = number
        try:
            unseal_dictionary(swarm, number, sealed)
        except CorruptValueError as error:
            log.damage(swarm, f"dictionary {number}", str(error), LOST)


def _is_intact(row: Row) -> bool:
    """Tell whether the row (swarm, key … provenance, frame) matches its checksum, if it has one."""
    frame = row[9]
    if frame is None:
        return True
    try:
        about = codec.dumps((row[0], row[1:9]))
        return crc32(frame, crc32(about)) == codec.RESIDUE and len(frame) >= codec.FRAME_BYTES
    except (TypeError, ValueError):
        return False  # a column that is of no type it could have


def _pages(
    tx: Tx, statement: str, table: str, log: Log, place: int, value: int | None = None
) -> Iterator[list[Row]]:
    """Yield pages of rows; `place` is the column by which they follow each other,
    `value` that of the values.

    Raises:
        CorruptValueError: They do not follow each other, so that walking on might never end.
    """
    pager, after = Pager(), -1
    while rows := tx.all(statement, after=after, limit=pager.rows):
        yield rows
        if not all(a[place] < b[place] for a, b in pairwise([(after,) * (place + 1), *rows])):
            raise CorruptValueError(f"the order of {table}", f"at {rows[-1][place]}")
        after = rows[-1][place]
        pager.saw(rows, value)
        log.read(table, len(rows))


def records(tx: Tx, log: Log) -> None:
    """The checksum of every current value, and where its older versions begin."""
    for rows in _pages(tx, "verify_records", "records", log, 10, 9):
        for row in rows:
            if not _is_intact(row):
                log.damage(row[0], row[1], f"the value of version {row[2]} is damaged", OLDER)
            elif row[11] is not None and row[12:14] != row[:2]:
                log.damage(row[0], row[1], "its older versions are missing", LOST)
            elif row[14] is not None and row[14] >= row[2]:
                problem = f"version {row[2]} stands before version {row[14]}"
                log.damage(row[0], row[1], problem, LOST)


def history(tx: Tx, log: Log) -> None:
    """The checksum of every older version, their order, and that a record leads to each."""
    led_to = {row[0] for row in tx.all("verify_history_heads")}
    seen: set[int] = set()
    for rows in _pages(tx, "verify_history", "history", log, 10, 9):
        for row in rows:
            seen.add(row[10])
            if not _is_intact(row):
                log.damage(row[0], row[1], f"the older version {row[2]} is damaged", LOST)
            elif row[11] is not None and row[12] >= row[2]:
                problem = f"version {row[2]} stands before version {row[12]}"
                log.damage(row[0], row[1], problem, LOST)
            led_to.add(row[11])
    for number in sorted(seen - led_to):
        _orphan(tx, log, number)


def _orphan(tx: Tx, log: Log, number: int) -> None:
    owner = tx.one("verify_history_owner", id=number)
    if owner is None:
        return
    swarm, key, version, current, floor = owner
    if current is None and version > floor:
        problem = f"version {version} is there, but the record that it belongs to is missing"
        log.damage(swarm, key, problem, LOST)
    else:
        # A category that keeps fewer versions than it did leaves the others behind.
        log.waste(swarm, key, f"nothing leads to the older version {version}", OPTIMIZE)


def events(tx: Tx, log: Log) -> None:
    """No event is missing, and each key is as its newest event left it."""
    before: Row | None = None
    ends = iter([int(value) for (value,) in tx.all("verify_moved")])
    moved = [(offset, end) for end, offset in zip(ends, ends, strict=True)]
    unlike: dict[tuple[str, str], Row] = {}  # by key, the newest event that the record differs from
    for rows in _pages(tx, "verify_events", "events", log, 0):
        for row in rows:
            # Pruning goes by time: where a clock was set back it may leave such a gap.
            gap = before is not None and row[0] != before[0] + 1 and row[5] >= before[5]
            if before is not None and gap and not _is_leap(row, moved):
                log.damage("", f"event {row[0]}", f"the events after {before[0]} are missing", LOST)
            before = row
            if _is_like(row):
                unlike.pop(row[1:3], None)
            else:
                unlike[row[1:3]] = row
    for row in unlike.values():
        _judge(row, log)


def _is_leap(row: Row, moved: list[tuple[int, int]]) -> bool:
    """Tell whether numbers leap to an event: it is of a swarm that was moved here without those
    beside it, or it is the mark above the block that was reserved for one."""
    if row[4] == MARK:
        return bool(row[0] % EPOCH_LEAP == 0)
    return any(offset <= row[0] < end for offset, end in moved)


def _is_like(row: Row) -> bool:
    """Tell whether the record is as this event left it."""
    _, _, _, version, op, _, current, live = row
    if op in GONE_OPS:
        return current is None or (current == version and not live)
    return op not in NEWS_OPS or (current == version and bool(live))


def _judge(row: Row, log: Log) -> None:
    seq, swarm, key, version, op, _, current, live = row
    if current is None:
        log.damage(swarm, key, f"the record is missing (event {seq}: {op} {version})", LOST)
    elif current < version or (current > version and live):
        problem = f"is at version {current}, its last event ({seq}) is {op} {version}"
        log.damage(swarm, key, problem, LOST)
    elif current == version:
        state = "has a value although it was removed" if live else "has lost its value"
        log.damage(swarm, key, f"version {version} {state} (event {seq}: {op})", LOST)


def usage(tx: Tx, log: Log) -> None:
    """The counters that quotas are checked against equal a recount."""
    for swarm, scope, category, rows, size in tx.all("verify_usage", limit=ROWS_MAX):
        problem = f"the counter differs from a recount by {rows} records and {size} bytes"
        log.damage(swarm, f"{scope}, {category}", problem, RECOUNT)


def outcomes(tx: Tx, log: Log) -> None:
    """The counts that strategies are chosen by equal a recount of the outcomes."""
    for swarm, task_type, strategy, trials, successes in tx.all("verify_arms", limit=ROWS_MAX):
        problem = f"counts differ from the outcomes by {trials} trials, {successes} successes"
        log.damage(swarm, f"{task_type}, {strategy or 'no strategy'}", problem, RECOUNT)
    for swarm, learned, newest in tx.all("verify_models", limit=ROWS_MAX):
        problem = f"it learned up to {learned}, the log of outcomes ends at {newest}"
        log.damage(swarm, "model", problem, RELEARN)
    for swarm, part, stored in tx.all("verify_model_parts"):
        try:
            unsealed(part, bytes(stored))
        except ValueError as error:
            log.damage(swarm, f"model {part}", str(error), RELEARN)


def texts(tx: Tx, log: Log) -> None:
    """What is stored as JSON without a checksum is JSON."""
    for table, swarm, name in tx.all("verify_json", limit=ROWS_MAX):
        log.damage(swarm, f"{table} {name}", "a column is no JSON", LOST)


def leases(tx: Tx, log: Log) -> None:
    """Seats that cannot be, and two holders of what one may hold."""
    for swarm, name, ticket, problem in tx.all("verify_seats", limit=ROWS_MAX):
        log.damage(swarm, f"lease {name}", f"seat {ticket}: {problem}", RECOUNT)
    for swarm, name in tx.all("verify_holders", now_ms=tx.uptime_ms, limit=ROWS_MAX):
        log.damage(swarm, f"lease {name}", "two hold what one may hold", RECOUNT)


def sessions(tx: Tx, log: Log) -> None:
    """Sessions and agents that cannot be."""
    for swarm, session_id, problem in tx.all("verify_sessions", limit=ROWS_MAX):
        log.damage(swarm, f"session {session_id}", problem, RECOUNT)


def messages(tx: Tx, log: Log) -> None:
    """Messages that cannot be."""
    for swarm, message_id, queue, problem in tx.all("verify_messages", limit=ROWS_MAX):
        log.damage(swarm, f"message {message_id} to {queue}", problem, LOST)


def cursors(tx: Tx, log: Log) -> None:
    """Cursors that point to what does not exist yet."""
    for swarm, name, seq in tx.all("verify_cursors", limit=ROWS_MAX):
        log.damage(swarm, name, f"points to {seq}, which does not exist yet", RECOUNT)


def handles(tx: Tx, log: Log) -> None:
    """Numbers that agents were shown and that mean something else now."""
    for swarm, number, kind, item in tx.all("verify_handles", limit=ROWS_MAX):
        log.damage(swarm, f"%{number}", f"was shown for {kind} {item}, which it is not", RECOUNT)


ALL = (
    structure,
    schema,
    dictionaries,
    records,
    history,
    events,
    usage,
    outcomes,
    texts,
    leases,
    sessions,
    messages,
    cursors,
    handles,
)
