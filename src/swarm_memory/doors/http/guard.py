"""What stands before every route: who may ask, under which name, and how much he may send.

A web page in a browser on this machine can reach a server on it. Its requests name the page's
origin, or, after the page's own name was made to point here (DNS rebinding), that name as the host.
Both are refused. So is whoever lacks the token, if there is one.
"""

from __future__ import annotations

import hmac
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_BYTES_MAX = 32 * 1024 * 1024  # an event holds the file that was written, at times twice
TOO_LONG = 413, f"a body has at most {BODY_BYTES_MAX} bytes"
CLIENTS_MAX = 4096  # whose requests are counted; who was away longest is forgotten
BURST_S = 2.0  # so many seconds' worth of requests may come at once
API = "/v1/"
READING = frozenset({"GET", "HEAD", "OPTIONS"})
HEALTH = "/healthz"  # says nothing of anybody, so it asks for no token


class Guard:
    """An ASGI application before another one, which sees only what it lets through.

    Args:
        names: What the server may be called in Host and Origin, in lower case, IPv6 in brackets.
        token: What a request has to bear, None if nothing. Several are separated by spaces, so
            that one can be replaced while clients still bear the other.
        rate: How many requests a second one client may make, None if that is not counted.
        shown: Paths that need no token, because they say nothing of anybody.
    """

    def __init__(
        self,
        app: ASGIApp,
        names: Collection[str],
        token: str | None,
        rate: float | None = None,
        shown: Collection[str] = (),
    ) -> None:
        self._app = app
        self._names = frozenset(names)
        self._tokens = [known.encode() for known in (token or "").split()]
        self._rates = None if rate is None else Rates(rate)
        self._shown = frozenset({HEALTH, *shown})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        refusal = self._refusal(scope["method"], scope["path"], headers)
        late_s = self._late_s(scope) if refusal is None else 0.0
        if late_s:
            refusal = 429, "too many requests"
        if refusal is None and "transfer-encoding" in headers:
            body = await _gathered(receive)
            refusal = TOO_LONG if body is None else None
            receive = _replayed(body or b"", receive)
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            status, why = refusal
            more = {401: {"WWW-Authenticate": "Bearer"}, 429: {"Retry-After": f"{late_s:.0f}"}}
            await PlainTextResponse(f"{why}\n", status, more.get(status))(scope, receive, send)

    def _refusal(
        self, method: str, path: str, headers: dict[str, list[str]]
    ) -> tuple[int, str] | None:
        """Return the status and the reason of a refusal, None for a request that may go on."""
        hosts = headers.get("host", [])
        if len(hosts) != 1 or name_of(hosts[0]) not in self._names:
            return 421, "this server is not called that; serve --name lets it"
        if any(not self._is_own(origin) for origin in headers.get("origin", ())):
            return 403, "pages of another origin may not ask this server"
        if (
            not self._tokens
            and path.startswith(API)
            and method not in READING
            and "origin" in headers
        ):
            # Any program of this machine may serve a page here, and a browser would send for it.
            return (
                403,
                "pages may change nothing where there is no token: swarm-memory ui makes one",
            )
        if self._tokens and path not in self._shown and not self._bears_token(headers):
            return 401, "a token is missing or wrong: Authorization: Bearer $SWARM_MEMORY_TOKEN"
        length = headers.get("content-length", ["0"])[0]
        if not length.isdecimal() or int(length) > BODY_BYTES_MAX:
            return TOO_LONG
        return None

    def _is_own(self, origin: str) -> bool:
        try:
            parts = urlsplit(origin)
        except ValueError:
            return False
        return parts.scheme in {"http", "https"} and name_of(parts.netloc) in self._names

    def _bears_token(self, headers: dict[str, list[str]]) -> bool:
        said = headers.get("authorization", [])
        scheme, _, token = said[0].partition(" ") if len(said) == 1 else ("", "", "")
        given = token.encode("latin-1")
        # In constant time: how far a guess is right must not be seen from how long it takes.
        right = [hmac.compare_digest(given, known) for known in self._tokens]
        return scheme.lower() == "bearer" and any(right)

    def _late_s(self, scope: Scope) -> float:
        """Return after how many seconds to come again, 0 for a request that may go on."""
        if self._rates is None or scope["path"] == HEALTH:
            return 0.0
        return self._rates.late_s((scope.get("client") or ("",))[0], time.monotonic())


class Rates:
    """How many requests each client made: a bucket each, which fills with the time."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._full = max(1.0, rate * BURST_S)
        self._buckets: dict[str, tuple[float, float]] = {}

    def late_s(self, client: str, now_s: float) -> float:
        """Count a request; return 0 if it may go on, else in how many seconds one may."""
        left, since_s = self._buckets.pop(client, (self._full, now_s))
        left = min(self._full, left + (now_s - since_s) * self._rate)
        while len(self._buckets) >= CLIENTS_MAX:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[client] = (left - 1 if left >= 1 else left), now_s
        return 0.0 if left >= 1 else max(1.0, (1 - left) / self._rate)


def name_of(host: str) -> str:
    """Return the name in `name`, `name:port` or `[address]:port`, in lower case."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()


async def _gathered(receive: Receive) -> bytes | None:
    """Return a body whose length nobody said, None if it is too long.

    What broke off is returned as far as it came: the next to read hears that nobody is there.
    """
    parts: list[bytes] = []
    left, more = BODY_BYTES_MAX, True
    while more:
        message = await receive()
        parts.append(message.get("body", b""))
        left -= len(parts[-1])
        if left < 0:
            return None
        more = message.get("more_body", False)
    return b"".join(parts)


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return what hands out a body that was read, and then what comes after it."""
    waiting = [body]

    async def replay() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replay
