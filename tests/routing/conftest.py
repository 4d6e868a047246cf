"""What the tests of routing share: stores to move between, a file of routes, and processes."""

import json
import os
import subprocess
import sys
import threading

import pytest

WORKER = os.path.join(os.path.dirname(__file__), "routing_worker.py")
WAIT_S = 60


class Worker:
    """A process that works until it is ended; `told` are its lines."""

    def __init__(self, *arguments):
        self.told = []
        self._more = threading.Condition()
        self._process = subprocess.Popen(
            [sys.executable, WORKER, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self):
        for line in self._process.stdout:
            with self._more:
                self.told.append(line.strip())
                self._more.notify_all()
        with self._more:
            self._more.notify_all()

    def tell(self, more):
        """Wait until it has told so much more than now."""
        with self._more:
            enough = len(self.told) + more
            done = self._more.wait_for(
                lambda: len(self.told) >= enough or self._process.poll() is not None, WAIT_S
            )
        assert done
        assert self._process.poll() is None, self._process.stderr.read()

    def stop(self):
        """Let it end what it does, and return all that it was told is done."""
        self._process.terminate()
        told = self.end()
        assert (0, "") == (self.status, self.errors)
        return told

    def kill(self):
        """Kill it, and return all that it was told is done."""
        self._process.kill()
        return self.end()

    def end(self):
        self._process.wait(WAIT_S)
        self._reader.join(WAIT_S)
        self.status, self.errors = self._process.returncode, self._process.stderr.read()
        self._process.stdout.close()
        self._process.stderr.close()
        return self.told


@pytest.fixture
def worker():
    """Return what starts a process; all are killed at the end."""
    started = []

    def start(*arguments):
        started.append(Worker(*arguments))
        return started[-1]

    yield start
    for each in started:
        if not each._process.stdout.closed:
            each.kill()


@pytest.fixture
def store_url(tmp_path, request):
    """Return what gives the URL of a store that is not there yet, of a kind and by a name."""

    def url(kind, name):
        if kind == "postgresql":
            return request.getfixturevalue("postgres").url(f"{name}_{tmp_path.name[-20:]}")
        return f"sqlite:///{tmp_path}/{name}.db"

    return url


@pytest.fixture
def routes(tmp_path):
    """Return what writes a file of routes and returns its URL."""

    def write(default=None, **swarms):
        path = tmp_path / "routes.json"
        default = {} if default is None else {"default": default}
        path.write_text(json.dumps(default | {"swarms": swarms}))
        return f"routes:{path}"

    return write
