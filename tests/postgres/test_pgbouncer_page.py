"""Behind pgbouncer with the configuration of docs/operations-postgresql.md."""

import os
import re
import shutil
import subprocess
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from swarm_memory import Swarm
from swarm_memory.testing.postgres import server

PAGE = Path(__file__).resolve().parents[2] / "docs" / "operations-postgresql.md"
WAIT_S = 60


def until(holds):
    deadline = time.monotonic() + WAIT_S
    while not (found := holds()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found


@pytest.fixture
def pooled_url(postgres):
    """Return the URL of a store behind pgbouncer, with the configuration of the page."""
    del postgres  # skipped where there is none
    program = shutil.which("pgbouncer", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        pytest.skip("pgbouncer is not installed")
    with server({"fsync": "off"}) as running, pooler(running, program):
        yield (
            f"postgresql://postgres@/agents?host={running.folder}&port=6432"
            f"&listen_host={running.folder}&listen_port=5432"
        )


@contextmanager
def pooler(running, program):
    text = re.search(r"^```ini\n(\[databases\].*?)^```$", PAGE.read_text(), re.M | re.S)[1]
    changes = {
        "host=127.0.0.1": f"host={running.folder}",
        "dbname=agents": "dbname=postgres user=postgres",
        "listen_addr = *": f"unix_socket_dir = {running.folder}",
        "auth_type = scram-sha-256": "auth_type = any",
        "auth_file = /etc/pgbouncer/userlist.txt": "",
    }
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    place = Path(running.folder, "pgbouncer.ini")
    place.write_text(text)
    place.chmod(0o644)
    process = subprocess.Popen([program, str(place)], stderr=subprocess.DEVNULL, **as_it(running))
    try:
        socket = Path(running.folder, ".s.PGSQL.6432")
        until(lambda: socket.exists() or process.poll() is not None)
        assert process.poll() is None
        yield
    finally:
        process.terminate()
        process.wait(WAIT_S)


def test_behind_pgbouncer_with_the_configuration_of_the_page_agents_write_and_wait(pooled_url):
    with Swarm.open(pooled_url, agent="a", swarm="s") as swarm:
        for number in range(20):
            swarm.records.put("notes/1", number)
        threads = [
            threading.Thread(target=swarm.records.put, args=(f"notes/t{n}", n)) for n in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT_S)
        swarm.messages.send("work", topic="jobs")
        found = swarm.messages.claim("jobs", wait_s=5)

        assert 20 == swarm.records.get("notes/1").version
        assert 9 == swarm.records.count()[0]
        assert ["work"] == [message.body for message in found]


def as_it(running):
    """Return how to run a program as the account that the server runs as."""
    return {} if running._account is None else {"user": running._account}
