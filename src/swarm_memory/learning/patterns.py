"""Patterns: when tasks go better or worse than expected, in words, and only if it is so.

A success rate per combination of facets reports dozens of coincidences, because the outcomes of
one task share its difficulty and because hundreds of combinations are looked at. Here errors are
clustered by task, every pattern is discovered on a third of the tasks and confirmed on the
others, and "no reliable pattern yet" is an answer.
"""

from __future__ import annotations

import hashlib
import math

import numpy as np

from swarm_memory.lean import NamedTuple
from swarm_memory.learning import expected, facets, mining, statistics

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarm_memory.learning.facets import Condition
    from swarm_memory.learning.observation import Observation
    from swarm_memory.learning.statistics import Floats, Integers

ALPHA = 0.05
ROWS_MAX = 20_000
CONDITIONS_MAX = 60
CANDIDATES_MAX = 2000
EVIDENCE_MAX = 20
FOLDS = 3  # of tasks; one discovers, the others confirm
PATTERN, WARNING = "pattern", "early warning"
# What "enough" is measured by: an effect of 0.3 on 15 % of the rows, found nine times in ten.
ASKED_EFFECT, ASKED_SUPPORT, ASKED_Z = 0.3, 0.15, 2.6 + 1.28


class Pattern(NamedTuple):
    """A confirmed conjunction.

    `kind` is "early warning" if a condition is seen only while the work goes on, which is no
    ground for choosing, else "pattern". `effect` in [-1, 1] is the reward inside less that of
    rows outside of the same strategy and task type, measured where it was not discovered, with
    its 95 % `interval`; `q` the false-discovery rate at which it still stands; `rate` the mean
    reward of its `rows` in `tasks`. `unforeseen` is the part of the effect that the rows' own
    forecasts do not allow for, None where fewer than 40 rows inside have one. `outcome_ids` are
    the newest rows that show it.
    """

    kind: str
    conditions: tuple[Condition, ...]
    effect: float
    interval: tuple[float, float]
    q: float
    rate: float
    unforeseen: float | None
    rows: int
    tasks: int
    outcome_ids: tuple[str, ...]
    first_ms: int
    last_ms: int
    text: str


class Mined(NamedTuple):
    """The patterns of a log, strongest first, and what was looked at to find them.

    `reason` says why there are none, "" if there are some. `rows` of `tasks` had a label,
    `left_out` had none; `candidates` conjunctions were looked at, `tested` put to the other tasks.
    `rows_needed` is how many labelled rows would show an effect of 0.3 on 15 % of them nine
    times in ten, given how alike the rows of one task are.
    """

    patterns: tuple[Pattern, ...]
    reason: str
    rows: int
    tasks: int
    left_out: int
    candidates: int
    tested: int
    rows_needed: int


def mine(
    observations: Sequence[Observation],
    *,
    seed: int,
    alpha: float = ALPHA,
    method: str = statistics.BH,
    basis: str = expected.AVERAGE,
    rows_max: int = ROWS_MAX,
    conditions_max: int = CONDITIONS_MAX,
    candidates_max: int = CANDIDATES_MAX,
) -> Mined:
    """Return the conjunctions of one or two conditions that change how tasks end.

    The same rows and seed give the same answer. The seed only decides which task is in which
    third; a task stays in its third as the log grows, but for a few near the borders.

    Args:
        observations: In the order of the log; the last `rows_max` with a label count.
        seed: Splits the tasks.
        alpha: The rate of false patterns among those shown, in (0, 0.5].
        method: "bh", or "by" for a guarantee under every dependence.
        basis: "average" compares with the strategy's mean on the task type. "predicted" compares
            with the row's forecast: what a forecast has learned is then no pattern any more, so
            it finds what the forecasts lack, and less and less of what is so.
        conditions_max: Conditions, those that split the rows most evenly.
        candidates_max: Conjunctions, likewise.

    Raises:
        ValueError: `alpha`, `method` or `basis` is out of range.

    Source:
        Benjamini and Hochberg 1995; Zhao, Small and Rosenbaum 2018; Bell and McCaffrey 2002.
    """
    if not 0 < alpha <= 0.5 or method not in statistics.METHODS:
        raise ValueError(f"alpha {alpha!r} in (0, 0.5], method {method!r} in bh, by")
    known = expected.labelled(observations)
    left_out = len(observations) - len(known)
    names = [row.task or row.outcome_id for row in known]
    order = sorted(range(max(0, len(known) - rows_max), len(known)), key=names.__getitem__)
    rows = [known[i] for i in order]
    tasks = statistics.numbered([names[i] for i in order])
    residual = expected.rewards_of(rows) - expected.expected(rows, basis)
    sample = mining.Sample(residual, tasks, _cells(rows))
    needed = _rows_needed(sample)
    task_count = int(tasks.max()) + 1 if len(tasks) else 0
    looked = Mined((), "", len(rows), task_count, left_out, 0, 0, needed)
    if task_count < 2 * mining.TASKS_MIN or not np.any(residual):
        return looked._replace(reason=_reason(looked, rows))
    conditions, masks = facets.conditions(rows, rows_min=mining.ROWS_MIN, limit=conditions_max)
    found = mining.candidates(conditions, masks, tasks, limit=candidates_max)
    folds = _folds([names[i] for i in order], seed)
    confirmed, tested = mining.all_ways(found, sample, folds, alpha, method)
    kept = mining.merged(found, sample, confirmed, conditions)
    forecast = _unforeseen(rows, found, sample, kept)
    patterns = tuple(
        _pattern(item, found, conditions, rows, tasks)._replace(unforeseen=left)
        for item, left in zip(kept, forecast, strict=True)
    )
    patterns = tuple(pattern._replace(text=_text(pattern, rows)) for pattern in patterns)
    looked = looked._replace(patterns=patterns, candidates=len(found.members), tested=tested)
    return looked if patterns else looked._replace(reason=_reason(looked, rows))


def _cells(rows: Sequence[Observation]) -> dict[str, list[Integers]]:
    strategies = statistics.numbered([row.strategy for row in rows])
    return mining.cells(strategies, statistics.numbered([row.task_type for row in rows]))


def _folds(names: Sequence[str], seed: int) -> tuple[Integers, ...]:
    """Return the rows of each fold of the tasks, by a hash that knows nothing of the rest."""

    def place(name: str) -> bytes:
        text = f"{seed}\x00{name}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, digest_size=16).digest()

    ordered = sorted(set(names), key=lambda name: (place(name), name))
    fold_of = {name: FOLDS * rank // len(ordered) for rank, name in enumerate(ordered)}
    given = np.array([fold_of[name] for name in names], dtype=np.intp)
    return tuple(np.flatnonzero(given == fold) for fold in range(FOLDS))


def _rows_needed(sample: mining.Sample) -> int:
    """Return the rows that show the asked effect: 2 σ² D z² / (s (1 − s) effect²).

    The 2 is for what confirming on a part costs, and for that a third has to discover. D is the
    design effect: how much rows of one task being alike widens the error.
    """
    count = len(sample.residual)
    centred = sample.residual - sample.residual.mean() if count else sample.residual
    variance = float((centred**2).mean()) if count else 0.0
    if variance <= 0:
        variance, inflation = 0.25, 1.0
    else:
        sums = np.bincount(sample.tasks, weights=centred)
        inflation = max(1.0, float((sums**2).sum()) / (count * variance))
    share = ASKED_SUPPORT * (1 - ASKED_SUPPORT)
    needed = 2 * variance * inflation * ASKED_Z**2 / (share * ASKED_EFFECT**2)
    return math.ceil(needed / 10) * 10


def _reason(looked: Mined, rows: Sequence[Observation]) -> str:
    seen = f"{looked.rows} labelled outcomes of {looked.tasks} tasks"
    if not rows:
        return f"No reliable pattern yet: no outcome has a label ({looked.left_out} without)."
    if len({row.reward for row in rows}) == 1:
        return f"No reliable pattern yet: all {seen} ended alike."
    wanted = (
        f"a pattern of {ASKED_EFFECT:.0%} on {ASKED_SUPPORT:.0%} of the outcomes needs about "
        f"{looked.rows_needed}"
    )
    if looked.rows < looked.rows_needed or looked.tasks < 2 * mining.TASKS_MIN:
        fewest = max(looked.rows_needed, 2 * mining.ROWS_MIN)
        wanted = wanted.replace(str(looked.rows_needed), str(fewest))
        return f"No reliable pattern yet: {seen}; {wanted}, of many different tasks."
    return (
        f"No reliable pattern: of {looked.candidates} conjunctions {looked.tested} stood out in "
        f"a third of {seen} and none held in the others; {wanted}, a weaker one more."
    )


def _pattern(
    item: mining.Confirmed,
    found: mining.Candidates,
    conditions: Sequence[Condition],
    rows: Sequence[Observation],
    tasks: Integers,
) -> Pattern:
    members = tuple(conditions[i] for i in found.members[item.candidate])
    inside: list[int] = np.flatnonzero(found.columns[:, item.candidate]).tolist()
    shown = [rows[i] for i in inside]
    rewards = expected.rewards_of(shown)
    warning = any(condition.source == facets.SIGNAL for condition in members)
    times = [row.at_ms for row in shown]
    return Pattern(
        WARNING if warning else PATTERN,
        members,
        item.effect,
        (max(-1.0, item.low), min(1.0, item.high)),
        item.q,
        float(rewards.mean()),
        None,
        len(inside),
        len(set(tasks[inside].tolist())),
        _evidence(shown, rewards, item.effect),
        min(times),
        max(times),
        "",
    )


def _unforeseen(
    rows: Sequence[Observation],
    found: mining.Candidates,
    sample: mining.Sample,
    kept: Sequence[mining.Confirmed],
) -> list[float | None]:
    """Return what is left of each pattern against the forecasts of the rows that have one."""
    foretold = np.array([expected.is_known(row.predicted) for row in rows], dtype=np.bool_)
    some = np.flatnonzero(foretold)
    against = sample._replace(
        residual=expected.rewards_of(rows) - expected.expected(rows, expected.PREDICTED)
    )
    left = []
    for item in kept:
        inside = int((found.columns[:, item.candidate] & foretold).sum())
        enough = inside >= mining.ROWS_MIN
        left.append(mining.beyond(found, against, item.candidate, some) if enough else None)
    return left


def _text(pattern: Pattern, rows: Sequence[Observation]) -> str:
    return sentence(pattern, binary=all(row.reward in (0, 1) for row in rows))


def _evidence(rows: Sequence[Observation], rewards: Floats, effect: float) -> tuple[str, ...]:
    """Return the newest rows that show the effect: failures where it is bad."""
    middle = float(rewards.mean())
    pairs = zip(rows, rewards.tolist(), strict=True)
    showing = [row for row, reward in pairs if (reward >= middle) == (effect > 0)]
    newest = sorted(showing, key=lambda row: (row.at_ms, row.outcome_id), reverse=True)
    return tuple(row.outcome_id for row in newest[:EVIDENCE_MAX])


def when(conditions: Sequence[Condition]) -> str:
    """Return conditions as a clause: "language is rust and the strategy is parallel"."""
    agents = [str(c.value) for c in conditions if c.source == facets.AGENT]
    others = [c.text for c in conditions if c.source != facets.AGENT]
    if len(agents) > 1:
        others.append(f"{' and '.join(agents)} work together")
    elif agents:
        others.append(f"{agents[0]} takes part")
    return " and ".join(others)


def sentence(pattern: Pattern, *, binary: bool = True) -> str:
    """Return the pattern in plain English, with what it rests on."""
    points = round(abs(pattern.effect) * 100)
    low, high = sorted(round(100 * bound) for bound in pattern.interval)
    if pattern.effect < 0:
        low, high = -high, -low
    if binary:
        verb = "fail" if pattern.effect < 0 else "succeed"
        how = f"tasks {verb} {points} points more often than expected"
        rate = f"{pattern.rate:.0%} succeed"
    else:
        side = "lower" if pattern.effect < 0 else "higher"
        how = f"tasks score {points} points {side} than expected"
        rate = f"mean score {pattern.rate:.2f}"
    note = "; seen only while the work goes on" if pattern.kind == WARNING else ""
    if pattern.unforeseen is not None:
        known = max(0, points - max(0, round(100 * pattern.unforeseen * np.sign(pattern.effect))))
        note += f"; the forecasts allow for {known} of them"
    return (
        f"When {when(pattern.conditions)}, {how} (95 % interval {low} to {high}; {rate}, "
        f"{pattern.rows} outcomes of {pattern.tasks} tasks{note})."
    )
