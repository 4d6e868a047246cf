"""The verb `serve`: one process that answers programs, hooks and MCP clients over HTTP."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from swarm_memory.doors.cli.frame import Door, verb
from swarm_memory.doors.cli.mcp import DEFAULT, FULL
from swarm_memory.doors.cli.show import cell
from swarm_memory.doors.cli.store import PANEL
from swarm_memory.errors import ConfigError
from swarm_memory.wiring.hooks import HTTP_HOST, HTTP_PORT

if TYPE_CHECKING:
    from rich.console import Console


@verb("serve", PANEL)
def serve(
    door: Door,
    host: Annotated[
        str, typer.Option(metavar="HOST", help="Where to listen; others than this need a token.")
    ] = HTTP_HOST,
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="0 takes a free one.")
    ] = HTTP_PORT,
    name: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Another name it is called by; may be repeated."),
    ] = None,
    rate: Annotated[
        float | None,
        typer.Option(metavar="N", min=0.01, help="Requests a second that one client may make."),
    ] = None,
    tools: Annotated[
        str, typer.Option(metavar="WHICH", help=f"MCP: {DEFAULT} (8 tools) or {FULL}.")
    ] = DEFAULT,
) -> None:
    """Serve the memory over HTTP until SIGTERM or Ctrl-C: to programs, hooks and MCP clients.

    /v1 is the API, which `--url http://HOST:PORT` uses from other machines and /v1/openapi.json
    describes. POST /hook takes the JSON of a hook and answers what the command prints, /mcp is the
    MCP server, GET /metrics is for Prometheus, GET /healthz says that it runs. A hook's store is
    that of the event's cwd, so one server does for all projects; that of the API and MCP is this
    directory's. With --url it is that store for all.

    With SWARM_MEMORY_TOKEN set each request has to bear it: Authorization: Bearer TOKEN. Without
    it only this machine can be served. It may hold several, separated by spaces.

    Example: swarm-memory serve --port 8377
    """
    if tools not in (DEFAULT, FULL):
        raise typer.BadParameter(f"--tools is {DEFAULT} or {FULL}")
    try:
        from swarm_memory.doors.http import serving
        from swarm_memory.doors.http.app import make_app
    except ImportError as error:
        raise ConfigError(
            f"the server cannot be loaded: {error}", hint="pip install 'swarm-memory[server]'"
        ) from error
    environment = dict(os.environ) | {"SWARM_MEMORY_SWARM": door.swarm}
    if door.url is not None:
        environment["SWARM_MEMORY_URL"] = door.url
    if door.named_agent is not None:
        environment["SWARM_MEMORY_AGENT"] = door.named_agent
    token = environment.get("SWARM_MEMORY_TOKEN") or None
    with serving.bound(host, port, token) as listening:
        url = serving.url_of(listening)
        bracketed = f"[{host}]" if ":" in host else host
        app = make_app(
            environment,
            names=[bracketed, *(name or ())],
            token=token,
            rate=rate,
            everything=tools == FULL,
        )
        serving.serve(app, listening, lambda: _show(door, url))


def _show(door: Door, url: str) -> None:
    """Say where it is served, as soon as it is: whoever started it may be waiting for that."""
    served = {"url": url, "api": f"{url}/v1", "hook": f"{url}/hook", "mcp": f"{url}/mcp"}

    def pretty(console: Console) -> None:
        for what, where in served.items():
            console.print(cell(f"{what}: {where}"), soft_wrap=True)

    door.show.result(served, [[what, where] for what, where in served.items()], pretty)
    sys.stdout.flush()
