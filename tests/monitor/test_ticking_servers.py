"""Servers end cleanly while they tick, whatever ends them, and hand in what they counted."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("mcp", reason="the extra [server] is not installed")

from swarm_memory import Swarm
from swarm_memory.duties import is_attended

COMMAND = str(Path(sys.executable).with_name("swarm-memory"))
WAIT_S = 60
SIGNALS = [signal.SIGTERM, signal.SIGINT]
BEGIN = [
    {
        "method": "initialize",
        "id": 1,
        "params": {
            "protocolVersion": "2025-11-25",
            "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"},
        },
    },
    {"method": "notifications/initialized", "params": {}},
    {
        "method": "tools/call",
        "id": 2,
        "params": {"name": "lock", "arguments": {"name": "deploy"}},
    },
]


class Ticking:
    """A store, and real servers that tick for it: each has taken a sample when it is returned."""

    def __init__(self, folder):
        self.url = f"sqlite:///{folder}/memory.db"
        self.folder = folder
        self.environment = os.environ | {
            "SWARM_MEMORY_URL": self.url,
            "SWARM_MEMORY_MONITOR_INTERVAL_S": "1",
        }
        self.begun = []
        self.swarm = Swarm.open(self.url)

    def start(self, *arguments):
        process = subprocess.Popen(
            [COMMAND, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environment,
            cwd=self.folder,
        )
        self.begun.append(process)
        return process

    def serve(self):
        process = self.start("--json", "serve", "--port", "0")
        base = json.loads(process.stdout.readline())["api"]
        self.put(base)
        return process

    def put(self, base):
        import httpx2

        place = f"{base}/swarms/default/records/a%2Fb"
        assert 200 == httpx2.put(place, json={"value": 1}, timeout=WAIT_S).status_code

    def mcp(self):
        process = self.start("mcp")
        for message in BEGIN:
            process.stdin.write(json.dumps({"jsonrpc": "2.0", **message}).encode() + b"\n")
            process.stdin.flush()
        while json.loads(process.stdout.readline()).get("id") != 2:
            pass
        return process

    def begin(self, what):
        """Start a server, and return it when it has taken a sample since it was asked."""
        taken = len(self.swarm.monitor.series())
        process = getattr(self, what)()
        until(lambda: len(self.swarm.monitor.series()) > taken)
        return process

    def close(self):
        for process in self.begun:
            if process.poll() is None:
                process.kill()
            process.wait(WAIT_S)
            for stream in (process.stdin, process.stdout, process.stderr):
                stream.close()
        self.swarm.close()


def until(true):
    over_s = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < over_s
        time.sleep(0.02)


@pytest.fixture
def ticking(tmp_path, monkeypatch):
    monkeypatch.setenv("SWARM_MEMORY_MONITOR_INTERVAL_S", "1")
    ticking = Ticking(tmp_path)
    yield ticking
    ticking.close()


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize(("what", "status"), [("serve", 0), ("mcp", 128)])
def test_a_signal_ends_a_server_that_ticks(ticking, what, status, number):
    process = ticking.begin(what)

    process.send_signal(number)

    assert (status and status + number) == process.wait(WAIT_S)
    ends_well(ticking, process)


def test_the_end_of_its_input_ends_a_server_that_ticks(ticking):
    process = ticking.begin("mcp")

    process.stdin.close()

    assert 0 == process.wait(WAIT_S)
    ends_well(ticking, process)


def ends_well(ticking, process):
    """Nothing was said, the mark is gone, the store is whole, and its call is in the samples."""
    assert b"Traceback" not in process.stderr.read()
    assert not is_attended(ticking.swarm)
    assert ticking.swarm.verify().ok
    ticking.swarm.monitor.take()
    samples = ticking.swarm.monitor.series()
    assert 1 == sum(sample.calls(verb) for sample in samples for verb in ("put", "acquire"))


@pytest.mark.parametrize("first", ["serve", "mcp"])
def test_the_samples_of_a_killed_server_are_taken_by_another(ticking, first):
    process = ticking.begin(first)
    other = ticking.begin("mcp")
    process.kill()
    process.wait(WAIT_S)
    taken = len(ticking.swarm.monitor.series())

    until(lambda: len(ticking.swarm.monitor.series()) > taken)

    assert None is other.poll()
