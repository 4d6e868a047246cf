"""The facade in the words of the specification: what an agent does with its swarm's memory."""

from __future__ import annotations

from swarm_memory.errors import InvalidArgumentError
from swarm_memory.layout import Layout, agent_of_scope
from swarm_memory.reports import CoordinationState, optimization_of
from swarm_memory.swarm import Swarm

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Any, Self

    from swarm_memory.model import Json, Record
    from swarm_memory.reports import (
        Changes,
        HealthReport,
        Insight,
        Optimization,
        Outcome,
        Recommendation,
    )

LIST_LIMIT = 100
SYNC_CURSOR = "sync"


class SwarmMemoryManager:
    """One agent's memory within its swarm.

    Results are frozen values that are true when the call worked and have `to_dict()`; what fails
    raises a `SwarmMemoryError`. `swarm` is the lower door with records, leases and messages.
    """

    def __init__(
        self,
        agent_name: str,
        swarm_id: str,
        config_path: str | None = None,
        *,
        url: str | None = None,
        session: str | None = None,
        session_ttl_s: float | None = None,
        durability: str = "full",
        clock: Any = None,
    ) -> None:
        """Open the store at `url`, or the project's store; arguments as in `Swarm.open`."""
        self._use(
            Swarm.open(
                url,
                agent=agent_name,
                swarm=swarm_id,
                session=session,
                session_ttl_s=session_ttl_s,
                durability=durability,
                config_path=config_path,
                clock=clock,
            )
        )

    @classmethod
    def of(cls, swarm: Swarm) -> Self:
        """Return the manager of an open swarm; closing it closes that."""
        manager = cls.__new__(cls)
        manager._use(swarm)
        return manager

    def _use(self, swarm: Swarm) -> None:
        self.swarm = swarm
        self.agent_name = swarm.context.agent
        self.swarm_id = swarm.context.swarm
        self._layout = Layout(self.swarm_id, self.agent_name)

    # --- the agent's own memory ---

    def initialize_agent_memory(self, initial_state: dict[str, Json] | None = None) -> Record:
        """Write the agent's state and return it; daily duties of the store run if they are due."""
        state = {"agent_name": self.agent_name, "swarm_id": self.swarm_id, "status": "active"}
        record = self.swarm.records.put(
            self._layout.state, state | _object("initial_state", initial_state)
        )
        self.swarm.tick()
        return record

    def store_agent_decision(
        self, decision_type: str, decision_data: Json, context: dict[str, Json] | None = None
    ) -> Record:
        """Keep a decision; every one is kept, none replaces another."""
        return self.swarm.journal.decide(decision_type, decision_data, context)

    def get_agent_decisions(
        self,
        decision_type: str | None = None,
        *,
        agent_name: str | None = None,
        limit: int = LIST_LIMIT,
    ) -> list[Record]:
        """Return decisions, newest first: of one type or all, of this agent or another."""
        layout = Layout(self.swarm_id, agent_name or self.agent_name)
        return self._newest(layout.decisions(), decision_type, layout.decisions, limit)

    def update_agent_progress(self, task_id: str, progress_data: Json) -> Record:
        """Write how far a task is; history keeps the steps before."""
        value = {
            "task_id": task_id,
            "progress_data": progress_data,
            "agent_name": self.agent_name,
        }
        return self.swarm.records.put(self._layout.progress(_text("task_id", task_id)), value)

    # --- the swarm's memory ---

    def share_knowledge_with_swarm(self, knowledge_type: str, knowledge_data: Json) -> Record:
        """Share a piece of knowledge; every piece is kept, none replaces another."""
        return self.swarm.journal.share(knowledge_type, knowledge_data)

    def get_shared_knowledge(
        self, knowledge_type: str | None = None, *, limit: int = LIST_LIMIT
    ) -> list[Record]:
        """Return what the swarm's agents shared, newest first, of one type or all."""
        layout = self._layout
        return self._newest(layout.knowledge(), knowledge_type, layout.knowledge, limit)

    def get_swarm_coordination_state(self) -> CoordinationState:
        """Return who is in the swarm and how far its memory has come."""
        scopes = self.swarm.agents()
        newest, last_ms = self.swarm.events.newest_at()
        return CoordinationState(
            self.swarm_id, [agent_of_scope(scope) for scope in scopes], newest, last_ms
        )

    def synchronize_with_swarm(self) -> Changes:
        """Return what changed in the swarm since this agent last asked, in order."""
        return self.swarm.events.changes(SYNC_CURSOR)

    # --- learning ---

    def record_task_outcome(
        self,
        task_type: str,
        agents_involved: Sequence[str],
        success: bool | str | None,
        execution_time: float,
        context: dict[str, Json] | None = None,
        *,
        strategy: str | None = None,
        cost: float | None = None,
        decision: Recommendation | str | None = None,
        outcome_id: str | None = None,
        score: float | None = None,
        label_source: str | None = None,
        error_class: str | None = None,
        task: str | None = None,
        signals: dict[str, Json] | None = None,
        failed_agent: str | None = None,
        failed_step: int | None = None,
    ) -> Outcome:
        """Record how a task ended (`execution_time` in seconds) so that the swarm learns from it.

        `success` is True, False, "partial", "timeout", "conflict", or None if nobody knows;
        `decision` is what `get_coordination_strategy` returned, if it was asked. See
        `Outcomes.record`.
        """
        return self.swarm.outcomes.record(
            task_type,
            agents_involved,
            success,
            execution_time,
            context=context,
            strategy=strategy,
            cost=cost,
            decision=decision,
            outcome_id=outcome_id,
            score=score,
            label_source=label_source,
            error_class=error_class,
            task=task,
            signals=signals,
            failed_agent=failed_agent,
            failed_step=failed_step,
        )

    def get_coordination_strategy(
        self,
        context: dict[str, Json],
        *,
        candidates: Sequence[str] | None = None,
        explore: bool = True,
        cost_weight: float = 0.0,
        time_weight: float = 0.0,
        seed: int | None = None,
    ) -> Recommendation:
        """Choose a strategy for a task from what the swarm's outcomes say.

        See `Outcomes.recommend`.
        """
        return self.swarm.outcomes.recommend(
            context,
            candidates,
            explore=explore,
            cost_weight=cost_weight,
            time_weight=time_weight,
            seed=seed,
        )

    def get_learning_insights(self, kind: str | None = None) -> list[Insight]:
        """Return what the outcomes say, each sentence with its support."""
        return self.swarm.outcomes.insights(kind)

    # --- upkeep ---

    def get_memory_health_report(self) -> HealthReport:
        """Return usage against the limits, what is wrong, and what to do."""
        seats = self.swarm.leases.list()
        mine = [s for s in seats if s.owner.partition("/")[0] == self.agent_name]
        counts = self.swarm.messages.counts()
        metrics = {
            "outcomes": self.swarm.outcomes.count(),
            "leases_held": sum(seat.state == "held" for seat in seats),
            "leases_waited_for": sum(seat.state == "waiting" for seat in seats),
            "messages_ready": counts.ready,
            "messages_dead": counts.dead,
        }
        agent = {
            "active_locks": sum(seat.state == "held" for seat in mine),
            "pending_messages": len(self.swarm.messages.inbox()),
        }
        return self.swarm.health.report(metrics, agent)

    def optimize_memory(
        self,
        auto_apply: bool = False,
        *,
        only: Sequence[str] | None = None,
        budget_s: float = 60.0,
    ) -> Optimization:
        """Remove what has expired, pack, give space back; without `auto_apply` only say so.

        Nothing that is live is ever removed. What is not done within `budget_s` seconds is done the
        next time; `only` names some of the steps (see `swarm.optimizer`).
        """
        optimizer = self.swarm.optimizer
        if not auto_apply:
            return optimization_of(optimizer.plan(only), None, self._advice())
        gains = optimizer.apply(only, budget_s=budget_s)
        return optimization_of([], gains, self._advice())

    def create_memory_snapshot(self) -> Record:
        """Write a monitoring sample of the swarm's memory and return it."""
        report = self.get_memory_health_report()
        state = self.get_swarm_coordination_state()
        return self.swarm.journal.snapshot(report.to_dict(), state.to_dict())

    def close(self) -> None:
        """Close the store; a second call does nothing."""
        self.swarm.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _advice(self) -> list[str]:
        return self.get_memory_health_report().recommendations

    def _newest(
        self, everything: str, kind: str | None, prefix_of: Any, limit: int
    ) -> list[Record]:
        """Return the newest `limit` records below one kind's prefix, or below all kinds."""
        records = self.swarm.records
        if kind is not None:
            return list(records.scan(prefix_of(kind), limit=limit, reverse=True))
        found: list[Record] = []
        after = None
        # Hop from kind to kind instead of reading them all: ids begin with digits, before "z".
        while page := records.scan(everything, limit=1, after=after):
            segment = page[0].key[len(everything) :].partition("/")[0]
            found += records.scan(f"{everything}{segment}/", limit=limit, reverse=True)
            after = f"{everything}{segment}/z"
        found.sort(key=lambda record: record.key.rpartition("/")[2], reverse=True)
        return found[:limit]


def create_swarm_memory_manager(
    agent_name: str, swarm_id: str, config_path: str | None = None, *, url: str | None = None
) -> SwarmMemoryManager:
    """Return an agent's memory, with its state written."""
    manager = SwarmMemoryManager(agent_name, swarm_id, config_path, url=url)
    manager.initialize_agent_memory()
    return manager


def quick_memory_health_check(
    agent_name: str = "system", swarm_id: str = "default", *, url: str | None = None
) -> HealthReport:
    """Return the health of a swarm's memory."""
    with SwarmMemoryManager(agent_name, swarm_id, url=url) as manager:
        return manager.get_memory_health_report()


def emergency_memory_cleanup(
    agent_name: str = "system", swarm_id: str = "default", *, url: str | None = None
) -> Optimization:
    """Free what can be freed at once; nothing that is live is removed."""
    with SwarmMemoryManager(agent_name, swarm_id, url=url) as manager:
        return manager.optimize_memory(auto_apply=True)


def _text(what: str, text: str) -> str:
    if not isinstance(text, str) or not text:
        raise InvalidArgumentError(f"{what} {text!r}", hint="give a text that is not empty")
    return text


def _object(what: str, value: dict[str, Json] | None) -> dict[str, Json]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise InvalidArgumentError(f"{what} is no dict", hint="give an object or nothing")
    return value
