"""What reading a foreign store yields: items under keys that never collide, and reports.

Keys. An item of the source `S` has one of these keys, each part in `{}` being one escaped
segment, with `memory/operations/imported` in place of `memory/imported` for telemetry:

    memory/imported/{S}/entries/{namespace}/{key}        a row of a table of memories
    memory/imported/{S}/entries/{namespace}/{key}/{id}   … which shares namespace and key
    memory/imported/{S}/entries/a/b/c                    … of a store without namespaces, by key
    memory/imported/{S}/{table}/{id}                     a row of any other table
    memory/imported/{S}/{table}/rowid/{number}           … without a usable id (a path key too)

A table called `entries` or `table:…` gets `table:` in front. The number of segments and the
escaping keep the forms apart; what is too long is cut and ends in a hash (see `key.escape`).
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from swarm_memory.importers.operations import TELEMETRY
from swarm_memory.key import KEY_BYTES_MAX, escape
from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    Json = Any  # what JSON can express

MEMORY_ROOT = "memory/imported"
TELEMETRY_ROOT = "memory/operations/imported"
SOURCE_BYTES = 40
TABLE_BYTES = 40
NAMESPACE_BYTES = 48
KEY_BYTES = 96
SHARED_KEY_BYTES = 48  # where an id follows
ID_BYTES = 46
ENTRIES = "entries"
PROGRESS_ROWS = 1000

_PLAIN_FOLDERS = {".swarm", ".hive-mind", ".claude", "memory", "data"}


class Item(NamedTuple):
    """One row of a foreign store.

    `kind` is "memory" or "telemetry", `key` a valid key, `value` JSON that the store can hold.
    Times are epoch milliseconds, None where unknown; `expires_ms` lies in the future, an expiry
    that has passed is `provenance["expired_ms"]`. `provenance` is a JSON object: `format`
    ("claude-flow/A"), `source`, `table`, `namespace`, `key` (as they were; None without one),
    `metadata` (what else the row said, if anything), and `digest` (32 hexadecimal digits that
    change when value, times or metadata do).
    """

    kind: str
    key: str
    value: Json
    created_ms: int | None
    updated_ms: int | None
    expires_ms: int | None
    author: str | None
    provenance: dict[str, Json]


class TableReport:
    """What became of the rows of one table.

    `counted` is what the store says it has, None where it cannot tell; `memories` and `telemetry`
    count the items read; `skipped` and `unreadable` count rows by reason. A damaged file that
    counts more rows than were found has the rest among the unreadable.
    """

    __slots__ = ("counted", "memories", "name", "skipped", "telemetry", "unreadable")

    def __init__(self, name: str, counted: int | None) -> None:
        self.name = name
        self.counted = counted
        self.memories = 0
        self.telemetry = 0
        self.skipped: dict[str, int] = {}
        self.unreadable: dict[str, int] = {}

    @property
    def read(self) -> int:
        """How many rows became items."""
        return self.memories + self.telemetry

    def add(self, kind: str) -> None:
        if kind == TELEMETRY:
            self.telemetry += 1
        else:
            self.memories += 1

    def add_skipped(self, reason: str, rows: int = 1) -> None:
        self.skipped[reason] = self.skipped.get(reason, 0) + rows

    def add_unreadable(self, reason: str, rows: int = 1) -> None:
        self.unreadable[reason] = self.unreadable.get(reason, 0) + rows

    def add_missing(self, reason: str) -> None:
        """Count the rows that the store has and nothing was said about as unreadable."""
        if self.counted is not None:
            known = self.read + sum(self.skipped.values()) + sum(self.unreadable.values())
            if self.counted > known:
                self.add_unreadable(reason, self.counted - known)

    def to_dict(self) -> dict[str, Json]:
        """Return the report as every door shows it."""
        return {
            "table": self.name,
            "counted": self.counted,
            "memories": self.memories,
            "telemetry": self.telemetry,
            "skipped": dict(self.skipped),
            "unreadable": dict(self.unreadable),
        }


class Reading:
    """One foreign store being read.

    `items()` yields its items and fills `tables` and `notes` while it runs; both are complete
    when it is exhausted. Calling it again reads the store again, from the beginning.
    """

    def __init__(
        self,
        path: Path,
        source: str,
        format: str,
        read: Callable[[Reading], Iterator[Item]],
        progress: Callable[[str, int], object] | None = None,
    ) -> None:
        self.path = path
        self.source = source
        self.format = format
        self.tables: list[TableReport] = []
        self.notes: list[str] = []
        self._read = read
        self._progress = progress

    def items(self) -> Iterator[Item]:
        """Yield the items of the store.

        Raises:
            ImportSourceError: The store cannot be opened.
        """
        self.tables.clear()
        self.notes.clear()
        for rows, item in enumerate(self._read(self), 1):
            yield item
            if self._progress is not None and rows % PROGRESS_ROWS == 0:
                self._progress(item.provenance["table"], rows)

    def report(self, name: str, counted: int | None) -> TableReport:
        """Return a new report, listed in `tables`."""
        report = TableReport(name, counted)
        self.tables.append(report)
        return report

    @property
    def memories(self) -> int:
        return sum(table.memories for table in self.tables)

    @property
    def telemetry(self) -> int:
        return sum(table.telemetry for table in self.tables)

    @property
    def skipped(self) -> int:
        return sum(sum(table.skipped.values()) for table in self.tables)

    @property
    def unreadable(self) -> int:
        return sum(sum(table.unreadable.values()) for table in self.tables)


def default_source(path: Path) -> str:
    """Return the label of the store at `path`, one segment of at most `SOURCE_BYTES` bytes.

    It names the project's folder and the file, and ends in 8 digits of the hash of the absolute
    path: the same file has the same label again, and no two files share one.
    """
    absolute = path.resolve()
    digest = sha256(str(absolute).encode("utf-8", "surrogateescape")).hexdigest()[:8]
    folders = [folder.name for folder in absolute.parents]
    folder = next((name for name in folders if name and name not in _PLAIN_FOLDERS), "")
    parts = [_slug(folder, 18), _slug(absolute.name, 12), digest]
    return "-".join(part for part in parts if part)


def _slug(text: str, length_max: int) -> str:
    letters = [c if c.isascii() and (c.isalnum() or c in "._") else "-" for c in text]
    return "".join(letters).strip("-.")[:length_max].strip("-.")


def table_segment(table: str) -> str:
    """Return the segment of a table that holds no plain entries."""
    if table == ENTRIES or table.startswith("table:"):
        table = f"table:{table}"
    return escape(table, limit=TABLE_BYTES)


def key_of_entry(
    kind: str, source: str, table: str, namespace: str, key: str, shared_id: str | None = None
) -> str:
    """Return the key of a row that has a namespace and a key of its own.

    `table` is a segment: `ENTRIES` or what `table_segment` returns. `shared_id` tells rows apart
    that may share namespace and key with another.
    """
    limit = KEY_BYTES if shared_id is None else SHARED_KEY_BYTES
    parts = [table, escape(namespace, limit=NAMESPACE_BYTES), escape(key, limit=limit)]
    if shared_id is not None:
        parts.append(escape(shared_id, limit=ID_BYTES))
    return f"{_root(kind, source)}/{'/'.join(parts)}"


def key_of_path(kind: str, source: str, key: str) -> str:
    """Return the key of a row whose own key is a path and stands without a namespace.

    Its segments stay; each is escaped, or the whole where it would become too long.
    """
    root = f"{_root(kind, source)}/{ENTRIES}"
    room = KEY_BYTES_MAX - len(root) - 1
    path = "/".join(escape(segment, limit=room) for segment in key.split("/"))
    return f"{root}/{path if len(path) <= room else escape(key, limit=room)}"


def key_of_row(kind: str, source: str, table: str, ids: list[str]) -> str:
    """Return the key of a row of any other table, named by the values of its primary key."""
    name = ids[0] if len(ids) == 1 else ",".join(escape(part, limit=KEY_BYTES) for part in ids)
    return f"{_root(kind, source)}/{table}/{escape(name, limit=KEY_BYTES)}"


def key_of_rowid(kind: str, source: str, table: str, rowid: int) -> str:
    """Return the key of a row that only its place in the table names."""
    return f"{_root(kind, source)}/{table}/rowid/{rowid}"


def _root(kind: str, source: str) -> str:
    root = TELEMETRY_ROOT if kind == TELEMETRY else MEMORY_ROOT
    return f"{root}/{escape(source, limit=SOURCE_BYTES)}"
