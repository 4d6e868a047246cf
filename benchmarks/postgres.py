"""PostgreSQL as a peer: a server of our own, and the writes of a put by psycopg."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import orjson
import psycopg

from swarm_memory.errors import EngineUnavailableError
from swarm_memory.testing import postgres as testing
from swarm_memory.testing.postgres import USER

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (swarm text COLLATE "C", key text COLLATE "C",
    version bigint NOT NULL, scope text, category text, author text, created_ms bigint,
    updated_ms bigint, expires_ms bigint, value bytea, PRIMARY KEY (swarm, key));
CREATE TABLE IF NOT EXISTS history (swarm text COLLATE "C", key text COLLATE "C",
    version bigint, author text, created_ms bigint, updated_ms bigint, expires_ms bigint,
    value bytea, PRIMARY KEY (swarm, key, version));
CREATE TABLE IF NOT EXISTS events (seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    swarm text, key text, version bigint, op text, author text, at_ms bigint, scope text,
    category text, bytes bigint)
"""
WHERE = "swarm = 's' AND key = %(key)s"
HEAD = f"SELECT version FROM records WHERE {WHERE} FOR UPDATE"  # noqa: S608
TRIM = f"DELETE FROM history WHERE {WHERE} AND version <= %(version)s - 10"  # noqa: S608
PUSH = f"""
INSERT INTO history SELECT swarm, key, version, author, created_ms, updated_ms, expires_ms, value
FROM records WHERE {WHERE}
"""  # noqa: S608
PUT = """
INSERT INTO records AS r VALUES ('s', %(key)s, 1, 'agent-a', 'agent_knowledge', 'a',
    %(now)s, %(now)s, %(expires)s, %(value)b)
ON CONFLICT (swarm, key) DO UPDATE SET version = r.version + 1, author = excluded.author,
    updated_ms = excluded.updated_ms, expires_ms = excluded.expires_ms, value = excluded.value
RETURNING swarm, key, version
"""
EVENT = """
INSERT INTO events (swarm, key, version, op, author, at_ms, scope, category, bytes)
VALUES ('s', %(key)s, %(version)s, 'put', 'a', %(now)s, 'agent-a', 'agent_knowledge', %(bytes)s)
"""
AT_ONCE = f"""
WITH old AS ({PUSH}), new AS ({PUT})
INSERT INTO events (swarm, key, version, op, author, at_ms, scope, category, bytes)
SELECT swarm, key, version, 'put', 'a', %(now)s, 'agent-a', 'agent_knowledge', %(bytes)s FROM new
"""  # noqa: S608
NOW = {"now": 1_750_000_000_000, "expires": 1_950_000_000_000}


class Postgres:
    """The statements of our put, one after the other in a transaction; `name` is a database."""

    def __init__(self, socket: str, durability: str, name: str) -> None:
        address = f"host={socket} user={USER}"
        with (
            contextlib.suppress(psycopg.errors.DuplicateDatabase),
            psycopg.connect(f"{address} dbname=postgres", autocommit=True) as db,
        ):
            db.execute(f'CREATE DATABASE "{name}"')
        self.db = psycopg.connect(f"{address} dbname={name}", autocommit=True, prepare_threshold=0)
        self.db.execute("SET client_min_messages = warning")
        self.db.execute(f"SET synchronous_commit = {'on' if durability == 'full' else 'off'}")
        self.db.execute(SCHEMA, prepare=False)

    def put(self, number: int, item: object) -> None:
        encoded = orjson.dumps(item)
        row = {"key": _key(number), "value": encoded, "bytes": len(encoded), **NOW}
        self._write(self.db.execute, row)

    def _write(self, execute, row: dict[str, object]) -> None:
        with self.db.transaction():
            head = execute(HEAD, row).fetchone()
            version = row["version"] = head[0] + 1 if head else 1
            if head:
                if version % 10 == 0:
                    execute(TRIM, row)
                execute(PUSH, row)
            execute(PUT, row)
            execute(EVENT, row)


class PostgresAtOnce(Postgres):
    """The same as one statement, the fewest trips there can be; it never trims its history."""

    def _write(self, execute, row: dict[str, object]) -> None:
        execute(AT_ONCE, row)


def _key(number: int) -> str:
    return f"swarm-s/agent-a/knowledge/item-{number:05}"


@contextlib.contextmanager
def server() -> Iterator[tuple[str | None, str]]:
    """Run a server on a socket; yield the socket's folder, or None and why there is none."""
    with contextlib.ExitStack() as stack:
        try:
            running = stack.enter_context(testing.server())
        except EngineUnavailableError as error:
            yield None, f"skipped: {error}"
            return
        with psycopg.connect(running.url()) as db:
            version = db.execute("SHOW server_version").fetchone()[0]
        yield running.folder, f"PostgreSQL {version}"
