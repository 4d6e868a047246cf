"""The server over streamable HTTP, as an application for whoever serves it.

Only for this machine: requests that name another host, or come from a page of another origin,
are refused, so that no web site can reach it through a browser.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mcp.server.transport_security import TransportSecuritySettings

from swarm_memory.doors.mcp.server import make_server

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.applications import Starlette
    from starlette.types import ASGIApp, Receive, Scope, Send

    from swarm_memory.doors.mcp.acting import Named

PATH = "/mcp"
HOST = "127.0.0.1"
BLANKS = b" \t"
HERE = ("127.0.0.1", "localhost", "[::1]")


def http_app(
    named: Named, *, everything: bool = False, path: str = PATH, names: Sequence[str] = HERE
) -> Starlette:
    """Return the ASGI application that serves MCP at `path`; bind it to 127.0.0.1.

    Its lifespan opens and closes what is behind it, so whoever mounts it runs that too.

    Args:
        names: What the server may be called in Host and Origin, IPv6 addresses in brackets.
    """
    app = make_server(named, everything=everything).streamable_http_app(
        streamable_http_path=path,
        host=HOST,
        transport_security=TransportSecuritySettings(
            enable_dns_rebinding_protection=True,
            allowed_hosts=[f"{name}:*" for name in names],
            allowed_origins=[f"http://{name}:*" for name in names],
        ),
    )
    app.add_middleware(Trimmed)
    return app


class Trimmed:
    """An ASGI application before another one, which sees header values without blanks around.

    llhttp, by which uvicorn reads requests where it can, leaves those at the end of a value, and
    what is compared with a name or a token would then differ from it.

    Source:
        RFC 9110, section 5.5: such blanks are no part of the value.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if "headers" in scope:
            headers = [(name, value.strip(BLANKS)) for name, value in scope["headers"]]
            scope = {**scope, "headers": headers}
        await self._app(scope, receive, send)
