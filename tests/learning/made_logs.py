"""Logs of outcomes whose truth is known, made from a seed."""

import numpy as np

from swarm_memory.learning.observation import Observation

STRATEGIES = ("careful", "fast", "plain")
# Reward by strategy on easy and hard tasks: "careful" is the best on both.
RATES = {"easy": (0.9, 0.8, 0.7), "hard": (0.5, 0.2, 0.3)}
EVEN = {"easy": (1 / 3, 1 / 3, 1 / 3), "hard": (1 / 3, 1 / 3, 1 / 3)}
# Hard tasks mostly go to the strong one: the plain mean is then wrong about both.
CONFOUNDED = {"easy": (0.1, 0.45, 0.45), "hard": (0.8, 0.1, 0.1)}


def truth(strategy):
    """Return the mean reward of a strategy: half of the tasks are hard."""
    k = STRATEGIES.index(strategy)
    return (RATES["easy"][k] + RATES["hard"][k]) / 2


def drawn(n, *, seed, logging=EVEN, rows_of_a_task=1, rates=RATES):
    """Return a log of n outcomes under the propensities `logging`."""
    generator = np.random.default_rng(seed)
    kinds = generator.integers(2, size=n)
    chances, luck = generator.random(n), generator.random(n)
    rows = []
    for i in range(n):
        kind = ("easy", "hard")[kinds[i // rows_of_a_task]]
        propensities = logging[kind]
        k = int(np.searchsorted(np.cumsum(propensities), chances[i] * sum(propensities), "right"))
        reward = float(luck[i] < rates[kind][k])
        rows.append(
            observation(
                i,
                STRATEGIES[k],
                reward,
                task=f"t{i // rows_of_a_task}",
                task_type=kind,
                candidates=STRATEGIES,
                propensities=propensities,
                propensity=propensities[k],
            )
        )
    return rows


def observation(number, strategy, reward, *, propensity=0.5, **more):
    """Return one outcome; `reward` None stands for an unknown label."""
    status = "unknown" if reward is None else ("success" if reward >= 0.5 else "failure")
    fields = {"task": f"t{number}", "task_type": "any", **more}
    return Observation(
        outcome_id=f"o{number}",
        at_ms=1_750_000_000_000 + 60_000 * number,
        strategy=strategy,
        status=status,
        reward=reward,
        propensity=propensity,
        **fields,
    )
