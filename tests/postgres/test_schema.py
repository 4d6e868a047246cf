"""The tables on PostgreSQL: the swarm leads, and a store may be divided by it."""

import psycopg
import pytest

from swarm_memory import Swarm
from swarm_memory.engine.postgres.address import Address
from swarm_memory.errors import InvalidArgumentError
from swarm_memory.integrity import verify_store
from swarm_memory.testing import Store, conformance

PARTS = 3


@pytest.fixture
def divided_url(postgres_url):
    return f"{postgres_url}&partitions={PARTS}"


def rows(url, query, *values):
    with psycopg.connect(url.partition("&partitions")[0], autocommit=True) as db:
        return db.execute(query, values).fetchall()


def schema_of(url):
    return Address(url, 1).namespace


PRIMARY_KEYS = """
SELECT c.relname, (SELECT attname FROM pg_attribute WHERE attrelid = c.oid AND attnum = i.indkey[0])
FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indrelid
WHERE i.indisprimary AND c.relnamespace = %s::regnamespace AND NOT c.relispartition
    AND EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = c.oid AND attname = 'swarm')
"""


@pytest.mark.parametrize("which", ["postgres_url", "divided_url"])
def test_the_swarm_leads_every_primary_key(which, request):
    url = request.getfixturevalue(which)
    with Swarm.open(url, swarm="s"):
        found = rows(url, PRIMARY_KEYS, schema_of(url))

    assert {"records", "history", "events", "messages", "seats"} <= {table for table, _ in found}
    assert {"swarm"} == {first for _, first in found}


@pytest.mark.parametrize("check", conformance.checks(), ids=lambda check: check.__name__)
def test_a_divided_store_keeps_every_promise(check, divided_url):
    store = Store(divided_url)
    try:
        check(store)
    finally:
        store.close()


def test_the_swarms_of_a_divided_store_lie_in_its_parts(divided_url):
    for n in range(24):
        with Swarm.open(divided_url, agent="a", swarm=f"s{n}") as swarm:
            for value in range(3):
                swarm.records.put("notes/1", value)
    counts = "SELECT count(*) FROM records_{} UNION ALL SELECT count(*) FROM history_{}"
    found = [rows(divided_url, counts.format(part, part)) for part in range(PARTS)]

    assert [24, 48] == [sum(part[n][0] for part in found) for n in range(2)]
    assert all(part[0][0] for part in found)


def test_verify_sees_each_row_of_every_part(divided_url):
    # Rows of several parts lie at one and the same place, each in its own.
    damaged = []
    for n in range(12):
        with Swarm.open(divided_url, agent="a", swarm=f"s{n}") as swarm:
            swarm.records.put("notes/1", n)
    for n in range(12):
        broken = "UPDATE records SET author = 'another' WHERE swarm = %s RETURNING swarm"
        damaged += [name for (name,) in rows(divided_url, broken, f"s{n}")]
    with Swarm.open(divided_url, agent="a", swarm="s0") as swarm:
        report = verify_store(swarm)

    assert 12 == len(damaged)
    found = [finding.swarm for finding in report.findings if finding.check == "records"]
    assert sorted(damaged) == sorted(found)


def test_a_divided_store_is_opened_without_saying_so(divided_url, postgres_url):
    with Swarm.open(divided_url, agent="a", swarm="s") as swarm:
        swarm.records.put("notes/1", 1)

    with Swarm.open(postgres_url, agent="a", swarm="s") as swarm:
        assert 1 == swarm.records.get("notes/1").value


@pytest.mark.parametrize("parts", ["-1", "many", "100000"])
def test_a_number_of_parts_that_is_none_is_refused(parts):
    with pytest.raises(InvalidArgumentError, match="partitions"):
        Address(f"postgresql://host/db?partitions={parts}", 1)
