"""Made-up swarms to learn from, and recorded runs of agents where somebody has them."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from swarm_memory.learning import patterns
from swarm_memory.learning.observation import FAILURE, SUCCESS, Observation

LANGUAGES = ("python", "rust", "go", "java", "c", "sql")
STRATEGIES = ("parallel", "sequential", "pipeline")
TYPES = ("fix", "feature", "review")
RATES = (0.45, 0.4, 0.3)  # of the strategies
SHARES = (0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05)  # of the tasks that have a facet
RUNS_MIN = 700  # of a recorded strategy


def swarm(
    seed: int,
    *,
    rows: int = 2000,
    rows_per_task: int = 1,
    hardness: float = 0.15,
    facets: int = 12,
    effect: float = 0.0,
    support: float = 0.15,
    conditions: int = 1,
) -> list[Observation]:
    """Return outcomes of a made-up swarm.

    Args:
        rows_per_task: Rows that share a task's difficulty; their strategies are drawn apart.
        hardness: The standard deviation of that difficulty, as a success rate.
        facets: Boolean facets beside language, size and agents, from even to rare ones.
        effect: What the planted conjunction adds to the success rate of its tasks.
        support: The share of the tasks that it holds of.
        conditions: One or two conditions.
    """
    rng = np.random.default_rng(seed)
    tasks = -(-rows // rows_per_task)
    hard = rng.normal(0, hardness, tasks)
    holds = rng.random((tasks, conditions)) < support ** (1 / conditions)
    about = _contexts(rng, tasks, facets, holds)
    kinds = rng.integers(len(TYPES), size=tasks)
    task = np.arange(rows) // rows_per_task
    chosen = rng.integers(len(STRATEGIES), size=rows)
    rate = np.array(RATES)[chosen] + 0.05 * (kinds[task] - 1) + hard[task]
    rate += effect * holds.all(axis=1)[task]
    rewards = (rng.random(rows) < np.clip(rate, 0.02, 0.98)).astype(float).tolist()
    agents = np.argsort(rng.random((rows, 8)), axis=1)[:, :2].tolist()
    return [
        Observation(
            outcome_id=f"o{row}",
            at_ms=1_750_000_000_000 + 60_000 * row,
            task=f"t{task[row]}",
            task_type=TYPES[int(kinds[task[row]])],
            strategy=STRATEGIES[int(chosen[row])],
            status=SUCCESS if rewards[row] else FAILURE,
            reward=rewards[row],
            agents=tuple(f"agent-{agent}" for agent in agents[row]),
            context=about[int(task[row])],
        )
        for row in range(rows)
    ]


def _contexts(
    rng: np.random.Generator, tasks: int, facets: int, holds: np.ndarray
) -> list[dict[str, object]]:
    languages = rng.choice(len(LANGUAGES), size=tasks, p=(0.4, 0.2, 0.15, 0.1, 0.1, 0.05))
    files = (rng.lognormal(1.5, 1.0, tasks) + 1).astype(int).tolist()
    shares = np.array([SHARES[number % len(SHARES)] for number in range(facets)])
    flags = (rng.random((tasks, facets)) < shares).tolist()
    planted = holds.tolist()
    contexts = []
    for task in range(tasks):
        context: dict[str, object] = {"language": LANGUAGES[int(languages[task])]}
        context["files"] = files[task]
        context |= {f"flag{number}": flag for number, flag in enumerate(flags[task])}
        context |= {f"planted{number}": held for number, held in enumerate(planted[task])}
        contexts.append(context)
    return contexts


def is_planted(pattern: patterns.Pattern, conditions: int = 1) -> bool:
    """Tell whether a pattern is exactly the planted one."""
    names = {f"planted{number}" for number in range(conditions)}
    return {condition.name for condition in pattern.conditions} == names


def shuffled(rows: list[Observation], seed: int) -> list[Observation]:
    """Return the rows with the contexts dealt anew to the tasks: nothing in them is true."""
    contexts = {row.task: row.context for row in rows}
    names = sorted(contexts)
    dealt = np.random.default_rng(seed).permutation(len(names)).tolist()
    given = {name: contexts[names[place]] for name, place in zip(names, dealt, strict=True)}
    return [row._replace(context=given[row.task]) for row in rows]


def with_forecasts(rows: list[Observation]) -> list[Observation]:
    """Return the rows with the forecasts of a learner that knows which facet matters."""
    counts: dict[tuple[object, ...], list[float]] = {}
    result = []
    for row in rows:
        key = (row.strategy, row.task_type, (row.context or {}).get("planted0"))
        known = counts.setdefault(key, [2.0, 1.0])
        result.append(row._replace(predicted=known[1] / known[0]))
        known[0] += 1
        known[1] += row.reward or 0.0
    return result


def recorded_runs(folder: Path) -> list[Observation]:
    """Return the runs of `swebench_pro_runs.csv`: of several agent systems on each task."""
    with (folder / "swebench_pro_runs.csv").open() as lines:
        runs = list(csv.DictReader(lines))
    counts: dict[str, int] = {}
    for run in runs:
        counts[run["strategy"]] = counts.get(run["strategy"], 0) + 1
    return [
        Observation(
            outcome_id=f"r{number}",
            at_ms=number,
            task=run["instance"],
            task_type="issue",
            strategy=run["strategy"],
            status=SUCCESS if float(run["resolved"]) else FAILURE,
            reward=float(float(run["resolved"]) > 0),
            context={"repo": run["repo"]},
        )
        for number, run in enumerate(runs)
        if counts[run["strategy"]] >= RUNS_MIN
    ]
