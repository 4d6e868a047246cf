"""Conditions that a person can read, and which rows meet them."""

from __future__ import annotations

import math

import numpy as np

from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    import numpy.typing as npt

    from swarm_memory.learning.observation import Observation

    Json = Any
    Masks = npt.NDArray[np.bool_]

CONTEXT, SIGNAL, STRATEGY, TASK_TYPE, AGENT = "context", "signal", "strategy", "task_type", "agent"
SOURCES = (CONTEXT, SIGNAL, STRATEGY, TASK_TYPE, AGENT)
IS, CONTAINS, AT_MOST, ABOVE = "is", "contains", "at most", "above"
TEXT_CHARS_MAX = 60  # a longer text is prose and no facet
DEPTH_MAX = 3
NAMES_MAX = 200  # facets of a row
ITEMS_MAX = 50  # of a list
VALUES_MAX = 20_000  # different facet values that are counted at all
DISTINCT_MAX = 4  # numbers of so few different values are labels
QUANTILES = (0.25, 0.5, 0.75)


class Condition(NamedTuple):
    """What holds of a row or does not: `name` of `source` stands in `relation` to `value`.

    The name is empty for strategy, task type and agent. A number that is missing meets neither
    "at most" nor "above".
    """

    source: str
    name: str
    relation: str
    value: Json

    @property
    def text(self) -> str:
        """Return the condition as a person reads it: "language is rust", "files is above 12"."""
        if self.source == AGENT:
            return f"{self.value} takes part"
        name = {STRATEGY: "the strategy", TASK_TYPE: "the task type"}.get(self.source, self.name)
        value = {True: "yes", False: "no"}.get(self.value) if _is_bool(self.value) else self.value
        if isinstance(value, float):
            value = f"{value:.6g}"
        if self.relation == CONTAINS:
            return f"{name} contains {value}"
        if self.relation == IS:
            return f"{name} is {value}"
        return f"{name} is {self.relation} {value}"


def _is_bool(value: Json) -> bool:
    return isinstance(value, bool)


def _is_number(value: Json) -> bool:
    return isinstance(value, (int, float)) and not _is_bool(value) and math.isfinite(value)


def facets(values: dict[str, Json] | None, depth: int = 1) -> Iterator[tuple[str, str, Json]]:
    """Yield (name, relation, value) of each facet: nested ones as "a.b", list items singly."""
    for name, value in list((values or {}).items())[:NAMES_MAX]:
        if isinstance(value, dict):
            if depth < DEPTH_MAX:
                for inner, relation, item in facets(value, depth + 1):
                    yield f"{name}.{inner}", relation, item
        elif isinstance(value, (list, tuple, set, frozenset)):
            items = {item for item in list(value)[:ITEMS_MAX] if _is_label(item)}
            yield from ((str(name), CONTAINS, item) for item in sorted(items, key=str))
        elif _is_label(value) or _is_number(value):
            yield str(name), IS, value


def _is_label(value: Json) -> bool:
    if isinstance(value, str):
        return 0 < len(value) <= TEXT_CHARS_MAX and "\n" not in value
    return _is_bool(value) or _is_number(value)


def _row_facets(row: Observation) -> Iterator[tuple[str, str, str, Json]]:
    for source, values in ((CONTEXT, row.context), (SIGNAL, row.signals)):
        if isinstance(values, dict):
            yield from ((source, *facet) for facet in facets(values))
    if row.strategy:
        yield STRATEGY, "", IS, row.strategy
    yield TASK_TYPE, "", IS, row.task_type
    yield from ((AGENT, "", CONTAINS, agent) for agent in dict.fromkeys(row.agents))


def holds(condition: Condition, row: Observation) -> bool:
    """Tell whether a row meets the condition."""
    for source, name, relation, value in _row_facets(row):
        if (source, name) != (condition.source, condition.name):
            continue
        if condition.relation in (IS, CONTAINS):
            if relation == condition.relation and _same(value, condition.value):
                return True
        elif _is_number(value):
            return bool((value <= condition.value) == (condition.relation == AT_MOST))
    return False


def _same(one: Json, other: Json) -> bool:
    """Tell whether two values are one label; True is not 1."""
    return _is_bool(one) == _is_bool(other) and bool(one == other)


def conditions(
    rows: Sequence[Observation], *, rows_min: int, limit: int
) -> tuple[list[Condition], Masks]:
    """Return the conditions that enough rows meet and enough do not, with their rows.

    Numbers are cut at their quartiles. When there are too many, those stay that split the rows
    most evenly, for they can tell most; outcomes are not looked at, so nothing is selected by
    luck.

    Args:
        rows_min: Rows that must meet a condition, and rows that must not.
        limit: How many conditions at most.

    Returns:
        The conditions, and masks (n_rows, n_conditions).
    """
    labels: dict[tuple[str, str, str, bool, Json], list[int]] = {}
    numbers: dict[tuple[str, str], dict[int, float]] = {}
    for index, row in enumerate(rows):
        for source, name, relation, value in _row_facets(row):
            if relation == IS and _is_number(value):
                numbers.setdefault((source, name), {})[index] = float(value)
            else:
                key = (source, name, relation, _is_bool(value), value)
                if key in labels or len(labels) < VALUES_MAX:
                    labels.setdefault(key, []).append(index)
    found = [
        (Condition(source, name, relation, value), np.unique(members))
        for (source, name, relation, _, value), members in labels.items()
    ]
    for (source, name), by_row in numbers.items():
        found += _cuts(source, name, by_row)
    most = len(rows) - rows_min
    found = [pair for pair in found if rows_min <= len(pair[1]) <= most]
    found.sort(key=lambda pair: (abs(2 * len(pair[1]) - len(rows)), _order(pair[0])))
    found = sorted(found[:limit], key=lambda pair: _order(pair[0]))
    masks = np.zeros((len(rows), len(found)), dtype=np.bool_)
    for column, (_, members) in enumerate(found):
        masks[members, column] = True
    return [condition for condition, _ in found], masks


def _order(condition: Condition) -> tuple[int, str, str, str]:
    place = SOURCES.index(condition.source)
    return place, condition.name, condition.relation, str(condition.value)


def _cuts(
    source: str, name: str, by_row: dict[int, float]
) -> list[tuple[Condition, npt.NDArray[np.intp]]]:
    rows = np.fromiter(by_row.keys(), dtype=np.intp, count=len(by_row))
    values = np.fromiter(by_row.values(), dtype=np.float64, count=len(by_row))
    distinct = np.unique(values)
    if len(distinct) <= DISTINCT_MAX:
        return [
            (Condition(source, name, IS, _plain(value)), rows[values == value])
            for value in distinct.tolist()
        ]
    cuts = dict.fromkeys(np.quantile(values, QUANTILES, method="lower").tolist())
    found = []
    for cut in cuts:
        found.append((Condition(source, name, AT_MOST, _plain(cut)), rows[values <= cut]))
        found.append((Condition(source, name, ABOVE, _plain(cut)), rows[values > cut]))
    return found


def _plain(value: float) -> int | float:
    return int(value) if value == int(value) else value
