"""Forecaster: learns along a log of touches how likely one is to be followed by another party's.

One expert for each half-life runs along, and whoever forecast better lately is listened to more.
"""

from __future__ import annotations

import math
from collections import deque
from operator import mul

from swarm_memory.learning.conflicts import (
    DAY_S,
    HALF_LIFE_COST,
    HALF_LIVES_S,
    HOUR_S,
    WEEK_HOURS,
    WEIGHTS,
    Counts,
    Model,
    Touch,
    distance,
    expected_activity,
    sigmoid,
    terms,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from swarm_memory.learning.conflicts import Same, Vector

RHYTHM_PRIOR = 0.5  # of each hour of the week
RHYTHM_HALF_LIFE_S = 56 * DAY_S
# In examples: how sure those are. The level differs between swarms, the rest hardly.
CERTAINTY = (2.0, 1000.0, 1000.0, 500.0, 1000.0)
MEMORY = 4000  # examples that a model rests on; older ones fade
LOSS_MEMORY = 4000.0  # examples that experts are judged by
HOPELESS = 60.0  # nats behind the best: nobody hears it any more, so it need not go on


class Rhythm:
    """How active a swarm is at each hour of the week, as far as it has shown."""

    __slots__ = ("_at_s", "_hours", "_seen")

    def __init__(self) -> None:
        self._hours = [0.0] * WEEK_HOURS
        self._at_s: float | None = None
        self._seen: dict[str, int] = {}  # the last hour in which a party was counted

    def add(self, touch: Touch) -> None:
        """Count a party's hour: once, however much it did in it."""
        hour = int(touch.at_s // HOUR_S)
        if self._seen.get(touch.party) == hour:
            return
        self._seen[touch.party] = hour
        if self._at_s is not None and touch.at_s > self._at_s:
            faded = 0.5 ** ((touch.at_s - self._at_s) / RHYTHM_HALF_LIFE_S)
            self._hours = [count * faded for count in self._hours]
        self._at_s = touch.at_s
        self._hours[hour % WEEK_HOURS] += 1

    def shape(self) -> tuple[float, ...]:
        """Return the activity of each hour, (168,), 1 on average."""
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
        half_lives_s: One expert each.
        same: Tells whether two parties are no others to each other.
    """

    def __init__(
        self, window_s: float, half_lives_s: Vector = HALF_LIVES_S, same: Same = str.__eq__
    ) -> None:
        self.window_s = window_s
        self._same = same
        self.examples = self.met = 0
        self._rhythm = Rhythm()
        self._shape = self._rhythm.shape()
        self._shaped_s = -math.inf
        self._experts = [
            (Counts(half_life, same), Regression(WEIGHTS, CERTAINTY)) for half_life in half_lives_s
        ]
        self._priors = [HALF_LIFE_COST * distance(h, window_s) for h in half_lives_s]
        self._losses = [0.0] * len(self._experts)
        self._judged = 0.0
        self._open: deque[_Open] = deque()
        self._open_by_path: dict[str, deque[_Open]] = {}

    def risk(self, path: str, party: str, at_s: float, files: int = 1) -> float:
        """Return the probability that another party touches a path within the window."""
        self.end(at_s)
        return sigmoid(self._mixed(self._rows(path, party, at_s, files)))

    def add(self, touch: Touch) -> float:
        """Take a touch in, and return the probability that was right to expect at it."""
        self.end(touch.at_s)
        rows = self._rows(touch.path, touch.party, touch.at_s, touch.files)
        chance = sigmoid(self._mixed(rows))
        waiting = self._open_by_path.setdefault(touch.path, deque())
        for one in waiting:
            if one.at_s < touch.at_s and not self._same(one.party, touch.party):
                one.hit = True
        one = _Open(touch, rows)
        waiting.append(one)
        self._open.append(one)
        for counts, _ in self._experts:
            counts.add(touch)
        self._rhythm.add(touch)
        return chance

    def model(self) -> Model:
        """Return the best expert as what one forecast needs."""
        best = min(range(len(self._experts)), key=self._cost)
        counts, regression = self._experts[best]
        loss = self._losses[best] / self._judged if self._judged else math.log(2)
        return Model(
            self.window_s,
            counts.half_life_s,
            tuple(regression.weights),
            self._rhythm.shape(),
            self.examples,
            self.met,
            loss,
        )

    def _rows(self, path: str, party: str, at_s: float, files: int) -> list[tuple[float, ...]]:
        if at_s >= self._shaped_s + HOUR_S:
            self._shape, self._shaped_s = self._rhythm.shape(), at_s
        activity = expected_activity(self._shape, at_s, self.window_s)
        return [terms(c.company(path, party, at_s), activity, files) for c, _ in self._experts]

    def _mixed(self, rows: Sequence[Vector]) -> float:
        """Return the log odds of the experts, each heard by how it forecast lately."""
        costs = [self._cost(i) for i in range(len(self._experts))]
        best = min(costs)
        heard = [math.exp(best - cost) for cost in costs]
        logits = [e.logit(row) for (_, e), row in zip(self._experts, rows, strict=True)]
        return _dot(heard, logits) / sum(heard)

    def _cost(self, expert: int) -> float:
        return self._losses[expert] + self._priors[expert]

    def end(self, at_s: float) -> None:
        """Learn from the windows that have ended by now."""
        while self._open and self._open[0].at_s + self.window_s < at_s:
            one = self._open.popleft()
            waiting = self._open_by_path[one.path]
            waiting.popleft()
            if not waiting:
                del self._open_by_path[one.path]
            self._learn(one)

    def _learn(self, one: _Open) -> None:
        self.examples += 1
        self.met += one.hit
        # The files of one piece of work share what becomes of them: they are no independent cases.
        weight = 1 / math.sqrt(one.files)
        keep = 1 - weight / LOSS_MEMORY
        self._judged = self._judged * keep + weight
        for i, (_, regression) in enumerate(self._experts):
            loss = _log_loss(regression.logit(one.rows[i]), one.hit)
            self._losses[i] = self._losses[i] * keep + weight * loss
            regression.learn(one.rows[i], one.hit, weight)
        self._dismiss()

    def _dismiss(self) -> None:
        """Let the worst expert go if it is hopelessly behind."""
        costs = [self._cost(i) for i in range(len(self._experts))]
        if max(costs) - min(costs) < HOPELESS:
            return
        worst = costs.index(max(costs))
        del self._experts[worst], self._losses[worst], self._priors[worst]
        for one in self._open:
            del one.rows[worst]


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

    __slots__ = ("at_s", "files", "hit", "party", "path", "rows")

    def __init__(self, touch: Touch, rows: list[tuple[float, ...]]) -> None:
        self.at_s, self.party, self.path = touch.at_s, touch.party, touch.path
        self.files, self.rows, self.hit = max(touch.files, 1), rows, False


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


def _log_loss(logit: float, hit: bool) -> float:
    chance = sigmoid(logit)
    return -math.log(chance if hit else 1 - chance)
