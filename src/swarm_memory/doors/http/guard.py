"""What stands before every route: who may ask, under which name, and how much he may send.

A web page in a browser on this machine can reach a server on it. Its requests name the page's
origin, or, after the page's own name was made to point here (DNS rebinding), that name as the host.
Both are refused. So is whoever lacks the token, if there is one.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from collections.abc import Collection

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_BYTES_MAX = 32 * 1024 * 1024  # an event holds the file that was written, at times twice
TOO_LONG = 413, f"a body has at most {BODY_BYTES_MAX} bytes"
HEALTH = "/healthz"  # says nothing of anybody, so it asks for no token


class Guard:
    """An ASGI application before another one, which sees only what it lets through.

    Args:
        names: What the server may be called in Host and Origin, in lower case, IPv6 in brackets.
        token: What a request has to bear, None if nothing.
    """

    def __init__(self, app: ASGIApp, names: Collection[str], token: str | None) -> None:
        self._app = app
        self._names = frozenset(names)
        self._token = token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1"), []).append(value.decode("latin-1"))
        refusal = self._refusal(scope["path"], headers)
        if refusal is None and "transfer-encoding" in headers:
            body = await _gathered(receive)
            refusal = TOO_LONG if body is None else None
            receive = _replayed(body or b"", receive)
        if refusal is None:
            await self._app(scope, receive, send)
        else:
            status, why = refusal
            challenge = {"WWW-Authenticate": "Bearer"} if status == 401 else None
            await PlainTextResponse(f"{why}\n", status, challenge)(scope, receive, send)

    def _refusal(self, path: str, headers: dict[str, list[str]]) -> tuple[int, str] | None:
        """Return the status and the reason of a refusal, None for a request that may go on."""
        hosts = headers.get("host", [])
        if len(hosts) != 1 or name_of(hosts[0]) not in self._names:
            return 421, "this server is not called that; serve --name lets it"
        if any(not self._is_own(origin) for origin in headers.get("origin", ())):
            return 403, "pages of another origin may not ask this server"
        if self._token is not None and path != HEALTH and not self._bears_token(headers):
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
        known = (self._token or "").encode()
        # In constant time: how far a guess is right must not be seen from how long it takes.
        return scheme.lower() == "bearer" and hmac.compare_digest(token.encode("latin-1"), known)


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
