"""SQL by name: every statement stands in `sql/*.sql` under a header `-- name --`."""

from __future__ import annotations

import os

from swarm_memory.locks import Lock

_FOLDER = os.path.join(os.path.dirname(__file__), "sql")
_FIRST = ("records.sql", "sessions.sql", "events.sql", "edits.sql")  # of a hook


def parse(text: str, origin: str) -> dict[str, str]:
    """Return name → SQL; comment lines below a header say why, and are left out.

    Raises:
        ValueError: A name comes twice, or a statement has no name or no text.
    """
    statements: dict[str, str] = {}
    name = None
    lines: list[str] = []
    for line in [*text.splitlines(), "-- end --"]:
        if line.startswith("-- ") and line.endswith(" --"):
            sql = "\n".join(lines).strip()
            if name is not None:
                if not sql or name in statements:
                    raise ValueError(f"{origin}: statement {name} is empty or comes twice")
                statements[name] = sql
            elif sql:
                raise ValueError(f"{origin}: text before the first header")
            name, lines = line[3:-3].strip(), []
        elif not line.startswith("--"):
            lines.append(line)
    return statements


class Statements(dict[str, str]):
    """All statements by name; a file is read when a name is asked for that none before it has.

    A process that only passes by uses few of them, and reading all costs it a fifth of the time
    in which Python starts.
    """

    def __init__(self) -> None:
        others = sorted(name for name in os.listdir(_FOLDER) if name.endswith(".sql"))
        self._unread = [*_FIRST, *(name for name in others if name not in _FIRST)]
        self._lock = Lock()

    def __missing__(self, name: str) -> str:
        with self._lock:
            while name not in self and self._unread:
                self._read(self._unread.pop(0))
        if name not in self:
            raise KeyError(name)
        return self[name]

    def all(self) -> Statements:
        """Read all that is not read yet, and return this."""
        with self._lock:
            while self._unread:
                self._read(self._unread.pop(0))
        return self

    def _read(self, file_name: str) -> None:
        with open(os.path.join(_FOLDER, file_name), encoding="utf-8") as file:
            parsed = parse(file.read(), file_name)
        twice = self.keys() & parsed.keys()
        if twice:
            raise ValueError(f"{file_name}: {sorted(twice)} stand in another file too")
        self.update(parsed)


def load() -> Statements:
    """Return all statements of this package."""
    return Statements().all()


class Writing(dict[str, bool]):
    """Whether a statement, by its name, writes a table."""

    def __init__(self, statements: Statements, table: str) -> None:
        self._statements = statements
        verbs = ("INSERT INTO", "UPDATE", "DELETE FROM")
        self._begins = tuple(f"{verb} {table} " for verb in verbs)

    def __missing__(self, name: str) -> bool:
        self[name] = writes = f"{self._statements[name]} ".startswith(self._begins)
        return writes
