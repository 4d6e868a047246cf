"""Exporting: everything a swarm holds as one JSONL file, from one moment.

`importers.jsonl` describes the file. Not in it: the change log, the results of op_ids, sessions,
leases and messages under way, which belong to the store that they happened in, and what has
expired.
"""

from __future__ import annotations

import json
import os
from heapq import merge
from operator import itemgetter

from swarm_memory.codec import canonical
from swarm_memory.errors import CorruptValueError
from swarm_memory.exchange.lines import Lines, published
from swarm_memory.importers.jsonl import (
    COLUMNS,
    FIRST,
    FORMAT,
    HISTORY,
    OUTCOMES,
    RECORDS,
    RELABELS,
    VERSION,
)
from swarm_memory.lean import NamedTuple
from swarm_memory.rows import records_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from swarm_memory.context import Context
    from swarm_memory.engine import Row, Tx
    from swarm_memory.model import Json, Record
    from swarm_memory.swarm import Swarm, Transaction

    Line = tuple[str, dict[str, Json]]

PAGE_ROWS = 500
_JSON_COLUMNS = {"agents", "context", "signals", "candidates", "base", "theirs", "mine", "result"}
_BEFORE_ALL = -1


class _Table(NamedTuple):
    name: str
    statement: str


# Choices before outcomes: an outcome may point to one.
_CHOICES = _Table("choices", "export_choices")
_CONFLICTS = _Table("conflicts", "export_conflicts")


def export_store(
    swarm: Swarm,
    out: str | os.PathLike[str] | BinaryIO,
    *,
    all_swarms: bool = False,
    progress: Callable[[int], object] | None = None,
) -> dict[str, Json]:
    """Write all that the swarm holds, telemetry and history included, to `out`.

    All rows are of one moment. A path is replaced only when the whole file is on disk; it is
    readable by its owner only. Values that are damaged in the store are left out and named.

    Args:
        out: A path, or a binary stream that is written to directly.
        all_swarms: Every swarm of the store instead of the caller's own.
        progress: Called with the number of rows written, once in `PAGE_ROWS`.

    Returns:
        `path`, `swarms`, `rows` by table, `bytes` and `damaged` keys.

    Raises:
        EngineUnavailableError, StorageFullError: The file cannot be written.
    """
    if not isinstance(out, (str, os.PathLike)):
        stream = out
        return swarm.read(
            lambda tx: _write(tx, swarm, stream, None, all_swarms, progress), durable=True
        )
    path = os.path.abspath(os.path.expanduser(out))
    with published(path) as file:
        return swarm.read(
            lambda tx: _write(tx, swarm, file, path, all_swarms, progress), durable=True
        )


class Selected(NamedTuple):
    """A record that was written to an archive: what it is stored as, and the digest of what the
    file says of it.
    """

    key: str
    version: int
    updated_ms: int
    frame: bytes
    digest: str


def export_records(
    swarm: Swarm, path: str, chosen: Callable[[Tx, Row], bool], *, archive: bool = False
) -> list[Selected]:
    """Write the records that `chosen` picks, with their older versions, as an export.

    All are of one moment. A record of which a version is damaged is left out.

    Args:
        path: The file; it appears when all of it is on disk.
        chosen: Told a row (key, version, author, session, times, provenance, value, history_id).
        archive: They are to leave the store: an import gives them as long to live again as they
            had left.

    Raises:
        EngineUnavailableError, StorageFullError: The file cannot be written.
    """
    context = swarm.context

    def write(tx: Tx, file: BinaryIO) -> list[Selected]:
        lines, written = Lines(file), list[Selected]()
        lines.manifest(
            {
                "format": FORMAT,
                "version": VERSION,
                "exported_ms": tx.now_ms,
                "swarms": [context.swarm],
                "archive": archive,
            }
        )
        for row in _pages(tx, "export_records", context.swarm):
            if not chosen(tx, row):
                continue
            damaged: list[str] = []
            found = list(_versions(tx, context, row, damaged))
            if damaged:
                continue
            for table, shown in found:
                lines.row(table, {"swarm": context.swarm} | shown)
            digest = _digest([shown for _, shown in found])
            written.append(Selected(row[0], row[1], row[5], row[8], digest))
        lines.close()
        return written

    with published(path) as file:
        return swarm.read(lambda transaction: write(transaction.tx, file), durable=True)


def digest_of(versions: list[Record]) -> str:
    """Return the digest of a record and its older versions, the current one last."""
    return _digest([record.to_dict() for record in versions])


def _digest(versions: list[dict[str, Json]]) -> str:
    from hashlib import sha256

    said = [{n: v for n, v in version.items() if n != "telemetry"} for version in versions]
    return sha256(canonical(said)).hexdigest()


def _write(
    tx: Transaction,
    swarm: Swarm,
    file: BinaryIO,
    path: str | None,
    all_swarms: bool,
    progress: Callable[[int], object] | None,
) -> dict[str, Json]:
    own = swarm.context.swarm
    names = [row[0] for row in tx.tx.all("export_swarms")] if all_swarms else [own]
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "exported_ms": tx.now_ms,
        "swarms": names,
    }
    lines = Lines(file)
    lines.manifest(manifest)
    damaged: list[str] = []
    for name in names:
        context = swarm.as_agent(swarm.context.agent, swarm=name).context
        for table, row in _lines_of(tx.tx, context, damaged):
            lines.row(table, {"swarm": name} | row)
            if progress is not None and sum(lines.rows.values()) % PAGE_ROWS == 0:
                progress(sum(lines.rows.values()))
    lines.close()
    return {
        "path": path,
        "swarms": names,
        "rows": lines.rows,
        "bytes": lines.bytes,
        "damaged": damaged,
    }


def _lines_of(tx: Tx, context: Context, damaged: list[str]) -> Iterator[Line]:
    """Yield (table, row) of everything in the context's swarm."""
    floor = tx.one("fact_get", swarm=context.swarm, name="version_floor")
    if floor is not None:
        yield "facts", {"name": "version_floor", "value": floor[0]}
    for row in _pages(tx, "export_records", context.swarm):
        yield from _versions(tx, context, row, damaged)
    for row in _pages(tx, _CHOICES.statement, context.swarm):
        yield _CHOICES.name, _named(_CHOICES.name, row)
    yield from _learned(tx, context.swarm)
    for row in _pages(tx, _CONFLICTS.statement, context.swarm):
        yield _CONFLICTS.name, _named(_CONFLICTS.name, row)


def _learned(tx: Tx, swarm: str) -> Iterator[Line]:
    """Yield outcomes and revisions of their labels in the order in which they were learned.

    Whoever reads them in this order learns the same. An outcome is as it is now, and `first` what
    its label was before the revisions that follow, for a reader who knows of them.
    """
    outcomes = _pages(tx, "export_outcomes", swarm, _BEFORE_ALL)
    revisions = _pages(tx, "export_relabels", swarm, _BEFORE_ALL)
    width = len(COLUMNS[OUTCOMES]) - 1
    for row in merge(outcomes, revisions, key=itemgetter(0)):
        if len(row) == 1 + len(COLUMNS[RELABELS]):
            yield RELABELS, _named(RELABELS, row[1:])
            continue
        first = row[1 + width :]
        said = None if first[0] is None else dict(zip(FIRST, first, strict=True))
        yield OUTCOMES, _named(OUTCOMES, (*row[1 : 1 + width], said))


def _pages(tx: Tx, statement: str, swarm: str, after: str | int = "") -> Iterator[Row]:
    while rows := tx.all(statement, swarm=swarm, after=after, limit=PAGE_ROWS):
        yield from rows
        after = rows[-1][0]


def _versions(tx: Tx, context: Context, row: Row, damaged: list[str]) -> Iterator[Line]:
    """Yield the older versions of a record, oldest first, and the record."""
    key, expires_ms, history_id = row[0], row[6], row[9]
    category = context.config.category_of(key)
    if history_id is not None:
        older = tx.all(
            "history_list",
            swarm=context.swarm,
            key=key,
            now_ms=tx.now_ms,
            depth=category.versions_max - 1,
        )
        for version in reversed(older):
            record = _record(context, version, damaged)
            if record is not None:
                yield HISTORY, record.to_dict()
    record = _record(context, row[:9], damaged)
    if record is None:
        return
    if expires_ms is not None and expires_ms <= tx.now_ms:
        # Never given out again, but its version must not come again either: as a sweep leaves it.
        record = record._replace(value=None, provenance=None, expires_ms=None, deleted=True)
    shown = record.to_dict()
    if category.telemetry:
        shown["telemetry"] = True
    yield RECORDS, shown


def _record(context: Context, row: Row, damaged: list[str]) -> Record | None:
    try:
        return records_of(context, (row,))[0]
    except CorruptValueError:
        damaged.append(f"{row[0]} version {row[1]}")
        return None


def _named(table: str, row: Row) -> dict[str, Json]:
    named = dict(zip(COLUMNS[table], row, strict=True))
    for name in _JSON_COLUMNS & named.keys():
        if named[name] is not None:
            named[name] = json.loads(named[name])
    return named
