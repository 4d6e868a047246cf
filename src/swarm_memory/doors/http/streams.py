"""Requests that may stay open as long as their client likes, and end when the server does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

END_S_MAX = 1.0  # for answers that are nearly there; who listens to a stream waits for nothing


class Streams:
    """What is open in the applications that `around` was given; `end` brings it to an end."""

    def __init__(self) -> None:
        self._open: set[anyio.CancelScope] = set()

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return an application around another one, whose requests end with the server."""
        return _Ending(app, self._open)

    def end(self) -> None:
        """Let what is open end within a second."""
        for life in self._open:
            life.deadline = anyio.current_time() + END_S_MAX


class _Ending:
    def __init__(self, app: ASGIApp, lives: set[anyio.CancelScope]) -> None:
        self._app = app
        self._open = lives

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = {"http.response.start": False, "http.response.body": False}

        async def noted(message: Message) -> None:
            sent[message["type"]] = not message.get("more_body", False)
            await send(message)

        with anyio.CancelScope() as life:
            self._open.add(life)
            try:
                await self._app(scope, receive, noted)
            finally:
                self._open.discard(life)
        if not life.cancelled_caught or sent["http.response.body"]:
            return
        if sent["http.response.start"]:
            await send({"type": "http.response.body", "body": b""})
        else:
            await PlainTextResponse("the server ends\n", 503)(scope, receive, send)
