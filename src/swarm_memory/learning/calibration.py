"""Whether what was expected came true: reliability curve, Brier score, calibration error."""

from __future__ import annotations

import numpy as np

from swarm_memory.lean import NamedTuple
from swarm_memory.learning import interval
from swarm_memory.learning.interval import Interval

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from swarm_memory.learning.observation import Observation

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

BINS = 10
RESAMPLES = 400
PREDICTIONS_MIN = 20


class Bin(NamedTuple):
    """The outcomes that were predicted within [low, high): how many, and how they went.

    `reward` is their mean reward with its 95 % interval.
    """

    low: float
    high: float
    outcomes: int
    predicted: float
    reward: Interval


class Calibration(NamedTuple):
    """How well predicted rewards fit what came, over `outcomes` of `tasks`, with 95 % intervals.

    `brier` is the mean squared error, `constant` what always predicting the mean reward would
    have had, `ece` the expected calibration error: how far the bins' rewards lie off their
    predictions on average. Luck alone gives an `ece` of `ece_of_luck`, in 95 of 100 logs at most
    `ece_of_luck_high`: what lies below that is no sign of bad calibration.
    """

    outcomes: int
    tasks: int
    brier: Interval
    constant: float
    ece: Interval
    ece_of_luck: float
    ece_of_luck_high: float
    bins: tuple[Bin, ...]


def calibrate(observations: Sequence[Observation], *, seed: int) -> Calibration | None:
    """Return the calibration of `predicted`; None below twenty labelled predictions.

    Args:
        seed: Of the resampling of tasks.

    Source:
        Brier 1950; Naeini, Cooper and Hauskrecht 2015 (expected calibration error); Bröcker and
        Smith 2007 (what luck alone does to a reliability diagram).
    """
    rows = [o for o in observations if o.reward is not None and o.predicted is not None]
    if len(rows) < PREDICTIONS_MIN:
        return None
    predicted = np.clip(np.array([o.predicted for o in rows], dtype=float), 0.0, 1.0)
    reward = np.array([o.reward for o in rows], dtype=float)
    _, tasks = np.unique([o.task for o in rows], return_inverse=True)
    generator = np.random.default_rng(seed)
    lucky = _lucky_errors(predicted, tasks, generator)
    return Calibration(
        len(rows),
        int(tasks.max()) + 1,
        _clustered_mean((predicted - reward) ** 2, tasks),
        float(np.mean((reward.mean() - reward) ** 2)),
        _error_interval(predicted, reward, tasks, generator),
        float(lucky.mean()),
        float(np.quantile(lucky, 0.95)),
        _bins(predicted, reward, tasks),
    )


def _bin_of(predicted: Floats) -> Integers:
    return np.minimum((predicted * BINS).astype(np.int64), BINS - 1)


def _bins(predicted: Floats, reward: Floats, tasks: Integers) -> tuple[Bin, ...]:
    found = []
    of = _bin_of(predicted)
    for b in np.unique(of):
        rows = of == b
        found.append(
            Bin(
                float(b) / BINS,
                float(b + 1) / BINS,
                int(rows.sum()),
                float(predicted[rows].mean()),
                _clustered_mean(reward[rows], tasks[rows]),
            )
        )
    return tuple(found)


def _clustered_mean(values: Floats, tasks: Integers) -> Interval:
    mean = float(values.mean())
    n_tasks = len(np.unique(tasks))
    variance = interval.clustered_variance((values - mean) / len(values), tasks)
    return interval.score_interval(mean, variance, n_tasks, n_tasks - 1)


def _error(predicted: Floats, reward: Floats, counts: Floats) -> float:
    """Return the expected calibration error of rows that count so often, (n,)."""
    gap = np.bincount(_bin_of(predicted), weights=counts * (predicted - reward), minlength=BINS)
    return float(np.abs(gap).sum() / counts.sum())


def _error_interval(
    predicted: Floats, reward: Floats, tasks: Integers, generator: np.random.Generator
) -> Interval:
    """Return the calibration error with the interval of the basic bootstrap over tasks.

    Noise in a bin can only add to the error, and resampling adds it once more: the distribution
    is reflected at the estimate, which takes that out again.

    Source:
        Davison and Hinkley 1997, section 5.2.
    """
    error = _error(predicted, reward, np.ones(len(reward)))
    n_tasks = int(tasks.max()) + 1
    counts = generator.multinomial(n_tasks, [1 / n_tasks] * n_tasks, size=RESAMPLES)
    again = [_error(predicted, reward, of_task[tasks].astype(float)) for of_task in counts]
    low, high = np.quantile(again, [0.025, 0.975])
    return Interval(error, max(0.0, 2 * error - float(high)), min(1.0, 2 * error - float(low)))


def _lucky_errors(predicted: Floats, tasks: Integers, generator: np.random.Generator) -> Floats:
    """Return the calibration errors that a perfect forecast would have had, (n_resamples,).

    Outcomes of one task are drawn alike, which is the most that they can share.
    """
    n_tasks, ones = int(tasks.max()) + 1, np.ones(len(predicted))
    return np.array(
        [
            _error(predicted, (generator.random(n_tasks)[tasks] < predicted).astype(float), ones)
            for _ in range(RESAMPLES)
        ]
    )
