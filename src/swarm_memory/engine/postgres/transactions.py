"""Transactions on PostgreSQL: one that has its turn, and one that runs ahead of it."""

from __future__ import annotations

import re

from swarm_memory.engine.postgres import dialect, migrate
from swarm_memory.engine.postgres.commits import CLOCK
from swarm_memory.errors import InvalidArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, NoReturn, Protocol, TypeVar

    from swarm_memory.engine import Row
    from swarm_memory.engine.postgres.connections import Connection

    T = TypeVar("T")

    class Clocks(Protocol):
        """What a transaction asks its engine for."""

        def noted(self, said_ms: int) -> int:
            """Remember what the server's clock said, and return the time of the transaction."""

        def uptime_in(self, now_ms: int) -> int:
            """Return the clock by which leases are counted."""


SQL = dialect.load()
CHARACTERS_MAX = 1 << 18  # of what waits to be sent
STILL = "SMC01"  # what `still` in the schema raises
_WRITES = re.compile(r"\b(INSERT|UPDATE|DELETE)\b")
_WRITING = frozenset(name for name, sql in SQL.items() if _WRITES.search(sql))
# What a transaction that runs ahead is told at its first look: the time, the newest number of an
# event that was given away, and up to which the counters have been added up.
_NEWEST = "(SELECT last_value FROM events_seq_seq)"
_FOLDED = "(SELECT max(value) FROM facts WHERE swarm = '' AND name = 'folded_seq')"
_FIRST = f"{CLOCK}, {_NEWEST}, coalesce({_FOLDED}, 0)"
_TRUE = "(t)"  # a row of one true value, as a text
# What hardly ever changes is not read again; that it is the same is seen at the commit.
_KEPT = frozenset(["fact_get"])
_KEPT_MAX = 1000


class PostgresTx:
    """A transaction that has its turn.

    Args:
        begin: The statements that begin it, of which the last gives the time; they are sent with
            its first one.
    """

    ahead: AheadTx | None = None
    alone = False

    def __init__(self, connection: Connection, clocks: Clocks, begin: Iterable[str]) -> None:
        self._connection = connection
        self._clocks = clocks
        self._cursor = connection.cursor()
        self._waiting = [*begin]
        self._clock_at: int | None = len(self._waiting) - 1
        self._now_ms = 0
        self._characters = 0
        self.committed = False
        self.wrote = False

    @property
    def now_ms(self) -> int:
        self.begin()
        return self._now_ms

    def begin(self) -> None:
        """Begin it now, if it has not: what it sees is fixed, or its turn has come."""
        if not self.begun:
            self._send([])

    @property
    def begun(self) -> bool:
        """Whether the server knows of it."""
        return self._clock_at is None

    @property
    def uptime_ms(self) -> int:
        return self._clocks.uptime_in(self.now_ms)

    def _send(self, texts: list[str]) -> None:
        """Run what waits and these statements, in one trip; the last one's result is left."""
        texts = [*self._waiting, *texts]
        self._waiting.clear()
        self._characters = 0
        self._connection.texts.run(self._cursor, texts)
        if self._clock_at is not None:
            self._cursor.set_result(self._clock_at)
            self._clock_at = None
            row = self._cursor.fetchone()
            self._now_ms = self._clocks.noted(int(row[0]) if row else 0)
        self._cursor.set_result(-1)

    def _texts(self, statement: str, parameters: dict[str, Any]) -> list[str]:
        return self._connection.texts.of(statement, SQL[statement], parameters)

    def one(self, statement: str, /, **parameters: Any) -> Row | None:
        rows = self.all(statement, **parameters)
        return rows[0] if rows else None

    def all(self, statement: str, /, **parameters: Any) -> list[Row]:
        self._send(self._texts(statement, parameters))
        self.wrote = self.wrote or statement in _WRITING
        return self._cursor.fetchall() if self._cursor.description is not None else []

    def run(self, statement: str, /, **parameters: Any) -> int:
        self.wrote = True
        self._send(self._texts(statement, parameters))
        return self._cursor.rowcount

    def do(self, statement: str, /, **parameters: Any) -> None:
        self.wrote = True
        texts = self._texts(statement, parameters)
        self._waiting += texts
        self._characters += len(texts[-1])
        if self._characters > CHARACTERS_MAX:
            self._relieve()

    def _relieve(self) -> None:
        self._send([])

    def many(self, statement: str, rows: Iterable[dict[str, Any]], /) -> None:
        for row in rows:
            self.do(statement, **row)

    def waiting(self) -> list[str]:
        """Return what has not been sent yet."""
        self.begin()
        return self._waiting

    def schema_made(self) -> dict[str, str]:
        self._send([migrate.MADE])
        return dict(self._cursor.fetchall())

    def fence(self, up: bool) -> None:
        from swarm_memory.engine.postgres.fence import statements_of

        self.wrote = True
        self._send(statements_of(up))

    def read(self, fn: Callable[[PostgresTx], T], /, *, durable: bool = False) -> T:
        return fn(self)

    def write(
        self,
        fn: Callable[[PostgresTx], T],
        /,
        *,
        durability: str | None = None,
        ahead: bool = False,
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


class Turn(Exception):
    """It cannot be said before its turn what this transaction does."""


class AheadTx(PostgresTx):
    """A transaction that runs before its turn: it reads what is there, and keeps what it writes.

    When its turn comes, all of it goes to the server in one trip: first whether each question still
    has the answer that it had, then what was written, then the commit. So nobody waits while this
    process computes. One that asks what came of a write cannot run ahead.

    Source:
        Kung and Robinson 1981, "On Optimistic Methods for Concurrency Control", serial validation.

    Args:
        kept: Answers of earlier ones, which are taken for granted until the commit.
    """

    def __init__(
        self, connection: Connection, clocks: Clocks, kept: dict[Any, tuple[list[Row], str]]
    ) -> None:
        super().__init__(connection, clocks, [])
        self._waiting.clear()
        self._kept = kept
        self._newest_seen = self._folded = 0
        self.ahead = self
        self._seen: list[tuple[str, dict[str, Any], str]] = []

    @property
    def newest_seen(self) -> int:
        self._look([])
        return self._newest_seen

    @property
    def unfolded(self) -> int:
        self._look([])
        return self._newest_seen - self._folded

    def begin(self) -> None:
        self._look([])

    def _look(self, texts: list[str]) -> None:
        """Ask the server; the first time also for what it is to know of the moment."""
        first = self._clock_at is not None
        if not (first or texts):
            return
        asked = self._connection.texts.of("first look", _FIRST, {}) if first else []
        texts = [*asked, *texts]
        if settings := self._connection.address.settings:
            texts = ["BEGIN READ ONLY", *settings, *texts, "COMMIT"]
        self._connection.texts.run(self._cursor, texts)
        if first:
            self._clock_at = None
            self._cursor.set_result((1 + len(settings) if settings else 0) + len(asked) - 1)
            said_ms, self._newest_seen, self._folded = self._cursor.fetchone() or (0, 0, 0)
            self._now_ms = self._clocks.noted(said_ms)
        self._cursor.set_result(-2 if settings else -1)

    def all(self, statement: str, /, **parameters: Any) -> list[Row]:
        if statement in _WRITING:
            raise Turn
        key = (statement, *parameters.values()) if statement in _KEPT else None
        if key in self._kept:
            rows, answer = self._kept[key]
        else:
            sql = f"SELECT q.*, q::text FROM ({SQL[statement]}) AS q"  # noqa: S608 (a named one)
            self._look(self._connection.texts.of(f"{statement} seen", sql, parameters))
            found = self._cursor.fetchall()
            rows = [row[:-1] for row in found]
            answer = "\n".join(row[-1] for row in found)
            if key is not None and len(self._kept) < _KEPT_MAX:
                self._kept[key] = rows, answer
        self._seen.append((statement, parameters, answer))
        return rows

    def run(self, statement: str, /, **parameters: Any) -> NoReturn:
        raise Turn

    def in_turn(self) -> NoReturn:
        raise Turn

    def assure(self, statement: str, /, **parameters: Any) -> None:
        self._seen.append((statement, parameters, _TRUE))

    def _relieve(self) -> None:
        raise Turn

    def schema_made(self) -> NoReturn:
        raise Turn

    def waiting(self) -> list[str]:
        texts: list[str] = []
        for statement, parameters, answer in self._seen:
            sql = f"""SELECT still((SELECT coalesce(string_agg(q::text, E'\n'), '')
FROM ({SQL[statement]}) AS q) = %(answer)s)"""  # noqa: S608 (a named one)
            said = {**parameters, "answer": answer}
            texts += self._connection.texts.of(f"{statement} still", sql, said)
        return [*texts, *self._waiting]
