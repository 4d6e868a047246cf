"""Whether what the demo promises was kept: the store, read anew, against what was seen outside."""

from __future__ import annotations

from collections import Counter

from swarm_memory import SwarmMemoryManager
from swarm_memory.demo.strategies import NOTABLE, is_notable
from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.demo.coordinator import Run
    from swarm_memory.demo.survey import Task
    from swarm_memory.model import Json, Record
    from swarm_memory.reports import HealthReport, Insight, Outcome

CLAIM = 100  # messages a claim


class Invariant(NamedTuple):
    """A promise, whether it held, and what was seen."""

    name: str
    held: bool
    detail: str


class Facts(NamedTuple):
    """What the store says after the run."""

    results: dict[str, Record]  # by task
    known: set[str]  # all keys
    outcomes: list[Outcome]  # newest first
    left: list[str]  # leases that are still there
    merged: dict[str, Json]
    heard: list[str]  # files that messages were about
    insights: list[Insight]
    health: HealthReport


def gather(url: str, swarm: str, tasks: list[Task]) -> Facts:
    """Read the store by a new connection."""
    base = f"swarm-{swarm}/global/demo"
    with SwarmMemoryManager("coordinator", swarm, url=url) as manager:
        records = manager.swarm.records
        merged = records.get(f"{base}/languages")
        return Facts(
            {r.key.rpartition("/")[2]: r for r in records.each(f"{base}/results/")},
            {record.key for record in records.each(f"swarm-{swarm}/")},
            # One more than there should be, so that it is seen.
            manager.swarm.outcomes.recent(limit=len(tasks) + 1),
            [s.name for s in manager.swarm.leases.list() if s.name.startswith("demo:")],
            merged.value if merged else {},
            _heard(manager),
            manager.get_learning_insights(),
            manager.get_memory_health_report(),
        )


def _heard(manager: SwarmMemoryManager) -> list[str]:
    """Return what the messages were about, and acknowledge them."""
    heard: list[str] = []
    while messages := manager.swarm.messages.claim(NOTABLE, limit=CLAIM):
        manager.swarm.messages.ack(*messages)
        heard += [message.body["path"] for message in messages]
    return heard


def done_twice(facts: Facts, run: Run) -> list[str]:
    """Return the tasks whose result was written, or acknowledged, more than once."""
    times = Counter(key.rpartition("/")[2] for key in run.said["acknowledged"])
    return [task for task, r in facts.results.items() if r.version != 1 or times[task] > 1]


def lost(facts: Facts, run: Run) -> list[str]:
    """Return the keys that were acknowledged and are not in the store."""
    return sorted(set(run.said["acknowledged"]) - facts.known)


def invariants(tasks: list[Task], facts: Facts, run: Run) -> list[Invariant]:
    """Hold the promises against the facts."""
    ids = {task.task_id for task in tasks}
    twice, gone = done_twice(facts, run), lost(facts, run)
    counted = sorted(o.outcome_id for o in facts.outcomes)
    unmerged = set(run.said["merged"]) - facts.merged.keys()
    values = [record.value for record in facts.results.values()]
    notable = sorted(v["path"] for v in values if is_notable(v["kind"], v["finding"]))
    arrived = sorted(facts.heard) == notable and set(run.said["sent"]) <= set(facts.heard)
    of = f"{len(facts.results.keys() & ids)} of {len(ids)}"
    acknowledged = f"{len(run.said['acknowledged'])} acknowledged"
    found = [
        Invariant("every task has a result", facts.results.keys() == ids, of),
        Invariant("no task was done twice", not twice, f"{len(twice)} twice"),
        Invariant(
            "nothing acknowledged is lost",
            not gone,
            f"{acknowledged}, {len(gone)} lost" if gone else acknowledged,
        ),
        Invariant(
            "every task has one outcome",
            counted == sorted(f"demo:{task_id}" for task_id in ids),
            f"{len(counted)} outcomes",
        ),
        Invariant("nothing merged is lost", not unmerged, f"{len(run.said['merged'])} merged"),
        Invariant("every message arrived once", arrived, f"{len(facts.heard)} of {len(notable)}"),
        Invariant("no lease is left", not facts.left, f"{len(facts.left)} left"),
        Invariant("every agent ended well", not run.errors, "; ".join(run.errors) or "all did"),
    ]
    return found if run.killed is None else [*found, _passed_on(facts, run)]


def heir(facts: Facts, run: Run) -> str | None:
    """Return who finished the killed agent's task."""
    result = facts.results.get(run.killed.task) if run.killed else None
    return result.author if result else None


def _passed_on(facts: Facts, run: Run) -> Invariant:
    assert run.killed is not None
    name, task, token = run.killed
    result = facts.results.get(task)
    # A newer token proves that its lease had been given up when somebody else took the task.
    held = result is not None and result.author != name and result.value.get("token", 0) > token
    detail = f"{name} was killed holding {task}, {heir(facts, run)} finished it"
    return Invariant("the killed agent's task was finished", held, detail)
