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

    from swarm_memory.doors.mcp.acting import Named

PATH = "/mcp"
HOST = "127.0.0.1"
HERE = ("127.0.0.1", "localhost", "[::1]")


def http_app(
    named: Named, *, everything: bool = False, path: str = PATH, names: Sequence[str] = HERE
) -> Starlette:
    """Return the ASGI application that serves MCP at `path`; bind it to 127.0.0.1.

    Its lifespan opens and closes what is behind it, so whoever mounts it runs that too.

    Args:
        names: What the server may be called in Host and Origin, IPv6 addresses in brackets.
    """
    return make_server(named, everything=everything).streamable_http_app(
        streamable_http_path=path,
        host=HOST,
        transport_security=TransportSecuritySettings(
            enable_dns_rebinding_protection=True,
            allowed_hosts=[f"{name}:*" for name in names],
            allowed_origins=[f"http://{name}:*" for name in names],
        ),
    )
