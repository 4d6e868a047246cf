"""A foreign SQLite file, opened as a private copy that nothing in it can act upon.

The original is only ever read as plain bytes: opening a WAL database with SQLite changes it. The
copy (database, `-wal` and `-journal`, never `-shm`) lies in a directory of its own that only this
user can enter and that is gone afterwards, also after an error. SQLite recovers the WAL in the
copy. Triggers and views are off, the schema is untrusted, and virtual tables are not touched.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

import apsw

from swarm_memory.errors import ImportSourceError
from swarm_memory.importers.salvage import DamagedError, PageFile
from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

COPY_TRIES_MAX = 3
ROW_BYTES_MAX = 256 * 1024 * 1024
SIDE_FILES = ("-wal", "-journal")
STEPS_PER_COUNT = 1_000_000  # virtual machine steps, plus four for each byte of the file

# What quick_check says about rows and not about the structure of the file.
_HARMLESS = ("CHECK constraint", "NULL value", "TEXT value", "NUMERIC value", "non-", "row ")
_ALLOWED_IN_SKETCH = {
    apsw.SQLITE_CREATE_TABLE,
    apsw.SQLITE_CREATE_INDEX,
    apsw.SQLITE_INSERT,
    apsw.SQLITE_UPDATE,
    apsw.SQLITE_READ,
    apsw.SQLITE_FUNCTION,
    apsw.SQLITE_TRANSACTION,
    apsw.SQLITE_REINDEX,
}


class Column(NamedTuple):
    """One column: `pk` is its place in the primary key from 1, `hidden` 0 for an ordinary one."""

    name: str
    type: str
    not_null: bool
    pk: int
    hidden: int


class Table(NamedTuple):
    """One table: `root` is its first page, `virtual` also stands for a virtual one's shadows."""

    name: str
    root: int
    columns: list[Column]
    without_rowid: bool
    virtual: bool

    @property
    def rowid_column(self) -> Column | None:
        """The column that is another name for the rowid."""
        keys = [column for column in self.columns if column.pk]
        if self.without_rowid or len(keys) != 1 or keys[0].type.upper() != "INTEGER":
            return None
        return keys[0]

    @property
    def visible(self) -> list[Column]:
        return [column for column in self.columns if not column.hidden]

    @property
    def column_names(self) -> set[str]:
        return {column.name for column in self.visible}


class PrivateCopy(NamedTuple):
    """An opened copy.

    `connection` is None where the schema is too damaged for SQLite. `roots` are the first pages
    of all tables and indexes, `damaged` tells that SQLite found the structure of the file broken.
    """

    path: Path
    connection: apsw.Connection | None
    tables: list[Table]
    roots: list[int]
    damaged: bool
    notes: list[str]


@contextmanager
def private_copy(path: Path, *, check: bool = True) -> Iterator[PrivateCopy]:
    """Copy the database at `path`, open the copy, and remove it afterwards.

    Args:
        check: Look for damage, which reads the whole copy once.

    Raises:
        ImportSourceError: It cannot be copied, or is no database that can be opened.
    """
    with tempfile.TemporaryDirectory(prefix="swarm-memory-import-") as directory:
        copy = Path(directory, "store.db")
        try:
            # Beside a link there is no WAL: it lies beside the file itself.
            notes = _copy_settled(path.resolve(), copy)
        except OSError as error:
            raise ImportSourceError(
                f"{path} cannot be copied for reading: {error}",
                hint="check its permissions and the space for temporary files (TMPDIR)",
            ) from error
        opened = _open(path, copy, notes, check)
        try:
            yield opened
        finally:
            if opened.connection is not None:
                opened.connection.close()


def _copy_settled(path: Path, copy: Path) -> list[str]:
    """Copy until nothing changed meanwhile, at most `COPY_TRIES_MAX` times; return notes."""
    for _ in range(COPY_TRIES_MAX):
        before = _fingerprint(path)
        shutil.copyfile(path, copy)
        for side in SIDE_FILES:
            target = copy.with_name(copy.name + side)
            target.unlink(missing_ok=True)
            try:
                shutil.copyfile(path.with_name(path.name + side), target)
            except FileNotFoundError:
                continue
        if _fingerprint(path) == before:
            return []
    return [f"the file changed during each of {COPY_TRIES_MAX} copies: import it again when idle"]


def _fingerprint(path: Path) -> list[tuple[int, int] | None]:
    prints: list[tuple[int, int] | None] = []
    for side in ("", *SIDE_FILES):
        try:
            status = path.with_name(path.name + side).stat()
        except FileNotFoundError:
            prints.append(None)
        else:
            prints.append((status.st_size, status.st_mtime_ns))
    return prints


def _open(path: Path, copy: Path, notes: list[str], check: bool) -> PrivateCopy:
    connection = None
    try:
        connection = _connect(copy)
        tables, roots = _read_schema(connection)
        damaged = check and _is_damaged(connection)
        return PrivateCopy(copy, connection, tables, roots, damaged, notes)
    except (apsw.Error, UnicodeDecodeError) as error:
        if connection is not None:
            connection.close()
        try:
            tables, roots = salvage_schema(copy)
        except (DamagedError, apsw.Error):
            tables, roots = [], []
        if not tables:
            raise ImportSourceError(
                f"{path} is a SQLite file that cannot be opened: {error}",
                hint="it may be damaged, encrypted, or cut off",
            ) from error
        wal = copy.with_name(f"{copy.name}-wal")
        without = ", without its WAL" if wal.exists() and wal.stat().st_size else ""
        notes.append(f"SQLite cannot open it ({error}): read page by page{without}")
        return PrivateCopy(copy, None, tables, roots, True, notes)
    except BaseException:
        if connection is not None:
            connection.close()
        raise


def _connect(copy: Path) -> apsw.Connection:
    connection = apsw.Connection(str(copy), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        for setting, value in (
            (apsw.SQLITE_DBCONFIG_DEFENSIVE, 1),
            (apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
            (apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0),
            (apsw.SQLITE_DBCONFIG_ENABLE_VIEW, 0),
        ):
            connection.config(setting, value)
        connection.limit(apsw.SQLITE_LIMIT_LENGTH, ROW_BYTES_MAX)
        connection.limit(apsw.SQLITE_LIMIT_ATTACHED, 0)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA cell_size_check = ON")
        connection.execute("PRAGMA mmap_size = 0")
        connection.execute("PRAGMA temp_store = FILE")
        # Moves what the WAL holds into the copy, so that its pages can be read one by one.
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except BaseException:
        connection.close()
        raise
    return connection


def _read_schema(connection: apsw.Connection) -> tuple[list[Table], list[int]]:
    kinds = {row[1]: (row[2], bool(row[4])) for row in connection.execute("PRAGMA table_list")}
    tables, roots = [], [1]
    for kind, name, root in connection.execute("SELECT type, name, rootpage FROM sqlite_schema"):
        if isinstance(root, int) and root > 0:
            roots.append(root)
        if kind != "table" or not isinstance(name, str) or name.lower().startswith("sqlite_"):
            continue
        table_kind, without_rowid = kinds.get(name, ("table", False))
        virtual = table_kind != "table" or not root
        columns = [] if virtual else _columns(connection, name)
        tables.append(Table(name, root, columns, without_rowid, virtual))
    return tables, roots


def _columns(connection: apsw.Connection, name: str) -> list[Column]:
    rows = connection.execute(
        'SELECT name, type, "notnull", pk, hidden FROM pragma_table_xinfo(?)', (name,)
    )
    return [Column(row[0], row[1] or "", bool(row[2]), row[3], row[4]) for row in rows]


def _is_damaged(connection: apsw.Connection) -> bool:
    try:
        first = connection.execute("PRAGMA quick_check(1)").fetchone()
    except (apsw.CorruptError, apsw.NotADBError):
        return True
    except apsw.Error:  # a check that this SQLite cannot run says nothing about the pages
        return False
    return first is not None and first[0] != "ok" and not str(first[0]).startswith(_HARMLESS)


def salvage_schema(copy: Path) -> tuple[list[Table], list[int]]:
    """Read the schema page by page; the tables' columns come from their CREATE statements.

    Raises:
        DamagedError: The file's header makes no sense.
    """
    tables, roots = [], [1]
    with PageFile(copy) as pages:
        for leaf in pages.tree(1, set()).leaves:
            for cell in pages.cells(leaf):
                if cell.values is None or len(cell.values) < 5:
                    continue
                kind, name, _, root, sql = cell.values[:5]
                if not isinstance(root, int) or root < 1:
                    continue
                roots.append(root)
                if kind == "table" and isinstance(name, str) and not name.startswith("sqlite_"):
                    columns = _columns_of_statement(name, sql)
                    if columns:
                        without_rowid = "WITHOUT ROWID" in " ".join(str(sql).upper().split()[-2:])
                        tables.append(Table(name, root, columns, without_rowid, False))
    return tables, roots


def _columns_of_statement(name: str, sql: object) -> list[Column]:
    if not isinstance(sql, str) or not sql.upper().startswith("CREATE TABLE"):
        return []
    sketch = apsw.Connection(":memory:")
    try:
        # The statement is foreign: it may create its table in here and do nothing else.
        sketch.authorizer = lambda operation, *_: (
            apsw.SQLITE_OK if operation in _ALLOWED_IN_SKETCH else apsw.SQLITE_DENY
        )
        sketch.execute(sql)
        sketch.authorizer = None
        return _columns(sketch, name)
    except (apsw.Error, UnicodeError):
        return []
    finally:
        sketch.close()


def quoted(identifier: str) -> str:
    """Return `identifier` quoted for SQL, whatever it contains."""
    return '"' + identifier.replace('"', '""') + '"'


def count_rows(copy: PrivateCopy, table: Table) -> int | None:
    """Return how many rows SQLite counts, None if it cannot tell or would take too long.

    A damaged file may count through an index that is intact while its table is not.
    """
    if copy.connection is None or table.virtual:
        return None
    steps_max = STEPS_PER_COUNT + 4 * copy.path.stat().st_size
    name = quoted(table.name)
    # count(*) is one step that nothing can stop; in a damaged file it may never end.
    expression = "total(1)" if copy.damaged else "count(*)"
    copy.connection.set_progress_handler(lambda: True, steps_max)
    try:
        rows = copy.connection.execute(f"SELECT {expression} FROM {name}").fetchall()  # noqa: S608 (a quoted identifier)
    except apsw.Error:
        return None
    finally:
        copy.connection.set_progress_handler(None)
    return int(float(rows[0][0] or 0))
