"""SQL by name: every statement stands in `sql/*.sql` under a header `-- name --`."""

from __future__ import annotations

import os

_FOLDER = os.path.join(os.path.dirname(__file__), "sql")


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


def load() -> dict[str, str]:
    """Return all statements of this package."""
    statements: dict[str, str] = {}
    for file_name in sorted(os.listdir(_FOLDER)):
        if not file_name.endswith(".sql"):
            continue
        with open(os.path.join(_FOLDER, file_name), encoding="utf-8") as file:
            parsed = parse(file.read(), file_name)
        twice = statements.keys() & parsed.keys()
        if twice:
            raise ValueError(f"{file_name}: {sorted(twice)} stand in another file too")
        statements |= parsed
    return statements


def writing(statements: dict[str, str], table: str) -> frozenset[str]:
    """Return the names of the statements that write `table`."""
    begins = tuple(f"{verb} {table} " for verb in ("INSERT INTO", "UPDATE", "DELETE FROM"))
    return frozenset(name for name, sql in statements.items() if sql.startswith(begins))
