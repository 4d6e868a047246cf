"""Foreign files are not trusted, and never changed."""

import gzip
import json
import os
import tempfile

import apsw
import pytest
from import_builders import (
    DDL_A,
    DDL_R3,
    DDL_S,
    build,
    build_in_wal,
    compressed,
    entry,
    entry_python,
    entry_v3,
    tree,
)

from swarm_memory.errors import ImportSourceError
from swarm_memory.importers import discover, json_stores, sqlite_copy, sqlite_rows
from swarm_memory.importers.values import DECODED_BYTES_MAX


def test_nothing_is_written_beside_the_original(tmp_path, read):
    path = build_in_wal(tmp_path / "store" / "memory.db", DDL_A, {"memory_entries": [entry("k")]})
    before, times = tree(tmp_path), path.stat().st_mtime_ns

    discover([tmp_path])
    read(path)

    assert before == tree(tmp_path)
    assert times == path.stat().st_mtime_ns


def test_a_store_in_a_read_only_directory_is_read(tmp_path, read):
    folder = tmp_path / "store"
    path = build_in_wal(folder / "memory.db", DDL_A, {"memory_entries": [entry("k")]})
    for file in folder.iterdir():
        file.chmod(0o400)
    folder.chmod(0o500)
    try:
        assert [path] == [candidate.path for candidate in discover([tmp_path])]
        assert len(read(path).items) == 1
    finally:
        folder.chmod(0o700)


def test_sqlite_opens_the_copy_and_never_the_original(tmp_path, read, monkeypatch):
    path = build(tmp_path / "memory.db", DDL_A, {"memory_entries": [entry("k")]})
    opened = []
    monkeypatch.setattr(sqlite_copy, "_connect", _spy(sqlite_copy._connect, opened))
    read(path)

    assert opened
    assert not [name for name in opened if str(name).startswith(str(tmp_path))]


def _spy(function, seen):
    def spy(copy):
        seen.append(copy)
        return function(copy)

    return spy


def test_the_private_copy_is_private_and_gone_afterwards(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    path = build(tmp_path / "memory.db", DDL_A)

    with pytest.raises(ZeroDivisionError), sqlite_copy.private_copy(path) as copy:
        mode = copy.path.parent.stat().st_mode & 0o777
        raise ZeroDivisionError

    assert mode == 0o700
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_copy_is_gone_when_reading_stops_early(tmp_path, monkeypatch):
    from swarm_memory.importers import read_store

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    path = build(tmp_path / "m.db", DDL_A, {"memory_entries": [entry("a"), entry("b")]})

    items = read_store(path, now_ms=0).items()
    next(items)
    assert list((tmp_path / "tmp").iterdir())
    items.close()

    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_file_that_changes_all_the_time_is_copied_thrice_and_noted(tmp_path, monkeypatch, read):
    path = build(tmp_path / "memory.db", DDL_A, {"memory_entries": [entry("k")]})
    prints = iter(range(100))
    monkeypatch.setattr(sqlite_copy, "_fingerprint", lambda path: [(next(prints), 0)])

    store = read(path)

    assert len(store.items) == 1
    assert "changed during each of 3 copies" in store.reading.notes[0]


def test_a_writer_between_two_copies_costs_only_another_copy(tmp_path, monkeypatch, read):
    path = build(tmp_path / "memory.db", DDL_A, {"memory_entries": [entry("k")]})
    prints = iter([1, 2, 3, 3])
    monkeypatch.setattr(sqlite_copy, "_fingerprint", lambda path: [(next(prints), 0)])

    assert read(path).reading.notes == []


def test_triggers_views_and_virtual_tables_do_nothing(tmp_path, read):
    path = build(tmp_path / "memory.db", DDL_A)
    connection = apsw.Connection(str(path))
    connection.execute("""
        CREATE VIEW spy AS SELECT load_extension('x'), key FROM memory_entries;
        CREATE TRIGGER t AFTER INSERT ON memory_entries BEGIN
          DELETE FROM memory_entries; END;
        CREATE VIRTUAL TABLE found USING fts5(body);
    """)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    connection.execute("INSERT INTO memory_entries (key, value) VALUES ('k', 'v')")
    connection.execute("INSERT INTO found VALUES ('body')")
    connection.close()

    store = read(path)

    assert [item.value for item in store.items] == ["v"]
    assert store.table("found").skipped == {"a virtual table or its shadow: derived content": 0}
    assert "spy" not in [table.name for table in store.reading.tables]


def test_identifiers_are_only_ever_names(tmp_path, read):
    name = 'x"; DROP TABLE memory_entries; --'
    quoted = '"' + name.replace('"', '""') + '"'
    ddl = DDL_A + f"CREATE TABLE {quoted} ({quoted} TEXT, rowid TEXT, oid TEXT, _rowid_ TEXT);"
    path = build(tmp_path / "memory.db", ddl, {"memory_entries": [entry("k")]})
    connection = apsw.Connection(str(path))
    connection.execute(f"INSERT INTO {quoted} VALUES ('v', 'r', 'o', '_')")  # noqa: S608
    connection.close()

    store = read(path)

    assert len(store.items) == 2
    assert store.items[-1].value[name] == "v"


def test_a_table_without_rowids_is_read_by_its_primary_key(tmp_path, read):
    ddl = DDL_A + "CREATE TABLE w (a TEXT, b INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID;"
    rows = {"w": [{"a": "x", "b": 1}, {"a": "x,1", "b": 1}]}
    store = read(build(tmp_path / "memory.db", ddl, rows))

    assert len({item.key for item in store.items}) == 2
    assert store.one("w", "x,1").value == {"a": "x", "b": 1}


def test_bombs_are_refused_row_by_row(tmp_path, read):
    bomb = entry_python("bomb", {}) | {
        "compressed_data": gzip.compress(bytes(DECODED_BYTES_MAX + 1))
    }
    broken = entry_python("broken", {}) | {"compressed_data": b"no gzip"}
    rows = {"memory_entries": [bomb, broken, entry_python("fine", 1)]}
    store = read(build(tmp_path / "memory.db", DDL_S, rows))

    assert [item.provenance["key"] for item in store.items] == ["fine"]
    assert sum(store.table("memory_entries").unreadable.values()) == 2


def test_deep_nesting_is_kept_as_text(tmp_path, read):
    deep = "[" * 5000 + "]" * 5000
    rows = [
        entry("plain", deep),
        entry("packed", "__compressed__" + compressed("x")[14:]),
        entry("meta", metadata=deep),
    ]
    ddl = DDL_A + "CREATE TABLE other (id TEXT PRIMARY KEY, body TEXT);"
    other = [{"id": "a", "body": deep}, {"id": "b", "body": "[" * 64 + "]" * 64}]
    store = read(build(tmp_path / "m.db", ddl, {"memory_entries": rows, "other": other}))

    assert deep == store.one("memory_entries", "plain").value
    assert deep == store.one("memory_entries", "meta").provenance["metadata"]["metadata"]
    assert {"id": "a", "body": deep} == store.one("other", "a").value
    assert store.one("other", "b").value["body"] == "[" * 64 + "]" * 64


def test_text_that_is_no_utf8_is_shown_with_its_bytes(tmp_path, read):
    path = build(tmp_path / "m.db", DDL_A, {"memory_entries": [entry("a"), entry("z")]})
    connection = apsw.Connection(str(path))
    connection.execute(
        "INSERT INTO memory_entries (key, value, namespace) VALUES"
        " ('bad', CAST(x'61FF62' AS TEXT), 'n'), (CAST(x'FF' AS TEXT), 'v', 'n'),"
        " ('\\xff', 'w', 'n')"
    )
    connection.close()

    store = read(path)

    assert 5 == len(store.items) == len({item.key for item in store.items})
    assert store.one("memory_entries", "bad").value == r"a\xffb"


def test_a_row_beyond_the_limit_is_named_and_the_next_is_read(tmp_path, read, monkeypatch):
    monkeypatch.setattr(sqlite_copy, "ROW_BYTES_MAX", 5000)
    rows = {"memory_entries": [entry("a"), entry("b", "x" * 9000), entry("c")]}
    store = read(build(tmp_path / "memory.db", DDL_A, rows))

    assert [item.provenance["key"] for item in store.items] == ["a", "c"]
    assert store.table("memory_entries").unreadable == {sqlite_rows.TOO_LARGE: 1}


def test_odd_types_in_known_columns_do_not_stop_the_others(tmp_path, read):
    rows = [
        entry("blob", b"\x00\xff"),
        entry("time", created_at="soon", updated_at=b"1", expires_at=float("inf")),
        entry("fine"),
    ]
    store = read(build(tmp_path / "memory.db", DDL_A, {"memory_entries": rows}))

    assert store.one("memory_entries", "blob").value == {"base64": "AP8="}
    item = store.one("memory_entries", "time")
    assert (item.created_ms, item.updated_ms, item.expires_ms) == (None, None, None)
    assert item.provenance["metadata"]["created_at"] == "soon"
    json.dumps([item._asdict() for item in store.items], allow_nan=False)


def test_a_namespace_that_is_missing_is_not_the_default_one(tmp_path, read):
    rows = [entry_v3("k", namespace=None, id=name) for name in "ab"]
    rows += [entry_v3("k", namespace="")]
    store = read(build(tmp_path / "memory.db", DDL_R3, {"memory_entries": rows}))

    assert len({item.key for item in store.items}) == 3


@pytest.mark.parametrize("text", ['{"a": ', "[" * 100_000, '["\xff"]', "{'a': 1}"])
def test_broken_json_is_an_error_that_names_the_file(tmp_path, read, text):
    path = tmp_path / "broken.json"
    path.write_bytes(text.encode("latin-1"))

    with pytest.raises(ImportSourceError, match=r"broken\.json"):
        read(path)


def test_json_values_that_cannot_be_stored_become_text(tmp_path, read):
    path = tmp_path / "entries.json"
    common = '"namespace": "n", "checksum": "", "accessLevel": ""'
    values = ["NaN", "1" * 5000, '"\\ud800"', "[" * 70 + "]" * 70, "18446744073709551616"]
    rows = ", ".join(
        f'{{"key": "{n}", "value": {value}, {common}}}' for n, value in enumerate(values)
    )
    path.write_text(f"[{rows}]")

    store = read(path)

    assert [item.value for item in store.items] == [
        "NaN",
        "1" * 5000,
        "\\ud800",
        "[" * 70 + "]" * 70,
        "18446744073709551616",
    ]


def test_json_beyond_the_limit_is_refused_before_it_is_loaded(tmp_path, read, monkeypatch):
    monkeypatch.setattr(json_stores, "FILE_BYTES_MAX", 10)
    path = tmp_path / "store.json"
    path.write_text('{"a": [{"key": 1, "value": 2}]}')

    with pytest.raises(ImportSourceError, match="31 bytes, a JSON store is read up to 10"):
        read(path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_never_opened(tmp_path):
    os.mkfifo(tmp_path / "memory.db")

    assert discover([tmp_path]) == []
    with pytest.raises(ImportSourceError, match="neither a file nor a directory"):
        discover([tmp_path / "memory.db"])
