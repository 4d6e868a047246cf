"""The stores of real users, where they are at hand: every row that they are known to hold."""

import os
from pathlib import Path

import pytest
from import_builders import NOW_MS, tree

from swarm_memory.importers import discover, read_store
from swarm_memory.importers.values import check_storable
from swarm_memory.key import check_key

REPOSITORY = Path(__file__).parents[2]
STORES = Path(
    os.environ.get("REAL_STORES") or REPOSITORY.parent.joinpath("shared", "data", "stores")
)
pytestmark = pytest.mark.skipif(
    not STORES.is_dir(),
    reason="no real stores here: set REAL_STORES to a directory of them",
)

# (folder/file, format, rows read by table; tables without rows are left out)
EXPECTED = [
    ("json-entries/claude-flow-data.json", "J1", {"agents": 2, "tasks": 2, "document": 6}),
    ("json-entries/entries.json", "J3", {"entries": 43}),
    ("json-store/memory-store.json", "J2", {"entries": 21}),
    ("json-export/memory-export.json", "J4", {"entries": 2}),
    ("v2-plain-small/memory.db", "A", {"memory_entries": 153}),
    ("v2-plain/memory.db", "A", {"memory_entries": 281}),
    ("v2-wal-only/memory.db", "A", {"memory_entries": 87}),
    ("v2-extra-tables/memory.db", "A2", {"memory_entries": 352}),
    ("v27-reasoningbank/memory.db", "B", {"memory_entries": 335}),
    ("v2-malformed/memory.db", "A", {"memory_entries": 372}),
    ("hive-old/hive.db", "H1", {}),
    (
        "hive/hive.db",
        "H2",
        {
            "swarms": 2,
            "agents": 10,
            "collective_memory": 8,
            "sessions": 2,
            "session_checkpoints": 2,
            "session_logs": 14,
        },
    ),
    ("hive/memory.db", "M", {}),
    (
        "hive-messages/hive.db",
        "H3",
        {
            "swarms": 3,
            "agents": 15,
            "collective_memory": 12,
            "sessions": 3,
            "session_checkpoints": 5,
            "session_logs": 18,
            "knowledge_base": 4,
        },
    ),
    ("v3-ruflo/memory.db", "R3", {"memory_entries": 33, "metadata": 8, "vector_indexes": 2}),
    ("v3-agentdb/memory.db", "R3a", {"memory_entries": 4, "metadata": 8, "vector_indexes": 2}),
    ("seed-python/memory.db", "S", {"memory_entries": 5, "memory_operations": 5}),
]
UNREADABLE = {"orphan-wal/memory.db-wal"}


def test_every_real_store_is_found():
    names = {str(candidate.path.relative_to(STORES)) for candidate in discover([STORES])}

    assert {name for name, _, _ in EXPECTED} | UNREADABLE == names


@pytest.mark.parametrize(("name", "variant", "rows"), EXPECTED, ids=[row[0] for row in EXPECTED])
def test_a_real_store_yields_every_row_that_it_is_known_to_hold(name, variant, rows):
    path = STORES / name
    before = tree(path.parent)
    reading = read_store(path, now_ms=NOW_MS)

    items = list(reading.items())

    assert variant == reading.format.partition("/")[2]
    assert rows == {table.name: table.read for table in reading.tables if table.read}
    assert len(items) == len({check_key(item.key) for item in items})
    for item in items:
        check_storable(item.value)
        check_storable(item.provenance)
    assert before == tree(path.parent)
    for table in reading.tables:
        lost = sum(table.unreadable.values()) + sum(table.skipped.values())
        assert table.counted in {table.read + lost, None}


def test_the_damaged_real_store_says_how_much_it_lost():
    reading = read_store(STORES / "v2-malformed" / "memory.db", now_ms=NOW_MS)
    list(reading.items())

    assert reading.notes == ["damaged: 193 of 565 rows of memory_entries could not be read"]


def test_the_orphan_wal_is_named_and_yields_nothing():
    reading = read_store(STORES / "orphan-wal" / "memory.db-wal", now_ms=NOW_MS)

    assert list(reading.items()) == []
    assert "orphan WAL without its database" in reading.notes[0]
