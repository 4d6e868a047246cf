"""Forecaster: learns along a log of touches how likely one is to be followed by another party's.

What ranks is fixed (see `conflicts`); two numbers are learned: how likely a score is to come true,
and how much a difference of scores says.
"""

from __future__ import annotations

import math
from collections import deque
from operator import mul

from swarm_memory.learning.conflicts import (
    DAY_S,
    HOUR_S,
    INTERCEPT,
    SLOPE,
    WEEK_HOURS,
    Counts,
    Model,
    Touch,
    expected_activity,
    score,
    sigmoid,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from swarm_memory.learning.conflicts import Same, Vector

RHYTHM_PRIOR = 0.5  # of each hour of the week
RHYTHM_HALF_LIFE_S = 56 * DAY_S
RHYTHM_FROM_S = 14 * DAY_S  # an hour that has not come yet is no idle one
# In examples, of intercept and slope: the level differs between swarms, the slope hardly.
CERTAINTY = (500.0, 4000.0)
MEMORY = 2000  # examples that a model rests on; older ones fade


class Rhythm:
    """How active a swarm is at each hour of the week, as far as it has shown."""

    __slots__ = ("_at_s", "_hours", "_seen", "_since_s")

    def __init__(self) -> None:
        self._hours = [0.0] * WEEK_HOURS
        self._since_s, self._at_s = math.inf, -math.inf
        self._seen: dict[str, int] = {}  # the last hour in which a party was counted

    def add(self, touch: Touch) -> None:
        """Count a party's hour: once, however much it did in it."""
        hour = int(touch.at_s // HOUR_S)
        if self._seen.get(touch.party) == hour:
            return
        if not self._seen:
            self._at_s = self._since_s = touch.at_s
        self._seen[touch.party] = hour
        if touch.at_s > self._at_s:
            faded = 0.5 ** ((touch.at_s - self._at_s) / RHYTHM_HALF_LIFE_S)
            self._hours = [count * faded for count in self._hours]
        self._at_s = touch.at_s
        self._hours[hour % WEEK_HOURS] += 1

    def shape(self) -> tuple[float, ...]:
        """Return the activity of each hour, (168,), 1 on average; all 1 for two weeks."""
        if self._at_s - self._since_s < RHYTHM_FROM_S:
            return (1.0,) * WEEK_HOURS
        mean = sum(self._hours) / WEEK_HOURS + RHYTHM_PRIOR
        return tuple((count + RHYTHM_PRIOR) / mean for count in self._hours)


class Regression:
    """A logistic regression that follows a stream, drawn to the weights that it began with.

    One Newton step for each example, with the inverse of the curvature kept by Sherman and
    Morrison; that of old examples fades, and what it began with does not.

    Args:
        weights: To begin with, (n_terms,).
        certainty: In examples, how sure each is, (n_terms,).
        memory: How many examples it rests on.

    Source:
        Online Newton step: Hazan, Agarwal and Kale 2007. Fading: recursive least squares.
    """

    __slots__ = ("_centre", "_inverse", "_memory", "_pull", "_turn", "weights")

    def __init__(self, weights: Vector, certainty: Vector, memory: int = MEMORY) -> None:
        self.weights = list(weights)
        self._centre = list(weights)
        self._memory = memory
        self._turn = 0
        curvature = [c / 4 for c in certainty]  # an example weighs p (1 − p), at most 1/4
        self._pull = [c / memory for c in curvature]
        size = range(len(self.weights))
        self._inverse = [[1 / curvature[i] if i == j else 0.0 for j in size] for i in size]

    def logit(self, row: Vector) -> float:
        """Return the log odds of a row of terms."""
        return _dot(self.weights, row)

    def learn(self, row: Vector, hit: bool, weight: float = 1.0) -> None:
        """Take one step towards what happened."""
        chance = sigmoid(self.logit(row))
        self._fold(row, weight * max(chance * (1 - chance), 0.01))
        force = [weight * (chance - hit) * x for x in row]
        for i, pull in enumerate(self._pull):
            force[i] += pull * (self.weights[i] - self._centre[i])
        for i, line in enumerate(self._inverse):
            self.weights[i] -= _dot(line, force)

    def _fold(self, row: Vector, weight: float) -> None:
        """Add an example's curvature, and let that of all before it fade."""
        keep = 1 - 1 / self._memory
        inverse = [[value / keep for value in line] for line in self._inverse]
        # What it began with does not fade; one term at a time, as the others' turns come.
        i = self._turn = (self._turn + 1) % len(row)
        inverse = _added(inverse, [line[i] for line in inverse], i, self._pull[i] * len(row))
        seen = [_dot(line, row) for line in inverse]
        scale = weight / (1 + weight * _dot(seen, row))
        size = range(len(row))
        self._inverse = [[inverse[i][j] - scale * seen[i] * seen[j] for j in size] for i in size]


class Forecaster:
    """A forecast that runs along a log: asks nothing of the future, learns as windows end.

    Args:
        window_s: Within how many seconds another party's touch counts.
        same: Tells whether two parties are no others to each other.
    """

    def __init__(self, window_s: float, same: Same = str.__eq__) -> None:
        self.window_s = window_s
        self._same = same
        self.examples = self.met = 0
        self._rhythm = Rhythm()
        self._shape = self._rhythm.shape()
        self._shaped_s = -math.inf
        self._counts = Counts(window_s, same)
        self._regression = Regression((INTERCEPT, SLOPE), CERTAINTY)
        self._open: deque[_Open] = deque()
        self._open_by_path: dict[str, deque[_Open]] = {}

    def risk(self, path: str, party: str, at_s: float, files: int = 1) -> float:
        """Return the probability that another party touches a path within the window."""
        self.end(at_s)
        return self._chance(self._score(path, party, at_s, files))

    def add(self, touch: Touch) -> float:
        """Take a touch in, and return the probability that was right to expect at it."""
        self.end(touch.at_s)
        value = self._score(touch.path, touch.party, touch.at_s, touch.files)
        waiting = self._open_by_path.setdefault(touch.path, deque())
        for one in waiting:
            if one.at_s < touch.at_s and not self._same(one.party, touch.party):
                one.hit = True
        one = _Open(touch, value)
        waiting.append(one)
        self._open.append(one)
        self._counts.add(touch)
        self._rhythm.add(touch)
        return self._chance(value)

    def model(self) -> Model:
        """Return what one forecast needs."""
        intercept, slope = self._regression.weights
        shape = self._rhythm.shape()
        return Model(self.window_s, intercept, slope, shape, self.examples, self.met)

    def end(self, at_s: float) -> None:
        """Learn from the windows that have ended by now."""
        while self._open and self._open[0].at_s + self.window_s < at_s:
            one = self._open.popleft()
            waiting = self._open_by_path[one.path]
            waiting.popleft()
            if not waiting:
                del self._open_by_path[one.path]
            self.examples += 1
            self.met += one.hit
            # The files of one piece of work share what becomes of them: no independent cases.
            self._regression.learn((1.0, one.score), one.hit, 1 / math.sqrt(one.files))

    def _score(self, path: str, party: str, at_s: float, files: int) -> float:
        if at_s >= self._shaped_s + HOUR_S:
            self._shape, self._shaped_s = self._rhythm.shape(), at_s
        activity = expected_activity(self._shape, at_s, self.window_s)
        return score(self._counts.company(path, party, at_s), activity, files)

    def _chance(self, value: float) -> float:
        return sigmoid(self._regression.logit((1.0, value)))


def fitted(
    touches: Iterable[Touch], window_s: float, now_s: float, same: Same = str.__eq__
) -> Model:
    """Return what a log says of a swarm; touches come in the order of their time."""
    forecaster = Forecaster(window_s, same=same)
    for touch in touches:
        forecaster.add(touch)
    forecaster.end(now_s)
    return forecaster.model()


class _Open:
    """A forecast whose window has not ended."""

    __slots__ = ("at_s", "files", "hit", "party", "path", "score")

    def __init__(self, touch: Touch, value: float) -> None:
        self.at_s, self.party, self.path = touch.at_s, touch.party, touch.path
        self.files, self.score, self.hit = max(touch.files, 1), value, False


def _added(
    inverse: list[list[float]], column: list[float], at: int, value: float
) -> list[list[float]]:
    """Return the inverse of a matrix to one of whose diagonal elements `value` was added."""
    scale = value / (1 + value * column[at])
    size = range(len(column))
    return [[inverse[i][j] - scale * column[i] * column[j] for j in size] for i in size]


def _dot(left: Vector, right: Vector) -> float:
    total: float = sum(map(mul, left, right))
    return total
