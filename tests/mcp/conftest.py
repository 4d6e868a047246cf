"""MCP servers as a client starts them: real processes, spoken to by the SDK's own client."""

import anyio
import pytest

pytest.importorskip("mcp", reason="the extra [server] is not installed")

from mcp_place import Place

WAIT_S = 300


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
