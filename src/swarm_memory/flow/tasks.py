"""Tasks as claude-flow's hooks begin and end them, with what the swarm learns from it."""

from __future__ import annotations

from swarm_memory.context import new_id
from swarm_memory.key import escape
from swarm_memory.layout import Layout
from swarm_memory.recording import OFF
from swarm_memory.redact import redact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from swarm_memory.model import Json
    from swarm_memory.reports import Recommendation
    from swarm_memory.swarm import Swarm, Transaction

    Task = dict[str, Json]

TASK_TYPE = "task"  # of a task whose kind nobody says
STRATEGIES = ("balanced", "parallel", "sequential")  # what claude-flow's callers can follow
NAME_BYTES = 60
RECENT_MAX = 100
STARTED, COMPLETED, FAILED, ENDED = "started", "completed", "failed", "ended"


class Tasks:
    """The tasks of a swarm: any of its agents may end what another began."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        context = swarm.context
        self._layout = Layout(context.swarm, context.agent)

    def key(self, task_id: str) -> str:
        """Return where a task is kept."""
        name = escape(task_id, limit=NAME_BYTES)
        return f"{self._layout.swarm}/global/coordination/tasks/{name}"

    def current(self) -> str | None:
        """Return the task that this agent began last, None if that is over."""
        state = self._swarm.records.get(self._layout.state)
        task_id = state.value.get("task_id") if state is not None else None
        known = self._swarm.records.get(self.key(task_id)) if task_id else None
        return task_id if known is not None and known.value["status"] == STARTED else None

    def begin(
        self, task_id: str | None, description: str, kind: str
    ) -> tuple[Task, Recommendation]:
        """Begin a task, write the agent's state, and choose a strategy for it; one transaction.

        Beginning it again while it runs changes nothing, and chooses nothing new.
        """
        said = {"description": redact(description).text}
        if self._swarm.config.record == OFF:
            said = {}

        def write(tx: Transaction) -> tuple[Task, Any]:
            name = task_id or f"task-{new_id(tx.now_ms)}"
            known = tx.records.get(self.key(name))
            if known is not None and known.value["status"] == STARTED:
                return known.value, None
            about = {"task_type": kind} | said
            chosen = tx.outcomes.recommend(about, list(STRATEGIES), explore=tx.outcomes.may_try())
            task: Task = {
                "task_id": name,
                "task_type": kind,
                "status": STARTED,
                "started_ms": tx.now_ms,
                "strategy": chosen.strategy,
                "choice_id": chosen.choice_id,
            }
            tx.records.put(self.key(name), task | said)
            state = {"agent_name": self._swarm.context.agent, "status": "active", "task_id": name}
            tx.records.put(self._layout.state, state)
            return task, chosen

        return self._swarm.transact(write)

    def follow(self, task_id: str, strategy: str | None, more: dict[str, Json]) -> Task:
        """Note by which strategy a task is done, beginning it if nobody has."""

        def write(tx: Transaction) -> Task:
            known = tx.records.get(self.key(task_id))
            task: Task = {
                "task_id": task_id,
                "task_type": TASK_TYPE,
                "status": STARTED,
                "started_ms": tx.now_ms,
            }
            if known is not None and known.value["status"] == STARTED:
                task = known.value
            if strategy is not None:
                task = task | {"strategy": strategy}
            task = task | more
            tx.records.put(self.key(task_id), task)
            return task

        return self._swarm.transact(write)

    def end(
        self, task_id: str, success: bool | None, duration_s: float | None, more: dict[str, Json]
    ) -> tuple[Task, bool]:
        """End a task; return it and whether the swarm has learned from it.

        It learns if somebody says how the task ended and it is known how long it took; to have
        ended is no success. A task that has ended stays as it ended, and counts once.
        """

        def write(tx: Transaction) -> tuple[Task, bool]:
            known = tx.records.get(self.key(task_id))
            task: Task = (
                {"task_id": task_id, "task_type": TASK_TYPE} if known is None else known.value
            )
            if task.get("status") not in (None, STARTED):
                return task | {"again": True}, False
            spent_s = duration_s
            if spent_s is None and task.get("started_ms") is not None:
                spent_s = max(0, tx.now_ms - task["started_ms"]) / 1000
            status = {True: COMPLETED, False: FAILED, None: ENDED}[success]
            ended = {"status": status, "ended_ms": tx.now_ms, "duration_s": spent_s}
            task = task | more | ended
            if spent_s is not None:
                choice = task.get("choice_id")
                tx.outcomes.record(
                    task["task_type"],
                    [self._swarm.context.agent],
                    success,
                    spent_s,
                    strategy=task.get("strategy"),
                    decision=choice,
                    task=escape(task_id, limit=NAME_BYTES),
                    outcome_id=f"flow/{escape(task_id, limit=NAME_BYTES)}/{task.get('started_ms')}",
                )
            tx.records.put(self.key(task_id), task)
            return task, success is not None and spent_s is not None

        return self._swarm.transact(write)

    def compared(self, task: Task) -> dict[str, Json]:
        """Return how other tasks of its type went, as far as outcomes say."""
        others = self._swarm.outcomes.recent(task["task_type"], limit=RECENT_MAX)
        seconds = sorted(outcome.duration_s for outcome in others)
        return {
            "tasks": len(others),
            "succeeded": sum(outcome.success is True for outcome in others),
            "median_s": seconds[len(seconds) // 2] if seconds else None,
        }
