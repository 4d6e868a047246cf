"""Connections to PostgreSQL that are given up are closed then, not when a collector comes by."""

import os
import threading
import time
import uuid

import psycopg
import pytest

from swarm_memory import Swarm
from swarm_memory.engine import open_engine, postgres
from swarm_memory.errors import EngineUnavailableError

WAIT_S = 10


@pytest.fixture
def engine(postgres_url):
    engine = open_engine(postgres_url)
    yield engine
    engine.close()


@pytest.fixture
def after_connecting(engine, monkeypatch):
    """Return a function: what it is given happens once, right after the engine has connected."""
    connect = engine._pool.connect
    made = []

    def arrange(happens):
        def connect_and_then(**options):
            connection = connect(**options)
            made.append(connection)
            if len(made) == 1:
                happens(connection)
            return connection

        monkeypatch.setattr(engine._pool, "connect", connect_and_then)
        return made

    return arrange


def test_a_listener_that_connects_while_the_engine_is_closed_is_closed_too(
    engine, after_connecting
):
    version = engine.version()
    made = after_connecting(lambda _: engine.close())

    with pytest.raises(EngineUnavailableError, match="was closed"):
        engine.wait(version, WAIT_S)

    assert [True] == [connection.closed for connection in made]


def test_a_listener_whose_connection_breaks_at_once_is_closed_and_replaced(
    engine, after_connecting, postgres_url
):
    def break_it(connection):
        with psycopg.connect(postgres_url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", (connection.info.backend_pid,))

    version = engine.version()
    made = after_connecting(break_it)

    assert version == engine.wait(version, 0.01)
    # All idle ones are given up then, so the last may be followed by those of statements.
    assert made[0].closed
    assert not made[-1].closed


def test_a_thread_that_waits_ends_with_its_connection_when_the_engine_is_closed(
    engine, after_connecting
):
    version = engine.version()
    listens, errors = threading.Event(), []
    made = after_connecting(lambda _: listens.set())

    def wait():
        try:
            engine.wait(version, WAIT_S)
        except EngineUnavailableError as error:
            errors.append(error)  # and with it the frames in which the connection was

    thread = threading.Thread(target=wait)
    thread.start()
    assert listens.wait(WAIT_S)
    engine.close()
    thread.join(WAIT_S)

    assert [True] == [connection.closed for connection in made]
    assert ["was closed"] == [str(error)[-10:] for error in errors]


def test_a_connection_that_comes_back_while_the_pool_is_closed_is_closed(engine):
    pool = engine._pool
    connection = pool.take()

    class ClosedMeanwhile(list):
        def append(self, item):
            pool.close()
            super().append(item)

    pool._idle = ClosedMeanwhile(pool._idle)
    pool.give(connection)

    assert connection.closed


def test_a_closed_engine_says_so_at_once(engine, monkeypatch):
    monkeypatch.setattr(postgres, "pause", lambda _: pytest.fail("it waits for a closed engine"))
    engine.close()

    with pytest.raises(EngineUnavailableError, match="was closed"):
        engine.version()


def test_a_store_that_cannot_be_looked_into_is_not_left_open(postgres_url, engine):
    del engine  # the store is there
    role = f"r{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        schema = admin.execute("SELECT current_schema()").fetchone()[0]
        admin.execute(f"CREATE ROLE {role} LOGIN")
        admin.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
        admin.execute(f"GRANT SELECT ON {schema}.migrations TO {role}")

        with pytest.raises(EngineUnavailableError, match="permission"):
            Swarm.open(postgres_url.replace("postgres@", f"{role}@"), swarm="s")

        asked = "SELECT pid FROM pg_stat_activity WHERE usename = %s"
        deadline = time.monotonic() + WAIT_S
        while admin.execute(asked, (role,)).fetchall():  # a backend ends after its client
            assert time.monotonic() < deadline
            time.sleep(0.01)


def test_a_forked_child_that_closes_leaves_the_connections_of_its_parent_alone(engine):
    version = engine.version()
    assert version == engine.wait(version, 0.01)
    listens = engine._local.listener._connection
    idle = list(engine._pool._idle)
    child = os.fork()
    if child == 0:
        try:
            engine.close()
            os._exit(0)
        finally:
            os._exit(1)

    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert [(1,)] * (1 + len(idle)) == [
        connection.execute("SELECT 1").fetchone() for connection in (listens, *idle)
    ]
