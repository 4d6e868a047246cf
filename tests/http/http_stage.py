"""A stage whose hooks are answered by a real `swarm-memory serve`, somewhere else than the project.

The server is started outside of the project and with the variables of a Claude Code session, which
say nothing about the sessions that it serves.
"""

import errno
import json
import os
import socket
import subprocess
import time
from collections import namedtuple

import httpx2
from hook_replay import COMMAND, WAIT_S, Stage

Ran = namedtuple("Ran", "returncode")


class HttpStage(Stage):
    """Hooks by HTTP in the place of processes, else the same stage."""

    def __init__(self, folder):
        super().__init__(folder)
        self.server = None

    def start(self, *arguments, port=0, cwd=None, **environment):
        """Start a server, and return when it says that it serves."""
        self.server = subprocess.Popen(
            [COMMAND, "--json", "serve", "--port", str(port), *arguments],
            stdout=subprocess.PIPE,
            env={**self.environment, **environment},
            cwd=cwd or self.folder,
        )
        served = json.loads(self.server.stdout.readline())
        self.base, self.mcp = served["url"], served["mcp"]
        self.port = int(self.base.rpartition(":")[2])
        return self

    def kill(self):
        """Kill the server, if there is one."""
        if self.server is not None:
            self.server.kill()
            self.server.wait(WAIT_S)
            self.server.stdout.close()

    def post(self, raw, path="/hook", **headers):
        """Post an event as Claude Code does; return the response, whatever it is."""
        named = {"Content-Type": "application/json"} | headers
        return httpx2.post(f"{self.base}{path}", content=raw, headers=named, timeout=WAIT_S)

    def process(self, event, *arguments, cwd=None, **environment):
        """Answer an event by HTTP; it succeeds."""
        response = self.post(self.raw(event))
        assert 200 == response.status_code
        return response.text

    def run(self, raw, *arguments, cwd=None, **environment):
        """Answer an event by a server that dies of it; another one goes on after it."""
        self.kill()
        self.start(**environment)
        try:
            self.post(raw)
        except httpx2.TransportError:  # it died before it answered
            status = self.server.wait(WAIT_S)
        else:
            status = 0
        self.kill()
        self.start()
        return Ran(status)


class Held:
    """A project in which answering an event takes until it is let go.

    Whoever looks for the branch waits for the head of the repository, which is a pipe.
    """

    def __init__(self, folder):
        self.folder = folder
        (folder / ".git").mkdir(parents=True)
        self._head = folder / ".git" / "HEAD"
        os.mkfifo(self._head)

    def event(self, **fields):
        return {"session_id": "held", "cwd": str(self.folder)} | fields

    def entered(self):
        """Wait until an event is being answered; return what lets it go."""
        return until(self._writer)

    def _writer(self):
        try:
            return os.open(self._head, os.O_WRONLY | os.O_NONBLOCK)
        except OSError as error:
            assert errno.ENXIO == error.errno  # nobody reads it yet
            return None

    @staticmethod
    def let_go(writer):
        os.write(writer, b"ref: refs/heads/slow\n")
        os.close(writer)


def until(ask):
    """Ask until the answer is not None, within a bounded time."""
    end = time.monotonic() + WAIT_S
    while (answer := ask()) is None:
        assert time.monotonic() < end
        time.sleep(0.01)
    return answer


def refused(port):
    """Return True if nobody listens at a port, else None."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=WAIT_S).close()
    except ConnectionRefusedError:
        return True
    return None
