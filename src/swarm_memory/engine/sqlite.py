"""The SQLite engine: one file, many processes, through apsw.

WAL mode, one writer at a time. Writers pass a gate in turn, commit without a sync and share one
afterwards (see `sync`); where that cannot be had, every durable commit syncs for itself. A writer
that meets SQLite's own lock asks again after a short, jittered pause and gives up at a deadline.
SQLite's own waiting prefers whoever just wrote: with eight writers one would wait for seconds.
"""

from __future__ import annotations

import os
import threading
import time

import apsw

from swarm_memory.engine import migrate, statements, sync
from swarm_memory.engine.checkpoint import Checkpointer, move
from swarm_memory.engine.faults import translate, translated
from swarm_memory.engine.sync import reached
from swarm_memory.engine.wake import Wake
from swarm_memory.errors import (
    AmbiguousCommitError,
    EngineUnavailableError,
    InvalidArgumentError,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    from swarm_memory.clock import SystemClock
    from swarm_memory.engine import Row
    from swarm_memory.engine.sync import CommitGroup

    T = TypeVar("T")

CACHE_KIB = 8192
WAL_BYTES_KEPT = 64 * 1024 * 1024
PAUSE_S_MIN, PAUSE_S_MAX = 0.0002, 0.005
SETTLE_S = 0.0005
WAIT_S = 0.002  # between two looks at a database in memory
VACUUM_FREE_RATIO = 0.2  # below that a VACUUM costs more than it gives
NORMAL, FULL = 1, 2  # PRAGMA synchronous; never 0, on any connection
_SQL = statements.load()
KEPT_TABLE = "records"  # readers may keep its rows until `touched` changes
_TOUCHING = statements.writing(_SQL, KEPT_TABLE)
_forks = 0  # counts in every forked child, so that an inherited engine notices where it is


def _count_fork() -> None:
    global _forks
    _forks += 1


os.register_at_fork(after_in_child=_count_fork)


class SqliteTx:
    """One transaction on one connection."""

    __slots__ = ("_changes", "_clock", "_execute", "_executemany", "committed", "now_ms", "touched")

    def __init__(self, connection: _Connection, clock: SystemClock) -> None:
        self._execute = connection.execute
        self._executemany = connection.db.executemany
        self._changes = connection.db.changes
        self._clock = clock
        self.now_ms = clock.now_ms()
        self.committed = False
        self.touched = False

    @property
    def uptime_ms(self) -> int:
        return self._clock.uptime_ms()

    def one(self, statement: str, /, **parameters: Any) -> Row | None:
        rows = self._execute(_SQL[statement], parameters).fetchall()
        return rows[0] if rows else None

    def all(self, statement: str, /, **parameters: Any) -> list[Row]:
        return self.select(_SQL[statement], parameters)

    def select(self, sql: str, parameters: dict[str, Any]) -> list[Row]:
        return self._execute(sql, parameters).fetchall()

    def run(self, statement: str, /, **parameters: Any) -> int:
        if statement in _TOUCHING:
            self.touched = True
        self._execute(_SQL[statement], parameters)
        return self._changes()

    def many(self, statement: str, rows: Iterable[dict[str, Any]], /) -> None:
        if statement in _TOUCHING:
            self.touched = True
        self._executemany(_SQL[statement], rows)

    def read(self, fn: Callable[[SqliteTx], T], /, *, durable: bool = False) -> T:
        return fn(self)

    def write(self, fn: Callable[[SqliteTx], T], /, *, durability: str | None = None) -> T:
        if durability is not None:
            raise InvalidArgumentError(
                "durability is chosen per transaction", hint="pass it to transact()"
            )
        return fn(self)

    def write_one(self, statement: str, /, **parameters: Any) -> Row | None:
        return self.one(statement, **parameters)


class _Connection:
    """One SQLite connection with the settings every one of ours has."""

    __slots__ = ("db", "execute", "synchronous", "wal_pages")

    def __init__(self, path: str, busy_timeout_s: float) -> None:
        self.db = apsw.Connection(path)
        self.db.set_busy_handler(_busy_handler(busy_timeout_s))
        # A process that only passes by must not pay for a checkpoint when it closes.
        self.db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        self.db.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        self.db.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
        self.db.execute(
            f"PRAGMA cache_size = -{CACHE_KIB}; PRAGMA cell_size_check = ON;"
            f"PRAGMA journal_size_limit = {WAL_BYTES_KEPT}; PRAGMA temp_store = MEMORY"
        )
        self.execute = self.db.cursor().execute
        self.synchronous = -1
        self.wal_pages = 0
        self.db.set_wal_hook(self._note_wal_pages)

    def _note_wal_pages(self, db: apsw.Connection, name: str, pages: int) -> int:
        self.wal_pages = pages
        return apsw.SQLITE_OK

    def number(self, pragma: str) -> int:
        value: Any = self.db.pragma(pragma)
        return int(value)

    def set_synchronous(self, wanted: int) -> None:
        if wanted != self.synchronous:
            self.db.execute(f"PRAGMA synchronous = {wanted}")
            self.synchronous = wanted


def _busy_handler(busy_timeout_s: float) -> Callable[[int], bool]:
    began = 0.0

    def wait(count: int) -> bool:
        nonlocal began
        now = time.monotonic()
        if count == 0:
            began = now
        if now - began >= busy_timeout_s:
            return False
        # The clock's last digits are jitter enough, and cost no import.
        jitter = time.perf_counter_ns() % 1024 / 1024
        time.sleep(min(PAUSE_S_MIN * 2 ** min(count, 6), PAUSE_S_MAX) * (0.5 + jitter))
        return True

    return wait


class SqliteEngine:
    """An open SQLite database; safe for threads, and for a fork as long as the child opens anew."""

    def __init__(
        self, path: str, *, durability: str, clock: SystemClock, busy_timeout_s: float
    ) -> None:
        self.in_memory = path == ":memory:"
        self.path = path if self.in_memory else os.path.abspath(path)
        self.url = f"sqlite:///{self.path}"
        self.durability = durability
        self._clock = clock
        self._busy_timeout_s = busy_timeout_s
        self._idle: list[_Connection] = []
        self._born = _forks
        self._closed = False
        self._memory_lock = threading.RLock()
        self._local = threading.local()
        self._watch: _Connection | None = None
        self._watch_lock = threading.Lock()
        self._commits = 0
        self._checkpointer = Checkpointer(lambda: self._connect().db, self.durability)
        # SQLite follows a link, and puts what belongs to a file beside that file.
        self._file = self.path if self.in_memory else os.path.realpath(self.path)
        with translated(self.path):
            if not self.in_memory:
                _create_private(self.path)
            connection = self._connect()
            if migrate.state(connection.db) < migrate.newest():
                connection.db.pragma("journal_mode", "WAL")
                connection.set_synchronous(FULL)
                migrate.migrate(connection.db, self.now_ms)
                if not self.in_memory:
                    sync.sync_folder(os.path.dirname(self._file))
            self._idle.append(connection)
            self._group = self._join()
            if self._group.poisoned:
                self._heal(connection)

    def _join(self) -> CommitGroup:
        if self.in_memory:
            return sync.CommitGroup(self.path, (0, 0), None)
        return sync.join(self._file, self.boot_id)

    # --- transactions ---

    @property
    def now_ms(self) -> int:
        return self._clock.now_ms()

    @property
    def uptime_ms(self) -> int:
        return self._clock.uptime_ms()

    @property
    def boot_id(self) -> int:
        return self._clock.boot_id()

    def one(self, statement: str, /, **parameters: Any) -> Row | None:
        rows = self._select(_SQL[statement], parameters)
        return rows[0] if rows else None

    def all(self, statement: str, /, **parameters: Any) -> list[Row]:
        return self._select(_SQL[statement], parameters)

    def _select(self, sql: str, parameters: dict[str, Any]) -> list[Row]:
        # One statement is its own snapshot: a BEGIN and a COMMIT would double what a get costs.
        if self.in_memory:
            return self._in_memory(lambda tx: tx.select(sql, parameters), "BEGIN")
        connection = self._take()
        try:
            return connection.execute(sql, parameters).fetchall()
        except apsw.Error as error:
            raise translate(error, self.path) from error
        finally:
            self._idle.append(connection)

    def read(self, fn: Callable[[SqliteTx], T], /, *, durable: bool = False) -> T:
        if self.in_memory:
            return self._in_memory(fn, "BEGIN")
        connection = self._take()
        try:
            result = self._transaction(connection, fn, "BEGIN")
        finally:
            self._idle.append(connection)
        if durable and self.durability == "full":
            self._group.flush_if_needed()  # after the snapshot: what it saw may not be synced yet
        return result

    def write(self, fn: Callable[[SqliteTx], T], /, *, durability: str | None = None) -> T:
        if self.in_memory:
            return self._write_in_memory(fn)
        group = self._begin_writing()
        durable = (durability or self.durability) == "full"
        try:
            connection = self._take()
            try:
                connection.set_synchronous(FULL if durable and group.direct else NORMAL)
                if durable:
                    group.prepare()
                held = group.enter()
                try:
                    reached("gate-held")
                    result, number = self._commit(connection, fn, durable)
                    self._checkpointer.committed(connection.db, connection.wal_pages)
                finally:
                    if held:
                        group.leave()
            finally:
                self._idle.append(connection)
        finally:
            group.end()
        if durable:
            if number:
                group.settle(number)
            else:
                group.flush()
        reached("before-acknowledge")
        return result

    def write_one(self, statement: str, /, **parameters: Any) -> Row | None:
        if self.in_memory:
            return self._write_in_memory(lambda tx: tx.one(statement, **parameters))
        group = self._begin_writing()
        try:
            connection = self._take()
            try:
                connection.set_synchronous(NORMAL)
                rows = connection.execute(_SQL[statement], parameters).fetchall()
                self._checkpointer.committed(connection.db, connection.wal_pages)
            except (apsw.FullError, apsw.IOError) as error:
                raise AmbiguousCommitError(f"writing to {self.path} failed: {error}") from error
            except apsw.Error as error:
                raise translate(error, self.path) from error
            finally:
                self._idle.append(connection)
        finally:
            group.end()
        return rows[0] if rows else None

    def _begin_writing(self) -> CommitGroup:
        if self._born != _forks:
            self._abandon()  # before the lock: a thread of the parent may have held it
        group = self._group
        group.begin(self._busy_timeout_s)
        try:
            group.check_place()
        except BaseException:
            group.end()
            raise
        return group

    def _commit(
        self, connection: _Connection, fn: Callable[[SqliteTx], T], durable: bool
    ) -> tuple[T, int]:
        """Run `fn` in a transaction; return its result and its number, 0 if it wrote nothing."""
        group, changes = self._group, connection.db.total_changes
        number = 0

        def numbered(tx: SqliteTx) -> T:
            nonlocal number
            reached("begun")
            before = changes()
            result = fn(tx)
            if changes() != before:
                number = group.assign(durable=durable, touched=tx.touched)
                reached("numbered")
            return result

        result = self._transaction(connection, numbered, "BEGIN IMMEDIATE")
        reached("committed")
        if number:
            group.publish(number)
            reached("published")
        return result, number

    def _transaction(self, connection: _Connection, fn: Callable[[SqliteTx], T], begin: str) -> T:
        execute = connection.execute
        try:
            execute(begin)
            try:
                tx = SqliteTx(connection, self._clock)
                result = fn(tx)
            except BaseException:
                _roll_back(connection)
                raise
            try:
                execute("COMMIT")
            except apsw.Error as error:
                _roll_back(connection)
                if begin == "BEGIN":
                    raise
                raise AmbiguousCommitError(f"committing to {self.path} failed: {error}") from error
        except apsw.Error as error:
            raise translate(error, self.path) from error
        tx.committed = True
        return result

    def _write_in_memory(self, fn: Callable[[SqliteTx], T]) -> T:
        self._group.begin(self._busy_timeout_s)
        try:
            result = self._in_memory(fn, "BEGIN IMMEDIATE")
            self._commits += 1
            return result
        finally:
            self._group.end()

    def _in_memory(self, fn: Callable[[SqliteTx], T], begin: str) -> T:
        # One connection holds the whole database, so its users take turns.
        if self._born != _forks:
            self._abandon()
        with self._memory_lock:
            connection = self._take()
            self._idle.append(connection)
            if connection.db.in_transaction:
                return fn(SqliteTx(connection, self._clock))
            return self._transaction(connection, fn, begin)

    def _take(self) -> _Connection:
        if self._born != _forks:
            self._abandon()
        try:
            return self._idle.pop()
        except IndexError:
            if self._closed:
                raise EngineUnavailableError(
                    f"{self.path} was closed", hint="open it again"
                ) from None
        with translated(self.path):
            return self._connect()

    def _connect(self) -> _Connection:
        connection = _Connection(self.path, self._busy_timeout_s)
        connection.set_synchronous(NORMAL)
        return connection

    def _heal(self, connection: _Connection) -> None:
        """After a failed sync, trust the disk anew if all that is there can be read and moved.

        Where that is not so durable writes stay refused, and reading goes on.
        """
        db = connection.db
        if db.execute("PRAGMA integrity_check(1)").get != "ok":
            return
        try:
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            db.execute("BEGIN IMMEDIATE")
        except (apsw.BusyError, apsw.IOError, apsw.FullError):
            return
        try:
            self._group.heal()
        except AmbiguousCommitError:
            return
        finally:
            db.execute("ROLLBACK")

    def _abandon(self) -> None:
        """Leave a parent's connections alone: closing them here would drop the parent's locks."""
        _abandoned.append(self._idle)
        if self._watch is not None:
            _abandoned.append([self._watch])
            self._watch = None
        self._watch_lock = threading.Lock()
        self._idle = []
        self._born = _forks
        self._memory_lock = threading.RLock()
        self._local = threading.local()
        self._group = self._join()
        self._checkpointer = Checkpointer(lambda: self._connect().db, self.durability)

    # --- the rest of the port ---

    def touched(self) -> int:
        return self._group.touched()

    def version(self) -> int:
        """Return a number that differs after any commit, by whatever process."""
        if self._born != _forks:
            self._abandon()
        with self._watch_lock, translated(self.path):
            if self.in_memory:
                return self._commits
            if self._watch is None:
                # data_version tells of other connections only, so watching has one of its own.
                self._watch = self._connect()
            return self._watch.number("data_version")

    def wait(self, version: int, timeout_s: float) -> int:
        """Wait until `version` is no longer the current one, or the time is over."""
        deadline = time.monotonic() + timeout_s
        # The watch begins before the first look, so a commit between the two is noticed.
        wake = None if self.in_memory else self._wake()
        written = False
        while (current := self.version()) == version:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                break
            if wake is None:
                time.sleep(min(WAIT_S, left_s))
            elif wake.wait(SETTLE_S if written else left_s):
                # The log is written before its commit shows: look again soon, once.
                written = not written
            else:
                written = False
        return current

    def _wake(self) -> Wake:
        wake: Wake | None = getattr(self._local, "wake", None)
        if wake is None:
            wake = self._local.wake = Wake(self._file + "-wal")
        return wake

    def usage(self) -> dict[str, int]:
        with translated(self.path):
            connection = self._take()
            try:
                page = connection.number("page_size")
                pages = connection.number("page_count")
                free = connection.number("freelist_count")
            finally:
                self._idle.append(connection)
        return {
            "file_bytes": pages * page,
            "free_bytes": free * page,
            "page_bytes": page,
            "wal_bytes": _size(self._file + "-wal"),
        }

    def maintain(self) -> int:
        before = self.usage()
        with translated(self.path):
            connection = self._take()
            try:
                connection.db.execute("PRAGMA optimize")
                if before["free_bytes"] > VACUUM_FREE_RATIO * before["file_bytes"]:
                    connection.db.execute("VACUUM")
                if not self.in_memory:
                    move(connection.db)
            finally:
                self._idle.append(connection)
        return max(0, before["file_bytes"] - self.usage()["file_bytes"])

    def close(self) -> None:
        if self._born != _forks:
            self._abandon()
        self._checkpointer.close()
        if not self._closed and not self.in_memory:
            sync.leave(self._group)
        self._closed = True
        while self._idle:
            self._idle.pop().db.close()
        with self._watch_lock:
            if self._watch is not None:
                self._watch.db.close()
            self._watch = None


_abandoned: list[list[_Connection]] = []  # keeps a forked child from closing its parent's files
_creating = threading.Lock()


def _create_private(path: str) -> None:
    """Create a missing file for this user's eyes only.

    Only when it is new: opening and closing an existing database behind SQLite's back would drop
    the locks that this process holds on it.
    """
    with _creating:
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
        except FileExistsError:
            return
        except OSError as error:
            raise EngineUnavailableError(
                f"cannot create {path}: {error.strerror}",
                hint="check that the directory exists and may be written",
            ) from error


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _roll_back(connection: _Connection) -> None:
    # SQLite has rolled back by itself after some errors; then there is nothing left to undo.
    if connection.db.in_transaction:
        connection.db.execute("ROLLBACK")
