"""Where things lie: the key hierarchy that the facade writes, in one place.

    swarm-{id}/global/{coordination, knowledge/…, patterns/…}
    swarm-{id}/agent-{name}/{state, decisions/{type}/{id}, progress/{task}, knowledge/…}
    swarm-{id}/session-{id}/{context, coordination/…}
    swarm-{id}/snapshots/{id}
    neural/{patterns, outcomes, insights}/…   global/{monitoring, optimization}/…
    memory/…   memory/imported/…   memory/operations/…

Names that are no key segments go through `escape`.
"""

from __future__ import annotations

from swarm_memory.key import escape, unescape

AGENT_PREFIX = "agent-"
NAME_BYTES = 60  # of a swarm's or agent's escaped name: three of them and an id fit into a key


class Layout:
    """The keys of one agent in one swarm."""

    __slots__ = ("agent", "swarm")

    def __init__(self, swarm: str, agent: str) -> None:
        self.swarm = f"swarm-{escape(swarm, limit=NAME_BYTES)}"
        self.agent = f"{self.swarm}/{AGENT_PREFIX}{escape(agent, limit=NAME_BYTES)}"

    @property
    def state(self) -> str:
        return f"{self.agent}/state"

    def decisions(self, kind: str | None = None) -> str:
        """Return the prefix of this agent's decisions, of one type or of all."""
        return f"{self.agent}/decisions/{_within(kind)}"

    def progress(self, task_id: str) -> str:
        return f"{self.agent}/progress/{escape(task_id, limit=NAME_BYTES)}"

    def knowledge(self, kind: str | None = None) -> str:
        """Return the prefix of the swarm's shared knowledge, of one kind or of all."""
        return f"{self.swarm}/global/knowledge/{_within(kind)}"

    def snapshot(self, snapshot_id: str) -> str:
        return f"{self.swarm}/snapshots/{snapshot_id}"


def _within(kind: str | None) -> str:
    return "" if kind is None else f"{escape(kind, limit=NAME_BYTES)}/"


def agent_of_scope(scope: str) -> str:
    """Return the agent's name behind a scope such as `agent-a`."""
    segment = scope.removeprefix(AGENT_PREFIX)
    return unescape(segment) or segment
