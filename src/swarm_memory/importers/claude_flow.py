"""The SQLite stores of claude-flow, ruflo and the original Python store, as items.

In a table of memories (`variants.shape_of`) a row's value is its value, and all other columns are
metadata. Of any other table, known or not, the whole row is the value: text columns that hold an
object or a list are decoded, embeddings are left out (`{"dims": n}` remains), other blobs become
`{"base64": text}`. Not read: tables that only hold embeddings, virtual tables and their shadows,
and rows that their own store has marked as deleted.
"""

from __future__ import annotations

import base64

from swarm_memory.errors import ImportSourceError
from swarm_memory.importers.items import (
    ENTRIES,
    Item,
    key_of_entry,
    key_of_path,
    key_of_row,
    key_of_rowid,
    table_segment,
)
from swarm_memory.importers.operations import kind_of_row, kind_of_table
from swarm_memory.importers.sqlite_copy import count_rows, private_copy
from swarm_memory.importers.sqlite_rows import UNREADABLE_PAGE, Row, RowReader
from swarm_memory.importers.values import (
    DEPTH_MAX,
    SECONDS,
    UnstorableError,
    check_storable,
    decode_column,
    decode_text,
    digest_of,
    expiry_ms,
    gunzip,
    parse_json,
    storable,
    storable_text,
    to_ms,
)
from swarm_memory.importers.variants import (
    AUTHORS,
    CREATED,
    UPDATED,
    format_of,
    shape_of,
    unit_of,
    variant_of,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo
    from typing import Any

    from swarm_memory.importers.items import Reading, TableReport
    from swarm_memory.importers.sqlite_copy import PrivateCopy, Table
    from swarm_memory.importers.variants import Shape

    Json = Any  # what JSON can express

PROVENANCE_DEPTH_MAX = DEPTH_MAX - 4
_COLUMN_DEPTH_MAX = DEPTH_MAX - 1

_TIMES = {"created_at", "updated_at", "timestamp", "expires_at"}

SKIPPED_EMBEDDINGS = "embeddings are rebuilt, not imported"
SKIPPED_VIRTUAL = "a virtual table or its shadow: derived content"
SKIPPED_DELETED = "deleted in its own store"
SKIPPED_OLDER = "an older copy on a page out of use"  # beyond what the store counts


class StoreReader:
    """Turns the tables of one private copy into items."""

    def __init__(self, reading: Reading, *, now_ms: int, zone: tzinfo | None) -> None:
        self._reading = reading
        self._now_ms = now_ms
        self._zone = zone
        self._variant = ""

    def items(self) -> Iterator[Item]:
        with private_copy(self._reading.path) as copy:
            columns = {table.name: table.column_names for table in copy.tables}
            variant = variant_of(columns)
            if variant is None:
                raise ImportSourceError(f"{self._reading.path} changed: no store any more")
            self._variant = variant
            self._reading.notes.extend(copy.notes)
            reader = RowReader(copy)
            try:
                for table in sorted(copy.tables, key=lambda table: table.name):
                    yield from self._table(copy, reader, table)
            finally:
                reader.close()
            if copy.damaged:
                self._note_damage()

    def _note_damage(self) -> None:
        for table in self._reading.tables:
            lost = sum(table.unreadable.values())
            if lost:
                whole = table.counted or table.read + lost
                self._reading.notes.append(
                    f"damaged: {lost} of {whole} rows of {table.name} could not be read"
                )
        if not self._reading.unreadable:
            self._reading.notes.append("damaged, but every row that it counts could be read")

    def _table(self, copy: PrivateCopy, reader: RowReader, table: Table) -> Iterator[Item]:
        report = self._reading.report(table.name, count_rows(copy, table))
        if table.virtual:
            report.add_skipped(SKIPPED_VIRTUAL, 0)
            return
        if table.name.endswith("_embeddings"):
            report.add_skipped(SKIPPED_EMBEDDINGS, report.counted or 0)
            return
        shape = shape_of(self._variant, table.name, table.column_names)
        if shape is None:
            items = self._rows(reader, table, report)
        else:
            items = self._entries(shape, reader, table, report)
        keys: set[str] = set()
        older = 0
        for item in items:
            if copy.damaged:
                # A page that nothing leads to may hold an older copy of a row that was read.
                if item.key in keys:
                    older += 1
                    continue
                keys.add(item.key)
            report.add(item.kind)
            yield item
        report.add_missing(UNREADABLE_PAGE if copy.damaged else "counted, but not found")
        if older:
            report.add_skipped(SKIPPED_OLDER, older)

    # --- tables of memories ---

    def _entries(
        self, shape: Shape, reader: RowReader, table: Table, report: TableReport
    ) -> Iterator[Item]:
        names = [name for name in (shape.namespace, shape.key) if name is not None]
        doubles = reader.duplicates(table, names) if reader.is_unique(table, names) else None
        for row in reader.rows(table, report):
            values = row.values
            if self._variant.startswith("R3") and values.get("status") == "deleted":
                report.add_skipped(SKIPPED_DELETED)
                continue
            named = tuple(values[name] for name in names)
            shared = not row.exact or doubles is None or named in doubles
            shared = shared or not all(isinstance(part, str) for part in named)
            try:
                yield self._entry(shape, row, str(row.rowid) if shared else None)
            except UnstorableError as error:
                report.add_unreadable(str(error))

    def _entry(self, shape: Shape, row: Row, shared_id: str | None) -> Item:
        values = row.values
        key = _as_text(values[shape.key])
        namespace = _as_text(values[shape.namespace]) if shape.namespace else ""
        kind = kind_of_row(self._variant, namespace, key)
        value, lost = self._entry_value(values[shape.value])
        metadata = self._metadata(shape, values)
        if lost:
            metadata["lost_numbers"] = lost
        if not row.exact:
            metadata["encoding"] = "bytes that are no UTF-8 are shown as \\xNN"
        if shape.namespace is None:
            whole = key_of_path(kind, self._reading.source, key)
            if shared_id is not None:
                segment = table_segment(shape.table)
                whole = key_of_rowid(kind, self._reading.source, segment, row.rowid)
        else:
            whole = key_of_entry(
                kind, self._reading.source, self._segment(shape), namespace, key, shared_id
            )
        # M writes one moment twice: in milliseconds, and as text that ends at the second.
        times = self._times(shape.table, values, ("timestamp", "created_at"))
        origin = [shape.table, storable_text(namespace) if shape.namespace else None]
        return self._item(kind, whole, value, times, origin, storable_text(key), metadata, values)

    def _segment(self, shape: Shape) -> str:
        main = "memories" if self._variant == "M" else "memory_entries"
        return ENTRIES if shape.table == main else table_segment(shape.table)

    def _entry_value(self, raw: object) -> tuple[Json, list[str]]:
        if isinstance(raw, str):
            decoded = decode_text(raw)
            return decoded.value, decoded.lost
        if isinstance(raw, bytes):
            if self._variant != "S":
                return _blob("value", raw), []
            content = gunzip(raw)
            try:
                value = parse_json(content)
                check_storable(value)
            except UnstorableError:
                return content.decode("utf-8", "backslashreplace"), []
            return value, []
        return storable(raw), []

    def _metadata(self, shape: Shape, values: dict[str, object]) -> dict[str, Json]:
        taken = {shape.namespace, shape.key, shape.value}
        metadata: dict[str, Json] = {}
        for name, value in values.items():
            # A time that could not be understood stays where a person can see it.
            known_time = name in _TIMES and to_ms(value, SECONDS) is not None
            if name in taken or value is None or known_time:
                continue
            if name == "embedding":
                metadata[name] = _embedding(value)
            elif name != "embedding_dimensions":
                metadata[name] = _column(name, value, PROVENANCE_DEPTH_MAX)
        return metadata

    # --- any other table ---

    def _rows(self, reader: RowReader, table: Table, report: TableReport) -> Iterator[Item]:
        ids = [column.name for column in sorted(table.columns, key=lambda c: c.pk) if column.pk]
        certain = table.rowid_column is not None or table.without_rowid
        doubles = set() if certain else reader.duplicates(table, ids)
        kind = kind_of_table(table.name)
        segment = table_segment(table.name)
        source = self._reading.source
        for row in reader.rows(table, report):
            named = [row.values[name] for name in ids]
            texts = [str(part) for part in named if isinstance(part, str | int)]
            usable = bool(ids) and len(texts) == len(ids) and row.exact
            usable = usable and (certain or _typed(table, ids, named))
            if usable and doubles is not None and tuple(named) not in doubles:
                key = key_of_row(kind, source, segment, texts)
            else:
                key = key_of_rowid(kind, source, segment, row.rowid)
            name = storable_text(",".join(texts)) if usable else None
            try:
                value = {
                    storable_text(column): _column(column, part, _COLUMN_DEPTH_MAX)
                    for column, part in row.values.items()
                }
                times = self._times(table.name, row.values, CREATED)
                origin = [table.name, None]
                yield self._item(kind, key, value, times, origin, name, {}, row.values)
            except UnstorableError as error:
                report.add_unreadable(str(error))

    # --- both ---

    def _times(
        self, table: str, values: dict[str, object], created: tuple[str, ...]
    ) -> list[int | None]:
        unit = unit_of(self._variant, table)
        created_ms = _first_time(values, created, unit)
        updated_ms = _first_time(values, UPDATED, unit)
        zone = {"zone": self._zone} if self._variant == "S" else {}
        expires_ms = expiry_ms(values.get("expires_at"), values.get("ttl"), unit, **zone)
        return [created_ms, created_ms if updated_ms is None else updated_ms, expires_ms]

    def _item(
        self,
        kind: str,
        key: str,
        value: Json,
        times: list[int | None],
        origin: list[str | None],
        name: str | None,
        metadata: dict[str, Json],
        values: dict[str, object],
    ) -> Item:
        created, updated, expires = times
        provenance: dict[str, Json] = {
            "format": format_of(self._variant),
            "source": self._reading.source,
            "table": storable_text(origin[0] or ""),
            "namespace": origin[1],
            "key": name,
        }
        if expires is not None and expires <= self._now_ms:
            provenance["expired_ms"] = expires
            expires = None
        if metadata:
            provenance["metadata"] = metadata
        provenance["digest"] = digest_of(value, created, updated, metadata or None)
        author = next((values[c] for c in AUTHORS if isinstance(values.get(c), str)), None)
        author = storable_text(author) if isinstance(author, str) and author else None
        return Item(kind, key, value, created, updated, expires, author, provenance)


def _typed(table: Table, ids: list[str], named: list[object]) -> bool:
    """Tell whether the ids have the type of their columns, so that 5 and "5" cannot both occur."""
    types = {column.name: column.type.upper() for column in table.columns}
    return all(
        isinstance(part, int if "INT" in types[name] else str)
        for name, part in zip(ids, named, strict=True)
    )


def _first_time(values: dict[str, object], names: tuple[str, ...], unit: str) -> int | None:
    found = (to_ms(values[name], unit) for name in names if values.get(name) is not None)
    return next((time for time in found if time is not None), None)


def _as_text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    return "" if value is None else str(value)


def _column(name: str, value: object, depth_max: int) -> Json:
    if isinstance(value, bytes):
        return _blob(name, value)
    if isinstance(value, str):
        if name == "embedding" and value.startswith("["):
            return _embedding(value)
        return decode_column(value, depth_max=depth_max)
    return storable(value, depth_max)


def _blob(name: str, value: bytes) -> Json:
    if "embedding" in name or name == "vector":
        return _embedding(value)
    return {"base64": base64.b64encode(value).decode()}


def _embedding(value: object) -> Json:
    """Return what remains of an embedding: how many numbers it had (4 bytes each in a blob)."""
    if isinstance(value, bytes):
        return {"dims": len(value) // 4}
    text = str(value).strip("[] \n")
    return {"dims": text.count(",") + 1 if text else 0}
