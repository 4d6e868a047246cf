"""The server on standard input and output: for one client, which started it and ends it.

Nothing but the protocol is written to standard output: what else would be, by whatever library,
goes to standard error. The end of the input ends the server and its session, as SIGTERM does.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import anyio
from mcp.server.stdio import stdio_server

from swarm_memory.doors.mcp.server import make_server

if TYPE_CHECKING:
    from swarm_memory.doors.mcp.acting import Named

SIGNALS = (signal.SIGTERM, signal.SIGINT)
SIGNALLED = 128  # and the signal's number: how a shell tells which one ended a program


def serve_stdio(named: Named, *, everything: bool = False) -> None:
    """Serve one client until it closes the input or a signal asks for the end."""
    anyio.run(_serve, named, everything)


async def _serve(named: Named, everything: bool) -> None:
    server = make_server(named, everything=everything)
    ended_by: list[int] = []

    async def end_on_signal(scope: anyio.CancelScope) -> None:
        with anyio.open_signal_receiver(*SIGNALS) as signals:
            async for number in signals:
                ended_by.append(number)
                scope.cancel()
                return

    async with stdio_server() as (received, sent):
        async with anyio.create_task_group() as group:
            group.start_soon(end_on_signal, group.cancel_scope)
            await server.run(received, sent, server.create_initialization_options())
            group.cancel_scope.cancel()
        if ended_by:
            # A thread reads the input until the client closes it, and cannot be stopped. All
            # that had to be closed is: nothing is left to wait for.
            os._exit(SIGNALLED + ended_by[0])
