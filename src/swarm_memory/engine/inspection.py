"""Looking into a store without changing it, whatever state it is in.

The connection reads only, waits for nobody longer than `BUSY_MS`, and every look ends after
`LOOK_S_MAX` seconds. Beside a store that nobody has open it makes no file either.
"""

from __future__ import annotations

import os
import time
from urllib.parse import quote

import apsw

from swarm_memory.engine import migrate, statements
from swarm_memory.errors import EngineBusyError, EngineUnavailableError, SwarmMemoryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from swarm_memory.engine import Row

BUSY_MS = 300
LOOK_S_MAX = 2.0
_FORMAT_VERSIONS = (18, 2)  # where the header tells the mode: offset and length
_STEPS = 2000  # of SQLite's machine between two looks at the clock
_SQL = statements.load()


class InspectionError(EngineUnavailableError):
    """The store cannot be looked into; `damaged` tells whether its bytes are the reason."""

    damaged = False


class Inspection:
    """A store that is open for looking: `one` and `all` read by the name of a statement."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._ends = 0.0
        self.untouched = False
        self._db: Any = None
        self.reopen()

    def reopen(self) -> None:
        """Open it anew, because somebody may have begun to write since."""
        self.close()
        # Reading through the log makes its index; without a log there is nothing in it to read.
        self.untouched = not _size(f"{self.path}-wal")
        uri = f"file:{quote(self.path)}?mode=ro{'&immutable=1' if self.untouched else ''}"
        try:
            self._db = apsw.Connection(uri, apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI)
        except apsw.Error as error:
            raise _refused(self.path, error) from error
        self._db.set_busy_timeout(BUSY_MS)
        self._db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self._db.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        self._db.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        self._db.set_progress_handler(lambda: time.monotonic() > self._ends, _STEPS)

    @property
    def overtaken(self) -> bool:
        """Tell whether somebody has begun to write although the file was read as it lay there."""
        return self.untouched and bool(_size(f"{self.path}-wal"))

    def one(self, statement: str, /, **parameters: Any) -> Row | None:
        """Return the first row of a reading statement, or None."""
        rows = self.all(statement, **parameters)
        return rows[0] if rows else None

    def all(self, statement: str, /, **parameters: Any) -> list[Row]:
        """Return all rows of a reading statement."""
        return self._rows(_SQL[statement], parameters)

    def usage(self) -> dict[str, int]:
        """Return what `Engine.usage` returns."""
        page = self._number("PRAGMA page_size")
        return {
            "file_bytes": self._number("PRAGMA page_count") * page,
            "free_bytes": self._number("PRAGMA freelist_count") * page,
            "page_bytes": page,
            "wal_bytes": _size(f"{self.path}-wal"),
        }

    def schema(self) -> tuple[int, int]:
        """Return the numbers of the store's schema and of the newest one that this code knows.

        Raises:
            SchemaError: It is somebody else's database, newer, or made by another history.
        """
        from hashlib import sha256

        self._begin()
        try:
            number = migrate.state(self._db)
            for applied, name, sql in migrate.available()[:number]:
                migrate._compare(self._db, applied, name, sha256(sql.encode()).hexdigest())
        except apsw.Error as error:
            raise _refused(self.path, error) from error
        return number, migrate.newest()

    def in_wal_mode(self) -> bool:
        """Tell whether the database keeps commits whole by a write-ahead log, as ours all do."""
        # Asked of the header: of a file that is read as it lies there SQLite tells another mode.
        self._begin()
        try:
            _, versions = self._db.read("main", 0, *_FORMAT_VERSIONS)
        except apsw.Error as error:
            raise _refused(self.path, error) from error
        return bool(versions == b"\x02\x02")

    def damage(self) -> list[str] | None:
        """Return what SQLite's quick check finds wrong, None if it did not come to the end."""
        self._begin()
        try:
            rows = self._db.execute("PRAGMA quick_check(5)").fetchall()
        except apsw.InterruptError:
            return None
        except apsw.CorruptError as error:
            return [str(error)]
        except apsw.Error as error:
            raise _refused(self.path, error) from error
        return [str(text) for (text,) in rows if text != "ok"]

    def close(self) -> None:
        """Close it; a second call does nothing."""
        if self._db is not None:
            self._db.close()
            self._db = None

    def _number(self, pragma: str) -> int:
        return int(self._rows(pragma, {})[0][0])

    def _rows(self, sql: str, parameters: dict[str, Any]) -> list[Row]:
        self._begin()
        try:
            rows: list[Row] = self._db.execute(sql, parameters).fetchall()
        except apsw.Error as error:
            raise _refused(self.path, error) from error
        return rows

    def _begin(self) -> None:
        self._ends = time.monotonic() + LOOK_S_MAX


def _refused(path: str, error: apsw.Error) -> SwarmMemoryError:
    """Return the driver's error as one of ours."""
    if isinstance(error, (apsw.BusyError, apsw.LockedError)):
        return EngineBusyError(f"{path} is locked, even for reading: {error}")
    if isinstance(error, apsw.InterruptError):
        return EngineBusyError(f"looking into {path} took more than {LOOK_S_MAX:g} s")
    refused = InspectionError(f"{path}: {error}", hint="see what the other checks say")
    refused.damaged = isinstance(error, (apsw.NotADBError, apsw.CorruptError))
    return refused


def library_version() -> tuple[int, int, int]:
    """Return the version of the SQLite library that stores are opened with."""
    major, minor, patch = (int(part) for part in apsw.sqlite_lib_version().split("."))
    return major, minor, patch


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0
