"""Conflicts: the probability that another agent touches what one is about to touch.

Two facts about a file carry the forecast: how many others have worked on it lately, each counted
once however often it saved (`company`), and how much work on it to expect of those who are active
now (`pull`). Both are sums of exponentially decayed counts. The week's rhythm and how many files
the work spans complete it. A logistic model makes a probability of them; it begins with weights
that suit any swarm, and follows the swarm's own log as far as that has something to say.

How fast counts decay is the swarm's own: one expert for each half-life runs along, and whoever
forecast better lately is listened to more.

Only the standard library: a hook asks before every edit, and numpy costs it 80 ms.
"""

from __future__ import annotations

import math
from collections import deque
from operator import eq

from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    Same = Callable[[str, str], bool]
    Vector = Sequence[float]

HOUR_S, DAY_S = 3600.0, 86_400.0
WEEK_HOURS = 168
# From the pace of a swarm of agents to that of people; each four times the one before.
HALF_LIVES_S = (600.0, 2400.0, 9600.0, 38_400.0, 1.75 * DAY_S, 7 * DAY_S, 28 * DAY_S)
PAST_FACTOR = 13.0  # affinity to a file outlives activity: 7 days to a quarter of a year
FLOOR = 0.1  # of counts under a logarithm: nobody yet is rare, not impossible
PARTY_PRIOR = 5.0  # touches: somebody with few has no affinity to speak of
RHYTHM_PRIOR = 0.5  # of each hour of the week
RHYTHM_HALF_LIFE_S = 56 * DAY_S
RHYTHM_MIN = 0.02
TERMS = ("one", "company", "pull", "rhythm", "files")
WEIGHTS = (-1.5, 0.7, 0.5, 0.6, -0.1)  # before a swarm has any log
# In examples: how sure those are. The level differs between swarms, the rest hardly.
CERTAINTY = (2.0, 1000.0, 1000.0, 500.0, 1000.0)
MEMORY = 4000  # examples that a model rests on; older ones fade
LOSS_MEMORY = 4000.0  # examples that experts are judged by
# Before anything is known: a half-life of so many windows, and what each factor e away from it
# costs an expert, in nats. It decides where the experts forecast alike.
HALF_LIFE_WINDOWS, HALF_LIFE_COST = 5.0, 10.0
HOPELESS = 60.0  # nats behind the best: nobody hears it any more, so it need not go on
LOGIT_MAX = 12.0


class Touch(NamedTuple):
    """One change of one file: when (seconds), by whom, and how many files the work spanned."""

    at_s: float
    party: str
    path: str
    files: int = 1


class Model(NamedTuple):
    """What a forecast for one path needs of the log of a swarm.

    `weights` belong to `TERMS`, `rhythm` are 168 relative activities by hour of the week (UTC, from
    Thursday, as the epoch), `examples` how many ended windows it was calibrated on, of which
    `met` with another agent's touch. `loss` is its mean log loss lately, in nats.
    """

    window_s: float
    half_life_s: float
    weights: tuple[float, ...]
    rhythm: tuple[float, ...]
    examples: int = 0
    met: int = 0
    loss: float = math.log(2)


class Company(NamedTuple):
    """What is known of a path's others at a moment.

    `saturated` is the number of others, each weighted by how lately it was there, `pull` the
    decayed count of touches to expect of them, `others` the decayed counts by party.
    """

    saturated: float
    pull: float
    others: dict[str, float]


class Counts:
    """Decayed counts of touches by path and party; touches come in the order of their time.

    n(t) = sum of 2^(−(t − t_i) / half_life), kept as one number and its time: constant time for a
    touch; a forecast for a path takes as long as it has parties.

    Args:
        same: Tells whether two parties are no others to each other.
    """

    __slots__ = ("_parties", "_paths", "_same", "half_life_s")

    def __init__(self, half_life_s: float, same: Same = eq) -> None:
        self.half_life_s = half_life_s
        self._same = same
        self._paths: dict[str, dict[str, _Sums]] = {}
        self._parties: dict[str, _Sums] = {}

    def add(self, touch: Touch) -> None:
        """Count a touch."""
        for sums, name in (
            (self._paths.setdefault(touch.path, {}), touch.party),
            (self._parties, touch.party),
        ):
            found = sums.get(name)
            if found is None:
                found = sums[name] = _Sums(touch.at_s)
            found.add(touch.at_s, self.half_life_s)

    def company(self, path: str, party: str, at_s: float) -> Company:
        """Return who else was at a path, seen from a party at a moment."""
        saturated = pull = 0.0
        others = {}
        for name, sums in self._paths.get(path, {}).items():
            if self._same(name, party):
                continue
            recent, past = sums.at(at_s, self.half_life_s)
            active, always = self._parties[name].at(at_s, self.half_life_s)
            saturated += -math.expm1(-recent)
            pull += past / (always + PARTY_PRIOR) * active
            others[name] = recent
        return Company(saturated, pull, others)


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


def expected_activity(rhythm: Vector, at_s: float, window_s: float) -> float:
    """Return the mean of a rhythm over a window, 1 for what is usual.

    Args:
        rhythm: Relative activity by hour of the week, (168,).
    """
    first, end = at_s / HOUR_S, (at_s + window_s) / HOUR_S
    if end - first >= WEEK_HOURS:
        return sum(rhythm) / len(rhythm)
    total, hour = 0.0, math.floor(first)
    while hour < end:
        part = min(end, hour + 1) - max(first, hour)
        total += part * rhythm[hour % WEEK_HOURS]
        hour += 1
    return total / (end - first)


def terms(company: Company, activity: float, files: int) -> tuple[float, ...]:
    """Return the inputs of the logistic model, in the order of `TERMS`."""
    return (
        1.0,
        math.log(company.saturated + FLOOR),
        math.log(company.pull + FLOOR),
        math.log(max(activity, RHYTHM_MIN)),
        math.log(max(files, 1)),
    )


def probability(model: Model, company: Company, at_s: float, files: int = 1) -> float:
    """Return the probability in (0, 1) that another party touches a path within the window."""
    activity = expected_activity(model.rhythm, at_s, model.window_s)
    return sigmoid(_dot(model.weights, terms(company, activity, files)))


def raised(probability: float, claims: int, strength: float) -> float:
    """Return a probability raised by others' claims: 1 − (1 − p) (1 − strength)^claims.

    Args:
        claims: How many others have reserved what is asked for.
        strength: In [0, 1]: how likely who reserves a file is to touch it.
    """
    return 1 - (1 - probability) * (1 - strength) ** claims


def untrained(window_s: float) -> Model:
    """Return the model of a swarm that has no log yet: it ranks, but is not calibrated."""
    nearest = min(HALF_LIVES_S, key=lambda half_life: _distance(half_life, window_s))
    return Model(window_s, nearest, WEIGHTS, (1.0,) * WEEK_HOURS)


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
        self, window_s: float, half_lives_s: Vector = HALF_LIVES_S, same: Same = eq
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
        self._priors = [HALF_LIFE_COST * _distance(h, window_s) for h in half_lives_s]
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


def fitted(touches: Iterable[Touch], window_s: float, now_s: float, same: Same = eq) -> Model:
    """Return what a log says of a swarm; touches come in the order of their time."""
    forecaster = Forecaster(window_s, same=same)
    for touch in touches:
        forecaster.add(touch)
    forecaster.end(now_s)
    return forecaster.model()


# --- small things ---


class _Sums:
    """Two decayed counts of one thing: of what it did lately, and of what it is used to do."""

    __slots__ = ("_at_s", "_past", "_recent")

    def __init__(self, at_s: float) -> None:
        self._at_s = at_s
        self._recent = self._past = 0.0

    def add(self, at_s: float, half_life_s: float) -> None:
        recent, past = self.at(at_s, half_life_s)
        self._at_s, self._recent, self._past = at_s, recent + 1, past + 1

    def at(self, at_s: float, half_life_s: float) -> tuple[float, float]:
        age = max(at_s - self._at_s, 0.0) / half_life_s
        return self._recent * 0.5**age, self._past * 0.5 ** (age / PAST_FACTOR)


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


def _distance(half_life_s: float, window_s: float) -> float:
    return abs(math.log(half_life_s / (HALF_LIFE_WINDOWS * window_s)))


def _dot(left: Vector, right: Vector) -> float:
    return sum(a * b for a, b in zip(left, right, strict=True))


def sigmoid(logit: float) -> float:
    """Return the probability of log odds, those bounded by `LOGIT_MAX`."""
    return 1 / (1 + math.exp(-max(-LOGIT_MAX, min(LOGIT_MAX, logit))))


def _log_loss(logit: float, hit: bool) -> float:
    chance = sigmoid(logit)
    return -math.log(chance if hit else 1 - chance)
