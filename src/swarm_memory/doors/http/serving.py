"""Serving: a port is bound, the application runs on it, a signal ends it in order."""

from __future__ import annotations

import ipaddress
import signal
import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING

import uvicorn

from swarm_memory.errors import ConfigError, InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swarm_memory.doors.http.app import Served

END_S_MAX = 10  # for what is being answered at the end; longer than a hook waits for others
CONNECTIONS_MAX = 256
# Longer than any client keeps an idle connection: else an event may meet one that just closed.
KEEP_S = 75
SIGNALS = (signal.SIGTERM, signal.SIGINT)


def bound(host: str, port: int, token: str | None) -> socket.socket:
    """Return a socket that listens at `host` and `port`; 0 lets the system choose the port.

    Raises:
        InvalidArgumentError: The host is another one than this machine and there is no token.
        ConfigError: The address cannot be used.
    """
    if token is None and not is_local(host):
        raise InvalidArgumentError(
            f"{host} can be reached from other machines",
            hint="set SWARM_MEMORY_TOKEN, which each request then has to bear",
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=CONNECTIONS_MAX)
    except OSError as error:
        raise ConfigError(
            f"cannot serve at {host} port {port}: {error.strerror}",
            hint="perhaps a server runs there already; --port takes another one",
        ) from error


def is_local(host: str) -> bool:
    """Tell whether only this machine reaches a host; a name other than localhost may be any."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def url_of(listening: socket.socket) -> str:
    """Return the URL of what listens, without a path."""
    host, port, *_ = listening.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(served: Served, listening: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT; what is being answered then is answered first.

    Args:
        ready: Called once, as soon as requests are answered.
    """
    config = uvicorn.Config(
        served.app,
        lifespan="on",
        ws="none",
        access_log=False,
        log_level="warning",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_keep_alive=KEEP_S,
        timeout_graceful_shutdown=END_S_MAX,
    )
    _Server(config, ready, served.end).run(sockets=[listening])


class _Server(uvicorn.Server):
    def __init__(
        self, config: uvicorn.Config, ready: Callable[[], None], end: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._ready = ready
        self._end = end

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._end()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End in order on a signal. Uvicorn would then raise it again: we were asked and did."""
        before = {number: signal.signal(number, self.handle_exit) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
