"""Migrations of a schema in PostgreSQL: applied once each, in one transaction, under a lock.

A store that is up to date is only read, so a role that may not create tables can open it.
"""

from __future__ import annotations

import os
import re

import psycopg
from psycopg import sql

from swarm_memory.engine import migrate
from swarm_memory.engine.postgres.dialect import FOLDER
from swarm_memory.errors import SchemaError

MIGRATIONS = os.path.join(FOLDER, "migrations")
MADE = "SELECT name, definition FROM made"
_LOCK = 0x53774D6D  # "SwMm"
_BY_SWARM = re.compile(r"CREATE TABLE (\w+) \(([^;]*)\n\)( WITH \([^)]*\))?; -- by swarm\n")
_RECORDS = """CREATE TABLE IF NOT EXISTS migrations (
    number bigint PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, at_ms bigint NOT NULL)
"""


def up_to_date(connection: psycopg.Connection, namespace: str) -> bool:
    """Tell whether the schema is the one that this code needs.

    Raises:
        SchemaError: It is newer than this code.
    """
    number = number_of(connection, namespace)
    if number is None:
        return False
    newest = len(migrate.available(MIGRATIONS))
    if number > newest:
        raise SchemaError(
            f"the schema {namespace} has number {number}, this version knows up to {newest}",
            found=number,
            wanted=newest,
            hint="update swarm-memory; the store was not touched",
        )
    return number == newest


def number_of(connection: psycopg.Connection, namespace: str) -> int | None:
    """Return the schema's number, None if there is none."""
    there = connection.execute("SELECT to_regclass(%s)", (f"{namespace}.migrations",)).fetchone()
    if there is None or there[0] is None:
        return None
    newest = sql.SQL("SELECT coalesce(max(number), 0) FROM {}.migrations")
    row = connection.execute(newest.format(sql.Identifier(namespace))).fetchone()
    return row[0] if row else None


def bring_up_to_date(
    connection: psycopg.Connection, namespace: str, now_ms: int, schema: str, partitions: int
) -> None:
    """Create the schema and apply what is missing.

    Args:
        partitions: Into how many parts new tables are divided, by the hash of the swarm; 0: none.
        schema: The statement that tells what there is; what it says is kept, to be compared with.

    Raises:
        SchemaError: An applied migration is not the one we ship.
    """
    from functools import partial
    from hashlib import sha256

    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        connection.execute(
            sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(namespace))
        )
        # Behind a pooler this connection is another's afterwards.
        connection.execute(sql.SQL("SET LOCAL search_path = {}").format(sql.Identifier(namespace)))
        connection.execute(_RECORDS)
        rows = connection.execute("SELECT number, checksum FROM migrations").fetchall()
        applied: dict[int, str] = dict(rows)
        for number, name, text in migrate.available(MIGRATIONS):
            checksum = sha256(text.encode()).hexdigest()
            if applied.get(number, checksum) != checksum:
                raise SchemaError(
                    f"migration {number} ({name}) of the schema {namespace} is another one",
                    found=applied[number],
                    wanted=checksum,
                    hint="it was made by an unreleased version: restore a backup into a new schema",
                )
            if number not in applied:
                connection.execute(sql.SQL(_BY_SWARM.sub(partial(_divided, partitions), text)))
                connection.execute(
                    "INSERT INTO migrations VALUES (%s, %s, %s, %s)",
                    (number, name, checksum, now_ms),
                )
        connection.execute("DELETE FROM made")
        connection.execute(sql.SQL("INSERT INTO made {}").format(sql.SQL(schema)))


def _divided(partitions: int, table: re.Match[str]) -> str:
    """Return the statements that make a table in parts; how full pages get is set for each."""
    if not partitions:
        return table[0]
    name, columns, storage = table[1], table[2], table[3] or ""
    made = [f"CREATE TABLE {name} ({columns}\n) PARTITION BY HASH (swarm);\n"]
    for part in range(partitions):
        of = f"PARTITION OF {name} FOR VALUES WITH (MODULUS {partitions}, REMAINDER {part})"
        made.append(f"CREATE TABLE {name}_{part} {of}{storage};\n")
    return "".join(made)
