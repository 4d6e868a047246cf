"""A server of the dashboard, as somebody starts it: a process on a free port."""

import os
import subprocess
import sys

import httpx2

COMMAND = [sys.executable, "-c", "from swarm_memory.doors.command import main; main()"]


def environment(**more):
    """Return the variables of this process without those of a store or a session."""
    plain = {n: v for n, v in os.environ.items() if not n.startswith("SWARM_MEMORY_")}
    return plain | more


class Server:
    """`swarm-memory serve` on a store; `start` again takes the same port."""

    def __init__(self, url, folder, token=None):
        self.store, self.folder, self.token = url, folder, token
        self.port, self.process = 0, None

    def start(self):
        more = {"SWARM_MEMORY_TOKEN": self.token} if self.token else {}
        self.process = subprocess.Popen(
            [*COMMAND, "--url", self.store, "serve", "--port", str(self.port)],
            stdout=subprocess.PIPE,
            env=environment(**more),
            cwd=self.folder,
            text=True,
        )
        self.base = self.process.stdout.readline().split()[1]
        self.port = int(self.base.rpartition(":")[2])
        return self

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process.stdout.close()
            self.process = None

    def ask(self, path, method="GET", **more):
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        more["headers"] = headers | more.get("headers", {})
        return httpx2.request(method, self.base + path, timeout=10, **more)
