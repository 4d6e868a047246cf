"""What was expected of each row: the forecast made at its choice, else its strategy's mean."""

from __future__ import annotations

import math

import numpy as np

from swarm_memory.learning import statistics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarm_memory.learning.observation import Observation
    from swarm_memory.learning.statistics import Floats

PREDICTED, AVERAGE = "predicted", "average"
BASES = (PREDICTED, AVERAGE)
MEAN_STRENGTH = 3.0  # rows that the mean of all counts for in the mean of a cell


def labelled(observations: Sequence[Observation]) -> list[Observation]:
    """Return the rows with a reward that is a number in [0, 1]; the others say nothing."""
    return [row for row in observations if is_known(row.reward)]


def is_known(reward: float | None) -> bool:
    """Tell whether a reward or a forecast is a number in [0, 1]."""
    return reward is not None and math.isfinite(reward) and 0 <= reward <= 1


def rewards_of(rows: Sequence[Observation]) -> Floats:
    """Return the rewards of labelled rows, (n_rows,)."""
    return np.array([row.reward for row in rows], dtype=np.float64)


def expected(rows: Sequence[Observation], basis: str = AVERAGE) -> Floats:
    """Return the reward that was expected of each labelled row, (n_rows,).

    Args:
        basis: "predicted" takes the row's own forecast where it has one; "average", and where
            there is none, the mean of its strategy on its task type, shrunk to the mean of all.

    Raises:
        ValueError: `basis` is neither.
    """
    if basis not in BASES:
        raise ValueError(f"basis {basis!r}: one of {', '.join(BASES)}")
    if not rows:
        return np.zeros(0)
    rewards = rewards_of(rows)
    groups = statistics.numbered([(row.strategy, row.task_type) for row in rows])
    overall = float(rewards.mean())
    sizes = np.bincount(groups)
    sums = np.bincount(groups, weights=rewards)
    means = (sums + MEAN_STRENGTH * overall) / (sizes + MEAN_STRENGTH)
    result = means[groups]
    if basis == PREDICTED:
        for index, row in enumerate(rows):
            if is_known(row.predicted):
                result[index] = row.predicted
    return np.asarray(result, dtype=np.float64)
