"""Practice: what a swarm has learned from the operations that hooks recorded, as telemetry.

Four bounded logs, each one record under `memory/practice`: attempts to mend a failure, runs of
checks, files that were changed together, runs of agents. They outlive the operations that they were
learned from. `learn` enters what a session did since, each thing once by its id, so it may be
called as often as anybody likes, by as many processes at once; what is asked is counted from a log
when it is asked, at a cost that does not grow.
"""

from __future__ import annotations

from swarm_memory.lean import NamedTuple
from swarm_memory.learning.operations import (
    AGENT,
    CHECKS,
    RUN,
    Step,
    merged,
    step_of,
    trials_from,
    trials_of,
)
from swarm_memory.remembering import OPERATIONS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from swarm_memory.engine import Engine
    from swarm_memory.learning.hints import AgentRuns, Hint, Together, Working
    from swarm_memory.learning.labels import Label
    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm

PRACTICE = "memory/practice"
TRIALS, RUNS, SETS, AGENTS = (f"{PRACTICE}/{name}" for name in ("trials", "runs", "sets", "agents"))
EVENTS_MAX = 5000  # of the change log's end, where operations are looked for
STEPS_MAX, STEPS_HINT_MAX, STEPS_LABEL_MAX = 400, 100, 600
VALUE_BYTES_MAX = 65_536  # of an operation as it is stored: with `full` some are long
TRIALS_EACH, TRIALS_TOTAL = 12, 400
RUNS_EACH, RUNS_TOTAL, SETS_TOTAL, AGENTS_TOTAL = 20, 300, 200, 300
AUTHOR = "practice"
SHOWN_AT = "PostToolUse"  # and after a failure


class Ran(NamedTuple):
    """One run of a subagent, as the call that started it tells; '' and None where it does not."""

    agent_id: str
    agent_type: str
    model: str
    task: str
    tokens: float | None


class Practice:
    """What one swarm has learned from what its agents did."""

    __slots__ = ("_engine", "_swarm")

    def __init__(self, swarm: Swarm, engine: Engine) -> None:
        self._swarm = swarm
        self._engine = engine

    # --- learning ---

    def learn(self, session: str) -> int:
        """Enter what a session did lately; return how much of it was new.

        Args:
            session: Its short name.
        """
        from swarm_memory.learning.hints import sets_of

        steps = self.steps(session, limit=STEPS_MAX)
        runs = [s for s in steps if s.kind == RUN and s.check in CHECKS and s.ok is not None]
        trials = trials_of(steps)
        new = {
            TRIALS: lambda known: merged(known, trials, each=TRIALS_EACH, total=TRIALS_TOTAL),
            RUNS: lambda known: _rows(known, map(_run_row, runs), RUNS_TOTAL, RUNS_EACH),
            SETS: lambda known: _rows(known, map(list, sets_of(steps)), SETS_TOTAL),
            AGENTS: lambda known: _rows(known, self._agents(session, steps), AGENTS_TOTAL),
        }
        about = {TRIALS: trials, RUNS: runs, SETS: steps, AGENTS: steps}
        return sum(self._enter(key, enter) for key, enter in new.items() if about[key])

    def steps(self, session: str | None = None, *, limit: int = STEPS_MAX) -> list[Step]:
        """Return what was done last, in order: by a session, by its short name, or by all.

        Operations that are damaged are left to `verify`.
        """
        from swarm_memory.errors import CorruptValueError
        from swarm_memory.rows import records_of

        folder = f"{OPERATIONS}/{session}/" if session else f"{OPERATIONS}/"
        context = self._swarm.context
        rows = self._engine.all(
            "practice_operations",
            swarm=context.swarm,
            low=folder,
            high=folder[:-1] + "0",  # the character after "/"
            events=EVENTS_MAX,
            limit=limit,
            bytes=VALUE_BYTES_MAX,
        )
        found = []
        for row in rows:
            try:
                [record] = records_of(context, (row,))
            except CorruptValueError:
                continue
            step_id = record.key.removeprefix(f"{OPERATIONS}/")
            where = step_id.partition("/")[0]
            step = step_of(
                step_id, record.created_ms, where, record.author, record.value, record.provenance
            )
            found += [step] if step is not None else []
        return found

    def _agents(self, session: str, steps: Iterable[Step]) -> list[list[Json]]:
        """Return the runs of agents that ended: those that were started by a recorded call."""
        runs = []
        for step in steps:
            told = step.about
            if step.kind != AGENT or not isinstance(told, dict) or "agent_id" not in told:
                continue
            seconds = told.get("ms", 0) / 1000 or None
            what = [told.get(name) or "" for name in ("agent_type", "model", "task")]
            numbers = [seconds, told.get("tokens")]
            runs.append([f"{session}/{told['agent_id']}", step.at_ms, *what, None, *numbers])
        return runs

    def turn_ended(self, session_id: str, session: str) -> None:
        """Enter what a session did, and labels that its agents have got since they ended."""
        self.learn(session)
        waiting = {row[0] for row in self._log(AGENTS) if row[5] is None}
        if any(run_id.startswith(f"{session}/") for run_id in waiting):
            self._label_agents(session_id, session)

    def agent_ended(self, session_id: str, session: str, agent_id: str) -> Label:
        """Return the label of a subagent's work that ended; enter it, and how long it took.

        What it was started with may be told before or after that.
        """
        self.learn(session)
        labels = self._label_agents(session_id, session)
        return labels.get(agent_id) or self.label(session_id, agent_id)

    def _label_agents(self, session_id: str, session: str) -> dict[str, Label]:
        labels = self.labels_for(session_id)
        agents = {a.agent_id: a for a in self._swarm.sessions.agents(session_id)}

        def enter(known: list[Json]) -> list[Json]:
            for row in known:
                agent = agents.get(row[0].partition("/")[2])
                if not row[0].startswith(f"{session}/") or agent is None:
                    continue
                row[5] = labels[agent.agent_id].reward
                if row[6] is None and agent.ended_ms is not None:
                    row[6] = round((agent.ended_ms - agent.started_ms) / 1000, 1)
            return known

        self._enter(AGENTS, enter)
        return labels

    # --- what is asked ---

    def hint(self, session_id: str, session: str, step_id: str) -> Hint | None:
        """Return what made a failure go away before; None where that is not sure enough.

        A session that was shown a hint which did not come true, or not yet, is shown no other: so
        none is led astray twice.

        Args:
            session: The short name of the session that it happened in.
            step_id: Which operation failed: the rest of its key.
        """
        trials = trials_from(self._log(TRIALS))
        if not trials:
            return None
        from swarm_memory.learning.hints import came_true, hint_of
        from swarm_memory.learning.operations import open_changes

        steps = self.steps(session, limit=STEPS_HINT_MAX)
        failed = next((s for s in steps if s.step_id == step_id and s.ok is False), None)
        if failed is None or failed.kind != RUN:
            return None
        changed, again = open_changes(steps, failed)
        how = (failed.name, failed.error, failed.places)
        hint = hint_of(trials, *how, changed=changed, again=again)
        shown = [] if hint is None else self._shown(session_id)
        if shown:
            done = trials_of(self.steps(session, limit=2 * STEPS_HINT_MAX))
            if not all(came_true(item, at_ms, done) for item, at_ms in shown):
                return None
        return hint

    def _shown(self, session_id: str) -> list[tuple[str, int]]:
        """Return the hints that a session was shown, and when."""
        where = {"swarm": self._swarm.context.swarm, "session_id": session_id}
        rows = self._engine.all("practice_shown", **where)
        return [(row[0], row[1]) for row in rows if row[2].startswith(SHOWN_AT)]

    def working(self) -> list[Working]:
        """Return the commands that work here: at most one test, one lint, one build."""
        from swarm_memory.learning.hints import working_of

        return working_of(_run_of(row) for row in self._log(RUNS))

    def together(self, path: str) -> list[Together]:
        """Return the files that are changed together with one, the surest first."""
        from swarm_memory.learning.hints import together_with

        return together_with(path, self._sets())

    def tests_of(self, path: str) -> list[str]:
        """Return the tests that belong to a file, as far as its changes tell."""
        from swarm_memory.learning.hints import belonging_tests

        return belonging_tests(path, self._sets())

    def agents(self) -> list[AgentRuns]:
        """Return cost, duration and success by type of agent, model and class of task."""
        from swarm_memory.learning.hints import agent_runs_of

        return agent_runs_of(
            (row[2], row[3], row[4], None if row[5] is None else row[5] >= 0.5, row[6], row[7])
            for row in self._log(AGENTS)
        )

    def _sets(self) -> list[list[str]]:
        return [row[2] for row in self._log(SETS)]

    def coverage(self) -> float:
        """Return the share of the runs of agents that have a label; 0 where there are none."""
        rows = self._log(AGENTS)
        return sum(row[5] is not None for row in rows) / len(rows) if rows else 0.0

    # --- labels ---

    def label(self, session_id: str, agent_id: str | None = None) -> Label:
        """Return how the work of an agent ended, as far as what was done around it tells.

        Asked again later, it may know more.

        Args:
            agent_id: Which subagent; None for all that the session did since it began.

        Raises:
            NotFoundError: There is no such session.
        """
        from swarm_memory.learning.labels import Work, label_of

        if agent_id is not None:
            found = self.labels_for(session_id).get(agent_id)
            if found is not None:
                return found
        life = self._swarm.sessions.get(session_id)
        who = None if agent_id is None else f":{agent_id}@"
        work = Work(life.short, who, life.began_ms, life.ended_ms)
        return label_of(work, self.steps(limit=STEPS_LABEL_MAX))

    def runs_of(self, session: str) -> list[Ran]:
        """Return the runs of a session's subagents, the oldest first."""
        found = []
        for row in self._log(AGENTS):
            where, _, agent_id = row[0].partition("/")
            if where == session:
                found.append(Ran(agent_id, row[2], row[3], row[4], row[7]))
        return found

    def labels_for(self, session_id: str) -> dict[str, Label]:
        """Return how the work of each subagent of a session ended, by its id.

        Raises:
            NotFoundError: There is no such session.
        """
        from swarm_memory.learning.labels import Work, label_of

        session = self._swarm.sessions.get(session_id).short
        agents = self._swarm.sessions.agents(session_id)
        steps = self.steps(limit=STEPS_LABEL_MAX) if agents else []
        return {
            a.agent_id: label_of(Work(session, f":{a.agent_id}@", a.started_ms, a.ended_ms), steps)
            for a in agents
        }

    def task_label(self, session_id: str, task_id: str) -> tuple[Label, float]:
        """Return how a task ended that TaskCompleted told of, and how many seconds it took.

        Raises:
            NotFoundError: There is no such session.
        """
        from swarm_memory.learning.labels import label_of, task_work

        steps = self.steps(limit=STEPS_LABEL_MAX)
        session = self._swarm.sessions.get(session_id).short
        work = task_work(steps, session, task_id)
        seconds = ((work.ended_ms or work.started_ms) - work.started_ms) / 1000
        return label_of(work, steps), seconds if work.started_ms else 0.0

    # --- the logs ---

    def _log(self, key: str) -> list[Json]:
        record = self._swarm.records.get(key)
        rows = record.value if record is not None else None
        return rows if isinstance(rows, list) else []

    def _enter(self, key: str, enter: Callable[[list[Json]], list[Json]]) -> int:
        """Change a log in one transaction; return how many of its rows are new or other ones."""
        before = self._log(key)
        if enter([*map(list, before)]) == before:
            return 0

        def write(tx: Any) -> int:
            record = tx.records.get(key)
            known = record.value if record is not None and isinstance(record.value, list) else []
            rows = enter([*map(list, known)])
            if rows != known:
                tx.records.put(key, rows)
            return sum(row not in known for row in rows)

        # Of no session: it would go with the one that wrote last, when that is forgotten.
        writer = self._swarm.as_agent(AUTHOR)
        changed: int = writer.transact(write, durability="relaxed")
        return changed


def _rows(
    known: list[Json], new: Iterable[list[Json]], total: int, each: int | None = None
) -> list[Json]:
    """Return the rows that are kept, oldest first, once for each id; of one form at most `each`."""
    by_id = {row[0]: row for row in known}
    for row in new:
        plain = [list(part) if isinstance(part, tuple) else part for part in row]
        # What was entered later, such as a label, is not undone by what the operation itself told.
        old = by_id.get(plain[0], plain)
        by_id[plain[0]] = [o if n is None else n for n, o in zip(plain, old, strict=True)]
    rows = sorted(by_id.values(), key=lambda row: (row[1], row[0]), reverse=True)
    if each is not None:
        counts: dict[str, int] = {}
        kept = []
        for row in rows:
            counts[row[2]] = counts.get(row[2], 0) + 1
            kept += [row] if counts[row[2]] <= each else []
        rows = kept
    return rows[:total][::-1]


def _run_row(step: Step) -> list[Json]:
    part = step.narrowed or bool(step.targets)
    return [step.step_id, step.at_ms, step.form, step.check, step.ok, step.duration_ms, part]


def _run_of(row: list[Json]) -> Step:
    step_id, at_ms, form, check, ok, duration_ms, part = row
    return Step(
        step_id, at_ms, "", "", "", RUN, form=form, name=form, check=check, ok=ok,
        duration_ms=duration_ms, narrowed=part,
    )  # fmt: skip
