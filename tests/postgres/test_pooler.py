"""Behind PgBouncer, which gives each transaction whatever connection is free."""

import os
import pwd
import shutil
import socket
import subprocess
import threading
import time

import psycopg
import pytest

from swarm_memory import Swarm
from swarm_memory.errors import EngineBusyError
from swarm_memory.testing import Store, conformance
from swarm_memory.testing.postgres import server

WAIT_S = 60
CONNECTIONS = 3  # fewer than there are clients, so that they take turns
SETTINGS = """
[databases]
postgres = host={folder} port=5432 dbname=postgres user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {size}
{more}
"""


@pytest.fixture(scope="module")
def behind(postgres):
    """Return a server of its own, and what runs PgBouncer in front of it."""
    del postgres
    program = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin")
    if program is None:
        pytest.skip("PgBouncer is not installed")
    running = []
    with server({"fsync": "off"}) as database:

        def start(more=""):
            with socket.create_server(("127.0.0.1", 0)) as free:
                port = free.getsockname()[1]
            path = f"{database.folder}/pgbouncer-{port}.ini"
            with open(path, "w", encoding="utf-8") as file:
                file.write(
                    SETTINGS.format(folder=database.folder, port=port, size=CONNECTIONS, more=more)
                )
            options = []
            if os.geteuid() == 0:
                os.chmod(path, 0o644)
                options = ["-u", pwd.getpwuid(os.stat(database.folder).st_uid).pw_name]
            command = [program, "-q", *options, path]
            running.append(subprocess.Popen(command, stderr=subprocess.DEVNULL))
            url = f"postgresql://postgres@127.0.0.1:{port}/postgres"
            _until_it_answers(url)
            return url

        yield database, start
        for process in running:
            process.terminate()
            process.wait(WAIT_S)


def _until_it_answers(url):
    deadline = time.monotonic() + WAIT_S
    while True:
        try:
            psycopg.connect(url).close()
            return
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.fixture(scope="module", params=["", "ignore_startup_parameters = options"])
def pooler(request, behind):
    """Return the URL of a pooler that refuses what connections are made with, or drops it."""
    return behind[1](request.param)


@pytest.fixture
def url(pooler, request):
    return f"{pooler}?options=-csearch_path%3Dt{abs(hash(request.node.nodeid)):x}"


@pytest.mark.parametrize("check", conformance.checks(), ids=lambda check: check.__name__)
def test_a_store_behind_a_pooler_keeps_every_promise(check, url):
    store = Store(url)
    try:
        check(store)
    finally:
        store.close()


def test_more_threads_than_connections_lose_nothing(url):
    with Swarm.open(url, agent="a", swarm="s") as swarm:
        swarm.records.put("notes/count", 0)

        def count():
            for _ in range(10):
                swarm.transact(
                    lambda tx: tx.records.put(
                        "notes/count", tx.records.get("notes/count").value + 1
                    )
                )

        threads = [threading.Thread(target=count) for _ in range(3 * CONNECTIONS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)

        assert 30 * CONNECTIONS == swarm.records.get("notes/count").value


def test_who_waits_behind_a_pooler_hears_of_it(url):
    with Swarm.open(url, agent="a", swarm="s") as swarm:
        seen = []

        def watch():
            for event in swarm.watch("notes/", since=0, timeout_s=WAIT_S):
                seen.append(event.key)
                break

        watching = threading.Thread(target=watch)
        watching.start()
        swarm.records.put("notes/1", 1)
        watching.join(WAIT_S)

    assert ["notes/1"] == seen


def test_beside_the_pooler_it_listens_at_the_server_itself(behind, url):
    database, _ = behind
    url = f"{url}&listen_host={database.folder}&listen_port=5432"
    with Swarm.open(url, agent="a", swarm="s") as swarm:
        swarm._engine.wait(swarm._engine.version(), 0.01)

        assert swarm._engine._address.pooled
        assert database.folder == swarm._engine._local.listener._connection.info.host


def test_limits_hold_behind_a_pooler(url):
    with Swarm.open(url, agent="a", swarm="s") as swarm:
        inside, over = threading.Event(), threading.Event()
        holding = threading.Thread(
            target=lambda: swarm.transact(
                lambda tx: (tx.records.get("notes/1"), inside.set(), over.wait(WAIT_S))
            )
        )
        holding.start()
        assert inside.wait(WAIT_S)
        try:
            with Swarm.open(url, agent="b", swarm="s", busy_timeout_s=0.2) as other:
                with pytest.raises(EngineBusyError):
                    other.records.put("notes/1", 1)
        finally:
            over.set()
            holding.join(WAIT_S)
