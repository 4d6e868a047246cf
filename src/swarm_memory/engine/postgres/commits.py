"""Turns: how a transaction that writes begins and commits, and what became of one in doubt.

A connection can break while its COMMIT is under way. Whether that was done is known to the server
alone: each transaction that wrote says in the table `turns` whose it is and the how many-th. Who
got no answer takes the lock, so that nothing of it is under way any more, and looks.

Source:
    Gray and Reuter 1993, "Transaction Processing", testable transactions.
"""

from __future__ import annotations

from zlib import crc32

import psycopg
from psycopg import pq

from swarm_memory.errors import EngineUnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from swarm_memory.engine.postgres.address import Address
    from swarm_memory.engine.postgres.connections import Connection

CLOCK = "SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint"
# Writes to the log, so that its commit waits until all before it is safe.
BARRIER = "SELECT pg_logical_emit_message(true, 'swarm-memory', '')"
_TURN = "SELECT turn(%(lock)s)"
# Who listens has this lock, shared; where nobody does there is nothing to be told.
_WAKE = "SELECT pg_notify(%(channel)s, '') WHERE NOT pg_try_advisory_xact_lock(%(listening)s)"
_LOOK = "SELECT turn FROM turns WHERE client = {client}"
TOLD = """INSERT INTO turns (client, turn, at_ms) VALUES (%(client)s, %(turn)s, %(at_ms)s)
ON CONFLICT (client) DO UPDATE SET turn = excluded.turn, at_ms = excluded.at_ms"""
_OLD_MS = 86_400_000  # nobody asks for so long what became of a commit
PRUNE = f"DELETE FROM turns WHERE at_ms < ({CLOCK}) - {_OLD_MS}"  # noqa: S608 (ours, both)


class Doubt(Exception):
    """A transaction that wrote may have committed, and perhaps not on disk or with the standby.

    `what` is what the server said, or that it said nothing.
    """

    def __init__(self, client: int, turn: int, durable: bool, what: str) -> None:
        super().__init__(what)
        self.client = client
        self.turn = turn
        self.durable = durable
        self.what = what


class Commits:
    """How transactions of one store begin and commit.

    Args:
        patience_s: How long a commit may take, by the client's clock.
    """

    def __init__(self, address: Address, patience_s: float) -> None:
        self._address = address
        self._patience_s = patience_s
        name = crc32(address.namespace.encode())
        # Numbers of 64 bits for the schema, which advisory locks of others hardly have.
        self._lock = {"lock": 0x5377_4D6D_0000_0000 | name}
        self.listening = 0x5377_4D4C_0000_0000 | name
        self._wake = {"channel": address.namespace, "listening": self.listening}

    def begin(self, connection: Connection) -> list[str]:
        """Return what begins a transaction when its turn has come; the last gives the time."""
        turn = connection.texts.of("turn", _TURN, self._lock)
        # Who has its turn must see what was committed while it waited.
        return ["BEGIN ISOLATION LEVEL READ COMMITTED", *self._address.settings, *turn]

    def wake(self, connection: Connection) -> list[str]:
        """Return what tells those who wait, when the transaction commits."""
        return connection.texts.of("wake", _WAKE, self._wake)

    @property
    def barrier(self) -> str:
        """What returns when all that has been committed is safe."""
        if not self._address.pooled:
            return BARRIER
        return "; ".join(["BEGIN", *self._address.settings, BARRIER, "COMMIT"])

    def commit(
        self,
        connection: Connection,
        waiting: list[str],
        *,
        wrote: bool,
        durable: bool,
        now_ms: int,
    ) -> None:
        """Commit, tell those who wait, and return when it is safe; one trip to the server.

        Args:
            waiting: What is to be run before.

        Raises:
            Doubt: It may have committed.
            psycopg.Error: It has not.
            EngineUnavailableError: A statement had failed.
        """
        if _failed(connection):
            undone = EngineUnavailableError(
                f"{self._address.shown}: a statement had failed, so nothing was written",
                hint="let the error of a transaction out of its function",
            )
            undone.retryable = False
            raise undone
        steps = ["COMMIT", *([self.barrier] if durable else [])]
        if wrote:
            connection.turn += 1
            told = {"client": connection.client, "turn": connection.turn, "at_ms": now_ms}
            said = connection.texts.of("told", TOLD, told)
            steps = [*said, *self.wake(connection), *steps]
        try:
            self._patiently(connection, connection.cursor(), [*waiting, *steps])
        except psycopg.Error as error:
            if _failed(connection) or not wrote:
                raise  # before the COMMIT, or there is nothing to be in doubt of
            raise Doubt(connection.client, connection.turn, durable, str(error)) from error

    def settle(self, connection: Connection, doubt: Doubt) -> bool:
        """Tell whether a transaction in doubt has committed; if it has, it is safe now, too.

        Raises:
            psycopg.Error: That cannot be said yet.
        """
        ask = _LOOK.format(client=doubt.client)
        begin = self.begin(connection)
        cursor = connection.cursor()
        steps = [*begin, ask, "COMMIT", *([self.barrier] if doubt.durable else [])]
        self._patiently(connection, cursor, steps)
        cursor.set_result(len(begin))
        row = cursor.fetchone()
        return row is not None and row[0] == doubt.turn

    def flush(self, connection: Connection) -> None:
        """Return when all that has been committed is safe.

        Raises:
            psycopg.Error: That cannot be said.
        """
        self._patiently(connection, connection.cursor(), [self.barrier])

    def _patiently(
        self, connection: Connection, cursor: psycopg.Cursor[Any], texts: list[str]
    ) -> None:
        """Run statements of which one waits for the disk."""
        connection.warnings.clear()
        connection.patience_s = self._patience_s
        try:
            connection.texts.run(cursor, texts)
        finally:
            connection.patience_s = None
        if connection.warnings:  # safe here, and perhaps not with the standby
            said = "; ".join(connection.warnings)
            connection.close()
            raise psycopg.OperationalError(said)


def _failed(connection: Connection) -> bool:
    """Tell whether a statement of the transaction that is under way has failed."""
    return connection.info.transaction_status == pq.TransactionStatus.INERROR
