"""The direct model: the reward that each strategy would have had on each task, fitted to a log.

A ridge logistic regression: log-odds = what the task is (shared by all strategies) + the strategy
+ a shrunk product of both. Off-policy evaluation needs it only to lower the variance of
its estimates: where the model is wrong, the weights correct it.
"""

from __future__ import annotations

import re

import numpy as np

from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from swarm_memory.learning.observation import Json, Observation

    Floats = NDArray[np.float64]
    Integers = NDArray[np.int64]

COLUMNS_MAX = 48
ROWS_OF_A_COLUMN_MIN = 5
TEXT_WORDS_MIN = 4  # a text of fewer words is a facet
WORDS_MAX = 400  # of one text
NUMBER_MAX = 1e300
RANK_SCALE = 3.4641  # of ranks from 0 to 1, which makes their variance 1
PRIOR_SHARED = 0.5  # prior variance of the log-odds per column, shared by all strategies
PRIOR_STRATEGY = 1.0  # of a strategy
PRIOR_SLOPE = 0.3  # of a strategy per column; the weights mend what it overfits
PRIOR_LEVEL = 10.0  # of the overall level: left almost free
STEPS_MAX = 12
STEP_ENOUGH = 1e-6
FOLDS = 5
_WORD = re.compile(r"\w{3,24}")


def encode(observations: Sequence[Observation]) -> Floats:
    """Return what was known of each task before the work, as numbers (n, n_columns ≤ 48).

    Facets and words that at least five rows have, the most frequent first, as centred 0 or 1;
    numbers as ranks. No outcome is looked at, so that one encoding serves every fold.
    """
    named = [list(_features(o)) for o in observations]
    rows: dict[str, list[int]] = {}
    numbers: dict[str, dict[int, float]] = {}
    for row, features in enumerate(named):
        for name, number in features:
            if number is None:
                rows.setdefault(name, []).append(row)
            else:
                numbers.setdefault(name, {})[row] = number
    n = len(observations)
    columns = [_ranked(numbers[name], n) for name in sorted(numbers)]
    frequent = sorted(rows, key=lambda name: (-len(set(rows[name])), name))
    for name in frequent:
        has = sorted(set(rows[name]))
        if ROWS_OF_A_COLUMN_MIN <= len(has) <= n - ROWS_OF_A_COLUMN_MIN:
            column = np.zeros(n)
            column[has] = 1.0
            columns.append(column - len(has) / n)
        if len(columns) >= COLUMNS_MAX:
            break
    return np.stack(columns[:COLUMNS_MAX], axis=1) if columns else np.zeros((n, 0))


def _ranked(known: dict[int, float], n: int) -> Floats:
    """Return a column of numbers (n,) as ranks from −√3 to √3, 0 where unknown or all alike.

    Sizes and durations have long tails, in which a few rows would say what the slope is.
    """
    column = np.zeros(n)
    values = np.array(list(known.values()))
    distinct, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    if len(distinct) > 1:
        middle = (np.cumsum(counts) - (counts - 1) / 2 - 0.5) / len(values)
        column[list(known)] = RANK_SCALE * (middle[place] - 0.5)
    return column


def _features(observation: Observation) -> Iterator[tuple[str, float | None]]:
    """Yield the name of each facet with None, and of each number with the number."""
    yield f"task_type={observation.task_type}", None
    for name, value in (observation.context or {}).items():
        yield from _parts(str(name), value)


def _parts(name: str, value: Json) -> Iterator[tuple[str, float | None]]:
    if value is None:
        return
    if isinstance(value, dict):
        for inner, part in value.items():
            yield from _parts(f"{name}.{inner}", part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from _parts(name, part if isinstance(part, dict | list | tuple) else str(part))
    elif isinstance(value, bool):
        yield f"{name}={value}", None
    elif isinstance(value, int | float):
        if -NUMBER_MAX < value < NUMBER_MAX:  # neither is true of what is no number
            yield name, float(value)
    else:
        words = _WORD.findall(str(value).lower())[:WORDS_MAX]
        if len(words) < TEXT_WORDS_MIN:
            yield f"{name}={value}", None
        else:
            yield from ((f"{name}~{word}", None) for word in words)


class Fit(NamedTuple):
    """Coefficients: the overall level, shared (n_columns,), per strategy (n_strategies, 1 + d)."""

    level: float
    shared: Floats
    strategies: Floats

    def predict(self, columns: Floats) -> Floats:
        """Return the reward expected of every strategy, (n, n_strategies), in (0, 1)."""
        log_odds = self.level + columns @ self.shared
        apart = self.strategies[:, 0] + columns @ self.strategies[:, 1:].T
        return _logistic(log_odds[:, None] + apart)


def fit(columns: Floats, chosen: Integers, reward: Floats, n_strategies: int) -> Fit:
    """Return the ridge logistic regression of the reward of what was chosen.

    Newton's method. The matrix of second derivatives is an arrow (strategies touch each other
    only through what they share), so that a step costs n_strategies small systems.

    Args:
        columns: (n, d) of `encode`.
        chosen: (n,) index of the strategy of each row.
        reward: (n,) in [0, 1]; a score between is a success in part.
    """
    n, d = columns.shape
    shared_design = np.column_stack([np.ones(n), columns])
    shared_prior = np.concatenate([[1 / PRIOR_LEVEL], np.full(d, 1 / PRIOR_SHARED)])
    own_prior = np.concatenate([[1 / PRIOR_STRATEGY], np.full(d, 1 / PRIOR_SLOPE)])
    rows_of = [np.flatnonzero(chosen == k) for k in range(n_strategies)]
    shared, own = np.zeros(1 + d), np.zeros((n_strategies, 1 + d))
    for _ in range(STEPS_MAX):
        log_odds = shared_design @ shared + np.sum(shared_design * own[chosen], axis=1)
        expected = _logistic(log_odds)
        weight, residual = expected * (1 - expected), reward - expected
        step, own_step = _newton_step(
            shared_design,
            rows_of,
            weight,
            residual,
            (shared_prior, own_prior),
            (shared, own),
        )
        shared, own = shared + step, own + own_step
        if max(np.abs(step).max(), np.abs(own_step).max(initial=0.0)) < STEP_ENOUGH:
            break
    return Fit(float(shared[0]), shared[1:], own)


def _newton_step(
    design: Floats,
    rows_of: list[Integers],
    weight: Floats,
    residual: Floats,
    priors: tuple[Floats, Floats],
    at: tuple[Floats, Floats],
) -> tuple[Floats, Floats]:
    """Solve the arrow system by eliminating the strategies one by one (Schur complement)."""
    shared_prior, own_prior = priors
    shared, own = at
    matrix = (design.T * weight) @ design + np.diag(shared_prior)
    gradient = design.T @ residual - shared_prior * shared
    solved = []
    for k, rows in enumerate(rows_of):
        if not len(rows):
            continue
        part = design[rows]
        cross = (part.T * weight[rows]) @ part
        own_gradient = part.T @ residual[rows] - own_prior * own[k]
        both = np.linalg.solve(cross + np.diag(own_prior), np.column_stack([cross, own_gradient]))
        matrix -= cross @ both[:, :-1]
        gradient -= cross @ both[:, -1]
        solved.append((k, both))
    step: Floats = np.asarray(np.linalg.solve(matrix, gradient), dtype=np.float64)
    own_step = np.zeros_like(own)
    for k, both in solved:
        own_step[k] = both[:, -1] - both[:, :-1] @ step
    return step, own_step


def cross_fitted(
    columns: Floats, chosen: Integers, reward: Floats, folds: Integers, n_strategies: int
) -> Floats:
    """Return the reward expected of every strategy on every row, (n, n_strategies).

    Each row is predicted by a model that saw no row of its fold: a model that has seen the
    outcome it is compared with makes the correction by weights too small.

    Args:
        folds: (n,); rows of one task share a fold.

    Source:
        Chernozhukov and others 2018, double machine learning.
    """
    predicted = np.full((len(reward), n_strategies), 0.5)
    for fold in np.unique(folds):
        held, seen = folds == fold, folds != fold
        if seen.any():
            model = fit(columns[seen], chosen[seen], reward[seen], n_strategies)
            predicted[held] = model.predict(columns[held])
    return predicted


def folds_by_task(tasks: Integers, generator: np.random.Generator) -> Integers:
    """Return a fold for each row, (n,), 0 … 4, the same for all rows of a task."""
    n_tasks = int(tasks.max()) + 1 if len(tasks) else 0
    fold_of_task = generator.permutation(n_tasks) % FOLDS
    return np.asarray(fold_of_task[tasks], dtype=np.int64)


def _logistic(log_odds: Floats) -> Floats:
    return np.asarray(1 / (1 + np.exp(-np.clip(log_odds, -30, 30))))
