"""The search for patterns on arrays: discovered on a third of the tasks, confirmed on the others.

Each third discovers in turn, at a third of the level: the false-discovery rates of the three add
up at most to the whole, and nothing is shown that the tasks which confirm it have chosen. Among
the few that were discovered, confirming needs no correction for the hundreds that were looked at.
To make a short list takes less than to confirm it, so the larger part confirms; with halves, a
pattern has to be plain in both of them.
"""

from __future__ import annotations

import itertools

import numpy as np

from swarm_memory.lean import NamedTuple
from swarm_memory.learning import facets, statistics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarm_memory.learning.facets import Condition, Masks
    from swarm_memory.learning.statistics import Floats, Integers

# What a conjunction is compared with: rows that share what it does not speak of itself.
FACETS, STRATEGIES, TYPES, BOTH = "facets", "strategies", "types", "both"
FAMILIES = (FACETS, STRATEGIES, TYPES, BOTH)
ROWS_MIN, TASKS_MIN = 40, 12
FOLD_ROWS_MIN, FOLD_TASKS_MIN = 8, 3
CELL_STRENGTH = 2.0
DISCOVERY_P = 0.05
INTERVAL_MISS = 0.05
POOL_MAX = 200  # candidates that the steps after the first look at
STEPS_MAX = 8  # discovered by a family of one fold; each costs the others power
SAME_T = 1.96  # less than this beside another pattern, and that one explains it
# The best of the many conjunctions that share a condition looks better than it is, by luck.
NESTED_T = 3.2
ROUNDS = 3


class Candidates(NamedTuple):
    """Conjunctions: the conditions of each, its rows (n_rows, n_candidates), and its family.

    `place` finds a conjunction also where an equal or complementary column stands for it.
    """

    members: list[tuple[int, ...]]
    columns: Masks
    families: list[str]
    place: dict[tuple[int, ...], int]


class Sample(NamedTuple):
    """Rows sorted by task: residual (n_rows,), task numbers, and the cells of each family."""

    residual: Floats
    tasks: Integers
    cells: dict[str, list[Integers]]


class Confirmed(NamedTuple):
    """A candidate that one fold discovered and the others confirmed, with the latter's figures."""

    candidate: int
    effect: float
    low: float
    high: float
    q: float


def candidates(
    conditions: Sequence[Condition], masks: Masks, tasks: Integers, *, limit: int
) -> Candidates:
    """Return the conjunctions of one or two conditions that enough rows and tasks meet.

    Equal columns are kept once, under the shorter and first name, and so are complements, under
    the rarer. Beyond `limit` those go that split the rows least evenly.
    """
    starts = np.flatnonzero(np.r_[True, tasks[1:] != tasks[:-1]])
    members: list[tuple[int, ...]] = []
    columns: list[Masks] = []
    place: dict[tuple[int, ...], int] = {}
    seen: dict[bytes, int] = {}
    for names, column in _conjunctions(conditions, masks, limit):
        inside = int(np.logical_or.reduceat(column, starts).sum())
        outside = int(np.logical_or.reduceat(~column, starts).sum())
        if min(inside, outside) < TASKS_MIN:
            continue
        key, mirrored = np.packbits(column).tobytes(), np.packbits(~column).tobytes()
        known = seen.setdefault(key, seen.get(mirrored, len(members)))
        if known == len(members):
            members.append(names)
            columns.append(column)
        elif len(names) == len(members[known]) and column.sum() < columns[known].sum():
            members[known], columns[known] = names, column
        place[names] = known
    stacked = np.stack(columns, axis=1) if columns else np.zeros((len(tasks), 0), dtype=np.bool_)
    families = [_family([conditions[i].source for i in names]) for names in members]
    return Candidates(members, stacked, families, place)


def _conjunctions(
    conditions: Sequence[Condition], masks: Masks, limit: int
) -> list[tuple[tuple[int, ...], Masks]]:
    count = len(masks)
    singles: list[tuple[tuple[int, ...], Masks]] = [
        ((i,), masks[:, i]) for i in range(masks.shape[1])
    ]
    pairs: list[tuple[int, tuple[int, ...], Masks]] = []
    for i, j in itertools.combinations(range(masks.shape[1]), 2):
        if _exclusive(conditions[i], conditions[j]):
            continue
        column = masks[:, i] & masks[:, j]
        size = int(column.sum())
        if ROWS_MIN <= size <= count - ROWS_MIN:
            pairs.append((abs(2 * size - count), (i, j), column))
    pairs.sort(key=lambda pair: pair[:2])
    room = max(0, limit - len(singles))
    return singles[:limit] + [(names, column) for _, names, column in pairs[:room]]


def _exclusive(one: Condition, other: Condition) -> bool:
    """Tell whether two conditions on one facet make no conjunction: a range and a list do."""
    if (one.source, one.name) != (other.source, other.name):
        return False
    if facets.CONTAINS in (one.relation, other.relation):
        return False
    return {one.relation, other.relation} != {facets.AT_MOST, facets.ABOVE}


def _family(sources: Sequence[str]) -> str:
    if set(sources) == {facets.STRATEGY, facets.TASK_TYPE}:
        return BOTH
    if set(sources) == {facets.STRATEGY}:
        return STRATEGIES
    return TYPES if set(sources) == {facets.TASK_TYPE} else FACETS


def cells(strategies: Integers, types: Integers) -> dict[str, list[Integers]]:
    """Return what is held equal when a family is compared; a strategy is no cell of itself."""
    both = statistics.numbered(list(zip(strategies.tolist(), types.tolist(), strict=True)))
    return {FACETS: [both], STRATEGIES: [types], TYPES: [strategies], BOTH: [strategies, types]}


def _within(columns: Floats, groups: list[Integers]) -> Floats:
    for _ in range(ROUNDS if len(groups) > 1 else 1):
        for group in groups:
            columns = statistics.demeaned(columns, group, CELL_STRENGTH)
    return columns


def _prepared(found: Candidates, sample: Sample, indices: Sequence[int], family: str) -> Floats:
    columns = found.columns[:, list(indices)].astype(np.float64)
    return _within(columns, sample.cells[family])


def _outcome(sample: Sample, family: str) -> Floats:
    return _within(sample.residual[:, None], sample.cells[family])[:, 0]


def part(found: Candidates, sample: Sample, rows: Integers) -> tuple[Candidates, Sample]:
    """Return the candidates and the sample with these rows only."""
    chosen = {name: [g[rows] for g in groups] for name, groups in sample.cells.items()}
    some = Sample(sample.residual[rows], sample.tasks[rows], chosen)
    return found._replace(columns=found.columns[rows]), some


def all_ways(
    found: Candidates,
    sample: Sample,
    folds: Sequence[Integers],
    alpha: float,
    method: str,
) -> tuple[list[Confirmed], int]:
    """Return what a fold discovered and the others confirmed, and how many were put to them.

    Args:
        folds: The rows of each, at least two, ascending; no task is in two.
        alpha: The false-discovery rate of all directions together.

    Source:
        Cox 1975, "A note on data-splitting"; Zhao, Small and Rosenbaum 2018, "Cross-screening".
    """
    everything = np.arange(len(sample.tasks))
    small = [part(found, sample, rows) for rows in folds]
    large = [part(found, sample, np.setdiff1d(everything, rows)) for rows in folds]
    enough = _enough(small)
    confirmed: dict[int, Confirmed] = {}
    tested = 0
    for discovering, confirming in zip(small, large, strict=True):
        discovered = discover(*discovering, enough)
        tested += len(discovered)
        for item in confirm(*confirming, discovered, alpha, method, len(folds)):
            known = confirmed.get(item.candidate)
            if known is None or item.q < known.q:
                # The first figures stay: the luckiest of several is not an honest estimate.
                confirmed[item.candidate] = (known or item)._replace(q=item.q)
    return list(confirmed.values()), tested


def _enough(parts: Sequence[tuple[Candidates, Sample]]) -> list[int]:
    """Return the candidates that every fold knows enough rows and tasks of."""
    good = np.ones(len(parts[0][0].members), dtype=np.bool_)
    for found, sample in parts:
        if not len(sample.tasks):
            return []
        starts = np.flatnonzero(np.r_[True, sample.tasks[1:] != sample.tasks[:-1]])
        for columns in (found.columns, ~found.columns):
            tasks = np.logical_or.reduceat(columns, starts, axis=0).sum(axis=0)
            good &= (columns.sum(axis=0) >= FOLD_ROWS_MIN) & (tasks >= FOLD_TASKS_MIN)
    return [int(i) for i in np.flatnonzero(good)]


def discover(found: Candidates, sample: Sample, allowed: Sequence[int]) -> list[tuple[int, int]]:
    """Return (candidate, sign) of the conjunctions that stand out, each beside those before it."""
    discovered = []
    for family in FAMILIES:
        indices = [i for i in allowed if found.families[i] == family]
        if indices:
            discovered += _steps(found, sample, indices, family)
    return discovered


def _steps(
    found: Candidates, sample: Sample, indices: list[int], family: str
) -> list[tuple[int, int]]:
    outcome = _outcome(sample, family)
    first: list[tuple[float, int]] = []
    step = max(1, statistics.CHUNK_CELLS // len(outcome))
    for start in range(0, len(indices), step):
        some = indices[start : start + step]
        columns = _prepared(found, sample, some, family)
        first += zip(_p_values(columns, outcome, sample.tasks), some, strict=True)
    pool = [index for p, index in sorted(first)[:POOL_MAX] if p <= DISCOVERY_P]
    discovered: list[tuple[int, int]] = []
    columns = _prepared(found, sample, pool, family)
    while pool and len(discovered) < STEPS_MAX:
        p = _p_values(columns, outcome, sample.tasks)
        best = min(range(len(pool)), key=lambda k: (p[k], len(found.members[pool[k]]), pool[k]))
        if p[best] > DISCOVERY_P:
            break
        best = _simplest(found, pool, best, columns, outcome, sample.tasks)
        slope = float(outcome @ columns[:, best])
        discovered.append((pool[best], 1 if slope > 0 else -1))
        columns, outcome = _without(columns, outcome, columns[:, best])
        # What is left of the chosen column is rounding, which must not be chosen again.
        columns = np.delete(columns, best, axis=1)
        del pool[best]
    return discovered


def _p_values(columns: Floats, outcome: Floats, tasks: Integers) -> list[float]:
    return [2 * tail for tail in statistics.contrasts(columns, outcome, tasks).tails()]


def _without(columns: Floats, outcome: Floats, known: Floats) -> tuple[Floats, Floats]:
    """Return columns and outcome less what `known` explains of them."""
    total = float(known @ known)
    if total <= 1e-9 * len(known):
        return columns, outcome
    return (
        columns - np.outer(known, known @ columns / total),
        outcome - known * float(known @ outcome / total),
    )


def _simplest(
    found: Candidates,
    pool: list[int],
    best: int,
    columns: Floats,
    outcome: Floats,
    tasks: Integers,
) -> int:
    """Return the one condition in `pool` that says all that the pair `best` says, else `best`."""
    members = found.members[pool[best]]
    enough: list[tuple[float, int]] = []
    for name in members if len(members) > 1 else ():
        parent = found.place.get((name,))
        if parent not in pool:
            continue
        at = pool.index(parent)
        rest, left = _without(columns[:, [best]], outcome, columns[:, at])
        added = statistics.contrasts(rest, left, tasks).t
        if abs(float(added[0])) < NESTED_T:
            alone = statistics.contrasts(columns[:, [at]], outcome, tasks).t
            enough.append((abs(float(alone[0])), at))
    return max(enough)[1] if enough else best


def confirm(
    found: Candidates,
    sample: Sample,
    discovered: Sequence[tuple[int, int]],
    alpha: float,
    method: str,
    ways: int = 1,
) -> list[Confirmed]:
    """Return those of the discovered that hold here, one-sided in their direction.

    The q-values are `ways` times as large, for that many such tests share `alpha`. Intervals are
    widened for having been selected: of m tested and R confirmed each covers with 1 − 0.05 R / m.

    Source:
        Benjamini and Yekutieli 2005, "False discovery rate–adjusted multiple confidence
        intervals for selected parameters".
    """
    tests = []
    for index, _ in discovered:
        family = found.families[index]
        columns = _prepared(found, sample, [index], family)
        tests.append(statistics.contrasts(columns, _outcome(sample, family), sample.tasks))
    p = [test.tails([sign])[0] for test, (_, sign) in zip(tests, discovered, strict=True)]
    q = statistics.adjusted(p, method)
    kept = [k for k in range(len(q)) if ways * q[k] <= alpha]
    confirmed = []
    for k in kept:
        effect = float(tests[k].effect[0])
        half = tests[k].half_width(0, 1 - INTERVAL_MISS * len(kept) / len(discovered))
        shown = min(1.0, ways * q[k])
        confirmed.append(Confirmed(discovered[k][0], effect, effect - half, effect + half, shown))
    return confirmed


def merged(
    found: Candidates,
    sample: Sample,
    confirmed: Sequence[Confirmed],
    conditions: Sequence[Condition],
) -> list[Confirmed]:
    """Return the confirmed without those that the others, taken first, explain already."""

    def names(candidate: int) -> set[tuple[str, str]]:
        members = found.members[candidate]
        return {(conditions[i].source, conditions[i].name) for i in members}

    kept: list[Confirmed] = []
    for item in sorted(confirmed, key=lambda c: _strength(found, sample, c), reverse=True):
        given = [other.candidate for other in kept]
        t = _beside(found, sample, item.candidate, given)
        nested = any(names(item.candidate) & names(other) for other in given)
        if abs(t) >= (NESTED_T if nested else SAME_T) and (t > 0) == (item.effect > 0):
            kept.append(item)
    return kept


def beyond(found: Candidates, sample: Sample, candidate: int, rows: Integers) -> float | None:
    """Return the effect of a candidate on the residuals of these rows; None if it cannot vary."""
    some, mine = part(found, sample, rows)
    if not some.columns[:, candidate].any() or some.columns[:, candidate].all():
        return None
    family = found.families[candidate]
    columns = _prepared(some, mine, [candidate], family)
    tested = statistics.contrasts(columns, _outcome(mine, family), mine.tasks)
    return float(tested.effect[0]) if np.isfinite(tested.error[0]) else None


def _strength(found: Candidates, sample: Sample, item: Confirmed) -> tuple[float, int]:
    t = _beside(found, sample, item.candidate, [])
    # A longer conjunction comes first only if it is clearly stronger.
    return abs(t) - 0.5 * len(found.members[item.candidate]), -item.candidate


def _beside(found: Candidates, sample: Sample, candidate: int, given: Sequence[int]) -> float:
    """Return t of a candidate on all rows, beside the `given` ones."""
    family = found.families[candidate]
    columns = _prepared(found, sample, [candidate, *given], family)
    outcome = _outcome(sample, family)
    if given:
        q, _ = np.linalg.qr(columns[:, 1:])
        columns = columns - q @ (q.T @ columns)
        outcome = outcome - q @ (q.T @ outcome)
    return float(statistics.contrasts(columns[:, :1], outcome, sample.tasks).t[0])
