"""The journal: decisions, shared knowledge and samples, under ids that are given in order.

Every entry is kept and none replaces another. Its id is made of the transaction's own time, so
that entries sort as they were committed.
"""

from __future__ import annotations

from swarm_memory.context import new_id
from swarm_memory.errors import InvalidArgumentError
from swarm_memory.layout import Layout
from swarm_memory.model import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm


class Journal:
    """What one agent adds to the memory of its swarm.

    `op_id` makes the retry of a call apply once and return the first result.
    """

    __slots__ = ("_agent", "_layout", "_swarm")

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        self._agent = swarm.context.agent
        self._layout = Layout(swarm.context.swarm, self._agent)

    def decide(
        self,
        decision_type: str,
        decision_data: Json,
        context: dict[str, Json] | None = None,
        *,
        op_id: str | None = None,
    ) -> Record:
        """Keep a decision of this agent."""
        prefix = self._layout.decisions(_text("decision_type", decision_type))
        decision = {
            "decision_type": decision_type,
            "decision_data": decision_data,
            "context": context,
            "agent_name": self._agent,
        }
        return self._add(prefix, "timestamp_ms", decision, op_id)

    def share(
        self, knowledge_type: str, knowledge_data: Json, *, op_id: str | None = None
    ) -> Record:
        """Share a piece of knowledge with the swarm."""
        prefix = self._layout.knowledge(_text("knowledge_type", knowledge_type))
        knowledge = {
            "knowledge_type": knowledge_type,
            "knowledge_data": knowledge_data,
            "shared_by": self._agent,
        }
        return self._add(prefix, "shared_ms", knowledge, op_id)

    def snapshot(
        self,
        health: dict[str, Json],
        coordination_state: dict[str, Json],
        *,
        op_id: str | None = None,
    ) -> Record:
        """Keep a sample of how the swarm's memory is doing."""
        sample = {"health": health, "coordination_state": coordination_state}
        return self._add(
            self._layout.snapshot(""), "created_ms", sample, op_id, named="snapshot_id"
        )

    def _add(
        self,
        prefix: str,
        time_field: str,
        fields: dict[str, Json],
        op_id: str | None,
        named: str | None = None,
    ) -> Record:
        def add(tx: Any) -> dict[str, Json]:
            entry_id = new_id(tx.now_ms)
            value = fields | {time_field: tx.now_ms} | ({named: entry_id} if named else {})
            record: Record = tx.records.put(prefix + entry_id, value, expect=0)
            return record.to_dict()

        return Record(**self._swarm.transact(add, op_id=op_id, about=[prefix, fields]))


def _text(what: str, text: str) -> str:
    if not isinstance(text, str) or not text:
        raise InvalidArgumentError(f"{what} {text!r}", hint="give a text that is not empty")
    return text
