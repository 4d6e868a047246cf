"""The SQLite engine: one file, many processes, through apsw.

WAL mode, one writer at a time. Writers pass a gate in turn, commit without a sync and share one
afterwards (see `sync`); where that cannot be had, every durable commit syncs for itself. A writer
that meets SQLite's own lock asks again after a short, jittered pause and gives up at a deadline.
SQLite's own waiting prefers whoever just wrote: with eight writers one would wait for seconds.
"""

from __future__ import annotations

import os
import time
from _weakref import ref  # weakref would import 1 ms of other things

import apsw

from swarm_memory.engine import DURABILITIES, MACHINE, migrate, statements, sync
from swarm_memory.engine.checkpoint import Checkpointer, empty, move
from swarm_memory.engine.connections import FULL, NORMAL, Pool
from swarm_memory.engine.faults import damaged, is_failed_sync, translate, translated
from swarm_memory.engine.sync import reached
from swarm_memory.engine.wake import POLL_S, Wake
from swarm_memory.errors import (
    AmbiguousCommitError,
    EngineUnavailableError,
    InvalidArgumentError,
)
from swarm_memory.lean import suppress
from swarm_memory.locks import Lock, local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, TypeVar

    from swarm_memory.clock import SystemClock
    from swarm_memory.engine import Row
    from swarm_memory.engine.connections import Connection
    from swarm_memory.engine.sync import CommitGroup

    T = TypeVar("T")

SETTLE_S, SETTLE_S_MAX = 0.0005, 0.01
_SQL = statements.Statements()
KEPT_TABLE = "records"  # readers may keep its rows until `touched` changes
_TOUCHING = statements.Writing(_SQL, KEPT_TABLE)


class SqliteTx:
    """One transaction on one connection."""

    __slots__ = ("_changes", "_clock", "_execute", "_executemany", "committed", "now_ms", "touched")
    ahead = None  # it has its turn
    alone = False

    def __init__(self, connection: Connection, clock: SystemClock) -> None:
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
        rows = self.select(_SQL[statement], parameters)
        return rows[0] if rows else None

    def all(self, statement: str, /, **parameters: Any) -> list[Row]:
        return self.select(_SQL[statement], parameters)

    def select(self, sql: str, parameters: dict[str, Any]) -> list[Row]:
        try:
            return self._execute(sql, parameters).fetchall()
        except UnicodeDecodeError as error:  # a text that is damaged on disk
            raise damaged("a row", error) from error

    def run(self, statement: str, /, **parameters: Any) -> int:
        if _TOUCHING[statement]:
            self.touched = True
        self._execute(_SQL[statement], parameters)
        return self._changes()

    def do(self, statement: str, /, **parameters: Any) -> None:
        if _TOUCHING[statement]:
            self.touched = True
        self._execute(_SQL[statement], parameters)

    def many(self, statement: str, rows: Iterable[dict[str, Any]], /) -> None:
        if _TOUCHING[statement]:
            self.touched = True
        self._executemany(_SQL[statement], rows)

    def schema_made(self) -> dict[str, str]:
        from swarm_memory.engine.memory import MemoryEngine

        new = MemoryEngine(clock=self._clock, durability="relaxed", busy_timeout_s=0)
        try:
            return dict(new.all("verify_schema"))
        finally:
            new.close()

    def fence(self, up: bool) -> None:
        from swarm_memory.engine.fence import sqlite_triggers

        for trigger in sqlite_triggers(up):
            self._execute(trigger, {})

    def read(self, fn: Callable[[SqliteTx], T], /, *, durable: bool = False) -> T:
        return fn(self)

    def write(
        self, fn: Callable[[SqliteTx], T], /, *, durability: str | None = None, ahead: bool = False
    ) -> T:
        if durability is not None:
            raise InvalidArgumentError(
                "durability is chosen per transaction", hint="pass it to transact()"
            )
        return fn(self)

    def write_one(
        self, statement: str, durability: str = "relaxed", /, **parameters: Any
    ) -> Row | None:
        return self.one(statement, **parameters)


class SqliteEngine:
    """An open database file; safe for threads, and in a forked child."""

    alone = True

    def __init__(
        self, path: str, *, durability: str, clock: SystemClock, busy_timeout_s: float
    ) -> None:
        self.path = os.path.abspath(path)
        self.url = f"sqlite:///{self.path}"
        self.durability = durability
        self._clock = clock
        self._busy_timeout_s = busy_timeout_s
        # SQLite follows a link, and puts what belongs to a file beside that file.
        self._file = os.path.realpath(self.path)
        self._closed = False
        self._joined: CommitGroup | None = None
        self._watch: Connection | None = None
        self._known: ref[SqliteEngine] | None = None
        self._pool = Pool(self._file, busy_timeout_s)
        self._make_locks()
        _create_private(self._file)
        try:
            with translated(self._file):
                self._open()
        except BaseException:
            self.close()
            raise

    def _make_locks(self) -> None:
        self._local = local()
        self._guard = Lock()
        self._watch_lock = Lock()
        self._checkpointer = Checkpointer(self._pool, self.durability, self._note)

    def _open(self) -> None:
        connection = self._pool.take()
        try:
            if migrate.state(connection.db) < migrate.newest():
                self._use_log(connection)
                connection.set_synchronous(FULL)
                migrate.migrate(connection.db, self.now_ms)
                sync.sync_folder(os.path.dirname(self._file))
            if self._group.poisoned:
                self._heal(connection)
        finally:
            self._pool.give(connection)

    def _use_log(self, connection: Connection) -> None:
        """Ask for the write-ahead log; while others do, SQLite says no without waiting."""
        deadline = time.monotonic() + self._busy_timeout_s
        while True:
            try:
                connection.db.pragma("journal_mode", "WAL")
                return
            except apsw.BusyError:
                if time.monotonic() >= deadline:
                    raise
            time.sleep(SETTLE_S)

    @property
    def _group(self) -> CommitGroup:
        group = self._joined
        if group is None:
            with self._guard:
                group = self._joined or self._join()
        return group

    def _join(self) -> CommitGroup:
        group = sync.join(self._file, self.boot_id)
        self._forget_known()
        self._known = ref(self, lambda known: _collected(known, group))
        _engines.append(self._known)
        self._joined = group
        return group

    def _forget_known(self) -> None:
        if self._known is not None:
            _engines.remove(self._known)
            self._known = None

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
        connection = self._pool.take()
        try:
            return connection.execute(sql, parameters).fetchall()
        except apsw.Error as error:
            raise translate(error, self._file) from error
        except UnicodeDecodeError as error:  # a text that is damaged on disk
            raise damaged(self._file, error) from error
        finally:
            self._pool.give(connection)

    def read(self, fn: Callable[[SqliteTx], T], /, *, durable: bool = False) -> T:
        def synced(tx: SqliteTx) -> T:
            tx.one("fact_get", swarm="", name="")  # the snapshot begins with the first read
            self.flush()
            return fn(tx)

        connection = self._pool.take()
        try:
            safe = durable and self.durability == "full"
            return self._transaction(connection, synced if safe else fn, "BEGIN")
        finally:
            self._pool.give(connection)

    def write(
        self, fn: Callable[[SqliteTx], T], /, *, durability: str | None = None, ahead: bool = False
    ) -> T:
        durability = durability or self.durability
        if durability not in (*DURABILITIES, MACHINE):
            raise InvalidArgumentError(f"durability {durability!r}", hint=" or ".join(DURABILITIES))
        durable = durability == "full"
        group = self._group
        group.refuse_nested()
        sync.stay(group)
        try:
            result, number = self._write(group, fn, durable)
            if durable and number:
                group.settle(number)
            elif durable:
                group.flush()
            reached("before-acknowledge")
            return result
        finally:
            sync.leave(group)

    def write_one(
        self, statement: str, durability: str = "relaxed", /, **parameters: Any
    ) -> Row | None:
        group = self._group
        group.refuse_nested()
        sync.stay(group)
        try:
            group.begin(self._busy_timeout_s, numbered=False)
            connection = self._pool.take()
            try:
                connection.set_synchronous(NORMAL)
                rows = connection.execute(_SQL[statement], parameters).fetchall()
                self._checkpointer.committed(connection)
            except (apsw.FullError, apsw.IOError) as error:
                raise self._ambiguous(error) from error
            except apsw.Error as error:
                raise translate(error, self._file) from error
            finally:
                self._pool.give(connection)
        finally:
            group.end()
            sync.leave(group)
        return rows[0] if rows else None

    def _write(
        self, group: CommitGroup, fn: Callable[[SqliteTx], T], durable: bool
    ) -> tuple[T, int]:
        """Run `fn` in a transaction, one of this process at a time; see `_commit`."""
        try:
            group.begin(self._busy_timeout_s)
            connection = self._pool.take()
            try:
                group.prepare()
                connection.set_synchronous(FULL if durable and group.direct else NORMAL)
                try:
                    group.enter()
                    reached("gate-held")
                    committed = self._commit(group, connection, fn, durable)
                    self._checkpointer.committed(connection)
                finally:
                    group.leave(last=durable)
            finally:
                self._pool.give(connection)
        finally:
            group.end()
        return committed

    def _commit(
        self, group: CommitGroup, connection: Connection, fn: Callable[[SqliteTx], T], durable: bool
    ) -> tuple[T, int]:
        """Return the result of `fn` and the transaction's number, 0 if it wrote nothing."""
        changes = connection.db.total_changes
        number = 0

        def numbered(tx: SqliteTx) -> T:
            nonlocal number
            reached("begun")
            before = changes()
            result = group.run(fn, tx)
            if changes() != before:
                number = group.assign(durable=durable, touched=tx.touched)
                reached("numbered")
            return result

        result = self._transaction(connection, numbered, "BEGIN IMMEDIATE")
        reached("committed")
        group.publish(number)
        reached("published")
        return result, number

    def _transaction(self, connection: Connection, fn: Callable[[SqliteTx], T], begin: str) -> T:
        execute = connection.execute
        try:
            try:
                execute(begin)
                tx = SqliteTx(connection, self._clock)
                result = fn(tx)
            except BaseException:
                connection.roll_back()
                raise
            try:
                execute("COMMIT")
            except apsw.Error as error:
                connection.roll_back()
                if begin == "BEGIN":
                    raise
                raise self._ambiguous(error) from error
        except apsw.Error as error:
            raise translate(error, self._file) from error
        tx.committed = True
        return result

    def _ambiguous(self, error: apsw.Error) -> AmbiguousCommitError:
        self._note(error)
        ambiguous = AmbiguousCommitError(f"committing to {self._file} failed: {error}")
        if isinstance(error, apsw.FullError):
            ambiguous.hint = f"free some space, then {ambiguous.hint}"
        return ambiguous

    def _note(self, error: BaseException) -> None:
        """Remember a failed sync, whoever met it: the system tells of it once only."""
        if is_failed_sync(error):
            self._group.poison()

    def _heal(self, connection: Connection) -> None:
        """After a failed sync, trust the disk anew if all that is there can be read and moved.

        Where that is not so durable writes stay refused, and reading goes on.
        """
        db = connection.db
        try:
            if db.execute("PRAGMA integrity_check(1)").get != "ok":
                return
            db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
            db.execute("BEGIN IMMEDIATE")
            self._group.heal()
        except (apsw.Error, OSError):
            return  # still refused: whoever writes durably is told why
        finally:
            connection.roll_back()

    # --- the rest of the port ---

    def of(self, swarm: str) -> SqliteEngine:
        return self  # all swarms of a store that no routes led to live in it

    def touched(self) -> int:
        return self._group.touched()

    def flush(self) -> None:
        group = self._group
        sync.stay(group)
        try:
            group.flush()
        finally:
            sync.leave(group)

    def version(self) -> int:
        """Return a number that differs after any commit, by whatever process."""
        with self._watch_lock, translated(self._file):
            if self._watch is None:
                # data_version tells of other connections only, so watching has one of its own.
                self._watch = self._pool.connect()
            return self._watch.number("data_version")

    def wait(self, version: int, timeout_s: float) -> int:
        """Wait until `version` is no longer the current one, or the time is over."""
        deadline = time.monotonic() + timeout_s
        # The watch begins before the first look, so a commit between the two is noticed.
        wake = self._wake()
        settle_s = POLL_S
        while (current := self.version()) == version:
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                break
            # The log is written before its commit shows, and whoever writes may be held up between
            # the two: look again soon, and less and less.
            if wake.wait(min(settle_s, left_s)):
                settle_s = SETTLE_S
            else:
                settle_s = 2 * settle_s if settle_s < SETTLE_S_MAX else POLL_S
        return current

    def _wake(self) -> Wake:
        wake: Wake | None = getattr(self._local, "wake", None)
        if wake is None:
            wake = self._local.wake = Wake(self._file + "-wal")
        return wake

    def usage(self) -> dict[str, int]:
        with translated(self._file):
            connection = self._pool.take()
            try:
                page = connection.number("page_size")
                pages = connection.number("page_count")
                free = connection.number("freelist_count")
            finally:
                self._pool.give(connection)
        return {
            "file_bytes": pages * page,
            "free_bytes": free * page,
            "page_bytes": page,
            "wal_bytes": _size(self._file + "-wal"),
        }

    def wear(self) -> dict[str, int]:
        from swarm_memory.engine import upkeep

        with translated(self._file):
            connection = self._pool.take()
            try:
                return upkeep.wear(connection)
            finally:
                self._pool.give(connection)

    def analyse(self) -> None:
        from swarm_memory.engine import upkeep

        self._upkeep(upkeep.analyse)

    def give_back(self, *, free_ratio: float, within_s: float) -> int:
        from swarm_memory.engine import upkeep

        before = self.usage()["file_bytes"]
        self._upkeep(lambda c: upkeep.give_back(c, free_ratio=free_ratio, within_s=within_s))
        return max(0, before - self.usage()["file_bytes"])

    def maintain(self) -> int:
        from swarm_memory.engine import upkeep

        self.analyse()
        return self.give_back(free_ratio=upkeep.FREE_RATIO, within_s=upkeep.WHATEVER_IT_TAKES_S)

    def _upkeep(self, fn: Callable[[Connection], None]) -> None:
        with translated(self._file):
            connection = self._pool.take()
            try:
                fn(connection)
                move(connection.db)
            finally:
                self._pool.give(connection)

    def close(self) -> None:
        with self._guard:
            closed, self._closed = self._closed, True
        if closed:
            return
        self._forget_known()
        self._checkpointer.close()
        group = self._joined
        if group is not None and self._checkpointer.is_due() and group.alone():
            with suppress(EngineUnavailableError):  # then the next to come reads the log
                connection = self._pool.take()
                empty(connection.db)
                self._pool.give(connection)
        self._pool.close()
        self._local = local()  # a thread that waits keeps its wake-up until it has noticed
        with self._watch_lock:
            if self._watch is not None:
                self._pool.discard(self._watch)
            self._watch = None
        if group is not None:
            sync.leave(group)

    # --- forks ---

    def _settle_before_fork(self) -> None:
        """Let nobody but the forking thread use a connection, as far as that is ours to say."""
        self._checkpointer.close()

    def _begin_in_child(self) -> bool:
        """Begin anew in a forked child; False if that cannot be."""
        if self._watch is not None and not self._watch_lock.locked():
            self._pool.discard(self._watch)
        self._watch = None
        self._joined = None
        self._make_locks()
        return self._pool.begin_in_child()


_engines: list[ref[SqliteEngine]] = []
_creating = Lock()


def _collected(known: ref[SqliteEngine], group: CommitGroup) -> None:
    """Somebody forgot to close an engine, and nobody has it any more."""
    _engines.remove(known)
    sync.abandon(group)


def _open_engines() -> list[SqliteEngine]:
    return [engine for each in list(_engines) if (engine := each()) is not None]


def _before_fork() -> None:
    for engine in _open_engines():
        engine._settle_before_fork()


def _after_fork_in_child() -> None:
    global _creating
    _creating = Lock()
    sync.forget([engine._file for engine in _open_engines() if not engine._begin_in_child()])


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork_in_child)


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
