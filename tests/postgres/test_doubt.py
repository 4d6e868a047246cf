"""Commits whose answer is lost, and servers that say nothing: real ones, broken and frozen."""

import os
import signal
import threading
import time
from contextlib import contextmanager, suppress

import psycopg
import pytest

from swarm_memory import Swarm
from swarm_memory.engine.postgres import commits, connections
from swarm_memory.engine.postgres.commits import Commits
from swarm_memory.engine.postgres.texts import Texts
from swarm_memory.errors import AmbiguousCommitError, EngineUnavailableError
from swarm_memory.testing.postgres import server

WAIT_S = 60


@pytest.fixture
def swarm(postgres_url):
    with Swarm.open(postgres_url, agent="a", swarm="s") as swarm:
        yield swarm


@pytest.fixture
def own_server(postgres):
    """Return a server that may be broken; skipped where there is none."""
    del postgres
    with server({"fsync": "off"}) as running:
        yield running


def broken(monkeypatch, *, sent, times=1):
    """Break the connection of the next commits, before or after they are sent."""
    patiently = Commits._patiently
    left = [times]

    def breaking(self, connection, cursor, texts):
        if "COMMIT" in texts and connection.turn and left[0]:
            left[0] -= 1
            if sent:
                patiently(self, connection, cursor, texts)
            connection.close()
            raise psycopg.OperationalError("the connection was lost")
        return patiently(self, connection, cursor, texts)

    monkeypatch.setattr(Commits, "_patiently", breaking)


# --- in doubt ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("sent", "runs"), [(True, 1), (False, 2)])
def test_a_commit_whose_answer_is_lost_is_applied_once(swarm, monkeypatch, sent, runs):
    ran = []
    broken(monkeypatch, sent=sent)

    def write(tx):
        ran.append(1)
        return tx.records.put("notes/1", len(ran)).version

    assert 1 == swarm.transact(write)
    assert runs == len(ran)
    assert (1, runs) == (swarm.records.get("notes/1").version, swarm.records.get("notes/1").value)


def test_connections_that_break_again_and_again_lose_nothing_and_do_nothing_twice(
    swarm, monkeypatch
):
    for n in range(12):
        broken(monkeypatch, sent=n % 2 == 0, times=n % 3)
        assert n + 1 == swarm.records.put("notes/1", n).version
        monkeypatch.undo()


def test_another_commit_of_the_same_connection_is_not_taken_for_the_one_in_doubt(swarm):
    # Each has its own number: that an earlier one was done says nothing of this one.
    swarm.records.put("notes/1", 1)
    connection = swarm._engine._pool.take()
    doubt = commits.Doubt(connection.client, connection.turn + 1, True, "")

    assert not swarm._engine._commits.settle(connection, doubt)
    assert swarm._engine._commits.settle(
        connection, commits.Doubt(connection.client, connection.turn, True, "")
    )
    swarm._engine._pool.give(connection)


def test_a_commit_that_no_server_can_speak_of_is_ambiguous_and_settled_by_its_op_id(
    postgres_url, monkeypatch
):
    def unable(self, connection, doubt):
        raise psycopg.OperationalError("gone")

    with Swarm.open(postgres_url, agent="a", swarm="s", busy_timeout_s=0.2) as swarm:
        broken(monkeypatch, sent=True)
        monkeypatch.setattr(Commits, "settle", unable)
        with pytest.raises(AmbiguousCommitError, match="connection was lost"):
            swarm.records.put("notes/1", 1, op_id="once")
        monkeypatch.undo()

        assert 1 == swarm.records.put("notes/1", 1, op_id="once").version
        assert 1 == swarm.records.get("notes/1").version


def test_who_looks_waits_until_the_transaction_in_doubt_is_over(swarm, postgres_url):
    # Its server may still be at work on it when the client has given up.
    with Swarm.open(postgres_url, agent="b", swarm="s") as other:
        pool, turns = other._engine._pool, other._engine._commits
        connection = pool.take()
        cursor = connection.cursor()
        connection.texts.run(cursor, turns.begin(connection))
        cursor.execute(commits.TOLD, {"client": connection.client, "turn": 1, "at_ms": 0})
        said = []
        doubt = commits.Doubt(connection.client, 1, True, "")
        looking = threading.Thread(target=lambda: said.append(swarm._engine._settled(doubt)))
        looking.start()
        with psycopg.connect(postgres_url, autocommit=True) as db:
            until(
                lambda: (
                    db.execute(
                        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                    ).fetchone()
                    != (0,)
                )
            )
        cursor.execute("COMMIT")
        looking.join(WAIT_S)
        pool.give(connection)

    assert [True] == said


def test_a_lease_whose_answer_is_lost_is_held_and_released_once(swarm, monkeypatch):
    of, run = Texts.of, Texts.run
    asked, lost = [], []

    def noting(self, name, sql, parameters):
        asked.extend([name] if name.startswith("lease_") else [])
        return of(self, name, sql, parameters)

    def losing(self, cursor, texts):
        run(self, cursor, texts)
        names = [name for name in asked if name not in lost]
        asked.clear()
        if names:
            lost.append(names[-1])
            cursor.connection.close()
            raise psycopg.OperationalError("the connection was lost")

    swarm.leases.acquire("deploy").release()  # the name is there
    monkeypatch.setattr(Texts, "of", noting)
    monkeypatch.setattr(Texts, "run", losing)
    lease = swarm.leases.acquire("deploy", wait_s=0)
    assert [lease.token] == [seat.token for seat in swarm.leases.list("deploy")]
    lease.release()

    assert {"lease_take", "lease_leave_alone"} <= set(lost)
    assert [] == swarm.leases.list("deploy")


def test_numbers_of_old_connections_are_pruned_and_those_in_use_are_not(swarm):
    swarm.records.put("notes/1", 1)
    connection = swarm._engine._pool.take()
    connection.execute("INSERT INTO turns VALUES (1, 1, 0)")
    swarm._engine._pool.give(connection)
    swarm._engine.maintain()
    connection = swarm._engine._pool.take()
    left = [client for (client,) in connection.execute("SELECT client FROM turns").fetchall()]
    swarm._engine._pool.give(connection)

    assert 1 not in left
    assert connection.client in left


def test_who_was_quiet_while_all_connections_were_lost_notices_nothing(
    swarm, postgres_url, monkeypatch
):
    with psycopg.connect(postgres_url, autocommit=True) as db:
        for call in (
            lambda: swarm.messages.send("hello", to="b"),
            lambda: swarm.leases.acquire("deploy").release(),
            lambda: swarm.search("hello"),
            lambda: swarm.records.put("notes/1", 1),
            lambda: swarm.records.get("notes/1"),
        ):
            call()
            db.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND application_name = 'swarm-memory'"
            )
            swarm._engine._clock_until_s = 0.0  # what it knew of the clock is too old
            call()


def test_who_opens_a_store_waits_for_a_server_that_is_on_its_way(own_server):
    with Swarm.open(own_server.url("s"), agent="a", swarm="s") as swarm:
        swarm.records.put("notes/1", 1)
    own_server.stop()
    url = own_server.url("s")
    hosts = f"host={own_server.folder},{own_server.folder}"
    cluster = url.replace(f"host={own_server.folder}", hosts)
    found = []

    def open_it():
        with Swarm.open(cluster, agent="a", swarm="s") as swarm:
            found.append(swarm.records.get("notes/1").value)

    opening = threading.Thread(target=open_it)
    opening.start()
    own_server.start()
    opening.join(WAIT_S)

    assert [1] == found


# --- standbys that do not answer -----------------------------------------------------------------


@pytest.fixture
def without_standby(own_server):
    """Return a server that waits for a standby which is not there, and its store's URL."""
    with Swarm.open(own_server.url("s"), agent="a", swarm="s") as swarm:
        swarm.records.put("notes/1", 0)
    with psycopg.connect(own_server.url(), autocommit=True) as db:
        db.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
        db.execute("SELECT pg_reload_conf()")
        yield own_server, db


def test_what_the_standby_has_not_confirmed_is_not_acknowledged(without_standby):
    running, _ = without_standby
    with Swarm.open(running.url("s"), agent="a", swarm="s", busy_timeout_s=0.5) as swarm:
        with pytest.raises(AmbiguousCommitError):
            swarm.records.put("notes/1", 1)


def test_a_wait_for_the_standby_that_is_cancelled_is_no_success(without_standby):
    # The server says COMMIT all the same, with a warning: what it has may be lost with it.
    running, db = without_standby
    over = threading.Event()

    def cancel():
        while not over.wait(0.05):
            db.execute(
                "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
            )

    cancelling = threading.Thread(target=cancel)
    cancelling.start()
    try:
        with Swarm.open(running.url("s"), agent="a", swarm="s", busy_timeout_s=1) as swarm:
            with pytest.raises(AmbiguousCommitError, match="synchronous replication"):
                swarm.records.put("notes/1", 1, op_id="once")
            with pytest.raises(AmbiguousCommitError):  # nor is it when it finds its op_id
                swarm.records.put("notes/1", 1, op_id="once")
            with pytest.raises(EngineUnavailableError, match="synchronous replication"):
                swarm._engine.flush()
    finally:
        over.set()
        cancelling.join(WAIT_S)


# --- servers that say nothing --------------------------------------------------------------------


@contextmanager
def frozen(running):
    """Stop all processes of a server, so that its kernel alone answers."""
    with open(f"{running.folder}/data/postmaster.pid", encoding="ascii") as file:
        first = int(file.readline())
    pids = [first, *(int(pid) for pid in os.listdir("/proc") if pid.isdecimal())]
    pids = [pid for pid in pids if pid == first or parent(pid) == first]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def parent(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return int(file.read().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def until(holds):
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_nobody_waits_for_ever_for_a_server_that_is_frozen(own_server, monkeypatch):
    monkeypatch.setattr(connections, "SILENT_S", 0.2)
    with Swarm.open(own_server.url("s"), agent="a", swarm="s", busy_timeout_s=1) as swarm:
        swarm.records.put("notes/1", 1)
        with frozen(own_server):
            with pytest.raises(EngineUnavailableError):
                swarm.records.get("notes/1")
            with pytest.raises(EngineUnavailableError):
                swarm.records.put("notes/1", 2)

        assert 2 == swarm.records.put("notes/1", 2).version


def test_a_pause_of_the_server_is_only_a_pause(own_server, monkeypatch):
    monkeypatch.setattr(connections, "SILENT_S", 0.2)
    with Swarm.open(own_server.url("s"), agent="a", swarm="s") as swarm:
        swarm.records.put("notes/1", 1)
        versions = []
        with frozen(own_server):
            writing = threading.Thread(
                target=lambda: versions.append(swarm.records.put("notes/1", 2).version)
            )
            writing.start()
            writing.join(5)  # it gives one connection up meanwhile
        writing.join(WAIT_S)

    assert [2] == versions


def test_a_statement_may_take_its_time_as_long_as_its_server_lives(swarm, monkeypatch):
    monkeypatch.setattr(connections, "SILENT_S", 0.1)

    def write(tx):
        tx.tx._cursor.execute("SELECT pg_sleep(1)")
        return tx.records.put("notes/1", 1).version

    assert 1 == swarm.transact(write)
