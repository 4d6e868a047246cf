"""Asking a server: one call is one request, repeated until it is answered or patience ends.

A request that changes something bears a key. Whether its answer was lost, the connection broke or
the server was started anew: asked again with that key it is applied once.
"""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

import orjson
import urllib3

from swarm_memory import errors
from swarm_memory.errors import (
    AccessDeniedError,
    AmbiguousCommitError,
    EngineUnavailableError,
    InvalidArgumentError,
    SwarmMemoryError,
)
from swarm_memory.lean import NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECT_S = 5.0
ANSWER_S = 60.0  # longer than the server's store waits for other writers
PAUSE_S, PAUSE_S_MAX = 0.05, 2.0
CONNECTIONS_MAX = 16
AGAIN = {429, 502, 503, 504}  # of these, only those that do not come from the store
DENIED = {401, 403}
WAITS = 202  # ask again with the same key, for what is still waited for
KINDS = {
    kind.code: kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, SwarmMemoryError)
}


class Asked(NamedTuple):
    """One request. `repeatable`: if it was applied and is asked again, nothing happens twice."""

    method: str
    path: str
    query: dict[str, Any] | None
    body: bytes | None
    headers: dict[str, str]
    repeatable: bool
    wait_s: float = 0.0


class Client:
    """The connections to one server. Safe for threads, and in a forked child.

    Args:
        url: `http://host:port` or `https://host`, and a path if the server is below one.
        token: What it asks for, None if nothing.
        patience_s: How long a call goes on while the server is away.
    """

    def __init__(self, url: str, token: str | None, patience_s: float) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise InvalidArgumentError(f"{url!r} names no server", hint="http://host:8377")
        if parts.username or parts.password:
            raise InvalidArgumentError(
                "a URL with a password", hint="put the token into SWARM_MEMORY_TOKEN"
            )
        self.url = url.rstrip("/")
        self._base = f"{self.url}/v1"
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.patience_s = patience_s
        self._pid = os.getpid()
        self._pool = self._connect()

    @staticmethod
    def _connect() -> urllib3.PoolManager:
        return urllib3.PoolManager(num_pools=1, maxsize=CONNECTIONS_MAX, retries=False)

    def ask(self, asked: Asked) -> Any:
        """Return the JSON of the answer.

        Raises:
            AmbiguousCommitError: No answer came in time, and it may have been applied.
            EngineUnavailableError: No answer came in time, and nothing was applied.
            SwarmMemoryError: What the server says.
        """
        over_s = time.monotonic() + self.patience_s + asked.wait_s
        pause_s, maybe_applied = PAUSE_S, False
        while True:
            trouble, answer, sent = self._try(asked)
            if answer is not None and answer.status == WAITS:
                pause_s = PAUSE_S  # it is there, and what is waited for is not
                continue
            if answer is not None:
                return answer.json
            maybe_applied = maybe_applied or sent
            if maybe_applied and not asked.repeatable:
                raise AmbiguousCommitError(f"{self.url}: {trouble}; it may have been applied")
            if time.monotonic() + pause_s > over_s:
                break
            # Not in step with all others who wait for the same server.
            time.sleep(pause_s * (0.5 + random.random()))
            pause_s = min(2 * pause_s, PAUSE_S_MAX)
        if maybe_applied and asked.method != "GET":
            raise AmbiguousCommitError(f"{self.url}: {trouble}; it may have been applied")
        raise EngineUnavailableError(
            f"{self.url} does not answer: {trouble}",
            hint="is it running there? swarm-memory serve --host HOST",
        )

    def _try(self, asked: Asked) -> tuple[str, _Answer | None, bool]:
        """Ask once; return what is in the way, the answer, and whether it may be applied."""
        read_s = ANSWER_S + asked.wait_s
        try:
            response = self._request(asked, urllib3.Timeout(connect=CONNECT_S, read=read_s))
        except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as e:
            return str(e.__cause__ or e), None, False
        except urllib3.exceptions.HTTPError as error:
            return f"{type(error).__name__}: {error}", None, True
        answer = _Answer(response, response.data)
        if response.status in AGAIN and answer.error is None:
            # From what stands before the store: there nothing was done.
            return f"status {response.status}", None, response.status in (502, 504)
        answer.check(self.url)
        return "", answer, True

    def _request(self, asked: Asked, timeout: urllib3.Timeout, **how: Any) -> Any:
        url = f"{self._base}{asked.path}"
        if asked.query:
            url = f"{url}?{urlencode(asked.query)}"
        headers = {**self._headers, **asked.headers}
        if asked.body is not None:
            headers["Content-Type"] = "application/json"
        if os.getpid() != self._pid:  # a forked child must not write into its parent's connections
            self._pid, self._pool = os.getpid(), self._connect()
        return self._pool.request(
            asked.method, url, body=asked.body, headers=headers, timeout=timeout, **how
        )

    def stream(self, asked: Asked, silence_s: float) -> Iterator[tuple[str, str]]:
        """Iterate over the server-sent events of one connection, as (event, data).

        Ends when the server ends it.

        Raises:
            EngineUnavailableError: It cannot be reached, or said nothing for `silence_s`.
        """
        try:
            response = self._request(
                asked,
                urllib3.Timeout(connect=CONNECT_S, read=silence_s),
                preload_content=False,
            )
            if response.status != 200:
                _Answer(response, response.read()).check(self.url)
                raise EngineUnavailableError(f"{self.url}: status {response.status}")
            with response:
                yield from _events(response)
        except urllib3.exceptions.HTTPError as error:
            raise EngineUnavailableError(
                f"{self.url}: {error}", hint="is it running there?"
            ) from error

    def close(self) -> None:
        """Close the connections."""
        if os.getpid() == self._pid:
            self._pool.clear()


class _Answer:
    def __init__(self, response: Any, raw: bytes) -> None:
        self.status: int = response.status
        self._raw = raw
        self._kind = response.headers.get("content-type", "").partition(";")[0]
        self.error: dict[str, Any] | None = None
        self.json: Any = None
        if self._kind == "application/json":
            self.json = orjson.loads(self._raw)
            if self.status >= 400 and isinstance(self.json, dict) and "error" in self.json:
                self.error = self.json

    def check(self, url: str) -> None:
        """Raise what the server says."""
        if self.error is not None:
            raise raised(self.error)
        if self.status in DENIED:
            said = self._raw.decode("utf-8", "replace").strip()
            raise AccessDeniedError(f"{url}: {said}", hint="set SWARM_MEMORY_TOKEN as it is there")
        if self.status >= 400 or (self._kind != "application/json" and self.status not in (204,)):
            said = self._raw[:200].decode("utf-8", "replace").strip()
            raise EngineUnavailableError(
                f"{url} answers with status {self.status}: {said}",
                hint="is that a swarm-memory server of this version?",
            )


def raised(shown: dict[str, Any]) -> SwarmMemoryError:
    """Return the error that a server shows, as it was raised there."""
    kind = KINDS.get(shown["error"], SwarmMemoryError)
    error = kind.__new__(kind)
    Exception.__init__(error, shown["message"])
    for name, value in shown.get("fields", {}).items():
        setattr(error, name, value)
    error.hint, error.retryable = shown["hint"], shown["retryable"]
    return error


def _events(response: Any) -> Iterator[tuple[str, str]]:
    """Read a stream of server-sent events (WHATWG HTML, section 9.2), of which we use a part."""
    kind, data, rest = "message", list[str](), b""
    for chunk in response.stream(decode_content=False):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            name, _, value = line.decode().partition(":")
            if not line:
                if data:
                    yield kind, "\n".join(data)
                kind, data = "message", []
            elif name == "data":
                data.append(value.removeprefix(" "))
            elif name == "event":
                kind = value.removeprefix(" ")


def header(text: str) -> str:
    """Return a text as it goes into a header."""
    return quote(text, safe=" !#$&'()*+,-./:;<=>?@[]^_`{|}~")
