"""What an import did, per file and table, and in all."""

from __future__ import annotations

from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.importers import Reading, TableReport
    from swarm_memory.importers.jsonl import ExportReading
    from swarm_memory.model import Json

FATES = ("imported", "unchanged", "changed", "kept")
NOT_STORES = frozenset({"redb", "orphan-wal"})  # formats that are named and not read


class FileReport:
    """What became of one file.

    `tables` has one dict a table: `read`, `memories`, `telemetry`, then where the read rows went
    (`imported` new, `unchanged` there already, `changed` at their source and written as a new
    version, `kept` because they were changed or deleted here), and `skipped` and `unreadable`
    with the reasons. `error` says why the file could not be read, or not to its end.
    """

    def __init__(self, path: str, format_: str | None = None, source: str | None = None) -> None:
        self.path = path
        self.format = format_
        self.source = source
        self.tables: list[dict[str, Json]] = []
        self.notes: list[str] = []
        self.error: str | None = None
        self._fates: dict[tuple[str, str], dict[str, int]] = {}
        self._skipped: dict[str, dict[str, int]] = {}

    def add(self, table: str, kind: str, fates: dict[str, int]) -> None:
        """Count where a batch of one table and kind went."""
        known = self._fates.setdefault((table, kind), dict.fromkeys(FATES, 0))
        for fate in FATES:
            known[fate] += fates.get(fate, 0)

    def add_skipped(self, table: str, reason: str, rows: int = 1) -> None:
        """Count rows that the store does not take."""
        reasons = self._skipped.setdefault(table, {})
        reasons[reason] = reasons.get(reason, 0) + rows

    def close(self, reading: Reading | ExportReading) -> None:
        """Take over what the reader says about its tables."""
        self.notes = list(reading.notes)
        self.tables = [self._table(table) for table in reading.tables]

    def _table(self, table: TableReport) -> dict[str, Json]:
        shown = table.to_dict()
        shown["read"] = table.read
        shown |= {fate: self._of(table.name, fate) for fate in FATES}
        skipped = dict(table.skipped)
        for reason, rows in self._skipped.get(table.name, {}).items():
            skipped[reason] = skipped.get(reason, 0) + rows
        shown["skipped"] = skipped
        return shown

    def _of(self, table: str, fate: str) -> int:
        return sum(fates[fate] for (name, _), fates in self._fates.items() if name == table)

    def total(self, fate: str, kind: str | None = None) -> int:
        """Return how many rows had this fate, of one kind or of both."""
        chosen = [f for (_, k), f in self._fates.items() if kind is None or k == kind]
        return sum(fates[fate] for fates in chosen)

    @property
    def readable(self) -> bool:
        """Whether it was a store that could be read, to its end or in part."""
        return self.format not in {None, *NOT_STORES} and (self.error is None or bool(self._fates))

    def to_dict(self) -> dict[str, Json]:
        return {
            "path": self.path,
            "format": self.format,
            "source": self.source,
            "tables": self.tables,
            "notes": self.notes,
            "error": self.error,
        }


class ImportReport(NamedTuple):
    """What an import did.

    `memories` and `telemetry` count what was read; `imported` (its memories and telemetry apart
    too), `unchanged`, `changed` and `kept` where it went, `skipped` and `unreadable` rows that did
    not come in. `stopped` is None, or why the import ended early; a repeat goes on from there.
    A dry run counts what would happen.
    """

    files: list[FileReport]
    memories: int
    telemetry: int
    imported: int
    imported_memories: int
    imported_telemetry: int
    unchanged: int
    changed: int
    kept: int
    skipped: int
    unreadable: int
    dry_run: bool
    stopped: dict[str, Json] | None

    def to_dict(self) -> dict[str, Json]:
        """Return the report as every door shows it."""
        return self._asdict() | {"files": [file.to_dict() for file in self.files]}


def summed(
    files: list[FileReport], *, dry_run: bool, stopped: dict[str, Json] | None
) -> ImportReport:
    """Return the report over `files`."""
    tables = [table for file in files for table in file.tables]
    return ImportReport(
        files,
        sum(table["memories"] for table in tables),
        sum(table["telemetry"] for table in tables),
        sum(file.total("imported") for file in files),
        sum(file.total("imported", "memory") for file in files),
        sum(file.total("imported", "telemetry") for file in files),
        sum(file.total("unchanged") for file in files),
        sum(file.total("changed") for file in files),
        sum(file.total("kept") for file in files),
        sum(sum(table["skipped"].values()) for table in tables),
        sum(sum(table["unreadable"].values()) for table in tables),
        dry_run,
        stopped,
    )
