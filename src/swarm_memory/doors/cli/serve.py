"""The verbs `serve` and `ui`: one process that answers programs, hooks, MCP clients and people."""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from contextlib import ExitStack, contextmanager
from functools import partial
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarm_memory.doors.cli.frame import Door, verb
from swarm_memory.doors.cli.mcp import DEFAULT, FULL
from swarm_memory.doors.cli.show import cell
from swarm_memory.doors.cli.store import PANEL
from swarm_memory.errors import ConfigError
from swarm_memory.swarm import DEFAULT_SWARM
from swarm_memory.wiring.hooks import HTTP_HOST, HTTP_PORT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.console import Console

TOKEN_BYTES = 24
ANSWER_S_MAX, ANSWER_BYTES_MAX = 2.0, 1000  # of who says whether a server runs
OPENING_S, READING_S = 30.0, 3.0  # until a browser is started, and has read where to go


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
    MCP server, /ui the dashboard, GET /metrics is for Prometheus, GET /healthz says that it runs. A
    hook's store is that of the event's cwd, so one server does for all projects; that of all else
    is this directory's. With --url it is that store for all.

    With SWARM_MEMORY_TOKEN set each request has to bear it: Authorization: Bearer TOKEN. Without
    it only this machine can be served. It may hold several, separated by spaces.

    Example: swarm-memory serve --port 8377
    """
    if tools not in (DEFAULT, FULL):
        raise typer.BadParameter(f"--tools is {DEFAULT} or {FULL}")
    token = os.environ.get("SWARM_MEMORY_TOKEN") or None
    more: dict[str, Any] = {"names": name or (), "rate": rate, "everything": tools == FULL}
    _serve(door, host, port, token, partial(_show, door), **more)


@verb("ui", PANEL)
def ui(
    door: Door,
    port: Annotated[
        int, typer.Option(metavar="N", min=0, max=65535, help="0 takes a free one.")
    ] = HTTP_PORT,
    no_open: Annotated[
        bool, typer.Option("--no-open", help="Print the address only; open no browser.")
    ] = False,
) -> None:
    """Show the dashboard in a browser: who does what, the memory, what agents were shown.

    A server that runs at the port is used: it shows its own store, and lets you change something
    if it has a token and SWARM_MEMORY_TOKEN holds it. Else one is started here, as serve does, and
    runs until Ctrl-C. It makes a token of its own, which the address bears, so whoever has the
    address can change the memory.

    Example: swarm-memory ui --no-open
    """
    token = os.environ.get("SWARM_MEMORY_TOKEN") or None
    if port and _serves(port):
        door.show.note("a server runs there already: what it shows is its own store")
        with _opened(door, f"http://{HTTP_HOST}:{port}", token, no_open) as opening:
            if opening is not None:
                opening.join(OPENING_S)
                time.sleep(READING_S)
        return
    token = token or secrets.token_urlsafe(TOKEN_BYTES)
    with ExitStack() as ending:

        def ready(url: str) -> None:
            ending.enter_context(_opened(door, url, token, no_open))

        _serve(door, HTTP_HOST, port, token, ready)


def _serve(
    door: Door, host: str, port: int, token: str | None, ready: Callable[[str], None], **more: Any
) -> None:
    """Serve until a signal ends it; `ready` is told the URL as soon as requests are answered."""
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
    with serving.bound(host, port, token) as listening:
        bracketed = f"[{host}]" if ":" in host else host
        more["names"] = [bracketed, *more.get("names", ())]
        app = make_app(environment, token=token, **more)
        serving.serve(app, listening, lambda: ready(serving.url_of(listening)))


def _serves(port: int) -> bool:
    """Tell whether a server of ours runs at a port of this machine."""
    import http.client

    asking = http.client.HTTPConnection(HTTP_HOST, port, timeout=ANSWER_S_MAX)
    try:
        asking.request("GET", "/healthz")
        said = json.loads(asking.getresponse().read(ANSWER_BYTES_MAX))
    except (OSError, ValueError, http.client.HTTPException):
        return False
    finally:
        asking.close()
    return isinstance(said, dict) and said.get("server") == "swarm-memory"


@contextmanager
def _opened(door: Door, url: str, token: str | None, no_open: bool) -> Iterator[Thread | None]:
    """Say where the dashboard is and open it, in a thread: some browsers return when they are left.

    The token stands behind the `#`, which a browser sends to nobody.
    """
    from urllib.parse import urlencode

    place = {} if token is None else {"token": token.split()[0]}
    if door.swarm != DEFAULT_SWARM:  # else it is that which the server was started for
        place["swarm"] = door.swarm
    address = f"{url}/ui/#" + ("/now?" if token is None else "") + urlencode(place)
    door.show.result({"address": address}, [["address", address]], partial(_link, address))
    sys.stdout.flush()
    with TemporaryDirectory(prefix="swarm-memory-ui-", ignore_cleanup_errors=True) as folder:
        opening = None if no_open else Thread(target=_open, args=(door, address, folder))
        if opening is not None:
            opening.daemon = True
            opening.start()
        yield opening


def _link(address: str, console: Console) -> None:
    console.print(cell(address), soft_wrap=True)


def _open(door: Door, address: str, folder: str) -> None:
    """Open an address by a file that only this user can read.

    Others on this machine see the arguments of a browser that is started, and not what it reads.
    """
    import webbrowser
    from html import escape
    from pathlib import Path

    page = Path(folder) / "open.html"
    page.touch(mode=0o600)
    page.write_text(f'<meta http-equiv="refresh" content="0;url={escape(address)}">\n')
    if not webbrowser.open(page.as_uri()):
        door.show.note("no browser can be opened here: open the address yourself")


def _show(door: Door, url: str) -> None:
    """Say where it is served, as soon as it is: whoever started it may be waiting for that."""
    served = {"url": url, "api": f"{url}/v1", "hook": f"{url}/hook", "mcp": f"{url}/mcp"}
    served["ui"] = f"{url}/ui/"

    def pretty(console: Console) -> None:
        for what, where in served.items():
            console.print(cell(f"{what}: {where}"), soft_wrap=True)

    door.show.result(served, [[what, where] for what, where in served.items()], pretty)
    sys.stdout.flush()
