"""The JSON stores of claude-flow and ruflo, as items.

| variant | file | times |
|---|---|---|
| J1 | agents, tasks and `lastUpdated`: `claude-flow-data.json` | milliseconds |
| J2 | namespaces with lists of {key, value, timestamp}: `memory-store.json` | milliseconds |
| J3 | a list of entries with checksum and accessLevel: `entries.json` | ISO text |
| J4 | schema `ruflo-memory-export/…` | milliseconds |

J1's agents and tasks are memories, one each; its other members (settings, states of an
installation) are kept as telemetry in the table `document`.
"""

from __future__ import annotations

import json
from pathlib import Path

from swarm_memory.errors import ImportSourceError
from swarm_memory.importers.items import (
    ENTRIES,
    Item,
    key_of_entry,
    key_of_row,
    key_of_rowid,
    table_segment,
)
from swarm_memory.importers.operations import kind_of_row, kind_of_table
from swarm_memory.importers.values import (
    DEPTH_MAX,
    INT_DIGITS_MAX,
    MILLISECONDS,
    UnstorableError,
    decode_column,
    decode_text,
    digest_of,
    storable,
    storable_text,
    to_ms,
    unwrap,
)
from swarm_memory.importers.variants import format_of
from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from swarm_memory.importers.items import Reading, TableReport

    Json = Any  # what JSON can express

FILE_BYTES_MAX = 512 * 1024 * 1024
EXPORT_SCHEMA = "ruflo-memory-export/"

# In the first or last `HINT_BYTES` of a file in a directory, all of one line must occur.
HINT_BYTES = 64 * 1024
HINTS: tuple[tuple[bytes, ...], ...] = (
    (b'"agents"', b'"tasks"', b'"lastUpdated"'),
    (b'"key"', b'"value"', b'"namespace"', b'"timestamp"'),
    (b'"key"', b'"value"', b'"checksum"', b'"accessLevel"'),
    (EXPORT_SCHEMA.encode(),),
)

_TIMES = {"createdAt", "updatedAt", "timestamp", "expiresAt"}


def load(path: Path) -> Json:
    """Return the JSON document of a file. NaN and numbers too long for 64 bits are kept.

    Raises:
        ImportSourceError: It cannot be read, is too large, or is no JSON.
    """
    try:
        size = path.stat().st_size
        if size > FILE_BYTES_MAX:
            raise ImportSourceError(
                f"{path} has {size} bytes, a JSON store is read up to {FILE_BYTES_MAX}",
                hint="split it, or import the database it was made from",
            )
        return json.loads(path.read_bytes().decode("utf-8-sig"), parse_int=_parse_int)
    except OSError as error:
        raise ImportSourceError(f"{path} cannot be read: {error}") from error
    except RecursionError as error:
        raise ImportSourceError(f"{path} nests too deeply to be read") from error
    except ValueError as error:
        raise ImportSourceError(
            f"{path} is no complete JSON: {error}", hint="it may be cut off: look at its end"
        ) from error


def _parse_int(digits: str) -> Json:
    return int(digits) if len(digits) <= INT_DIGITS_MAX else digits


def hinted(head: bytes, tail: bytes) -> bool:
    """Tell whether a file that begins and ends so may be a JSON store."""
    return any(all(hint in head or hint in tail for hint in hints) for hints in HINTS)


def variant_of(document: Json) -> str | None:
    """Return which variant a JSON document is, None if foreign. Empty ones are none."""
    if isinstance(document, list):
        fits = document and all(_is_entry(entry) for entry in document[:8])
        return "J3" if fits and "namespace" in document[0] else None
    if not isinstance(document, dict):
        return None
    schema = document.get("schema")
    if isinstance(schema, str) and schema.startswith(EXPORT_SCHEMA):
        return "J4" if isinstance(document.get("entries"), list) else None
    if isinstance(document.get("agents"), list) and isinstance(document.get("tasks"), list):
        return "J1" if "lastUpdated" in document else None
    lists = list(document.values())
    if lists and all(isinstance(entries, list) for entries in lists):
        first = [entries[0] for entries in lists if entries]
        return "J2" if first and all(_is_entry(entry) for entry in first) else None
    return None


def _is_entry(entry: Json) -> bool:
    return isinstance(entry, dict) and isinstance(entry.get("key"), str) and "value" in entry


class JsonReader(NamedTuple):
    """Turns one JSON document into items."""

    reading: Reading
    variant: str
    document: Json
    now_ms: int

    def items(self) -> Iterator[Item]:
        if self.variant == "J1":
            yield from self._j1()
        elif self.variant == "J2":
            pairs = [(name, entry) for name, found in self.document.items() for entry in found]
            yield from self._entries(pairs)
        else:
            found = self.document if self.variant == "J3" else self.document["entries"]
            yield from self._entries([("default", entry) for entry in found])

    def _entries(self, pairs: list[tuple[str, Json]]) -> Iterator[Item]:
        report = self.reading.report("entries", len(pairs))
        seen: dict[tuple[str, str], int] = {}
        for outer, entry in pairs:
            if not _is_entry(entry):
                report.add_unreadable("no entry: it has no key or no value")
                continue
            namespace = entry.get("namespace")
            namespace = namespace if isinstance(namespace, str) else outer
            # A store that was merged by hand may hold a key twice: the later ones are numbered.
            turn = seen[namespace, entry["key"]] = seen.get((namespace, entry["key"]), 0) + 1
            yield from self._guarded(report, self._entry, namespace, entry, turn)

    def _guarded(self, report: TableReport, make: Any, *args: Any) -> Iterator[Item]:
        try:
            item = make(*args)
        except UnstorableError as error:
            report.add_unreadable(str(error))
        else:
            report.add(item.kind)
            yield item

    def _entry(self, namespace: str, entry: dict[str, Json], turn: int) -> Item:
        kind = kind_of_row(self.variant, namespace, entry["key"])
        shared = None if turn == 1 else str(turn)
        key = key_of_entry(kind, self.reading.source, ENTRIES, namespace, entry["key"], shared)
        metadata = {
            name: part
            for name, part in entry.items()
            if name not in {"key", "value", "namespace"}
            and not (name in _TIMES and to_ms(part, MILLISECONDS) is not None)
        }
        value, lost = self._value(entry)
        if lost:
            metadata["lost_numbers"] = lost
        times = [
            entry.get("createdAt", entry.get("timestamp")),
            entry.get("updatedAt", entry.get("timestamp")),
            entry.get("expiresAt"),
        ]
        owner = entry.get("owner")
        name = [ENTRIES, namespace, entry["key"]]
        return self._item(kind, key, value, times, owner, name, metadata)

    def _value(self, entry: dict[str, Json]) -> tuple[Json, list[str]]:
        value = entry["value"]
        if not isinstance(value, str):
            lost: list[str] = []
            return storable(unwrap(storable(value), lost)), lost
        if self.variant == "J3" and entry.get("type") == "string":
            return storable_text(value), []  # this store kept the type: text is text
        decoded = decode_text(value)
        return decoded.value, decoded.lost

    def _j1(self) -> Iterator[Item]:
        for table in ("agents", "tasks"):
            report = self.reading.report(table, len(self.document[table]))
            ids: set[str] = set()
            for position, row in enumerate(self.document[table]):
                name = row.get("id") if isinstance(row, dict) else None
                name = name if isinstance(name, str) and name not in ids else None
                if name is not None:
                    ids.add(name)
                yield from self._guarded(report, self._row, table, name, position, row)
        others = [name for name in self.document if name not in {"agents", "tasks", "lastUpdated"}]
        report = self.reading.report("document", len(others))
        for position, name in enumerate(others):
            value = self.document[name]
            yield from self._guarded(report, self._row, "document", name, position, value)

    def _row(self, table: str, name: str | None, position: int, row: Json) -> Item:
        kind = kind_of_table(table)
        segment, source = table_segment(table), self.reading.source
        if name is None:
            key = key_of_rowid(kind, source, segment, position)
        else:
            key = key_of_row(kind, source, segment, [name])
        times = [None, None, None]
        if isinstance(row, dict) and table != "document":
            times = [row.get("createdAt"), row.get("updatedAt", row.get("completedAt")), None]
            row = {
                column: decode_column(part, depth_max=DEPTH_MAX - 1)
                if isinstance(part, str)
                else part
                for column, part in row.items()
            }
        elif table == "document":
            times = [self.document.get("lastUpdated")] * 2 + [None]
        return self._item(kind, key, storable(row), times, None, [table, None, name], {})

    def _item(
        self,
        kind: str,
        key: str,
        value: Json,
        times: list[Json],
        author: Json,
        name: list[str | None],
        metadata: dict[str, Json],
    ) -> Item:
        created, updated, expires = (to_ms(time, MILLISECONDS) for time in times)
        updated = created if updated is None else updated
        table, namespace, original = (
            None if part is None else storable_text(part) for part in name
        )
        provenance: dict[str, Json] = {
            "format": format_of(self.variant),
            "source": self.reading.source,
            "table": table,
            "namespace": namespace,
            "key": original,
        }
        if expires is not None and expires <= self.now_ms:
            provenance["expired_ms"] = expires
            expires = None
        if metadata:
            metadata = storable(metadata, DEPTH_MAX - 4)
            provenance["metadata"] = metadata
        provenance["digest"] = digest_of(value, created, updated, metadata or None)
        author = storable_text(author) if isinstance(author, str) and author else None
        return Item(kind, key, value, created, updated, expires, author, provenance)
