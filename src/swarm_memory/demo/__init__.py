"""A real swarm: processes that study a source tree together, through shared memory only."""

from __future__ import annotations

import os
from collections import Counter

from swarm_memory import InvalidArgumentError
from swarm_memory.demo import checks, coordinator
from swarm_memory.demo.report import advice, learned_from, lines
from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from swarm_memory.demo.checks import Facts, Invariant
    from swarm_memory.demo.coordinator import Run
    from swarm_memory.demo.survey import Survey, Task
    from swarm_memory.model import Json

__all__ = ["DemoReport", "lines", "run"]

AGENTS = 6
AGENTS_MIN, AGENTS_MAX = 2, 64  # one is killed, so somebody has to be left


class DemoReport(NamedTuple):
    """What a run of the demo did; `ok` tells whether everything promised was kept.

    `victim` was killed while it held the task `taken_over`; `improvement` is the share of right
    answers in the first and in the last third of the outcomes. `complete` is False if the tree is
    larger than what was looked at.
    """

    path: str
    url: str
    swarm: str
    tasks: int
    done: int
    done_twice: list[str]
    lost: list[str]
    agents: dict[str, int]
    victim: str | None
    taken_over: str | None
    taken_over_by: str | None
    learned: dict[str, Json]
    recommendations: list[str]
    improvement: tuple[float, float] | None
    invariants: list[Invariant]
    health: str
    usage: dict[str, int]
    seconds: float
    skipped: dict[str, int]
    complete: bool

    @property
    def ok(self) -> bool:
        """Whether nothing was lost and nothing done twice."""
        return all(invariant.held for invariant in self.invariants)

    def to_dict(self) -> dict[str, Json]:
        """Return the report as every door shows it."""
        return {
            **self._asdict(),
            "invariants": [invariant._asdict() for invariant in self.invariants],
            "ok": self.ok,
        }


def run(
    path: str | None = None,
    *,
    url: str | None = None,
    agents: int = AGENTS,
    seed: int | None = None,
    progress: Callable[[int, int], object] | None = None,
    out: Callable[[str], object] | None = None,
    ready: Callable[[str, str], object] | None = None,
    lasting_s: float = 0.0,
) -> DemoReport:
    """Let `agents` processes study the tree at `path` (by default this package's own sources).

    The store at `url` (by default a new one in the temporary folder) stays behind. `progress` is
    called with (tasks done, tasks), `out` with each line of the summary. `seed` fixes in which
    order the agents reach for tasks, not who is first. `ready` is called with the URL and the swarm
    before they begin; `lasting_s` slows them down, so that somebody can watch them.

    Raises:
        InvalidArgumentError: `path` is no folder, or `agents` is not within 2 to 64.
        SwarmMemoryError: The agents did not finish in time.
    """
    if not AGENTS_MIN <= agents <= AGENTS_MAX:
        raise InvalidArgumentError(f"agents {agents}", hint=f"give {AGENTS_MIN} to {AGENTS_MAX}")
    url, swarm, tree, tasks = coordinator.prepare(path, url)
    if ready is not None:
        ready(url, swarm)
    seen = coordinator.conduct(
        url, swarm, tree.root, tasks, agents, progress, seed=seed, lasting_s=lasting_s
    )
    report = _report(url, swarm, tree, tasks, seen, agents)
    if out is not None:
        for line in lines(report):
            out(line)
    return report


def _report(
    url: str, swarm: str, tree: Survey, tasks: list[Task], seen: Run, agents: int
) -> DemoReport:
    facts = checks.gather(url, swarm, tasks)
    values = [record.value for record in facts.results.values()]
    done = Counter(record.author for record in facts.results.values())
    return DemoReport(
        # A folder's name may hold bytes that are no UTF-8: shown, not passed on.
        os.fsencode(tree.root).decode("utf-8", "replace"),
        url,
        swarm,
        len(tasks),
        len(values),
        checks.done_twice(facts, seen),
        checks.lost(facts, seen),
        {name: done[name] for name in (f"agent-{n}" for n in range(1, agents + 1))},
        seen.killed.name if seen.killed else None,
        seen.killed.task if seen.killed else None,
        checks.heir(facts, seen),
        learned_from(values, os.path.basename(tree.root)),
        advice(facts.insights),
        _improvement(facts),
        checks.invariants(tasks, facts, seen),
        facts.health.overall_health,
        {name: facts.health.metrics[name] for name in ("records", "bytes", "file_bytes")},
        seen.seconds,
        tree.skipped,
        tree.complete,
    )


def _improvement(facts: Facts) -> tuple[float, float] | None:
    third = len(facts.outcomes) // 3
    rates = [outcome.reward or 0.0 for outcome in reversed(facts.outcomes)]
    return (sum(rates[:third]) / third, sum(rates[-third:]) / third) if third else None
