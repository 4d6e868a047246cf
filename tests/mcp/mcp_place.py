"""A folder with a store, and MCP servers that serve it as a client starts them."""

import os
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from mcp import Client, StdioServerParameters
from mcp_types import Implementation

COMMAND = str(Path(sys.executable).with_name("swarm-memory"))


class Place:
    """A folder with a store, and the clients of servers that serve it."""

    def __init__(self, folder):
        self.folder = folder
        self.url = f"sqlite:///{folder}/memory.db"

    def environment(self, **more):
        return {**os.environ, "SWARM_MEMORY_URL": self.url, **more}

    def parameters(self, *arguments, **environment):
        return StdioServerParameters(
            command=COMMAND, args=["mcp", *arguments], env=self.environment(**environment)
        )

    @asynccontextmanager
    async def client(self, *arguments, mode="auto", handler=None, name=None, **environment):
        options = {}
        if name is not None:
            options["client_info"] = Implementation(name=name, version="1")
        parameters = self.parameters(*arguments, **environment)
        async with Client(parameters, mode=mode, message_handler=handler, **options) as client:
            yield client
