"""Looking at a store on a server without making or changing anything, for `doctor` and `where`."""

from __future__ import annotations

import time

import psycopg

from swarm_memory.engine import migrate
from swarm_memory.engine.postgres.address import Address
from swarm_memory.engine.postgres.connections import Pool
from swarm_memory.engine.postgres.faults import translate
from swarm_memory.engine.postgres.migrate import MIGRATIONS, number_of
from swarm_memory.lean import NamedTuple

_ASKED = """
SELECT current_setting('server_version_num')::bigint, current_setting('server_version'),
    floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint,
    current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on',
    current_setting('synchronous_standby_names'),
    coalesce((SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class AS c
        WHERE c.relkind = 'r' AND c.relnamespace = to_regnamespace(%s)), 0)
"""


class Look(NamedTuple):
    """A server, and the schema of a store on it.

    `schema` is None if there is no store; `ahead_ms` is the server's clock minus ours, to within
    `doubt_ms`; `safe` whether what it says is on disk is there; `standbys` for whom it waits.
    """

    version: str
    number: int
    schema: int | None
    newest: int
    ahead_ms: int
    doubt_ms: int
    safe: bool
    standbys: str
    bytes: int


def look(url: str) -> Look:
    """Return what is at `url`.

    Raises:
        EngineUnavailableError: The server cannot be reached, or takes no writes.
        InvalidArgumentError: The URL is none.
    """
    address = Address(url, busy_timeout_s=1)
    connection = Pool(address).connect()
    try:
        began_ms = time.time_ns() // 1_000_000
        row = connection.execute(_ASKED, (address.namespace,)).fetchone()
        ended_ms = time.time_ns() // 1_000_000
        schema = number_of(connection, address.namespace)
    except psycopg.Error as error:
        raise translate(error, address.shown) from error
    finally:
        connection.close()
    number, version, now_ms, safe, standbys, size = row or (0, "", 0, False, "", 0)
    middle_ms, doubt_ms = (began_ms + ended_ms) // 2, (ended_ms - began_ms) // 2 + 1
    newest = len(migrate.available(MIGRATIONS))
    return Look(
        version, number, schema, newest, now_ms - middle_ms, doubt_ms, safe, standbys, int(size)
    )
