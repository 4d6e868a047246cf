"""Callers: who makes a call, told by another process that knows.

A call through MCP says nothing of the subagent that makes it. Claude Code names the call by its
`tool_use_id` to a hook before it and to the server within it, so the hook announces who calls and
the server asks. Whoever can open the store could announce anything: this tells agents apart and
keeps no liar out, as all names of agents here do.
"""

from __future__ import annotations

from swarm_memory.checks import check_name
from swarm_memory.key import escape
from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.swarm import Swarm

PREFIX = "memory/operations/callers/"  # telemetry: outside of search and listings
CALL_ID_BYTES_MAX = 255
TTL_S = 3600.0  # a call may wait for its user's permission


class Caller(NamedTuple):
    """The agent that makes a call, and the session it acts in."""

    agent: str
    session: str | None


class Callers:
    """Who makes which call, within one swarm."""

    __slots__ = ("_swarm",)

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm

    def announce(self, call_id: str) -> None:
        """Say that this agent, in this session, is about to make the call `call_id`.

        Kept for an hour. Said again, the last one counts.
        """
        context = self._swarm.context
        value = {"agent": context.agent, "session": context.session}
        # What a power loss takes away is of a call that it has ended too.
        self._swarm.records.put(_key(call_id), value, ttl_s=TTL_S, durability="relaxed")

    def of(self, call_id: str) -> Caller | None:
        """Return who makes the call `call_id`; None if nobody said so."""
        record = self._swarm.records.get(_key(call_id))
        return None if record is None else Caller(record.value["agent"], record.value["session"])


def _key(call_id: str) -> str:
    return PREFIX + escape(check_name("call id", call_id, CALL_ID_BYTES_MAX))
