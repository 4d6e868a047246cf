"""The engine on PostgreSQL under concurrency, crashes and lost connections, with real servers."""

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest

from swarm_memory import Swarm
from swarm_memory.engine import open_engine
from swarm_memory.engine.postgres import address, commits
from swarm_memory.errors import (
    EngineBusyError,
    EngineUnavailableError,
    InvalidArgumentError,
    SchemaError,
)
from swarm_memory.testing.postgres import Server, server

WAIT_S = 60
WORKER = Path(__file__).parent / "postgres_worker.py"
PROCESSES, TIMES = 4, 25


@pytest.fixture
def swarm(postgres_url):
    with Swarm.open(postgres_url, agent="a", swarm="s") as swarm:
        yield swarm


@pytest.fixture
def work(postgres_url):
    """Start processes, and let none outlive the test."""
    running = []

    def work(verb, *words, url=postgres_url):
        command = [sys.executable, WORKER, verb, url, *map(str, words)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        running.append(process)
        return process

    yield work
    for process in running:
        process.kill()
        process.communicate()


def admin(url):
    return psycopg.connect(url.partition("&options")[0], autocommit=True)


def until(holds):
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# --- concurrency ---------------------------------------------------------------------------------


def test_processes_that_count_one_record_up_lose_nothing(swarm, work):
    swarm.records.put("notes/count", 0)

    processes = [work("count", TIMES) for _ in range(PROCESSES)]

    assert [0] * PROCESSES == [process.wait(WAIT_S) for process in processes]
    assert PROCESSES * TIMES == swarm.records.get("notes/count").value


def test_the_change_log_has_no_holes_for_who_follows_it(swarm, work):
    workers = [work("put", f"w{n}") for n in range(3)]
    seen = []
    for event in swarm.watch("notes/", since=0, timeout_s=WAIT_S):
        seen.append(event)
        if len(seen) == 300:
            break
    for worker in workers:
        worker.kill()

    assert sorted({event.seq for event in seen}) == [event.seq for event in seen]
    for name in ("w0", "w1", "w2"):
        numbers = [
            int(e.key.rpartition("/")[2]) for e in seen if e.key.startswith(f"notes/{name}/")
        ]
        assert list(range(len(numbers))) == numbers


def test_who_waits_is_woken_by_another_process(swarm, postgres_url):
    version = swarm._engine.version()
    woken = []
    waiter = threading.Thread(target=lambda: woken.append(swarm._engine.wait(version, WAIT_S)))
    waiter.start()
    with Swarm.open(postgres_url, agent="b", swarm="s") as other:
        other.records.put("notes/1", 1)
    waiter.join(WAIT_S)

    assert 1 == len(woken)
    assert version != woken[0]


def test_a_write_waits_until_the_log_is_safe_after_the_lock_is_free(swarm, monkeypatch):
    # Whoever waits for the disk holds nobody up: the other one gets in meanwhile.
    order = []
    barrier = commits.BARRIER

    def other():
        with Swarm.open(swarm.url, agent="b", swarm="s", durability="relaxed") as second:
            second.records.put("notes/2", 2)
            order.append("other")

    monkeypatch.setattr(commits, "BARRIER", f"SELECT pg_sleep(1); {barrier}")
    thread = threading.Thread(target=other)
    swarm.transact(lambda tx: (tx.records.put("notes/1", 1), thread.start()))
    order.append("first")
    thread.join(WAIT_S)

    assert ["other", "first"] == order


@pytest.mark.parametrize("durability", ["full", "relaxed"])
def test_only_a_durable_write_waits_for_the_log(postgres_url, durability, monkeypatch):
    asked = []
    execute = psycopg.Cursor.execute

    def noted(self, query, *arguments, **options):
        asked.append(str(query))
        return execute(self, query, *arguments, **options)

    with Swarm.open(postgres_url, agent="a", swarm="s", durability=durability) as swarm:
        monkeypatch.setattr(psycopg.Cursor, "execute", noted)
        swarm.records.put("notes/1", 1)

    sent = [query for query in asked if "; COMMIT" in query]
    assert [durability == "full"] == [commits.BARRIER in query for query in sent]


def test_a_turn_does_not_end_with_a_wait_for_the_disk(swarm):
    def ask(tx):
        tx.records.put("notes/1", 1)
        tx.tx.all("record_head", swarm="s", key="notes/1")  # sends what waits
        return tx.tx._cursor.execute("SHOW synchronous_commit").fetchone()

    assert ("off",) == swarm.transact(ask)


def test_who_has_its_turn_sees_what_was_committed_while_it_waited(postgres_url, work):
    # Whatever the database's own isolation level is: a snapshot of before would lose their writes.
    url = f"{postgres_url}%20-cdefault_transaction_isolation%3Dserializable"
    with Swarm.open(url, agent="a", swarm="s") as swarm:
        swarm.records.put("notes/count", 0)

        def count():
            for _ in range(TIMES):
                swarm.transact(
                    lambda tx: tx.records.put(
                        "notes/count", tx.records.get("notes/count").value + 1
                    )
                )

        threads = [threading.Thread(target=count) for _ in range(PROCESSES)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)

        assert PROCESSES * TIMES == swarm.records.get("notes/count").value


def test_only_who_has_listeners_tells_them(swarm, postgres_url):
    told = []
    with psycopg.connect(postgres_url, autocommit=True) as db:
        db.execute(f"LISTEN {swarm._engine._address.namespace}")  # and does not say so
        swarm.records.put("notes/1", 1)
        told.append(len(list(db.notifies(timeout=0.2))))
        with Swarm.open(postgres_url, agent="b", swarm="s") as other:
            other._engine.wait(other._engine.version(), 0.01)
            swarm.records.put("notes/1", 2)
            told.append(len(list(db.notifies(timeout=WAIT_S, stop_after=1))))

    assert [0, 1] == told


# --- clients that stop, and connections that break -----------------------------------------------


def test_a_client_that_stops_inside_a_transaction_is_ended_by_the_server(
    swarm, work, postgres_url, monkeypatch
):
    monkeypatch.setattr(address, "IDLE_IN_TRANSACTION_S", 1)
    url = f"{postgres_url}%20-cidle_in_transaction_session_timeout%3D1000"
    holder = work("hold", url=url)
    assert "inside\n" == holder.stdout.readline()
    os.kill(holder.pid, signal.SIGSTOP)

    swarm.records.put("notes/1", 1)

    assert swarm.records.get("notes/held") is None


def test_who_cannot_have_the_lock_in_time_is_told(postgres_url, work, swarm):
    holder = work("hold")
    assert "inside\n" == holder.stdout.readline()
    with (
        Swarm.open(postgres_url, agent="b", swarm="s", busy_timeout_s=0.2) as other,
        pytest.raises(EngineBusyError) as caught,
    ):
        other.records.put("notes/1", 1)

    assert caught.value.retryable


def test_a_lost_connection_is_replaced_and_nothing_is_done_twice(swarm, postgres_url):
    swarm.records.put("notes/1", 1)
    with admin(postgres_url) as db:
        db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND application_name = 'swarm-memory'"
        )

    assert 2 == swarm.records.put("notes/1", 2).version


def test_a_transaction_in_which_a_statement_failed_is_not_taken_for_written(swarm):
    def write(tx):
        tx.records.put("notes/1", 1)
        with suppress(psycopg.errors.DivisionByZero):
            tx.tx._cursor.execute("SELECT 1 / 0")

    with pytest.raises(EngineUnavailableError, match="nothing was written"):
        swarm.transact(write)
    assert swarm.records.get("notes/1") is None


def test_what_was_prepared_outlives_a_transaction_that_was_undone(swarm):
    swarm.records.put("notes/1", 1)
    for _ in range(12):  # as often as any driver takes until it prepares by itself
        swarm.records.get("notes/1")
    with pytest.raises(ZeroDivisionError):
        swarm.transact(lambda tx: tx.records.get("notes/1").value / 0)

    assert 1 == swarm.records.get("notes/1").value
    assert 2 == swarm.records.put("notes/1", 2).version


def test_a_forked_child_uses_connections_of_its_own(swarm):
    swarm.records.put("notes/1", 1)
    child = os.fork()
    if child == 0:
        try:
            swarm.records.put("notes/child", 1)
            os._exit(0)
        finally:
            os._exit(1)

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert 2 == swarm.records.put("notes/1", 2).version
    assert 1 == swarm.records.get("notes/child").value


# --- servers that die ----------------------------------------------------------------------------


def test_what_was_acknowledged_outlives_a_killed_server_and_is_there_once(work, postgres):
    del postgres  # where none can be had, this is skipped, too
    with server() as running:
        url = running.url("s")
        with Swarm.open(url, agent="a", swarm="s"):
            pass
        workers = [work("put", f"w{n}", url=url) for n in range(3)]
        acknowledged = {}
        readers = [
            threading.Thread(target=_follow, args=(f"w{n}", worker, acknowledged))
            for n, worker in enumerate(workers)
        ]
        for reader in readers:
            reader.start()
        for _ in range(3):
            before = dict(acknowledged)
            until(
                lambda before=before: all(
                    acknowledged.get(f"w{n}", -1) > before.get(f"w{n}", -1) + 5 for n in range(3)
                )
            )
            running.kill()
            _restart(running)
        for worker in workers:
            worker.kill()
        for reader in readers:
            reader.join(WAIT_S)
        with Swarm.open(url, agent="a", swarm="s") as swarm:
            for name, newest in acknowledged.items():
                found = [swarm.records.get(f"notes/{name}/{n}") for n in range(newest + 1)]
                assert [(n, 1) for n in range(newest + 1)] == [(r.value, r.version) for r in found]


def _follow(name, worker, acknowledged):
    for line in worker.stdout:
        acknowledged[name] = int(line)


def _restart(running: Server):
    """Start it again; its other processes may take a moment to notice and to end."""
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            running.start()
            return
        except EngineUnavailableError:
            assert time.monotonic() < deadline


def test_a_server_that_cannot_be_reached_is_named_without_the_password(tmp_path):
    url = f"postgresql://me:hunter2@/db?host={tmp_path}"

    with pytest.raises(EngineUnavailableError) as caught:
        open_engine(url, busy_timeout_s=0.1)

    assert "hunter2" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert caught.value.retryable


# --- the schema ----------------------------------------------------------------------------------


def test_a_role_that_may_not_create_opens_what_is_there(postgres_url, swarm):
    swarm.records.put("notes/1", 1)
    schema = swarm._engine._address.namespace
    with admin(postgres_url) as db:
        db.execute(f"CREATE ROLE reader_{schema} LOGIN")
        db.execute(f"GRANT USAGE ON SCHEMA {schema} TO reader_{schema}")
        db.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO reader_{schema}")

    with Swarm.open(postgres_url.replace("postgres@", f"reader_{schema}@"), swarm="s") as reader:
        assert 1 == reader.records.get("notes/1").value
        with pytest.raises(EngineUnavailableError, match="permission"):
            reader.records.put("notes/2", 2)


def test_a_newer_schema_is_refused(postgres_url, swarm):
    with psycopg.connect(postgres_url, autocommit=True) as db:
        db.execute("INSERT INTO migrations VALUES (999, 'later', '', 0)")

    with pytest.raises(SchemaError) as caught:
        Swarm.open(postgres_url)

    assert 999 == caught.value.found


def test_many_who_open_a_new_store_at_once_make_it_once(postgres_url):
    opened, failed = [], []

    def open_it():
        try:
            with Swarm.open(postgres_url, agent="a", swarm="s") as swarm:
                opened.append(swarm.records.put(f"notes/{threading.get_ident()}", 1).version)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=open_it) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)

    assert ([1] * 8, []) == (opened, failed)


def test_keys_have_the_order_of_their_bytes(swarm):
    keys = ["notes/B", "notes/a", "notes/Z", "notes/_", "notes/0"]
    for key in keys:
        swarm.records.put(key, 1)

    assert sorted(keys) == [record.key for record in swarm.records.scan("notes/")]


def test_a_url_that_is_none_is_refused():
    with pytest.raises(InvalidArgumentError):
        open_engine("postgresql://[half")
