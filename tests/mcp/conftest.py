"""MCP servers as a client starts them: real processes, spoken to by the SDK's own client."""

import socket
import subprocess
import sys

import anyio
import pytest

pytest.importorskip("mcp", reason="the extra [server] is not installed")

from mcp_place import Place

WAIT_S = 300
SERVE = """
import os, sys, uvicorn
from swarm_memory.doors.mcp.acting import named_in
from swarm_memory.doors.mcp.http import HOST, http_app
app = http_app(named_in(os.environ))
uvicorn.run(app, fd=int(sys.argv[1]), log_level="error")
"""


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


@pytest.fixture
def run():
    """Run an async function to its end, within a bounded time."""

    def run(fn, *arguments):
        async def bounded():
            with anyio.fail_after(WAIT_S):
                return await fn(*arguments)

        return anyio.run(bounded)

    return run


@pytest.fixture
def served(place):
    """Serve the place on a port that the system chose; return the URL and the process."""
    with socket.socket() as listening:
        # Bound and listening before the server is there, so that nobody comes too early.
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        descriptor = listening.fileno()
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(descriptor)],
            pass_fds=[descriptor],
            env=place.environment(),
        )
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/mcp", process
    process.kill()
    process.wait()
