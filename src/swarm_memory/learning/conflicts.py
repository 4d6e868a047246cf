"""Conflicts: the probability that another agent touches what one is about to touch.

Two facts about a file carry the forecast: how many others have worked on it lately, each counted
once however often it saved (`company`), and how much work on it to expect of those who are active
now (`pull`). Both are sums of exponentially decayed counts. The week's rhythm and how many files
the work spans complete it. A logistic model makes a probability of them; it begins with weights
that suit any swarm, and follows the swarm's own log as far as that has something to say.

How fast counts decay is the swarm's own, too: `forecaster` learns the model from the log.

Only what is built in: a hook asks before an edit, and numpy costs it 80 ms.
"""

from __future__ import annotations

import math

from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Same = Callable[[str, str], bool]
    Vector = Sequence[float]

HOUR_S, DAY_S = 3600.0, 86_400.0
WEEK_HOURS = 168
# From the pace of a swarm of agents to that of people; each four times the one before.
HALF_LIVES_S = (600.0, 2400.0, 9600.0, 38_400.0, 1.75 * DAY_S, 7 * DAY_S, 28 * DAY_S)
PAST_FACTOR = 13.0  # affinity to a file outlives activity: 7 days to a quarter of a year
FLOOR = 0.1  # of counts under a logarithm: nobody yet is rare, not impossible
PARTY_PRIOR = 5.0  # touches: somebody with few has no affinity to speak of
RHYTHM_MIN = 0.02
TERMS = ("one", "company", "pull", "rhythm", "files")
WEIGHTS = (-1.5, 0.7, 0.5, 0.6, -0.1)  # before a swarm has any log
# Before anything is known: a half-life of so many windows, and what each factor e away from it
# costs an expert, in nats. It decides where the experts forecast alike.
HALF_LIFE_WINDOWS, HALF_LIFE_COST = 5.0, 10.0
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

    def __init__(self, half_life_s: float, same: Same = str.__eq__) -> None:
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
    return sigmoid(dot(model.weights, terms(company, activity, files)))


def raised(probability: float, claims: int, strength: float) -> float:
    """Return a probability raised by others' claims: 1 − (1 − p) (1 − strength)^claims.

    Args:
        claims: How many others have reserved what is asked for.
        strength: In [0, 1]: how likely who reserves a file is to touch it.
    """
    return 1 - (1 - probability) * (1 - strength) ** claims


def untrained(window_s: float) -> Model:
    """Return the model of a swarm that has no log yet: it ranks, but is not calibrated."""
    nearest = min(HALF_LIVES_S, key=lambda half_life: distance(half_life, window_s))
    return Model(window_s, nearest, WEIGHTS, (1.0,) * WEEK_HOURS)


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


def distance(half_life_s: float, window_s: float) -> float:
    """Return how many factors e a half-life is from what suits a window."""
    return abs(math.log(half_life_s / (HALF_LIFE_WINDOWS * window_s)))


def dot(left: Vector, right: Vector) -> float:
    """Return the inner product of two vectors."""
    return sum(a * b for a, b in zip(left, right, strict=True))


def sigmoid(logit: float) -> float:
    """Return the probability of log odds, those bounded by `LOGIT_MAX`."""
    return 1 / (1 + math.exp(-max(-LOGIT_MAX, min(LOGIT_MAX, logit))))
