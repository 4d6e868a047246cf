"""Keys never collide, whatever the rows are called."""

import json

import apsw
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from import_builders import DDL_A, DDL_M, DDL_S, NOW_MS, build, entry, entry_python

from swarm_memory.importers import MEMORY, TELEMETRY, read_store
from swarm_memory.importers.items import (
    ENTRIES,
    key_of_entry,
    key_of_path,
    key_of_row,
    key_of_rowid,
    table_segment,
)
from swarm_memory.key import check_key

TRAPS = ["", ".", "..", "/", "a/b", "a+2Fb", "A", "a", "a b", "a+20b", "ü", "u\u0308", "+", "\0"]


def test_names_that_look_alike_after_escaping_stay_apart(tmp_path, read):
    rows = [entry(key, namespace=space) for key in [*TRAPS, "x" * 500] for space in ["n", "n/"]]
    store = read(build(tmp_path / "memory.db", DDL_A, {"memory_entries": rows}))

    assert len(rows) == store.reading.memories == len({item.key for item in store.items})


def test_path_keys_that_look_alike_stay_apart(tmp_path, read):
    rows = [entry_python(key, key) for key in [*TRAPS, "a//b", "/a/b", "a/b/", "x/" * 300]]
    store = read(build(tmp_path / "memory.db", DDL_S, {"memory_entries": rows}))

    assert len(rows) == store.reading.memories == len({item.key for item in store.items})


def test_numbers_and_text_as_ids_stay_apart(tmp_path, read):
    ddl = DDL_A + "CREATE TABLE odd (id PRIMARY KEY, v);"
    ids = [5, "5", 5.0 + 1, b"5", None, None, "rowid", "rowid/1"]
    rows = {"odd": [{"id": name, "v": 1} for name in ids]}
    store = read(build(tmp_path / "memory.db", ddl, rows))

    assert len(ids) == len({item.key for item in store.items})


def test_a_table_called_entries_stays_apart_from_the_entries(tmp_path, read):
    ddl = DDL_A + 'CREATE TABLE entries (id TEXT PRIMARY KEY); CREATE TABLE "table:entries" (x);'
    rows = {
        "memory_entries": [entry("k", namespace="a")],
        "entries": [{"id": "a"}],
        "table:entries": [{"x": 1}],
    }
    store = read(build(tmp_path / "memory.db", ddl, rows))

    assert len({item.key.split("/")[3] for item in store.items}) == 3


def test_two_tables_of_memories_in_one_file_stay_apart(tmp_path, read):
    rows = {
        "memory_entries": [entry("k", namespace="n")],
        "memories": [{"namespace": "n", "key": "k", "value": "v", "timestamp": 1}],
    }
    store = read(build(tmp_path / "memory.db", DDL_A + DDL_M, rows))

    assert len({item.key for item in store.items}) == 2


def test_a_store_without_its_unique_constraint_keeps_every_row(tmp_path, read):
    ddl = DDL_A.replace(", UNIQUE(key, namespace)", "")
    rows = {"memory_entries": [entry("k", "1"), entry("k", "2"), entry("k/1", "3")]}
    store = read(build(tmp_path / "memory.db", ddl, rows))

    assert len({item.key for item in store.items}) == 3


def test_a_unique_index_that_lies_does_not_lose_a_row(tmp_path, read):
    ddl = DDL_A.replace(", UNIQUE(key, namespace)", "")
    path = build(tmp_path / "m.db", ddl, {"memory_entries": [entry("k", "1"), entry("k", "2")]})
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA writable_schema = ON")
    connection.execute(
        "UPDATE sqlite_schema SET name = 'lie', sql ="
        " 'CREATE UNIQUE INDEX lie ON memory_entries(key, namespace)'"
        " WHERE name = 'idx_memory_namespace'"
    )
    connection.close()

    store = read(path)

    assert len({item.key for item in store.items}) == 2


_PARTS = st.text(max_size=300)


@given(st.sampled_from([MEMORY, TELEMETRY]), _PARTS, _PARTS, _PARTS, _PARTS)
def test_every_key_is_valid_whatever_goes_in(kind, source, table, one, two):
    keys = {
        check_key(key_of_entry(kind, source, ENTRIES, one, two)),
        check_key(key_of_entry(kind, source, table_segment(table), one, two)),
        check_key(key_of_entry(kind, source, ENTRIES, one, two, table)),
        check_key(key_of_row(kind, source, table_segment(table), [one])),
        check_key(key_of_rowid(kind, source, table_segment(table), -(2**63))),
        check_key(key_of_path(kind, source, f"{one}/{two}")),
    }
    assert len(keys) >= 5


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.lists(st.tuples(st.text(max_size=200), st.text(max_size=200)), unique=True))
def test_different_rows_have_different_keys(tmp_path, pairs):
    path = tmp_path / "memory-store.json"
    rows = [{"key": key, "value": 1, "namespace": name, "timestamp": 1} for name, key in pairs]
    path.write_text(json.dumps({"default": [{"key": "k", "value": 1}, *rows]}))

    reading = read_store(path, now_ms=NOW_MS)

    assert len(rows) + 1 == len({check_key(item.key) for item in reading.items()})
