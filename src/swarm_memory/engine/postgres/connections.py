"""Connections to PostgreSQL: how one is made, what is noticed of it, and the pool threads share."""

from __future__ import annotations

import os
import time
from contextlib import suppress

import psycopg
from psycopg import pq, waiting
from psycopg.adapt import AdaptersMap, Loader
from psycopg.types.numeric import Int8Dumper

from swarm_memory.engine.postgres.faults import translate
from swarm_memory.engine.postgres.texts import Texts
from swarm_memory.errors import EngineUnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from psycopg.abc import RV, Buffer, PQGen

    from swarm_memory.engine.postgres.address import Address

# A server that says nothing for so long is asked by a second connection whether it is there.
SILENT_S = 3.0
ASK_S = 2
_NO_OPTIONS = "unsupported startup parameter"  # what a pooler says that does not pass them on


class _Truth(Int8Dumper):
    """Truth values are numbers in our tables."""

    def dump(self, obj: bool) -> Buffer:
        return b"1" if obj else b"0"


class _Number(Loader):
    """Sums of integers come as numerics."""

    def load(self, data: Buffer) -> int | float:
        text = bytes(data).decode()
        return float(text) if "." in text else int(text)


def adapters() -> AdaptersMap:
    """Return how values of ours become values of the server, and back."""
    found = AdaptersMap(psycopg.adapters)
    # One width for all integers: else a statement is prepared once for each combination.
    found.register_dumper(int, Int8Dumper)
    found.register_dumper(bool, _Truth)
    found.register_loader("numeric", _Number)
    return found


class Connection(psycopg.Connection):  # of tuples, which is its default
    """A connection that does not wait for ever for a server that is frozen or cut off.

    Such a server's kernel may go on to acknowledge what it gets, so no timeout of the network
    ever ends the wait. A statement may take its time, though, as long as its server lives.

    Attributes:
        client: A number that no other connection has.
        turn: How many transactions it has tried to commit.
        patience_s: The longest wait for one answer, however alive the server is.
        warnings: What the server warned of since they were last cleared.
    """

    address: Address
    client: int
    texts: Texts
    turn = 0
    patience_s: float | None = None
    warnings: list[str]

    def wait(self, gen: PQGen[RV], *arguments: Any, **options: Any) -> RV:
        return super().wait(self._attended(gen), *arguments, **options)

    def _attended(self, gen: PQGen[RV]) -> PQGen[RV]:
        """Pass `gen` on, and look after the server when it has been silent for long."""
        began = silent_since = 0.0
        try:
            state = next(gen)
            while True:
                ready = yield state
                if ready == waiting.READY_NONE:
                    now = time.monotonic()
                    began, silent_since = began or now, silent_since or now
                    if self.patience_s is not None and now - began >= self.patience_s:
                        self._give_up(f"no answer for {now - began:.0f} s")
                    if now - silent_since >= SILENT_S:
                        self._ask()
                        silent_since = time.monotonic()
                state = gen.send(ready)
        except StopIteration as done:
            result: RV = done.value
            return result

    def _ask(self) -> None:
        """See whether this very server still answers.

        Raises:
            OperationalError: It does not, or is no primary any more.
        """
        conninfo = self.address.conninfo(only=(self.info.host, self.info.port), connect_s=ASK_S)
        try:
            psycopg.connect(conninfo).close()
        except psycopg.Error as error:
            self._give_up(f"silent for {SILENT_S:.0f} s, and {error}")

    def _give_up(self, why: str) -> None:
        self.pgconn.finish()
        raise psycopg.OperationalError(why)


class Pool:
    """Connections to one store: each is used by one thread at a time, and kept when it is idle."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._adapters = adapters()
        self._idle: list[Connection] = []
        self._pid = os.getpid()
        self.closed = False
        self.lost = 0  # how often all were given up

    def take(self) -> Connection:
        """Return a connection for this thread alone.

        Raises:
            EngineUnavailableError: The pool was closed, or the server cannot be reached.
        """
        self._refuse_closed()
        self._leave_parents()
        try:
            return self._idle.pop()
        except IndexError:
            return self.connect()

    def connect(self, *, listen: bool = False) -> Connection:
        """Return a connection that is not given back; close it.

        Args:
            listen: To where the server is told that somebody listens, if it lies elsewhere.

        Raises:
            EngineUnavailableError: The pool was closed, or the server cannot be reached.
        """
        self._refuse_closed()
        try:
            try:
                made = self._connect(listen)
            except psycopg.OperationalError as error:
                if self._address.pooled or _NO_OPTIONS not in str(error):
                    raise
                self._address.pooled = True
                made = self._connect(listen)
        except psycopg.Error as error:
            raise translate(error, self._address.shown) from error
        made.address = self._address
        made.client = int.from_bytes(os.urandom(7), "big")
        made.warnings = []
        made.texts = Texts(made.pgconn, prepares=not self._address.pooled)
        made.add_notice_handler(lambda notice: _note(made.warnings, notice))
        self._address.prefer(made.info.host, made.info.port)
        return made

    def _refuse_closed(self) -> None:
        if self.closed:
            raise EngineUnavailableError(f"{self._address.shown} was closed", hint="open it again")

    def _connect(self, listen: bool) -> Connection:
        # The driver prepares nothing: after a ROLLBACK it takes back whatever was prepared.
        return Connection.connect(
            self._address.conninfo(listen=listen),
            autocommit=True,
            prepare_threshold=None,
            context=_Context(self._adapters),
        )

    def give(self, connection: Connection) -> None:
        """Give a connection back; one that is broken or inside a transaction is closed."""
        idle = pq.TransactionStatus.IDLE
        if self.closed or connection.closed or connection.info.transaction_status != idle:
            connection.close()
        else:
            self._idle.append(connection)
            # Look again: another thread may have closed the pool meanwhile, and seen it empty.
            if self.closed:
                self._close_idle()

    def forget_idle(self) -> None:
        """Close all that are idle: what one of them has met, the others will."""
        self.lost += 1
        self._close_idle()

    def _leave_parents(self) -> None:
        """Let go of what a parent process has made: to close it would end it for the parent."""
        if self._pid != os.getpid():
            self._pid, self._idle = os.getpid(), []

    def _close_idle(self) -> None:
        self._leave_parents()
        with suppress(IndexError):  # another thread may take the last one at any moment
            while True:
                self._idle.pop().close()

    def close(self) -> None:
        """Close what is idle, and what is in use when it is given back."""
        self.closed = True
        self.forget_idle()


def _note(warnings: list[str], notice: psycopg.errors.Diagnostic) -> None:
    if notice.severity_nonlocalized == "WARNING":
        warnings.append(notice.message_primary or "a warning")


class _Context:
    """Carries the adapters into a connection."""

    connection = None

    def __init__(self, adapters: AdaptersMap) -> None:
        self.adapters = adapters
