"""A real swarm: processes that study a source tree together, through shared memory only."""

from __future__ import annotations

from collections import Counter, namedtuple

from swarm_memory.demo import coordinator
from swarm_memory.demo.report import learned_from, lines

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from swarm_memory.demo.coordinator import Invariant
    from swarm_memory.model import Json

__all__ = ["DemoReport", "lines", "run"]

AGENTS = 6


class DemoReport(
    namedtuple(
        "DemoReport",
        "path url swarm tasks agents victim taken_over learned recommendations improvement"
        " invariants health seconds skipped",
    )
):
    """What a run of the demo did; `ok` tells whether everything promised was kept."""

    __slots__ = ()
    path: str
    url: str
    swarm: str
    tasks: int
    agents: dict[str, int]
    victim: str | None
    taken_over: str | None
    learned: dict[str, Json]
    recommendations: list[str]
    improvement: tuple[float, float] | None
    invariants: list[Invariant]
    health: str
    seconds: float
    skipped: dict[str, int]

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
    progress: Callable[[int, int], object] | None = None,
) -> DemoReport:
    """Let `agents` processes study the tree at `path` (by default this package's own sources).

    The store at `url` (by default a new one in the temporary folder) stays behind. `progress` is
    called with (tasks done, tasks).

    Raises:
        InvalidArgumentError: `path` is no folder.
        SwarmMemoryError: The agents did not finish in time.
    """
    url, swarm, tree, tasks = coordinator.prepare(path, url)
    seen = coordinator.conduct(url, swarm, tree.root, tasks, agents, progress)
    invariants, facts = coordinator.check(url, swarm, tasks, seen)
    done = Counter(record.author for record in facts.results)
    names = [f"agent-{number}" for number in range(1, agents + 1)]
    told = [i.text for i in facts.insights if i.kind != "task_type"]
    third = len(facts.outcomes) // 3
    rates = [o.success for o in reversed(facts.outcomes)]
    return DemoReport(
        tree.root,
        url,
        swarm,
        len(tasks),
        {name: done[name] for name in names},
        seen.victim,
        seen.held_task if seen.victim else None,
        learned_from([record.value for record in facts.results]),
        told,
        (sum(rates[:third]) / third, sum(rates[-third:]) / third) if third else None,
        invariants,
        facts.health.overall_health,
        seen.seconds,
        tree.skipped,
    )
