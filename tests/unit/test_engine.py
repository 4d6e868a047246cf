"""The SQLite engine: named statements, migrations, foreign files, threads, forks, closing."""

import os
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apsw
import pytest

from swarm_memory import Swarm
from swarm_memory.engine import migrate, open_engine, sqlite, statements
from swarm_memory.engine.sqlite import SETTLE_S
from swarm_memory.engine.wake import POLL_S, Wake
from swarm_memory.errors import (
    EngineBusyError,
    EngineUnavailableError,
    InvalidArgumentError,
    SchemaError,
)

SOURCE = Path(sqlite.__file__).parent


@pytest.fixture
def path(tmp_path):
    return tmp_path / "memory.db"


@pytest.fixture
def url(path):
    return f"sqlite:///{path}"


# --- statements ---


def test_statements_are_parsed_by_their_headers():
    text = "-- one --\n-- why --- this\nSELECT 1\n\n-- two --\n-- why\nSELECT :a,\n    2\n"

    assert {"one": "SELECT 1", "two": "SELECT :a,\n    2"} == statements.parse(text, "test")


@pytest.mark.parametrize(
    "text", ["SELECT 1\n", "-- a --\n", "-- a --\nSELECT 1\n-- a --\nSELECT 2"]
)
def test_statements_without_a_name_a_text_or_twice_are_refused(text):
    with pytest.raises(ValueError, match="test"):
        statements.parse(text, "test")


def test_a_statement_is_found_in_whichever_file_it_stands():
    for name, sql in statements.load().items():
        assert sql == statements.Statements()[name]
    with pytest.raises(KeyError):
        statements.Statements()["no_such_statement"]


def test_threads_that_ask_for_their_first_statements_at_once_find_them():
    names = list(statements.load())
    for _ in range(20):
        read = statements.Statements()
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(read.__getitem__, names))
        assert found == [read[name] for name in names]


def test_every_statement_compiles_against_the_schema_and_is_used(url):
    engine = open_engine(url)
    sources = "".join(p.read_text() for p in SOURCE.parent.rglob("*.py"))
    db = apsw.Connection(engine.path)
    for name, sql in statements.load().items():
        db.execute(f"EXPLAIN {sql}", dict.fromkeys(_parameters(sql)))
        assert f'"{name}"' in sources, f"{name} is never used"


def test_readers_are_told_of_every_statement_that_writes_what_they_may_keep(url):
    db = apsw.Connection(open_engine(url).path)
    roots = {
        row[0]
        for row in db.execute(
            "SELECT rootpage FROM sqlite_schema WHERE tbl_name = ?", (sqlite.KEPT_TABLE,)
        )
    }
    writing = set()
    for name, sql in statements.load().items():
        if sql.startswith("PRAGMA"):
            continue  # they write no rows, and what explains them may be no text
        steps = db.execute(f"EXPLAIN {sql}", dict.fromkeys(_parameters(sql))).fetchall()
        # A DELETE of everything opens nothing: it clears the pages.
        at = {"OpenWrite": 3, "Clear": 2}
        if any(step[1] in at and step[at[step[1]]] in roots for step in steps):
            writing.add(name)

    assert writing
    assert writing == {name for name in statements.load() if sqlite._TOUCHING[name]}


def _parameters(sql):
    import re

    return re.findall(r":([a-z_]+)", sql)


def test_every_statement_says_why():
    for file in (SOURCE / "sql").glob("*.sql"):
        lines = file.read_text().splitlines()
        for number, line in enumerate(lines):
            if line.startswith("-- ") and line.endswith(" --"):
                assert lines[number + 1].startswith("-- "), f"{file.name}: {line}"


# --- migrations ---


def test_migrations_are_recorded_with_checksums_and_run_once(url, path):
    open_engine(url).close()
    open_engine(url).close()

    db = apsw.Connection(str(path))
    rows = db.execute("SELECT number, length(checksum) FROM migrations ORDER BY number").fetchall()
    assert [(n, 64) for n in range(1, migrate.newest() + 1)] == rows
    assert db.pragma("user_version") == migrate.newest()


def test_a_newer_store_is_refused_and_not_touched(url, path):
    open_engine(url).close()
    db = apsw.Connection(str(path))
    db.pragma("user_version", 9999)
    db.close()
    before = path.read_bytes()

    with pytest.raises(SchemaError) as caught:
        open_engine(url)

    assert (9999, migrate.newest()) == (caught.value.found, caught.value.wanted)
    assert before == path.read_bytes()


def test_somebody_elses_database_is_refused_and_not_touched(url, path):
    db = apsw.Connection(str(path))
    db.execute("CREATE TABLE memory_entries (key TEXT)")
    db.close()
    before = path.read_bytes()

    with pytest.raises(SchemaError, match="no swarm-memory store"):
        open_engine(url)

    assert before == path.read_bytes()
    assert ["memory.db"] == [p.name for p in path.parent.iterdir()]


def test_a_store_that_is_made_while_it_is_looked_at_is_not_somebody_elses(path):
    db, other = apsw.Connection(str(path)), apsw.Connection(str(path))
    db.pragma("journal_mode", "WAL")
    made = []

    def make(cursor, sql, bindings):
        if "sqlite_schema" in sql and not made:
            made.append(migrate.migrate(other, 0))
        return True

    db.exec_trace = make
    assert 0 == migrate.state(db)
    assert made
    assert migrate.newest() == migrate.state(db)


def test_a_changed_migration_is_refused(url, path):
    open_engine(url).close()
    db = apsw.Connection(str(path))
    db.execute("UPDATE migrations SET checksum = 'x' WHERE number = 1")
    db.pragma("user_version", migrate.newest() - 1)
    with pytest.raises(SchemaError, match="migration 1"):
        migrate.migrate(db, 0)


def test_a_failing_migration_leaves_the_version_before(url, path, monkeypatch):
    good = migrate.available()
    bad = [*good[:1], (2, "broken", "CREATE TABLE halfway (x); SELECT nonsense")]
    monkeypatch.setattr(migrate, "available", lambda: bad)
    with pytest.raises(EngineUnavailableError):
        open_engine(url)

    db = apsw.Connection(str(path))
    assert 1 == db.pragma("user_version")
    assert 0 == db.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'halfway'").get

    monkeypatch.setattr(migrate, "available", lambda: good)
    open_engine(url).close()
    assert migrate.newest() == db.pragma("user_version")


def test_every_step_leads_to_the_same_schema_as_a_fresh_store(tmp_path):
    fresh = apsw.Connection(open_engine(f"sqlite:///{tmp_path}/fresh.db").path)
    stepped = apsw.Connection(str(tmp_path / "stepped.db"))
    for number, _, sql in migrate.available():
        stepped.execute(sql)
        stepped.pragma("user_version", number)

    query = "SELECT name, sql FROM sqlite_schema WHERE name <> 'migrations' ORDER BY name"
    assert fresh.execute(query).fetchall() == stepped.execute(query).fetchall()


def test_many_processes_that_create_one_store_all_succeed(url, path):
    program = (
        "import sys; from swarm_memory import Swarm\n"
        f"with Swarm.open({url!r}, agent=sys.argv[1]) as s: s.records.put('x/' + sys.argv[1], 1)"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(n)], stderr=subprocess.PIPE)
        for n in range(8)
    ]
    assert [b""] * 8 == [process.communicate(timeout=60)[1] for process in running]

    with Swarm.open(url) as swarm:
        assert 8 == len(swarm.records.scan("x"))


# --- files ---


def test_a_new_store_is_private(url, path):
    old = os.umask(0)
    try:
        with Swarm.open(url) as swarm:
            swarm.records.put("x/a", 1)
            modes = {p.name: p.stat().st_mode & 0o777 for p in path.parent.iterdir()}
    finally:
        os.umask(old)
    assert {f"memory.db{end}": 0o600 for end in ("", "-wal", "-shm", "-mark")} == modes


def test_a_missing_directory_is_a_clear_error(tmp_path):
    with pytest.raises(EngineUnavailableError) as caught:
        open_engine(f"sqlite:///{tmp_path}/none/memory.db")
    assert "directory" in caught.value.hint


def test_a_file_that_is_no_database_is_a_clear_error(url, path):
    path.write_text("not a database, but long enough to look like a file with some content" * 20)
    with pytest.raises(EngineUnavailableError, match="not a database"):
        open_engine(url)


@pytest.mark.parametrize("url", ["mysql://x", "sqlite://", "sqlite:///", "redis://h/0"])
def test_an_unknown_url_is_refused(url):
    with pytest.raises(InvalidArgumentError):
        open_engine(url)


def test_an_unknown_durability_is_refused(url, path):
    with pytest.raises(InvalidArgumentError):
        open_engine(url, durability="hope")
    assert not path.exists()


def test_closing_leaves_no_connection_and_a_second_close_does_nothing(url):
    engine = open_engine(url)
    engine.write(lambda tx: None)
    engine.close()
    engine.close()

    with pytest.raises(EngineUnavailableError, match="closed"):
        engine.read(lambda tx: None)


def test_closing_leaves_no_descriptor_of_a_watch(url):
    engine = open_engine(url)
    before = len(os.listdir("/proc/self/fd"))
    engine.wait(engine.version(), 0)
    engine.wait(engine.version(), 0.001)
    assert before < len(os.listdir("/proc/self/fd"))
    engine.close()

    assert before > len(os.listdir("/proc/self/fd"))


def test_a_commit_that_shows_late_after_its_write_is_still_seen_soon(url, monkeypatch):
    engine = open_engine(url)
    versions = iter([1, 1, 1, 1, 1, 2])
    asked = []

    def wait(wake, timeout_s):
        asked.append(timeout_s)
        return len(asked) == 1  # the log was written, and its commit is held up

    monkeypatch.setattr(Wake, "wait", wait)
    monkeypatch.setattr(engine, "version", lambda: next(versions))

    assert 2 == engine.wait(1, 1000)
    assert [POLL_S, *(SETTLE_S * 2**look for look in range(4))] == asked


def test_closing_does_not_checkpoint(url, path):
    with Swarm.open(url) as swarm:
        swarm.records.put("x/a", 1)
    assert path.with_name("memory.db-wal").stat().st_size > 0


# --- busy, threads, forks ---


def test_a_store_locked_past_the_deadline_is_busy_and_stays_usable(url, path):
    engine = open_engine(url, busy_timeout_s=0.05)
    program = (
        "import apsw, sys; db = apsw.Connection(sys.argv[1]); db.execute('BEGIN IMMEDIATE')\n"
        "print('locked', flush=True); sys.stdin.readline()"
    )
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as blocker:
        assert "locked\n" == blocker.stdout.readline()
        with pytest.raises(EngineBusyError) as caught:
            engine.write(lambda tx: None)
        blocker.communicate("go on\n")

    assert caught.value.retryable
    if sys.platform == "linux":
        assert blocker.pid == caught.value.pid
        assert f"process {blocker.pid}" in str(caught.value)
    assert 7 == engine.write(lambda tx: 7)


def test_threads_share_one_door(url):
    with Swarm.open(url, durability="relaxed") as swarm:
        swarm.records.put("x/n", 0)
        errors = []

        def work():
            try:
                for _ in range(50):
                    swarm.transact(
                        lambda tx: tx.records.put("x/n", tx.records.get("x/n").value + 1)
                    )
                    swarm.records.get("x/n")
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)

        assert [] == errors
        assert 300 == swarm.records.get("x/n").value


def test_a_forked_child_gets_connections_of_its_own(url):
    program = f"""
import os
from swarm_memory import Swarm
swarm = Swarm.open({url!r})
swarm.records.put("x/parent", 1)
swarm.events.newest(); list(swarm.watch("x", timeout_s=0))
child = os.fork()
if child == 0:
    swarm.records.put("x/child", 1)
    swarm.close()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
swarm.records.put("x/again", 1)
print(sorted(r.key for r in swarm.records.scan("x")))
"""
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program], capture_output=True, text=True
    )
    assert ("['x/again', 'x/child', 'x/parent']\n", "") == (run.stdout, run.stderr)


def test_a_copied_store_with_its_log_opens_elsewhere(url, path, tmp_path):
    with Swarm.open(url) as swarm:
        swarm.records.put("x/a", 1)
    (tmp_path / "copy").mkdir()
    for file in path.parent.glob("memory.db*"):
        shutil.copy(file, tmp_path / "copy")

    with Swarm.open(f"sqlite:///{tmp_path}/copy/memory.db") as copy:
        assert 1 == copy.records.get("x/a").value
