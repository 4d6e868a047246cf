"""The verb `mcp`: the memory as a Model Context Protocol server on standard input and output."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from swarm_memory.doors.cli.frame import Door, verb
from swarm_memory.doors.cli.store import PANEL
from swarm_memory.errors import ConfigError
from swarm_memory.swarm import DEFAULT_AGENT

DEFAULT, FULL = "default", "full"


@verb("mcp", PANEL)
def mcp(
    door: Door,
    tools: Annotated[
        str, typer.Option(metavar="WHICH", help=f"{DEFAULT} (8 tools) or {FULL}.")
    ] = DEFAULT,
) -> None:
    """Serve the memory to an agent by the Model Context Protocol, on standard input and output.

    It ends with its input. Who acts is the agent of --agent or SWARM_MEMORY_AGENT, else the
    session of SWARM_MEMORY_SESSION or Claude Code, else one of the server's own.

    Example: swarm-memory mcp --tools full
    """
    if tools not in (DEFAULT, FULL):
        raise typer.BadParameter(f"--tools is {DEFAULT} or {FULL}")
    try:
        from swarm_memory.doors.mcp.acting import named_in
        from swarm_memory.doors.mcp.stdio import serve_stdio
    except ImportError as error:
        raise ConfigError(
            f"the MCP server cannot be loaded: {error}",
            hint="pip install 'swarm-memory[server]'",
        ) from error
    named = named_in(os.environ)._replace(url=door.url, swarm=door.swarm)
    if door.agent != DEFAULT_AGENT:
        named = named._replace(agent=door.agent)
    serve_stdio(named, everything=tools == FULL)
