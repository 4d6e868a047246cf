"""The dashboard beside a program: it is served while that runs, and ends with it."""

import os
import re

import httpx2

from swarm_memory import Swarm
from swarm_memory.doors.cli.watching import Watched


def test_the_dashboard_of_a_store_is_served_and_ends_with_its_block(tmp_path, capfd):
    url = f"sqlite:///{tmp_path}/memory.db"
    with Swarm.open(url, swarm="watched") as swarm:
        swarm.records.put("notes/a", 1)
        with Watched(no_open=True) as watched:
            watched.begin(url, "watched")
            address, token = said(capfd.readouterr().err)
            headers = {"Authorization": f"Bearer {token}"}
            page = httpx2.get(f"{address}/ui/", timeout=30)
            data = httpx2.get(f"{address}/ui/data/start", headers=headers, timeout=30)
            pid = watched._process.pid

    assert 200 == page.status_code
    assert "watched" in data.json()["swarms"]
    assert not runs(pid)


def said(words):
    found = re.search(r"(http://[^/\s]+)/ui/#token=([^&\s]+)", words)
    return found[1], found[2]


def runs(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
