"""Connections to PostgreSQL: the settings that all of ours have, and the pool threads share."""

from __future__ import annotations

import os
import re

import psycopg
from psycopg.adapt import AdaptersMap, Loader
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.numeric import Int8Dumper

from swarm_memory.engine.postgres.faults import translate
from swarm_memory.errors import EngineUnavailableError, InvalidArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from psycopg.abc import Buffer

NAMESPACE = "swarm_memory"
CONNECT_S = 5
# A client that is stopped inside a transaction holds everybody up; its transaction is ended then.
IDLE_IN_TRANSACTION_S = 10
_SEARCH_PATH = re.compile(r"-c\s*search_path=\"?([A-Za-z_][A-Za-z0-9_]*)")


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


class Address:
    """Where a store is: how to connect to it, and what to call it without its password.

    Args:
        url: What libpq takes. `options=-csearch_path=NAME` names the schema of the tables, which
            is `swarm_memory` else.

    Raises:
        InvalidArgumentError: libpq does not understand it.
    """

    def __init__(self, url: str, busy_timeout_s: float) -> None:
        try:
            given = conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:
            raise InvalidArgumentError(
                f"no URL of PostgreSQL: {error}", hint="postgresql://user@host:5432/database"
            ) from error
        options = str(given.pop("options", "") or "")
        named = _SEARCH_PATH.search(options)
        self.namespace = named[1].lower() if named else NAMESPACE  # as the server reads it
        limits = {
            "search_path": self.namespace,
            "lock_timeout": f"{round(busy_timeout_s * 1000)}",
            "idle_in_transaction_session_timeout": f"{IDLE_IN_TRANSACTION_S * 1000}",
            "synchronous_commit": "on",
            "client_min_messages": "warning",
        }
        limits = {n: value for n, value in limits.items() if f"-c{n}=" not in options}
        defaults: dict[str, str | int] = {
            "connect_timeout": CONNECT_S,
            "target_session_attrs": "read-write",
            "application_name": "swarm-memory",
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
        }
        settings = " ".join(f"-c{name}={value}" for name, value in limits.items())
        self.conninfo = make_conninfo(
            "", **(defaults | given), options=f"{options} {settings}".strip()
        )
        host = given.get("host") or "its host"
        self.shown = f"{given.get('dbname') or 'the database'} at {host}, schema {self.namespace}"


class Pool:
    """Connections to one store: each is used by one thread at a time, and kept when it is idle."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._adapters = adapters()
        self._idle: list[psycopg.Connection] = []
        self._pid = os.getpid()
        self._closed = False

    def take(self) -> psycopg.Connection:
        """Return a connection for this thread alone.

        Raises:
            EngineUnavailableError: The pool was closed, or the server cannot be reached.
        """
        if self._closed:
            raise EngineUnavailableError(f"{self._address.shown} was closed", hint="open it again")
        if self._pid != os.getpid():
            self._pid, self._idle = os.getpid(), []  # those of the parent stay the parent's
        try:
            return self._idle.pop()
        except IndexError:
            return self.connect()

    def connect(self) -> psycopg.Connection:
        """Return a connection that is not given back; close it.

        Raises:
            EngineUnavailableError: The server cannot be reached.
        """
        try:
            return psycopg.connect(
                self._address.conninfo, autocommit=True, context=_Context(self._adapters)
            )
        except psycopg.Error as error:
            raise translate(error, self._address.shown) from error

    def give(self, connection: psycopg.Connection) -> None:
        """Give a connection back; one that is broken or inside a transaction is closed."""
        idle = psycopg.pq.TransactionStatus.IDLE
        if self._closed or connection.closed or connection.info.transaction_status != idle:
            connection.close()
        else:
            self._idle.append(connection)

    def forget_idle(self) -> None:
        """Close all that are idle: what one of them has met, the others will."""
        while self._idle:
            self._idle.pop().close()

    def close(self) -> None:
        """Close what is idle, and what is in use when it is given back."""
        self._closed = True
        self.forget_idle()


class _Context:
    """Carries the adapters into a connection."""

    connection = None

    def __init__(self, adapters: AdaptersMap) -> None:
        self.adapters = adapters
