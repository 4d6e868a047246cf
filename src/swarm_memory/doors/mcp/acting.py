"""Who acts: the store behind a server, and the session and agents that its calls are made for.

The store is opened by the first call that needs it, and again by the next one if that failed. A
call is made for the agent that announced it (see `callers`); else for the agent that whoever
started the server named; else for the session, and then what it writes says that its author is
not verified.
"""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from swarm_memory.checks import fits
from swarm_memory.errors import EngineUnavailableError, LeaseLostError
from swarm_memory.identity import agent_name
from swarm_memory.lean import NamedTuple, suppress
from swarm_memory.swarm import DEFAULT_SWARM, Swarm
from swarm_memory.ticker import Ticker

if TYPE_CHECKING:
    from collections.abc import Mapping

    from swarm_memory.model import Json

# Claude Code starts its servers with its session in the environment and names each call.
CLAUDE_SESSION = "CLAUDE_CODE_SESSION_ID"
CALL_ID = "claudecode/toolUseId"
CLAUDE_CLIENT = "claude-code"  # its own agent is called `main`, as the hooks call it
UNVERIFIED: dict[str, Json] = {"verified": False}
DOORS_MAX = 16  # agents whose doors, with a read cache each, are kept open
CALL_ID_BYTES_MAX = 255
SESSION_BYTES_MAX = 100


class Named(NamedTuple):
    """What the starter of a server named; None where nothing was."""

    url: str | None
    swarm: str
    agent: str | None
    session: str | None


def named_in(environment: Mapping[str, str]) -> Named:
    """Return what a process's variables name."""
    session = environment.get("SWARM_MEMORY_SESSION") or environment.get(CLAUDE_SESSION)
    return Named(
        None,
        environment.get("SWARM_MEMORY_SWARM") or DEFAULT_SWARM,
        environment.get("SWARM_MEMORY_AGENT") or None,
        session if fits(session, 1, SESSION_BYTES_MAX) else None,
    )


class Acting:
    """The store of one server, and for whom each call is made. Safe to share between threads."""

    def __init__(self, named: Named) -> None:
        self._named = named
        self._lock = threading.Lock()
        self._swarm: Swarm | None = None
        self._ticker: Ticker | None = None
        self._closed = False
        self._session = named.session
        self._doors: dict[tuple[str, str, bool], Swarm] = {}
        self._taken: dict[tuple[str, int], Swarm] = {}

    def swarm(self) -> Swarm:
        """Return the store, opened by now.

        Raises:
            SwarmMemoryError: It cannot be opened; the next call tries again.
        """
        with self._lock:
            if self._closed:
                raise EngineUnavailableError("the server ends", hint="start it anew")
            if self._swarm is None:
                named = self._named
                self._swarm = Swarm.open(named.url, swarm=named.swarm)
                self._ticker = Ticker(self._swarm)
            if self._session is None:
                self._session = f"mcp-{os.urandom(6).hex()}"
            return self._swarm

    def caller(self, client: str | None = None, call_id: object = None) -> Swarm:
        """Return the door of who makes a call, and renew the session.

        Args:
            client: What the program at the other end calls itself.
            call_id: What it calls the call, if it does.
        """
        swarm = self.swarm()
        session = self._renewed(swarm, client)
        if fits(call_id, 1, CALL_ID_BYTES_MAX):
            caller = swarm.callers.of(str(call_id))
            if caller is not None:
                return self._door(swarm, caller.agent, caller.session or session[0], True)
        if self._named.agent is not None:
            return self._door(swarm, self._named.agent, session[0], True)
        kind = None if client == CLAUDE_CLIENT else client
        return self._door(swarm, agent_name(session[1], agent_type=kind), session[0], False)

    def took(self, door: Swarm, name: str, token: int) -> None:
        """Remember a lease that was taken here: it is given back when the server ends."""
        self._taken[name, token] = door

    def has(self, name: str, token: int) -> bool:
        """Tell whether a lease was taken here and not given back."""
        return (name, token) in self._taken

    def gave(self, name: str, token: int) -> None:
        """Forget a lease that was given back."""
        self._taken.pop((name, token), None)

    def close(self) -> None:
        """Give back what was taken, end the session if it is the server's own, close the store.

        A session that was named belongs to somebody who may go on with it.
        """
        with self._lock:
            self._closed = True
            swarm, self._swarm = self._swarm, None
        if swarm is None:
            return
        if self._ticker is not None:
            self._ticker.stop()
        with swarm:
            for (name, token), door in self._taken.items():
                with suppress(LeaseLostError):  # it has lapsed, which is as good
                    door.leases.held(name, token).release()
            if self._named.session is None and self._session is not None:
                swarm.sessions.end(self._session, reason="closed")

    def _renewed(self, swarm: Swarm, client: str | None) -> tuple[str, str]:
        """Return the id and the short name of the session, which lives from now on."""
        name = self._session
        found = swarm.sessions.touch(name)
        if found is None:
            about: dict[str, Json] = {"via": "mcp"} | ({"client": client} if client else {})
            found = swarm.sessions.begin(name, about=about, agent=self._named.agent)
        return found.session_id, found.short

    def _door(self, swarm: Swarm, agent: str, session: str, verified: bool) -> Swarm:
        wanted = agent, session, verified
        with self._lock:
            if wanted not in self._doors:
                while len(self._doors) >= DOORS_MAX:
                    del self._doors[next(iter(self._doors))]
                origin = None if verified else UNVERIFIED
                self._doors[wanted] = swarm.as_agent(agent, session=session, origin=origin)
            return self._doors[wanted]
