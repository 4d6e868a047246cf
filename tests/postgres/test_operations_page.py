"""What docs/operations-postgresql.md tells to ask and to do, asked and done on real servers."""

import re
import shutil
import subprocess
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from swarm_memory import Swarm
from swarm_memory.errors import EngineUnavailableError
from swarm_memory.testing.postgres import Server, server

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations-postgresql.md"
QUERIES = dict(re.findall(r"^```sql\n-- (.*?)\n(.*?)^```$", PAGE.read_text(), re.M | re.S))
WAIT_S = 60


@pytest.fixture(scope="module")
def archived():
    """Return a server that archives its log as the page says, into the folder `archive`."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        try:
            with server({"archive_mode": "on", "fsync": "off"}) as running:
                running.archive = folder
                command(running, setting("archive_command").replace("/archive", folder))
                yield running
        except EngineUnavailableError as error:
            pytest.skip(f"no PostgreSQL: {error}")


def setting(name):
    """Return the value that the page gives to a setting of the server."""
    return re.search(rf"^{name} = '(.*)'$", PAGE.read_text(), re.M)[1]


@pytest.fixture
def url(archived):
    """Return the URL of a store in the schema `swarm_memory` of a database of its own."""
    with psycopg.connect(archived.url(), autocommit=True) as db:
        db.execute("DROP DATABASE IF EXISTS page WITH (FORCE)")
        db.execute("CREATE DATABASE page")
    return archived.url().replace("/postgres?", "/page?")


@pytest.fixture
def ask(url):
    """Return a function that runs a query of the page; rows are dicts."""
    with psycopg.connect(url, autocommit=True, row_factory=psycopg.rows.dict_row) as db:
        yield lambda name: db.execute(QUERIES[name]).fetchall()


def until(holds):
    deadline = time.monotonic() + WAIT_S
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


def test_every_query_of_the_page_has_a_test():
    source = Path(__file__).read_text()

    assert [] == [name for name in QUERIES if f'ask("{name}")' not in source]
    assert len(QUERIES) >= 9


def test_who_has_the_turn_and_who_waits_is_told(url, ask):
    inside, go_on = threading.Event(), threading.Event()

    def hold(tx):
        tx.records.put("notes/1", 1)
        inside.set()
        go_on.wait(WAIT_S)

    with Swarm.open(url, agent="a", swarm="s") as swarm:
        holder = threading.Thread(target=swarm.transact, args=(hold,))
        waiter = threading.Thread(target=swarm.records.put, args=("notes/2", 2))
        holder.start()
        assert inside.wait(WAIT_S)
        waiter.start()

        def two():
            # Locks and activities are not read at one moment.
            rows = ask("turn")
            return rows if [row for row in rows if row["inside_for"] is not None][1:] else None

        rows = until(two)
        go_on.set()
        holder.join()
        waiter.join()

    assert [True, False] == [row["has_it"] for row in rows]
    assert {"swarm-memory"} == {row["application_name"] for row in rows}
    assert rows[0]["inside_for"] >= rows[1]["inside_for"]
    assert [] == ask("turn")


def test_connections_are_counted(url, ask):
    with Swarm.open(url, agent="a", swarm="s") as swarm:
        swarm.records.get("notes/1")
        (row,) = ask("connections")

    assert 0 < row["ours"] < row["all_of_them"] < row["most"]
    until(lambda: ask("connections")[0]["ours"] == 0)


@contextmanager
def receiver(running, *options):
    """Run a program that receives the log, as a standby does."""
    command = [str(running._programs / "pg_receivewal"), "-h", running.folder, "-U", "postgres"]
    folder = tempfile.mkdtemp()
    process = subprocess.Popen([*command, "-D", folder, *options], stderr=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(WAIT_S)
        shutil.rmtree(folder)


def test_standbys_are_told(archived, url, ask):
    assert [] == ask("standbys")

    with receiver(archived):
        row = until(lambda: next((r for r in ask("standbys") if r["state"] == "streaming"), None))

    assert ("pg_receivewal", "async") == (row["application_name"], row["sync_state"])


def test_a_commit_that_waits_for_a_standby_is_told(archived, url, ask):
    told = threading.Event()

    def write():
        # Again and again: the server reads its settings some time after it was asked to.
        while not told.is_set():
            swarm.records.put("notes/1", 2)

    with Swarm.open(url, agent="a", swarm="s") as swarm:
        swarm.records.put("notes/1", 1)
        assert [] == ask("waiting for a standby")
        with psycopg.connect(archived.url(), autocommit=True) as db:
            db.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            db.execute("SELECT pg_reload_conf()")
            try:
                writer = threading.Thread(target=write)
                writer.start()
                rows = until(lambda: ask("waiting for a standby"))
            finally:
                told.set()
                db.execute("ALTER SYSTEM RESET synchronous_standby_names")
                db.execute("SELECT pg_reload_conf()")
        writer.join(WAIT_S)

    assert 1 == len(rows)


def test_archiving_and_its_failure_are_told(archived, url, ask):
    works = setting("archive_command").replace("/archive", archived.archive)
    with Swarm.open(url, agent="a", swarm="s") as swarm:
        swarm.records.put("notes/1", 1)
        switch(url)
        row = until(lambda: next((r for r in ask("archiving") if r["archived_count"]), None))
        assert not row["failing"]
        command(archived, "/bin/false")
        swarm.records.put("notes/1", 2)
        switch(url)
        until(lambda: next((r for r in ask("archiving") if r["failing"]), None))
        command(archived, works)
        swarm.records.put("notes/1", 3)
        switch(url)  # it would look again after a minute else

    until(lambda: not ask("archiving")[0]["failing"])


def switch(url):
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("SELECT pg_switch_wal()")


def command(running, text):
    """Set the command by which a server archives."""
    with psycopg.connect(running.url(), autocommit=True) as db:
        db.execute(
            psycopg.sql.SQL("ALTER SYSTEM SET archive_command = {}").format(
                psycopg.sql.Literal(text)
            )
        )
        db.execute("SELECT pg_reload_conf()")


def test_a_slot_that_nobody_reads_is_told(url, ask):
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("SELECT pg_create_physical_replication_slot('left', true)")
    with Swarm.open(url, agent="a", swarm="s") as swarm:
        swarm.records.put("notes/1", 1)

    (row,) = ask("slots")
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("SELECT pg_drop_replication_slot('left')")

    assert ("left", False) == (row["slot_name"], row["active"])
    assert row["holds_back"] > 0


def test_tables_are_told_with_what_autovacuum_has_to_clear(url, ask):
    with Swarm.open(url, agent="a", swarm="s") as swarm:
        for number in range(50):
            swarm.records.put("notes/1", number)
        found = until(lambda: next((r for r in ask("tables") if r["dead"]), None))
        swarm.maintain()

    assert {"records", "events", "history", "usage"} <= {row["relname"] for row in ask("tables")}
    assert found["vacuumed"] is None
    until(lambda: all(row["vacuumed"] for row in ask("tables")))


def test_the_age_of_transactions_is_told(url, ask):
    Swarm.open(url).close()

    assert "page" in {row["datname"] for row in ask("wraparound") if row["transactions"] > 0}


def test_what_was_written_in_between_is_told(url, ask):
    with Swarm.open(url, agent="a", swarm="s") as swarm:
        swarm.records.put("notes/1", 1)
        (before,) = ask("written")
        swarm.records.put("notes/1", 2)
        swarm.records.put("notes/2", 2)
        (after,) = ask("written")

    assert 2 == after["changes"] - before["changes"]
    assert before["log"] != after["log"]


# --- going back ----------------------------------------------------------------------------------


def test_a_base_backup_and_the_archived_log_hold_what_was_written_after_it(archived, url):
    with Swarm.open(url, agent="a", swarm="s") as swarm:
        swarm.records.put("notes/1", "before")
        copy = Server(tempfile.mkdtemp(prefix="swarm-memory-postgres-"), {"fsync": "off"})
        watch = copy.watched()
        try:
            shutil.chown(copy.folder, archived._account or None)
            base_backup(archived, f"{copy.folder}/data")
            swarm.records.put("notes/1", "after")
            switch(url)
            until(lambda: archived_up_to(url))

            restore(copy, archived.archive)
            with Swarm.open(promoted(url, archived, copy), swarm="s") as found:
                assert "after" == found.records.get("notes/1").value
                assert found.verify().ok
        finally:
            watch.communicate()


def base_backup(running, folder):
    """Make a base backup with the command of the page."""
    line = re.search(r"^pg_basebackup (.*)$", PAGE.read_text(), re.M)[1]
    options = line.replace("/backup/base", folder).split()
    programs = running._programs
    running._run(
        [str(programs / "pg_basebackup"), "-h", running.folder, "-U", "postgres", *options]
    )
    running._run([str(programs / "pg_verifybackup"), folder])


def archived_up_to(url):
    """Tell whether all but the current segment of the log has been archived."""
    with psycopg.connect(url, autocommit=True) as db:
        return db.execute(
            "SELECT last_archived_wal >= pg_walfile_name(pg_switch_wal() - 1) FROM pg_stat_archiver"
        ).fetchone()[0]


def restore(copy, archive):
    """Start a copy of a base backup with the archived log, as the page says."""
    command = setting("restore_command").replace("/archive", archive)
    copy._settings |= {"restore_command": f"'{command}'", "archive_mode": "off"}
    data = Path(copy.folder, "data")
    (data / "recovery.signal").touch()
    if copy._account:
        shutil.chown(data / "recovery.signal", copy._account)
    copy.start()


def promoted(url, running, copy):
    """Return the URL of a copy when it has recovered all and takes writes."""
    found = url.replace(running.folder, copy.folder)
    with psycopg.connect(found, autocommit=True) as db:
        until(lambda: not db.execute("SELECT pg_is_in_recovery()").fetchone()[0])
    return found
