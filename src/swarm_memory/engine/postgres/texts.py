"""Statements as text with their values in it, so that several go to the server in one trip.

A statement is prepared once for a connection and each combination of types, and after that the text
only executes it: the server neither parses nor plans it again. Behind a pooler the next transaction
may meet a server that knows nothing of that, so there the text is the whole statement.
"""

from __future__ import annotations

import re

import psycopg
from psycopg import pq

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_PARAMETER = re.compile(r"%\(([a-z_]+)\)s|%%")
_TYPES = {int: "bigint", bool: "bigint", float: "double precision", bytes: "bytea"}
_UNKNOWN = "unknown"  # as the driver sends texts: the server takes what the place asks for


class Texts:
    """The statements of one connection.

    Args:
        prepares: Whether a later transaction meets what an earlier one has prepared.
    """

    def __init__(self, pgconn: pq.abc.PGconn, *, prepares: bool) -> None:
        self._escaping = pq.Escaping(pgconn)
        self._prepares = prepares
        self._known: dict[tuple[str, tuple[str, ...]], str] = {}
        self._promised: dict[tuple[str, tuple[str, ...]], str] = {}  # not sent yet
        self._count = 0

    def run(self, cursor: psycopg.Cursor[Any], texts: list[str]) -> None:
        """Run statements in one trip; all results are there then, the first one is current.

        Raises:
            psycopg.Error: One failed.
        """
        try:
            cursor.execute("; ".join(texts))
        except psycopg.Error:
            # Whether what came before it was prepared is not known.
            self._known.clear()
            self._promised.clear()
            raise
        if self._promised:
            there = {text.split(" ", 2)[1] for text in texts if text.startswith("PREPARE ")}
            for key, name in list(self._promised.items()):
                if name in there:
                    self._known[key] = self._promised.pop(key)

    def drop(self) -> None:
        """Forget the statements that were never sent."""
        self._promised.clear()

    def of(self, name: str, sql: str, parameters: dict[str, Any]) -> list[str]:
        """Return what runs the statement `name`, whose text is `sql`, with these values.

        The last of the statements that are returned is the one whose result counts.

        Raises:
            psycopg.DataError: A text has a NUL in it, which the server cannot keep.
        """
        names = _names(sql)
        literals = [self._literal(parameters[n]) for n in names]
        if not self._prepares:
            return [_numbered(sql, names, literals)]
        types = tuple(_TYPES.get(type(parameters[n]), _UNKNOWN) for n in names)
        known = self._known.get((name, types)) or self._promised.get((name, types))
        execute = f"({', '.join(literals)})" if literals else ""
        if known is not None:
            return [f"EXECUTE {known}{execute}"]
        self._count += 1
        known = self._promised[name, types] = f"sm_{self._count}"
        declared = f" ({', '.join(types)})" if types else ""
        text = _numbered(sql, names, [f"${n + 1}" for n in range(len(names))])
        return [f"PREPARE {known}{declared} AS {text}", f"EXECUTE {known}{execute}"]

    def _literal(self, value: Any) -> str:
        if value is None:
            return "NULL"
        if isinstance(value, str):
            if "\0" in value:
                raise psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")
            return bytes(self._escaping.escape_literal(value.encode())).decode()
        if isinstance(value, bool):
            return str(int(value))
        if isinstance(value, int):
            return f"'{value}'::bigint" if value < 0 else str(value)
        if isinstance(value, float):
            return f"'{value!r}'::float8"
        return f"'\\x{bytes(value).hex()}'::bytea"


_names_of: dict[str, list[str]] = {}


def _names(sql: str) -> list[str]:
    """Return the names of a statement's parameters, each once."""
    found = _names_of.get(sql)
    if found is None:
        found = _names_of[sql] = list(dict.fromkeys(n for n in _PARAMETER.findall(sql) if n))
    return found


def _numbered(sql: str, names: list[str], texts: list[str]) -> str:
    """Return a statement with these texts in the places of its parameters."""
    place = dict(zip(names, texts, strict=True))
    return _PARAMETER.sub(lambda found: place[found[1]] if found[1] else "%", sql)
