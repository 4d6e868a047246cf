"""The engine on PostgreSQL 15+: one store for the agents of many machines.

Writes of one store pass one after the other, as they do in SQLite, so everything that was proven
there holds here: a transaction takes an advisory lock first, commits without waiting for the disk,
and lets the next one in. Only then does it wait, together with all who committed meanwhile, until
the log is on disk and with the standby (see docs/decisions/0014-postgresql.md). A server that is
asked to forget a client in the middle of a write ends that transaction.

Nobody's clock but the server's counts. Between transactions it is known by how far it is from a
clock of this process that nobody can set.
"""

from __future__ import annotations

import os
import time
from zlib import crc32

import psycopg

from swarm_memory.engine import DURABILITIES, MACHINE
from swarm_memory.engine.postgres import migrate, upkeep
from swarm_memory.engine.postgres.address import Address
from swarm_memory.engine.postgres.commits import CLOCK, PRUNE, Commits, Doubt
from swarm_memory.engine.postgres.connections import Pool
from swarm_memory.engine.postgres.faults import is_conflict, is_lost, translate
from swarm_memory.engine.postgres.transactions import SQL, STILL, AheadTx, PostgresTx, Turn
from swarm_memory.engine.seats import pause
from swarm_memory.errors import (
    AmbiguousCommitError,
    EngineUnavailableError,
    InvalidArgumentError,
    SwarmMemoryError,
)
from swarm_memory.locks import Lock, local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from swarm_memory.engine import Row
    from swarm_memory.engine.postgres.connections import Connection

    T = TypeVar("T")

SNAPSHOT = "SELECT pg_current_snapshot()::text"
POLL_S = 0.25  # the net: a notification is only a hint
OPEN_S = 2.0
CLOCK_S = 5.0  # how long the server's clock is taken to run as ours does
PAUSE_S_MIN, PAUSE_S_MAX = 0.002, 0.5
BOOT_ID = 1  # the server's clock is the same after a restart, so its starts are not told apart
PAGE_BYTES = 8192

AHEAD_SKIPPED_MAX = 64  # how many wait for their turn after one was in vain


class PostgresEngine:
    """A store in a schema of a PostgreSQL database; safe for threads, and in a forked child."""

    alone = True

    def __init__(self, url: str, *, durability: str, clock: Any, busy_timeout_s: float) -> None:
        self.url = url
        self.durability = durability
        self._address = Address(url, busy_timeout_s)
        self._clock = clock
        self._busy_timeout_s = busy_timeout_s
        self._pool = Pool(self._address)
        self._local = local()
        self._clock_lock = Lock()
        self._ahead_ms = 0  # the server's clock minus ours
        self._clock_until_s = 0.0
        self._commits = Commits(self._address, busy_timeout_s)
        self._kept: dict[Any, tuple[list[Row], str]] = {}
        self._skip = self._skipped = 0  # transactions that do not run ahead, after one in vain
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        # A cluster may be between two primaries; a server that is alone is rather misspelt.
        patience_s = self._busy_timeout_s if self._address.is_cluster else OPEN_S
        self._again(self._look_around, patience_s)
        self._again(self._bring_up_to_date, patience_s)

    def _look_around(self, connection: Connection) -> None:
        """See whether what a connection was made with was passed on to the server."""
        if not self._address.pooled:
            row = connection.execute("SELECT current_setting('search_path')").fetchone()
            if row != (self._address.namespace,):
                self._address.pooled = True
                connection.close()

    def _bring_up_to_date(self, connection: Connection) -> None:
        if not migrate.up_to_date(connection, self._address.namespace):
            row = connection.execute(CLOCK).fetchone()
            migrate.bring_up_to_date(
                connection,
                self._address.namespace,
                self.noted(int(row[0]) if row else 0),
                SQL["verify_schema"],
                self._address.partitions,
            )

    # --- clocks ---

    @property
    def now_ms(self) -> int:
        if self._clock is not None:
            return int(self._clock.now_ms())
        if time.monotonic() >= self._clock_until_s:
            row = self._again(lambda connection: connection.execute(CLOCK).fetchone())
            self.noted(int(row[0]) if row else 0)
        return int(time.monotonic() * 1000) + self._ahead_ms

    @property
    def uptime_ms(self) -> int:
        return self.uptime_in(self.now_ms)

    def uptime_in(self, now_ms: int) -> int:
        """Return the clock by which leases are counted: the server's, unless a test has its own."""
        return int(self._clock.uptime_ms()) if self._clock is not None else now_ms

    @property
    def boot_id(self) -> int:
        return int(self._clock.boot_id()) if self._clock is not None else BOOT_ID

    def noted(self, said_ms: int) -> int:
        """Remember what the server's clock said just now; return the time of the store."""
        with self._clock_lock:
            self._ahead_ms = said_ms - int(time.monotonic() * 1000)
            self._clock_until_s = time.monotonic() + CLOCK_S
        return int(self._clock.now_ms()) if self._clock is not None else said_ms

    # --- single statements ---

    def one(self, statement: str, /, **parameters: Any) -> Row | None:
        rows = self.all(statement, **parameters)
        return rows[0] if rows else None

    def all(self, statement: str, /, **parameters: Any) -> list[Row]:
        def select(connection: Connection) -> list[Row]:
            texts = connection.texts.of(statement, SQL[statement], parameters)
            cursor = connection.cursor()
            if not self._address.pooled:
                connection.texts.run(cursor, texts)
                return cursor.set_result(-1).fetchall()
            steps = ["BEGIN READ ONLY", *self._address.settings, *texts, "COMMIT"]
            connection.texts.run(cursor, steps)
            return cursor.set_result(-2).fetchall()

        return self._again(select)

    def write_one(
        self, statement: str, durability: str = "relaxed", /, **parameters: Any
    ) -> Row | None:
        self._refuse_nested()

        def write(connection: Connection) -> Row | None:
            text = connection.texts.of(statement, SQL[statement], parameters)
            cursor = connection.cursor()
            begin = self._commits.begin(connection)
            steps = [*begin, *text, *self._commits.wake(connection), "COMMIT"]
            connection.texts.run(cursor, steps)
            cursor.set_result(len(begin) + len(text) - 1)
            return cursor.fetchone() if cursor.description is not None else None

        row = self._again(write)
        if row is not None and self._waits_for_disk(durability):
            self.flush()
        return row

    # --- transactions ---

    def read(self, fn: Callable[[PostgresTx], T], /, *, durable: bool = False) -> T:
        def run(connection: Connection) -> T:
            begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
            tx = PostgresTx(connection, self, [begin, *self._address.settings, CLOCK])
            if durable and self.durability == "full":
                tx.begin()
                self.flush()  # the snapshot is fixed, and all in it is older
            result = fn(tx)
            if tx.begun:
                connection.execute("COMMIT")
            return result

        return self._again(run)

    def write(
        self,
        fn: Callable[[PostgresTx], T],
        /,
        *,
        durability: str | None = None,
        ahead: bool = False,
    ) -> T:
        durable = self._waits_for_disk(durability or self.durability)
        self._refuse_nested()
        if ahead and self._may_run_ahead():
            try:
                return self._again(lambda connection: self._write_ahead(connection, fn, durable))
            except Turn:
                pass
        return self._again(lambda connection: self._write(connection, fn, durable))

    def _may_run_ahead(self) -> bool:
        """Tell whether it is worth it: where many change the same, whoever runs ahead is late."""
        if self._skipped < self._skip:
            self._skipped += 1
            return False
        return True

    def _waits_for_disk(self, durability: str) -> bool:
        if durability not in (*DURABILITIES, MACHINE):
            raise InvalidArgumentError(f"durability {durability!r}", hint=" or ".join(DURABILITIES))
        # What is to live as long as the machines of those who know of it outlives the server.
        return (self.durability if durability == MACHINE else durability) == "full"

    def _refuse_nested(self) -> None:
        if getattr(self._local, "inside", False):
            raise InvalidArgumentError(
                "a write inside a write of the same thread would wait for itself",
                hint="use the handle that transact() gives to your function",
            )

    def _write(self, connection: Connection, fn: Callable[[PostgresTx], T], durable: bool) -> T:
        tx = PostgresTx(connection, self, self._commits.begin(connection))
        self._local.inside = True
        try:
            result = fn(tx)
        finally:
            self._local.inside = False
        self._commit(connection, tx, tx.waiting(), durable)
        return result

    def _write_ahead(
        self, connection: Connection, fn: Callable[[PostgresTx], T], durable: bool
    ) -> T:
        """Run `fn` before its turn.

        Raises:
            Turn: It has to run again, in its turn.
        """
        tx = AheadTx(connection, self, self._kept)
        self._local.inside = True
        try:
            result = fn(tx)
        finally:
            self._local.inside = False
        try:
            begin = self._commits.begin(connection)
            self._commit(connection, tx, [*begin, *tx.waiting()], durable)
        except psycopg.Error as error:
            if error.sqlstate != STILL:
                raise
            self._kept.clear()
            self._skip, self._skipped = min(2 * self._skip + 1, AHEAD_SKIPPED_MAX), 0
            raise Turn from error
        self._skip //= 2
        return result

    def _commit(
        self, connection: Connection, tx: PostgresTx, waiting: list[str], durable: bool
    ) -> None:
        try:
            self._commits.commit(
                connection, waiting, wrote=tx.wrote, durable=durable, now_ms=tx.now_ms
            )
        except Doubt as doubt:
            if not self._settled(doubt):
                raise psycopg.OperationalError(doubt.what) from doubt  # undone: it runs again
        tx.committed = True

    def _settled(self, doubt: Doubt) -> bool:
        """Tell whether a transaction in doubt has committed.

        Raises:
            AmbiguousCommitError: No server could say it in time.
        """
        try:
            return self._again(lambda connection: self._commits.settle(connection, doubt))
        except SwarmMemoryError as error:
            raise AmbiguousCommitError(f"{self._address.shown}: {doubt.what}; {error}") from doubt

    def _again(self, call: Callable[[Connection], T], patience_s: float | None = None) -> T:
        """Run `call` with a connection, again after conflicts and while the server is lost.

        Nothing that was tried in vain is left. What may have been committed is looked for first.
        """
        limit_s = self._busy_timeout_s
        deadline = time.monotonic() + min(limit_s, limit_s if patience_s is None else patience_s)
        pause_s = PAUSE_S_MIN
        while True:
            try:
                return self._once(call)
            except psycopg.Error as error:
                lost = is_lost(error)
                if lost:
                    self._pool.forget_idle()
                if not (lost or is_conflict(error)) or time.monotonic() + pause_s >= deadline:
                    raise translate(error, self._address.shown) from error
            except EngineUnavailableError as error:
                over = self._pool.closed or time.monotonic() + pause_s >= deadline
                if over or not error.retryable:
                    raise
            pause(pause_s)
            pause_s = min(2 * pause_s, PAUSE_S_MAX)

    def _once(self, call: Callable[[Connection], T]) -> T:
        connection = self._pool.take()
        try:
            return call(connection)
        except BaseException:
            connection.texts.drop()
            _undo(connection)
            raise
        finally:
            self._pool.give(connection)

    # --- the rest of the port ---

    def of(self, swarm: str) -> PostgresEngine:
        return self  # all swarms of a store that no routes led to live in it

    def touched(self) -> int:
        return 0  # records are not kept in this process: who wrote what is known to the server

    def flush(self) -> None:
        self._again(self._commits.flush)

    def version(self) -> int:
        """Return a number that differs after any commit in the database cluster."""
        return self._again(_snapshot)

    def wait(self, version: int, timeout_s: float) -> int:
        """Wait until `version` is no longer the current one, or the time is over."""
        deadline = time.monotonic() + timeout_s
        # Listening begins before the first look, so a commit between the two is noticed.
        listener = self._listener()
        try:
            while (current := self.version()) == version:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    break
                listener = self._listener()  # another one if the server went meanwhile
                if listener is None:
                    pause(min(POLL_S, left_s))
                elif not listener.wait(min(POLL_S, left_s)):
                    self._drop(listener)
        except BaseException:
            self._drop(listener)
            raise
        return current

    def _listener(self) -> Listener | None:
        """Return the connection by which this thread is told of writes, None without one."""
        if not self._address.can_listen:
            return None
        # Of now: `close` puts another one there, and what is made meanwhile goes with this one.
        threads = self._local
        listener: Listener | None = getattr(threads, "listener", None)
        if listener is None or listener.lost != self._pool.lost:
            listener = threads.listener = self._again(lambda _: self._listen())
        return listener

    def _drop(self, listener: Listener | None) -> None:
        """Close a listener of this thread, by name: what an error holds is collected late."""
        self._local.listener = None
        if listener is not None:
            listener.close()

    def _listen(self) -> Listener:
        lost = self._pool.lost
        connection = self._pool.connect(listen=True)
        try:
            return Listener(connection, self._address.namespace, self._commits.listening, lost)
        except BaseException:
            connection.close()
            raise

    def usage(self) -> dict[str, int]:
        def ask(connection: Connection) -> Row | None:
            return connection.execute(
                "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) FROM pg_class AS c"
                " WHERE c.relkind = 'r' AND c.relnamespace = %s::regnamespace",
                (self._address.namespace,),
            ).fetchone()

        row = self._again(ask)
        size = int(row[0]) if row else 0
        return {"file_bytes": size, "free_bytes": 0, "page_bytes": PAGE_BYTES, "wal_bytes": 0}

    def wear(self) -> dict[str, int]:
        return self._again(lambda connection: upkeep.wear(connection, self._address.namespace))

    def analyse(self) -> None:
        self._again(lambda connection: upkeep.analyse(connection, self._address.namespace))

    def give_back(self, *, free_ratio: float, within_s: float) -> int:
        """Let the server clean its tables for others to use; the bytes are those it shrank by."""
        before = self.usage()["file_bytes"]
        if free_ratio * before < self.wear()["free_bytes"]:
            namespace = self._address.namespace
            self._again(lambda connection: upkeep.vacuum(connection, namespace, within_s))
        return max(0, before - self.usage()["file_bytes"])

    def maintain(self) -> int:
        """Let the server clean its tables; return the bytes by which they shrank."""
        before = self.usage()["file_bytes"]

        def clean(connection: Connection) -> None:
            upkeep.vacuum(connection, self._address.namespace, upkeep.WHATEVER_IT_TAKES_S)
            connection.execute("; ".join(["BEGIN", *self._address.settings, PRUNE, "COMMIT"]))

        self._again(clean)
        return max(0, before - self.usage()["file_bytes"])

    def close(self) -> None:
        self._pool.close()  # first: whoever meets the new place below cannot connect any more
        self._local = local()


class Listener:
    """A connection that is told of writes; one per thread."""

    def __init__(self, connection: Connection, channel: str, lock: int, lost: int) -> None:
        self._connection = connection
        self._pid = os.getpid()
        self.lost = lost  # how often the server had been lost when it was made
        connection.execute(f"LISTEN {channel}")
        connection.execute("SELECT pg_advisory_lock_shared(%s)", (lock,))  # so writers tell it

    def wait(self, timeout_s: float) -> bool:
        """Return when told, or after `timeout_s` seconds; False if the connection is lost."""
        try:
            for _ in self._connection.notifies(timeout=timeout_s, stop_after=1):
                pass
        except psycopg.Error:
            return False
        return True

    def close(self) -> None:
        if self._pid == os.getpid():  # in a child it would end that of the parent
            self._connection.close()

    def __del__(self) -> None:
        self.close()


def _snapshot(connection: Connection) -> int:
    row = connection.execute(SNAPSHOT).fetchone()
    return crc32(row[0].encode()) if row else 0


def _undo(connection: Connection) -> None:
    """End a transaction that failed; the server does so itself where that cannot be said."""
    idle = psycopg.pq.TransactionStatus.IDLE
    if not connection.closed and connection.info.transaction_status != idle:
        try:
            connection.execute("ROLLBACK")
        except psycopg.Error:
            connection.close()
