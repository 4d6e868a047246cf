"""Damaged files: what is still there comes out, and the report says how much did not."""

import random
import shutil
import struct

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from import_builders import DDL_A, DDL_R3A, build, build_in_wal, entry, entry_v3

from swarm_memory.errors import ImportSourceError
from swarm_memory.importers import discover
from swarm_memory.importers.salvage import DamagedError, PageFile, decode_record
from swarm_memory.importers.sqlite_copy import private_copy
from swarm_memory.importers.sqlite_rows import RowReader

PAGE = 4096
ROWS = 600


def build_large(path, rows=ROWS, length=300):
    found = [entry(f"key-{n}", f"{n} " + "x" * length) for n in range(rows)]
    return build(path, DDL_A, {"memory_entries": found})


def root_of(path, name="memory_entries"):
    connection = apsw.Connection(str(path))
    root = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (name,))
    found = root.fetchone()[0]
    connection.close()
    return found


def leaves_of(path, name="memory_entries"):
    root = root_of(path, name)
    with PageFile(path) as pages:
        return pages.tree(root, set()).leaves


def wipe(path, *pages, fill=0):
    with path.open("r+b") as file:
        for page in pages:
            file.seek((page - 1) * PAGE)
            file.write(bytes([fill]) * PAGE)


def keys_of(store):
    return {item.provenance["key"] for item in store.items}


def test_a_wiped_page_in_the_middle_loses_its_own_rows_only(tmp_path, read):
    path = build_large(tmp_path / "memory.db")
    leaves = leaves_of(path)
    with PageFile(path) as pages:
        lost = {cell.values[1] for cell in pages.cells(leaves[len(leaves) // 2])}
    wipe(path, leaves[len(leaves) // 2])

    store = read(path)

    assert lost
    assert {f"key-{n}" for n in range(ROWS)} - lost == keys_of(store)
    report = store.table("memory_entries")
    assert (ROWS, ROWS - len(lost)) == (report.counted, report.read)
    assert {"on a damaged page": len(lost)} == report.unreadable
    note = f"damaged: {len(lost)} of {ROWS} rows of memory_entries could not be read"
    assert note in store.reading.notes


def test_every_second_page_wiped_still_yields_the_others(tmp_path, read):
    path = build_large(tmp_path / "memory.db")
    leaves = leaves_of(path)
    with PageFile(path) as pages:
        kept = {cell.values[1] for leaf in leaves[1::2] for cell in pages.cells(leaf)}
    wipe(path, *leaves[::2], fill=0xFF)

    assert kept == keys_of(read(path))


def test_rows_whose_table_lost_its_root_page_are_found_again(tmp_path, read):
    path = build_large(tmp_path / "memory.db")
    wipe(path, root_of(path))

    store = read(path)

    assert {f"key-{n}" for n in range(ROWS)} == keys_of(store)
    assert store.one("memory_entries", "key-7").value == "7 " + "x" * 300
    assert store.reading.notes == ["damaged, but every row that it counts could be read"]


def test_deleted_rows_do_not_come_back_from_a_damaged_file(tmp_path, read):
    path = build_large(tmp_path / "memory.db")
    connection = apsw.Connection(str(path))
    connection.execute("DELETE FROM memory_entries WHERE id > 300")
    connection.close()
    wipe(path, root_of(path))

    assert keys_of(read(path)) <= {f"key-{n}" for n in range(300)}


def test_a_damaged_index_loses_nothing(tmp_path, read):
    path = build_large(tmp_path / "memory.db")
    wipe(path, root_of(path, "sqlite_autoindex_memory_entries_1"), fill=0x55)

    assert {f"key-{n}" for n in range(ROWS)} == keys_of(read(path))


def test_a_row_with_a_wiped_overflow_page_is_lost_and_not_invented(tmp_path, read):
    rows = [entry("small"), entry("long", "y" * 20_000), entry("last")]
    path = build(tmp_path / "memory.db", DDL_A, {"memory_entries": rows})
    content = path.read_bytes()
    pages = [
        n
        for n in range(1, len(content) // PAGE + 1)
        if b"y" * 4000 in content[PAGE * n - PAGE : PAGE * n]
    ]
    # The damage to a tree page makes SQLite give up, the wiped text would pass unnoticed.
    wipe(path, pages[1], root_of(path, "idx_memory_namespace"))

    store = read(path)

    assert {"small", "last"} == keys_of(store)
    assert store.table("memory_entries").unreadable == {"its own content is damaged": 1}


def test_a_file_that_was_cut_off_yields_what_is_left(tmp_path, read):
    path = build_large(tmp_path / "memory.db")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2 // PAGE * PAGE])

    store = read(path)

    assert 100 < len(store.items) < ROWS
    assert any(note.startswith("damaged") for note in store.reading.notes)


def test_a_damaged_schema_still_yields_the_tables_that_it_names(tmp_path, read):
    filler = "".join(
        f"CREATE TABLE filler_{n} (a TEXT, b TEXT CHECK (b <> '{'z' * 300}'));" for n in range(60)
    )
    rows = {"memory_entries": [entry_v3(f"k{n}") for n in range(20)]}
    path = build(tmp_path / "memory.db", DDL_R3A + filler, rows)
    with PageFile(path) as pages:
        leaves = pages.tree(1, set()).leaves
    assert len(leaves) > 2
    wipe(path, leaves[-1])

    store = read(path)

    assert {f"k{n}" for n in range(20)} == keys_of(store)
    assert "read page by page" in store.reading.notes[0]
    assert [path] == [candidate.path for candidate in discover([tmp_path])]


def test_a_file_of_which_only_the_header_is_left_is_an_error_that_says_so(tmp_path, read):
    path = tmp_path / "memory.db"
    path.write_bytes(b"SQLite format 3\x00" + bytes(50))

    with pytest.raises(ImportSourceError, match=r"memory\.db is a SQLite file that cannot"):
        read(path)


def test_page_reading_finds_the_rows_that_sqlite_finds(tmp_path):
    ddl = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b REAL, c BLOB, d);"
    rng = random.Random(7)
    values = [None, 0, 1, -1, 2**62, -(2**62), 1.5, 3.0, "", "ü" * 50, "x" * 9000, b"", b"z" * 5000]
    rows = [
        {"id": n * 3, "a": rng.choice(["q", None, "w" * 4100]), "b": n / 2, "c": b"1", "d": value}
        for n, value in enumerate(values * 20)
    ]
    path = build(tmp_path / "t.db", ddl, {"t": rows})
    with private_copy(path) as copy:
        table = copy.tables[0]
        plain = list(RowReader(copy).rows(table, None))
        reader = RowReader(copy._replace(damaged=True))
        salvaged = list(reader.rows(table, None))
        reader.close()

    assert len(plain) == 260
    assert plain == salvaged


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 2**32))
def test_whatever_is_overwritten_reading_ends_and_invents_no_row(tmp_path, read, seed):
    path = tmp_path / "fuzz.db"
    path.unlink(missing_ok=True)
    build_large(path, rows=120, length=120)
    rng = random.Random(seed)
    content = bytearray(path.read_bytes())
    for _ in range(rng.randint(1, 40)):
        at = rng.randrange(100, len(content) - 64)
        content[at : at + 32] = rng.choice([bytes(32), bytes([255] * 32), rng.randbytes(32)])
    path.write_bytes(content)

    try:
        store = read(path)
    except ImportSourceError:
        return
    keys = [item.key for item in store.items]
    assert len(keys) == len(set(keys))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_record_or_damaged(payload):
    try:
        decode_record(payload)
    except DamagedError:
        return


def test_pages_that_point_at_each_other_end(tmp_path):
    path = build_large(tmp_path / "memory.db")
    root = root_of(path)
    content = bytearray(path.read_bytes())
    at = (root - 1) * PAGE
    count = struct.unpack_from(">H", content, at + 3)[0]
    for cell in range(count):
        pointer = struct.unpack_from(">H", content, at + 12 + 2 * cell)[0]
        struct.pack_into(">I", content, at + pointer, root)
    path.write_bytes(content)

    with PageFile(path) as pages:
        tree = pages.tree(root, set())

    assert count == tree.damaged


def test_a_wal_that_is_cut_off_yields_its_whole_transactions(tmp_path, read):
    path = build_in_wal(tmp_path / "memory.db", DDL_A, {"memory_entries": [entry("k")]})
    wal = path.with_name("memory.db-wal")
    wal.write_bytes(wal.read_bytes()[:-100])

    # The tables were made in one transaction, the row in the next, which is incomplete.
    assert read(path).table("memory_entries").counted == 0


def test_a_write_that_was_under_way_is_rolled_back_in_the_copy(tmp_path, read):
    live = build_large(tmp_path / "live.db", rows=200)
    connection = apsw.Connection(str(live))
    connection.execute("PRAGMA cache_size = 1")
    connection.execute("BEGIN")
    connection.execute("UPDATE memory_entries SET value = 'half written'")
    connection.cache_flush()
    path = tmp_path / "memory.db"
    shutil.copy(live, path)
    shutil.copy(f"{live}-journal", f"{path}-journal")
    connection.close()
    assert b"half written" in path.read_bytes()

    store = read(path)

    assert len(store.items) == 200
    assert not any(item.value == "half written" for item in store.items)
