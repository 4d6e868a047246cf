"""Finding foreign stores by content, and opening each with the reader it needs."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import apsw

from swarm_memory.errors import ImportSourceError
from swarm_memory.importers import json_stores
from swarm_memory.importers.claude_flow import StoreReader
from swarm_memory.importers.items import Reading, default_source
from swarm_memory.importers.salvage import DamagedError
from swarm_memory.importers.sqlite_copy import SIDE_FILES, private_copy, salvage_schema
from swarm_memory.importers.variants import format_of, variant_of
from swarm_memory.lean import NamedTuple, suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import tzinfo

    from swarm_memory.importers.items import Item

SQLITE, JSON, SWARM_MEMORY = "sqlite", "json", "swarm-memory"
REDB, ORPHAN_WAL, EMPTY, FOREIGN = "redb", "orphan-wal", "empty", "foreign"

SKIPPED_FOLDERS = {".git", "node_modules"}
FILES_MAX = 1_000_000  # looked at in one directory tree
DATABASE_SUFFIXES = {".db", ".sqlite", ".sqlite3"}

_SQLITE_MAGIC = b"SQLite format 3\x00"
_WAL_MAGICS = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")
_REDB_MAGIC = b"redb"
_OWN_EXPORT = b'"swarm-memory-export"'
_HEAD_BYTES = 4096
_KNOWN_TABLES = (
    "memory_entries",
    "memories",
    "knowledge_base",
    "collective_memory",
    "swarms",
    "episodes",
)


class Candidate(NamedTuple):
    """A file worth reading, or worth naming because it cannot be read.

    `kind` is "sqlite" or "json" (stores that `read_store` reads), "redb", "orphan-wal" or "empty"
    (`read_store` yields no item and one note), or "swarm-memory" (an export of this project,
    which has a reader of its own).
    """

    path: Path
    kind: str


def discover(paths: Iterable[str | os.PathLike[str]]) -> list[Candidate]:
    """Return the stores among `paths`, files or directories, each file once.

    Directories are searched all the way down in the order of names; links to directories are not
    followed, `.git` and `node_modules` are left out, files of other kinds are passed over.

    Raises:
        ImportSourceError: A path does not exist or cannot be read, or a file that was named
            itself is no known store; the message tells what it is.
    """
    found: dict[Path, Candidate] = {}
    for name in paths:
        path = Path(name).expanduser()
        candidates = _walk(path) if path.is_dir() else [_named(path)]
        for candidate in candidates:
            found.setdefault(candidate.path.resolve(), candidate)
    return list(found.values())


def _walk(root: Path) -> Iterator[Candidate]:
    try:
        os.scandir(root).close()
    except OSError as error:
        raise ImportSourceError(f"{root} cannot be read: {error.strerror}") from error
    files = 0
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in SKIPPED_FOLDERS)
        for name in sorted(names):
            files += 1
            if files > FILES_MAX:
                raise ImportSourceError(
                    f"{root} holds more than {FILES_MAX} files", hint="name a smaller directory"
                )
            path = Path(folder, name)
            try:
                kind = sniff(path)
                if kind in {SQLITE, JSON} and not _is_store(path, kind):
                    continue
            except OSError:
                continue
            if kind == FOREIGN or (kind == EMPTY and path.suffix not in DATABASE_SUFFIXES):
                continue
            yield Candidate(path, kind)


def _named(path: Path) -> Candidate:
    kind = _sniff_named(path)
    if kind == FOREIGN:
        raise ImportSourceError(
            f"{path} is no store that is known: {_describe(path)}",
            hint="known: SQLite and JSON stores of claude-flow and ruflo, swarm-memory exports",
        )
    return Candidate(path, kind)


def _sniff_named(path: Path) -> str:
    for side in ("-wal", "-shm", "-journal"):
        owner = path.with_name(path.name.removesuffix(side))
        if path.name.endswith(side) and owner.exists():
            raise ImportSourceError(
                f"{path} belongs to the database {owner.name}", hint=f"name {owner} instead"
            )
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ImportSourceError(f"{path} is neither a file nor a directory")
        return sniff(path)
    except OSError as error:
        raise ImportSourceError(f"{path} cannot be read: {error.strerror}") from error


def _describe(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(16)
    if head[:4] in _WAL_MAGICS:
        return "it is the WAL of some database"
    return f"it begins with {head!r}"


def sniff(path: Path) -> str:
    """Return what kind of file `path` is by its first bytes; side files of a database are foreign.

    Raises:
        OSError: It cannot be read.
    """
    if not stat.S_ISREG(path.stat().st_mode):
        return FOREIGN  # opening a pipe or a device could wait for ever
    for side in ("-wal", "-shm", "-journal"):
        if path.name.endswith(side) and path.with_name(path.name.removesuffix(side)).exists():
            return FOREIGN
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head:
        return EMPTY
    if head.startswith(_SQLITE_MAGIC):
        return SQLITE
    if head.startswith(_REDB_MAGIC):
        return REDB
    if head.startswith(_WAL_MAGICS):
        return ORPHAN_WAL
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith((b"{", b"[")):
        first_line = text.partition(b"\n")[0]
        return SWARM_MEMORY if _OWN_EXPORT in first_line and b'"format"' in first_line else JSON
    return FOREIGN


def _is_store(path: Path, kind: str) -> bool:
    """Tell whether a file found in a directory holds a known store, or a damaged one."""
    try:
        if kind == SQLITE:
            return variant_of(_tables_of(path)) is not None
        with path.open("rb") as file:
            head = file.read(json_stores.HINT_BYTES)
            file.seek(max(0, path.stat().st_size - json_stores.HINT_BYTES))
            tail = file.read(json_stores.HINT_BYTES)
        if not json_stores.hinted(head, tail):
            return False
        return json_stores.variant_of(json_stores.load(path)) is not None
    except ImportSourceError:
        # Reading it will say what is wrong with it, if it ever was such a store.
        return kind == JSON or _names_a_table(path)


def _names_a_table(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(json_stores.HINT_BYTES)
    return any(name.encode() in head for name in _KNOWN_TABLES)


def _tables_of(path: Path) -> dict[str, set[str]]:
    """Return the tables of a database and their columns.

    They are read from the file itself, without a copy, unless a WAL or a journal beside it may
    hold other ones.

    Raises:
        ImportSourceError: The schema cannot be read.
    """
    real = path.resolve()
    sides = (real.with_name(real.name + side) for side in SIDE_FILES)
    if not any(side.exists() and side.stat().st_size for side in sides):
        with suppress(DamagedError, apsw.Error):
            tables, _ = salvage_schema(real)
            if tables:
                return {table.name: table.column_names for table in tables}
    with private_copy(path, check=False) as copy:
        return {table.name: table.column_names for table in copy.tables}


def read_store(
    path: str | os.PathLike[str],
    *,
    now_ms: int,
    source: str | None = None,
    zone: tzinfo | None = None,
    progress: Callable[[str, int], object] | None = None,
) -> Reading:
    """Return a reading of the store at `path`, whose `items()` yields its items.

    Args:
        now_ms: Epoch milliseconds. Rows that expired before are kept, see `Item`.
        source: The label in all keys, one for each file; by default made from the path.
        zone: In which the original Python store wrote its expiry; None is this machine's.
        progress: Called with a table's name and the items so far, once in a thousand items.

    Raises:
        ImportSourceError: It cannot be read, is no store that is known (the message says what it
            holds), or is an export of this project, which has a reader of its own.
    """
    path = Path(path).expanduser()
    kind = _named(path).kind
    label = source or default_source(path)
    if kind == SQLITE:
        return _read_sqlite(path, label, now_ms, zone, progress)
    if kind == JSON:
        return _read_json(path, label, now_ms, progress)
    if kind == SWARM_MEMORY:
        raise ImportSourceError(f"{path} is an export of swarm-memory, not a foreign store")
    return Reading(path, label, kind, lambda reading: _nothing(reading, kind))


def _nothing(reading: Reading, kind: str) -> Iterator[Item]:
    size = reading.path.stat().st_size
    if kind == REDB:
        note = "redb vector index: not readable; vectors are rebuilt, not imported"
    elif kind == ORPHAN_WAL:
        note = f"orphan WAL without its database ({size} bytes): not readable without it"
    else:
        wal = reading.path.with_name(f"{reading.path.name}-wal")
        rest = f"; its -wal of {wal.stat().st_size} bytes is of no use" if wal.exists() else ""
        note = f"empty: 0 bytes{rest}"
    reading.notes.append(note)
    yield from ()


def _read_sqlite(
    path: Path,
    source: str,
    now_ms: int,
    zone: tzinfo | None,
    progress: Callable[[str, int], object] | None,
) -> Reading:
    tables = _tables_of(path)
    names, variant = sorted(tables), variant_of(tables)
    if variant is None and not names:
        return Reading(path, source, "sqlite", _no_tables)
    if variant is None:
        shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        raise ImportSourceError(
            f"{path} is a SQLite database without tables of a known store; it has {shown}",
            hint="known are the stores of claude-flow, ruflo and the original Python store",
        )

    def read(reading: Reading) -> Iterator[Item]:
        return StoreReader(reading, now_ms=now_ms, zone=zone).items()

    return Reading(path, source, format_of(variant), read, progress)


def _no_tables(reading: Reading) -> Iterator[Item]:
    reading.notes.append("empty: a SQLite database without tables")
    yield from ()


def _read_json(
    path: Path,
    source: str,
    now_ms: int,
    progress: Callable[[str, int], object] | None,
) -> Reading:
    document = json_stores.load(path)
    variant = json_stores.variant_of(document)
    if variant is None:
        if document in ({}, []):
            return Reading(path, source, "json", _no_entries)
        raise ImportSourceError(
            f"{path} is JSON of another kind: {_shape(document)}",
            hint="known are claude-flow-data.json, memory-store.json, entries.json, ruflo exports",
        )

    def read(reading: Reading) -> Iterator[Item]:
        return json_stores.JsonReader(reading, variant, document, now_ms).items()

    return Reading(path, source, format_of(variant), read, progress)


def _no_entries(reading: Reading) -> Iterator[Item]:
    reading.notes.append("empty: JSON without entries")
    yield from ()


def _shape(document: object) -> str:
    if isinstance(document, list):
        return f"a list of {len(document)}"
    names = ", ".join(ascii(name) for name in list(document)[:8]) if document else ""  # type: ignore[call-overload]
    return f"an object with {names}"
