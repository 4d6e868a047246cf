"""Reading our own exports: JSONL with a manifest, one line a row, and a trailer of checksums.

    {"format": "swarm-memory-export", "version": 1, "exported_ms": …, "swarms": ["default"]}
    {"table": "history", "swarm": "default", "key": "notes/1", "version": 1, "value": …, …}
    {"table": "records", "swarm": "default", "key": "notes/1", "version": 2, "value": …, …}
    {"table": "choices" | "outcomes" | "relabels" | "conflicts" | "facts", "swarm": "default", …}
    {"trailer": true, "rows": {"records": 1, …}, "sha256": {"records": "…", …}}

The manifest of an archive (`optimize --only archive`) says `"archive": true`: its rows have left
the store, and when they are brought back they have as long to live as they had left.

The older versions of a key come right before it, oldest first. Outcomes and revisions of their
labels come in the order in which they were learned. A line that breaks a rule is
counted as unreadable and the rest is read; what the trailer says is checked at the end.
"""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

from swarm_memory import codec
from swarm_memory.errors import ImportSourceError, InvalidKeyError
from swarm_memory.importers.items import TableReport
from swarm_memory.importers.operations import MEMORY, TELEMETRY
from swarm_memory.key import check_key
from swarm_memory.lean import NamedTuple
from swarm_memory.model import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from typing import Any, BinaryIO

    from swarm_memory.model import Json

FORMAT = "swarm-memory-export"
VERSION = 1
LINE_BYTES_MAX = 2**30 + 2**20  # the largest value that can be configured, and its names
RECORDS, HISTORY = "records", "history"
OUTCOMES, RELABELS = "outcomes", "relabels"
NAME_BYTES_MAX = 100

# What the rows of the other tables hold: a name, whether it may be null, and its types.
_TEXT, _NUMBER = (str,), (int, float)
_ANY = (dict, list, str, int, float, bool)
COLUMNS: dict[str, dict[str, tuple[bool, tuple[type, ...]]]] = {
    "choices": {
        "choice_id": (False, _TEXT),
        "task_type": (False, _TEXT),
        "strategy": (False, _TEXT),
        "propensity": (True, _NUMBER),
        "candidates": (False, (list,)),
        "context": (False, (dict,)),
        "author": (False, _TEXT),
        "at_ms": (False, (int,)),
    },
    "outcomes": {
        "outcome_id": (False, _TEXT),
        "task_type": (False, _TEXT),
        "task": (True, _TEXT),
        "strategy": (True, _TEXT),
        "status": (False, _TEXT),
        "reward": (True, _NUMBER),
        "label_source": (False, _TEXT),
        "duration_s": (False, _NUMBER),
        "cost": (True, _NUMBER),
        "agents": (False, (list,)),
        "context": (True, (dict,)),
        "signals": (True, (dict,)),
        "error_class": (True, _TEXT),
        "failed_agent": (True, _TEXT),
        "failed_step": (True, (int,)),
        "choice_id": (True, _TEXT),
        "propensity": (True, _NUMBER),
        "author": (False, _TEXT),
        "session": (True, _TEXT),
        "at_ms": (False, (int,)),
        "first": (True, (dict,)),  # the label before all revisions that follow
    },
    "relabels": {
        "outcome_id": (False, _TEXT),
        "status": (False, _TEXT),
        "reward": (False, _NUMBER),
        "label_source": (False, _TEXT),
        "error_class": (True, _TEXT),
        "was_status": (False, _TEXT),
        "was_reward": (True, _NUMBER),
        "was_source": (False, _TEXT),
        "was_error_class": (True, _TEXT),
        "author": (False, _TEXT),
        "at_ms": (False, (int,)),
    },
    "conflicts": {
        "conflict_id": (False, _TEXT),
        "key": (False, _TEXT),
        "base_version": (False, (int,)),
        "their_version": (False, (int,)),
        "strategy": (False, _TEXT),
        "outcome": (False, _TEXT),
        "base": (True, _ANY),
        "theirs": (True, _ANY),
        "mine": (True, _ANY),
        "result": (True, _ANY),
        "author": (False, _TEXT),
        "at_ms": (False, (int,)),
    },
    "facts": {"name": (False, _TEXT), "value": (False, (int,))},
}
_RECORD_COLUMNS: dict[str, tuple[bool, tuple[type, ...]]] = {
    "key": (False, _TEXT),
    "version": (False, (int,)),
    "author": (False, _TEXT),
    "session": (True, _TEXT),
    "created_ms": (False, (int,)),
    "updated_ms": (False, (int,)),
    "expires_ms": (True, (int,)),
    "provenance": (True, (dict,)),
}
FIRST = ("status", "reward", "label_source", "error_class")  # what a revision changes
TABLES = (RECORDS, HISTORY, *COLUMNS)


class Copy(NamedTuple):
    """What is restored as one: a record with its older versions, or one row of another table.

    For "records" `rows` are `Record`s, oldest first and the current version last, and `kind` says
    whether that is a memory or telemetry; elsewhere there is one dict of the table's columns.
    """

    swarm: str
    table: str
    rows: list[Json]
    kind: str


class LineReport(TableReport):
    """What became of the lines of one table; only live records are memories or telemetry."""

    __slots__ = ("lines",)

    def __init__(self, name: str) -> None:
        super().__init__(name, None)
        self.lines = 0

    @property
    def read(self) -> int:
        return self.lines


class ExportReading:
    """One export being read; `copies()` yields what it holds and fills `tables` and `notes`."""

    format = f"swarm-memory/{VERSION}"

    def __init__(self, path: Path, manifest: dict[str, Json]) -> None:
        self.path = path
        self.swarms: list[str] = manifest["swarms"]
        self.exported_ms: int = manifest["exported_ms"]
        self.is_archive: bool = manifest.get("archive") is True
        self.notes: list[str] = []
        self._reports: dict[str, LineReport] = {}
        self._sums: dict[str, Json] = {}
        self._older: list[Record] = []
        self._older_swarm = ""
        self._trailer: dict[str, Json] | None = None

    @property
    def tables(self) -> list[LineReport]:
        return list(self._reports.values())

    def copies(self) -> Iterator[Copy]:
        """Yield the rows in the order of the file.

        Raises:
            ImportSourceError: The file cannot be read any further.
        """
        self._reports, self._sums, self._older, self._trailer = {}, {}, [], None
        self.notes.clear()
        try:
            with self.path.open("rb") as file:
                _manifest(self.path, file)
                for line in _lines(file):
                    copy = self._copy(line)
                    if copy is not None:
                        yield copy
        except OSError as error:
            raise ImportSourceError(f"{self.path} cannot be read: {error.strerror}") from error
        self._drop_older()
        self._check_trailer()

    def _copy(self, line: bytes) -> Copy | None:
        try:
            row = codec.loads(line)
        except ValueError:
            row = None
        if isinstance(row, dict) and row.get("trailer") is True:
            self._trailer = row
            return None
        table = row.get("table") if isinstance(row, dict) else None
        if not isinstance(row, dict) or table not in TABLES:
            self._report("lines").add_unreadable("no row of a known table")
            return None
        report = self._report(table)
        self._sums.setdefault(table, sha256()).update(line)
        reason = _broken(table, row)
        if reason is not None:
            report.add_unreadable(reason)
            return None
        report.lines += 1
        if table in COLUMNS:
            return Copy(row["swarm"], table, [{name: row.get(name) for name in COLUMNS[table]}], "")
        return self._version(table, row, report)

    def _version(self, table: str, row: dict[str, Json], report: LineReport) -> Copy | None:
        columns: dict[str, Any] = {name: row.get(name) for name in _RECORD_COLUMNS}
        record = Record(value=row.get("value"), deleted=row.get("deleted") is True, **columns)
        if self._older and (self._older_swarm, self._older[-1].key) != (row["swarm"], record.key):
            self._drop_older()
        if table == HISTORY:
            self._older.append(record)
            self._older_swarm = row["swarm"]
            return None
        kind = TELEMETRY if row.get("telemetry") is True else MEMORY
        if not record.deleted:
            report.add(kind)
        rows, self._older = [*self._older, record], []
        return Copy(row["swarm"], RECORDS, rows, kind)

    def _drop_older(self) -> None:
        """Leave out versions whose record did not come: the newest of them may be outdated."""
        if self._older:
            report = self._report(HISTORY)
            report.lines -= len(self._older)
            report.add_unreadable("the current version is missing", len(self._older))
        self._older = []

    def _report(self, table: str) -> LineReport:
        if table not in self._reports:
            self._reports[table] = LineReport(table)
        return self._reports[table]

    def _check_trailer(self) -> None:
        if self._trailer is None:
            self.notes.append("cut off: it ends without its trailer, rows are missing")
            return
        sums = self._trailer.get("sha256")
        for table, digest in (sums if isinstance(sums, dict) else {}).items():
            found = self._sums[table].hexdigest() if table in self._sums else sha256().hexdigest()
            if found != digest:
                self.notes.append(f"damaged: the checksum of {table} does not match")


def read_export(path: str | os.PathLike[str]) -> ExportReading:
    """Return a reading of the export at `path`.

    Raises:
        ImportSourceError: It cannot be read, is no export, or was written by a newer version.
    """
    path = Path(path).expanduser()
    try:
        with path.open("rb") as file:
            return ExportReading(path, _manifest(path, file))
    except OSError as error:
        raise ImportSourceError(f"{path} cannot be read: {error.strerror}") from error


def _manifest(path: Path, file: BinaryIO) -> dict[str, Json]:
    try:
        manifest = codec.loads(file.readline(2**20))
    except ValueError:
        manifest = None
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ImportSourceError(f"{path} is no export of swarm-memory")
    version, swarms = manifest.get("version"), manifest.get("swarms")
    if version != VERSION:
        raise ImportSourceError(
            f"{path} is an export of version {version!r}, this reads version {VERSION}",
            hint="import it with the swarm-memory that wrote it, or a newer one",
        )
    names = isinstance(swarms, list) and all(isinstance(name, str) for name in swarms)
    if not names or not isinstance(manifest.get("exported_ms"), int):
        raise ImportSourceError(f"{path} has a damaged first line")
    return manifest


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(LINE_BYTES_MAX):
        yield line


def _broken(table: str, row: dict[str, Json]) -> str | None:
    """Return which rule the row of a known table breaks, None if it breaks none."""
    swarm = row.get("swarm")
    if not isinstance(swarm, str) or not 0 < len(swarm.encode()) <= NAME_BYTES_MAX:
        return "no swarm"
    columns = COLUMNS.get(table, _RECORD_COLUMNS)
    wrong = _mistyped(row, columns)
    if wrong is None and row.get("first") is not None and table == OUTCOMES:
        wrong = _mistyped(row["first"], {name: columns[name] for name in FIRST})
    if wrong is not None:
        return f"{wrong} is missing or of another type"
    if table in {RECORDS, HISTORY}:
        if row["version"] < 1 or ("value" not in row and row.get("deleted") is not True):
            return "no version or no value"
        try:
            check_key(row["key"])
        except InvalidKeyError as error:
            return error.rule
    return None


def _mistyped(
    row: dict[str, Json], columns: dict[str, tuple[bool, tuple[type, ...]]]
) -> str | None:
    """Return the first column that is missing or of another type."""
    for name, (nullable, types) in columns.items():
        value = row.get(name)
        wrong = not nullable if value is None else not isinstance(value, types)
        if wrong or (isinstance(value, bool) and bool not in types):
            return name
    return None
