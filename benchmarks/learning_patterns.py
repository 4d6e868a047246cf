"""Patterns, trends and failures: what is planted is found, and nothing where nothing is

Made-up swarms only: tasks with a difficulty that their rows share, facets of the tasks, strategies
whose success rates differ, and (or not) one conjunction that changes how tasks end.
"""

from __future__ import annotations

import numpy as np

from swarm_memory.learning import patterns
from swarm_memory.learning.observation import FAILURE, SUCCESS, Observation

LANGUAGES = ("python", "rust", "go", "java", "c", "sql")
STRATEGIES = ("parallel", "sequential", "pipeline")
TYPES = ("fix", "feature", "review")
# 60 conditions that the planted ones are among.
SHARES = (0.5, 0.4, 0.3, 0.25, 0.2, 0.15, 0.1, 0.05)


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
    about = [_facets(rng, facets) for _ in range(tasks)]
    planted = np.ones(tasks, dtype=bool)
    for number in range(conditions):
        holds = rng.random(tasks) < support ** (1 / conditions)
        planted &= holds
        for context, value in zip(about, holds.tolist(), strict=True):
            context[f"planted{number}"] = value
    base = dict(zip(STRATEGIES, (0.45, 0.4, 0.3), strict=True))
    kinds = rng.integers(len(TYPES), size=tasks)
    result = []
    for row in range(rows):
        task = row // rows_per_task
        strategy = STRATEGIES[int(rng.integers(len(STRATEGIES)))]
        rate = base[strategy] + 0.05 * (kinds[task] - 1) + hard[task] + effect * planted[task]
        reward = float(rng.random() < min(max(rate, 0.02), 0.98))
        agents = rng.choice(8, size=2, replace=False).tolist()
        result.append(
            Observation(
                outcome_id=f"o{row}",
                at_ms=1_750_000_000_000 + 60_000 * row,
                task=f"t{task}",
                task_type=TYPES[int(kinds[task])],
                strategy=strategy,
                status=SUCCESS if reward else FAILURE,
                reward=reward,
                agents=tuple(f"agent-{agent}" for agent in agents),
                context=about[task],
            )
        )
    return result


def _facets(rng: np.random.Generator, count: int) -> dict[str, object]:
    context: dict[str, object] = {
        "language": LANGUAGES[int(rng.choice(6, p=(0.4, 0.2, 0.15, 0.1, 0.1, 0.05)))],
        "files": int(rng.lognormal(1.5, 1.0)) + 1,
    }
    for number in range(count):
        context[f"flag{number}"] = bool(rng.random() < SHARES[number % len(SHARES)])
    return context


def is_planted(pattern: patterns.Pattern, conditions: int = 1) -> bool:
    """Tell whether a pattern is exactly the planted one."""
    names = {f"planted{number}" for number in range(conditions)}
    return {condition.name for condition in pattern.conditions} == names
