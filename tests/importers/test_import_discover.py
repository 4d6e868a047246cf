"""Stores are found by what they contain."""

import json

import pytest
from import_builders import DDL_A, DDL_H1, DDL_M, NOW_MS, build, build_in_wal, entry

from swarm_memory.errors import ImportSourceError
from swarm_memory.importers import discover, read_store

J2 = json.dumps({"n": [{"key": "k", "value": "v", "namespace": "n", "timestamp": 1}]})


def found(*paths):
    return [(candidate.path.name, candidate.kind) for candidate in discover(paths)]


def test_a_directory_yields_its_stores_in_order_whatever_they_are_called(tmp_path):
    build(tmp_path / "b" / ".swarm" / "anything.bin", DDL_A, {"memory_entries": [entry("k")]})
    build_in_wal(tmp_path / "a" / "wal-only.db", DDL_A, {"memory_entries": [entry("k")]})
    build(tmp_path / "c" / "hive.db", DDL_H1)
    (tmp_path / "c" / "notes.txt").write_text(J2)
    (tmp_path / "c" / "ruvector.db").write_bytes(b"redb" + bytes(100))
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "x.db-wal").write_bytes(bytes.fromhex("377f0682") + bytes(100))
    (tmp_path / "d" / "empty.db").touch()
    (tmp_path / "d" / "dump.jsonl").write_text('{"format": "swarm-memory-export", "v": 1}\n{}\n')

    assert found(tmp_path) == [
        ("wal-only.db", "sqlite"),
        ("anything.bin", "sqlite"),
        ("hive.db", "sqlite"),
        ("notes.txt", "json"),
        ("ruvector.db", "redb"),
        ("dump.jsonl", "swarm-memory"),
        ("empty.db", "empty"),
        ("x.db-wal", "orphan-wal"),
    ]


def test_foreign_files_in_a_directory_are_passed_over(tmp_path):
    build(tmp_path / "shop.db", "CREATE TABLE agents (x); CREATE TABLE orders (y);")
    build(tmp_path / "memories.db", "CREATE TABLE memories (title, photo);")
    build_in_wal(tmp_path / "live.db", "CREATE TABLE orders (y);", {})
    (tmp_path / "package.json").write_text('{"name": "x", "version": "1"}')
    (tmp_path / "near.json").write_text('{"agents": 1, "tasks": [], "lastUpdated": 1}')
    (tmp_path / "empty.txt").touch()
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    for folder in (".git", "node_modules"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "store.json").write_text(J2)

    assert found(tmp_path) == []


def test_a_damaged_store_in_a_directory_is_not_passed_over(tmp_path):
    (tmp_path / "cut.json").write_text(J2[:-5])
    whole = build(tmp_path / "cut.db", DDL_A, {"memory_entries": [entry("k" * 900)] * 1})
    whole.write_bytes(whole.read_bytes()[:5000])

    assert found(tmp_path) == [("cut.db", "sqlite"), ("cut.json", "json")]


def test_a_file_is_listed_once_however_often_it_is_reached(tmp_path):
    path = build(tmp_path / "memory.db", DDL_A)
    (tmp_path / "link.db").symlink_to(path)
    (tmp_path / "loop").symlink_to(tmp_path)

    assert len(discover([path, tmp_path, tmp_path / "loop", path])) == 1


def test_a_link_to_a_store_reads_the_wal_of_its_target(tmp_path, read):
    path = build_in_wal(tmp_path / "a" / "memory.db", DDL_A, {"memory_entries": [entry("k")]})
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "link.db").symlink_to(path)

    assert len(read(tmp_path / "b" / "link.db").items) == 1


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("notes.txt", b"hello", "begins with b'hello'"),
        ("package.json", b'{"name": "x"}', "an object with 'name'"),
        ("list.json", b"[1, 2]", "a list of 2"),
        ("cut.json", b'{"name": ', "no complete JSON"),
    ],
)
def test_a_named_file_that_is_no_store_is_an_error_that_says_what_it_is(
    tmp_path, name, content, said
):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(ImportSourceError, match=said):
        for candidate in discover([tmp_path / name]):
            read_store(candidate.path, now_ms=NOW_MS)


def test_a_named_database_of_another_kind_is_an_error_that_lists_its_tables(tmp_path):
    path = build(tmp_path / "shop.db", "CREATE TABLE orders (x); CREATE TABLE users (y);")

    with pytest.raises(ImportSourceError, match="it has orders, users"):
        read_store(path, now_ms=NOW_MS)


def test_a_missing_path_is_an_error(tmp_path):
    with pytest.raises(ImportSourceError, match="No such file"):
        discover([tmp_path / "missing"])


def test_the_wal_of_a_database_is_no_store_of_its_own(tmp_path):
    path = build_in_wal(tmp_path / "memory.db", DDL_A, {})

    with pytest.raises(ImportSourceError, match=r"belongs to the database memory\.db"):
        discover([f"{path}-wal"])


@pytest.mark.parametrize(
    ("name", "content", "note"),
    [
        ("vectors.db", b"redb" + bytes(60), "redb vector index: not readable"),
        ("memory.db-wal", bytes.fromhex("377f0683") + bytes(60), "orphan WAL without its database"),
        ("memory.db", b"", "empty: 0 bytes"),
        ("store.json", b"{}", "empty: JSON without entries"),
    ],
)
def test_what_cannot_be_read_is_named_and_yields_nothing(tmp_path, read, name, content, note):
    path = tmp_path / name
    path.write_bytes(content)

    store = read(path)

    assert store.items == []
    assert note in store.reading.notes[0]


def test_a_database_without_tables_is_empty(tmp_path, read):
    path = build(tmp_path / "memory.db", "PRAGMA user_version = 1;")

    assert read(path).reading.notes == ["empty: a SQLite database without tables"]


def test_an_export_of_this_project_is_left_to_its_own_reader(tmp_path):
    path = tmp_path / "dump.jsonl"
    path.write_text('{"format": "swarm-memory-export"}\n')

    assert found(path) == [("dump.jsonl", "swarm-memory")]
    with pytest.raises(ImportSourceError, match="an export of swarm-memory"):
        read_store(path, now_ms=NOW_MS)


def test_an_empty_hive_memory_is_a_store_with_no_rows(tmp_path, read):
    store = read(build(tmp_path / "memory.db", DDL_M))

    assert (store.reading.format, store.table("memories").counted) == ("claude-flow/M", 0)
