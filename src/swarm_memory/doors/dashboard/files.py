"""The files of the dashboard, from memory: what is not among them cannot be asked for."""

from __future__ import annotations

from hashlib import blake2b
from importlib.resources import files as resources
from typing import TYPE_CHECKING

from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from swarm_memory.lean import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.resources.abc import Traversable

    from starlette.requests import Request

HOME = "/ui/"
INDEX = "index.html"
TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".txt": "text/plain",
}
# Scripts, styles and connections of this server only; no page may frame it; no form leaves it.
POLICY = "; ".join(
    (
        "default-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "object-src 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",  # ask each time; the answer is mostly that nothing changed
}


class File(NamedTuple):
    """One file as it is sent, and the tag by which a browser asks whether it is still that."""

    content: bytes
    media_type: str
    tag: str


class Files:
    """The files below `static/`, by the path that they are served at."""

    def __init__(self) -> None:
        root = resources("swarm_memory.doors.dashboard") / "static"
        self._files = {HOME + name: file for name, file in _read(root, "")}
        self._files[HOME] = self._files[HOME + INDEX]

    @property
    def paths(self) -> frozenset[str]:
        """The paths that anybody may load: they hold nothing of anybody."""
        return frozenset({"/", HOME.removesuffix("/"), *self._files})

    @property
    def size_bytes(self) -> int:
        """What a browser loads at most, of all pages together."""
        return sum(len(file.content) for path, file in self._files.items() if path != HOME)

    def routes(self) -> list[Route]:
        """Return a route for each file, and those that lead to the first page."""
        return [
            Route("/", _root),
            Route(HOME.removesuffix("/"), _home),
            *[Route(path, self._file) for path in self._files],
        ]

    async def _file(self, request: Request) -> Response:
        file = self._files[request.url.path]
        headers = {**HEADERS, "ETag": file.tag}
        if request.headers.get("if-none-match") == file.tag:
            return Response(status_code=304, headers=headers)
        return Response(file.content, headers=headers, media_type=file.media_type)


async def _home(_: Request) -> Response:
    return RedirectResponse(HOME)


async def _root(request: Request) -> Response:
    """Lead a browser to the pages; programs have nothing to find here."""
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(HOME)
    return PlainTextResponse("swarm-memory: /ui for people, /v1 for programs, /mcp\n", 404)


def _read(folder: Traversable, prefix: str) -> Iterator[tuple[str, File]]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _read(entry, f"{prefix}{entry.name}/")
            continue
        media_type = TYPES.get(f".{entry.name.rpartition('.')[2]}")
        if media_type is not None:
            content = entry.read_bytes()
            tag = f'"{blake2b(content, digest_size=12).hexdigest()}"'
            yield prefix + entry.name, File(content, media_type, tag)
