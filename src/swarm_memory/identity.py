"""What agents and sessions are called: short enough to read, and never two by one name.

A session's short name is its beginning, as long as it takes to be the only one of its swarm; the
store gives it once and keeps it. An agent is called `main@3f2a9c1b`, a subagent
`explore:a7d93f2@3f2a9c1b`. In an agent's name `@` and `:` stand for nothing else, so no other
session and no other agent of the session has it.
"""

from __future__ import annotations

from itertools import chain, count

from swarm_memory.key import escape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

MAIN = "main"
SHORT_MIN, SHORT_MAX = 8, 16  # characters; what is no longer than the latter stays whole
PART_BYTES = 40  # of what an agent or a subagent is called; what is longer ends in a hash
_PLAIN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
_SEPARATORS = "@:"


def agent_name(
    short: str,
    *,
    teammate: str | None = None,
    agent_type: str | None = None,
    agent_id: str | None = None,
) -> str:
    """Return the name that an agent of a session acts by; a valid segment of a key.

    Args:
        short: The session's short name, see `Session.short`.
        teammate: What the agent is called in its team, if it is in one.
        agent_type: What kind of agent it is, if it has no such name; "main" without both.
        agent_id: Which subagent of the session it is; None for the session's own agent.
    """
    label = _part(teammate or agent_type or MAIN)
    which = "" if agent_id is None else f":{_part(agent_id)}"
    return f"{label}{which}@{short}"


def agent_id_in(name: str) -> str | None:
    """Return which subagent of its session a name says; None for any other agent.

    An id that is longer than a name has room for comes back shortened, as the name has it.
    """
    label, at, _ = name.rpartition("@")
    return (label.partition(":")[2] or None) if at else None


def short_names(session_id: str) -> Iterator[str]:
    """Yield the short names that a session may have, the best one first, without an end."""
    plain = "".join(c if c in _PLAIN else "-" for c in session_id)
    if len(plain) <= SHORT_MAX:
        begins = [plain]
    else:
        lengths = range(SHORT_MIN, SHORT_MAX + 1)
        begins = [plain[:length] for length in lengths if plain[length - 1].isalnum()]
    numbered = (f"{plain[:SHORT_MIN]}-{number}" for number in count(2))
    return chain(begins, (name for name in numbered if name not in begins))


def _part(text: str) -> str:
    return escape(text, limit=PART_BYTES, also=_SEPARATORS)
