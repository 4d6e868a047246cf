"""Routes: which store each swarm lives in, kept in a file or in a store that serves as directory.

A file is JSON, replaced as a whole under a lock:

    {"default": "sqlite:///memory.db", "swarms": {"alpha": "postgresql://db.example.org/agents"}}

A path of SQLite in it is relative to the file. Where the file is missing, all swarms live in
`memory.db` beside it: a project has no such file until one of its swarms moves.
"""

from __future__ import annotations

import json
import os
import re
import time

from swarm_memory.errors import ConfigError, EngineUnavailableError, NotFoundError
from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from swarm_memory.engine import Engine, Row

SCHEME = "routes:"
FILE = "routes.json"
BESIDE = "memory.db"
LOOK_S = 2.0  # how often a directory is asked
LOCK_S = 10.0  # how long to wait for whoever writes the file
PAUSE_S = 0.01
ALL = ""  # the swarm that stands for all that have no entry
_SQLITE = "sqlite:///"
_PASSWORDS = (
    (re.compile(r"^(\w+://[^:/@?#]*):[^@/?#]*@"), r"\1@"),
    (re.compile(r"([?&])password=[^&#]*&?"), r"\1"),
)


class Route(NamedTuple):
    """Where a swarm lives, by which move it came there, and where a move under way takes it."""

    url: str
    move: str | None = None
    next: str | None = None


def without_password(url: str) -> str:
    """Return a URL that may be shown, and kept where others can read it."""
    for pattern, instead in _PASSWORDS:
        url = pattern.sub(instead, url)
    return url.rstrip("?&")


def routes_of(url: str, open_store: Callable[[str], Engine]) -> RoutesFile | RoutesStore:
    """Return the routes that a URL `routes:…` names.

    Args:
        open_store: Opens the store that serves as directory.

    Raises:
        ConfigError: It names none.
    """
    where = url.removeprefix(SCHEME)
    if not where:
        raise ConfigError(f"{url!r} names no routes", hint="routes:FILE or routes:postgresql://…")
    if "://" in where:
        return RoutesStore(where, open_store)
    return RoutesFile(where)


class RoutesFile:
    """Routes in a file.

    Raises, with every use:
        ConfigError: The file is there and holds no routes.
    """

    def __init__(self, path: str) -> None:
        self.path = os.path.abspath(os.path.expanduser(path))
        self.url = SCHEME + self.path

    def stamp(self, known: object = None) -> object:
        """Return what differs from what was `known` after any change."""
        # This is asked before each call, and of a file that is not there an answer costs less than
        # an exception.
        if known is None and not os.access(self.path, os.F_OK):
            return None
        try:
            found = os.stat(self.path)
        except FileNotFoundError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size

    def find(self, swarm: str) -> Route:
        """Return where a swarm lives.

        Raises:
            NotFoundError: It has no entry, and there is no default.
        """
        content = self._read()
        url = content["swarms"].get(swarm) or content.get("default")
        if url is None:
            raise _unknown(swarm, self.path)
        move = content["moves"].get(swarm, {}) if swarm in content["swarms"] else {}
        after = move.get("next")
        return Route(
            self._resolved(url), move.get("id"), None if after is None else self._resolved(after)
        )

    def all(self) -> dict[str, str]:
        """Return all entries, the default under ''."""
        content = self._read()
        known: dict[str, str] = content["swarms"]
        default = content.get("default")
        found = known if default is None else {ALL: default, **known}
        return {swarm: self._resolved(url) for swarm, url in found.items()}

    def put(self, swarm: str, route: Route, *, was: str | None = None) -> bool:
        """Set an entry; False if it does not say `was` any more.

        Raises:
            EngineUnavailableError: The file cannot be written.
        """
        try:
            with _Lock(f"{self.path}.lock"):
                content = self._read()
                if was is not None and self.find(swarm).url != was:
                    return False
                self._enter(content, swarm, route)
                self._write(content)
        except OSError as error:
            raise EngineUnavailableError(
                f"cannot write {self.path}: {error.strerror}", hint="see who may write there"
            ) from error
        return True

    @staticmethod
    def _enter(content: dict[str, Any], swarm: str, route: Route) -> None:
        if swarm == ALL:
            content["default"] = route.url
            return
        content["swarms"][swarm] = route.url
        content["moves"].pop(swarm, None)
        if route.move is not None:
            told = {"id": route.move} | ({} if route.next is None else {"next": route.next})
            content["moves"][swarm] = told

    def _resolved(self, url: str) -> str:
        """Return a URL whose path begins at the root."""
        path = url.removeprefix(_SQLITE)
        if path == url or path.startswith(("/", ":")):
            return url
        return _SQLITE + os.path.join(os.path.dirname(self.path), path)

    def _read(self) -> dict[str, Any]:
        try:
            with open(self.path, encoding="utf-8") as file:
                content = json.load(file)
        except FileNotFoundError:
            return {"default": f"{_SQLITE}{BESIDE}", "swarms": {}, "moves": {}}
        except (OSError, ValueError) as error:
            raise ConfigError(f"{self.path}: {error}", hint=_FORM) from error
        if not isinstance(content, dict):
            raise ConfigError(f"{self.path} holds no object", hint=_FORM)
        content = {"swarms": {}, "moves": {}} | content
        urls = [content.get("default", ""), *_values(content["swarms"])]
        if not isinstance(content["moves"], dict) or not all(isinstance(u, str) for u in urls):
            raise ConfigError(f"{self.path}: a route is no text", hint=_FORM)
        return content

    def _write(self, content: dict[str, Any]) -> None:
        """Replace the file: who reads it sees what was before or all of this."""
        part = f"{self.path}.{os.getpid()}.part"
        text = json.dumps({n: v for n, v in content.items() if v != {}}, indent=2) + "\n"
        handle = os.open(part, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        try:
            with open(handle, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, self.path)
        except BaseException:
            os.unlink(part)
            raise
        folder = os.open(os.path.dirname(self.path), os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


class RoutesStore:
    """Routes in a store that serves as directory.

    It is asked every `LOOK_S` seconds, and when a store says that a swarm has left it.
    """

    def __init__(self, url: str, open_store: Callable[[str], Engine]) -> None:
        self.url = SCHEME + without_password(url)
        self._url = url
        self._open_store = open_store

    def stamp(self, known: object = None) -> object:
        """Return what differs from what was `known` after any change, or when it is time to ask."""
        return int(time.monotonic() / LOOK_S)

    def find(self, swarm: str) -> Route:
        """Return where a swarm lives.

        Raises:
            NotFoundError: It has no entry, and there is no default.
        """
        row: Row | None = self._open_store(self._url).one("route_get", swarm=swarm)
        if row is None:
            raise _unknown(swarm, self.url)
        return Route(*row)

    def all(self) -> dict[str, str]:
        """Return all entries, the default under ''."""
        return {row[0]: row[1] for row in self._open_store(self._url).all("route_list")}

    def put(self, swarm: str, route: Route, *, was: str | None = None) -> bool:
        """Set an entry; False if it does not say `was` any more.

        Passwords are left out: whoever may read the directory could read them.
        """
        after = None if route.next is None else without_password(route.next)
        entry = {"swarm": swarm, "url": without_password(route.url), "move_id": route.move}

        def write(tx: Any) -> bool:
            row = tx.one("route_get", swarm=swarm)
            if was is not None and (row is None or row[0] != without_password(was)):
                return False
            tx.run("route_put", **entry, next=after)
            return True

        return self._open_store(self._url).write(write)


class _Lock:
    """A lock of one file among processes; it ends with the process."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._handle = -1

    def __enter__(self) -> None:
        import fcntl

        self._handle = os.open(self._path, os.O_CREAT | os.O_RDWR, 0o600)
        deadline = time.monotonic() + LOCK_S
        while True:
            try:
                fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    os.close(self._handle)
                    raise EngineUnavailableError(
                        f"{self._path} stayed locked", hint="retry; another process writes routes"
                    ) from error
            time.sleep(PAUSE_S)

    def __exit__(self, *error: object) -> None:
        os.close(self._handle)


_FORM = 'write {"default": "sqlite:///memory.db", "swarms": {"NAME": "URL"}}'


def _values(swarms: object) -> list[Any]:
    return list(swarms.values()) if isinstance(swarms, dict) else [None]


def _unknown(swarm: str, where: str) -> NotFoundError:
    return NotFoundError(
        f"no route for the swarm {swarm!r} in {where}",
        hint=f"swarm-memory swarm route {swarm} URL, or give it a default",
    )
