"""SQL text for PostgreSQL: the shared statements, and its own where a word has to differ."""

from __future__ import annotations

import os
import re

from swarm_memory.engine import statements

FOLDER = os.path.join(os.path.dirname(__file__), "sql")
_PARAMETER = re.compile(r"(?<![:\w]):([a-z_]+)")


def load() -> dict[str, str]:
    """Return all statements by name, with parameters as the driver writes them."""
    with open(os.path.join(FOLDER, "overrides.sql"), encoding="utf-8") as file:
        own = statements.parse(file.read(), "postgres/overrides.sql")
    shared = statements.load()
    if unknown := own.keys() - shared.keys():
        raise ValueError(f"postgres/overrides.sql: {sorted(unknown)} override nothing")
    return {name: translated(own.get(name, sql)) for name, sql in shared.items()}


def translated(sql: str) -> str:
    """Return a statement with `%(name)s` for each `:name`."""
    return _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%"))
