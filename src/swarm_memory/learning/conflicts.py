"""Conflicts: the probability that another agent touches what one is about to touch.

Two facts about a file carry the forecast: how often others were at it, the late touches counting
most (`company`), and how much work on it to expect of those who are active now (`pull`). The week's
rhythm and how many files the work spans complete it. They make a score by fixed weights: to learn
the weights from one swarm's log costs more rank than it gains. What is learned of the log, by
`forecaster`, is how likely a score is to come true.

A touch fades as (1 + age / window)^−1.25: by a power law, which has no pace of its own, so
swarms of agents and of people need no half-life that would have to be found first.

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
    Rates = tuple[float, float, float, float]

HOUR_S, DAY_S = 3600.0, 86_400.0
WEEK_HOURS = 168
FLOOR = 0.1  # of counts under a logarithm: nobody yet is rare, not impossible
PARTY_PRIOR = 5.0  # touches: somebody with few has no affinity to speak of
RHYTHM_MIN = 0.02
# Of ln(company), ln(pull), ln(rhythm), ln(files): the same for every swarm.
WEIGHTS = (0.5, 0.4, 0.8, -0.1)
INTERCEPT, SLOPE = -1.0, 1.0  # log odds of a score, before a swarm has any log
# A power law is a sum of exponential decays, each of a number and a time: constant memory.
HALF_LIVES = (0.5, 4.0, 32.0, 256.0)  # in windows
AFFINITY = 2  # which of them a party's share of work at a file is counted by
LOGIT_MAX = 12.0


class Touch(NamedTuple):
    """One change of one file: when (seconds), by whom, and how many files the work spanned."""

    at_s: float
    party: str
    path: str
    files: int = 1


class Model(NamedTuple):
    """What a forecast for one path needs of the log of a swarm.

    A score has log odds of `intercept` + `slope` × score. `rhythm` are 168 relative activities by
    hour of the week (UTC, from Thursday, as the epoch), `examples` how many ended windows it was
    calibrated on, of which `met` with another agent's touch.
    """

    window_s: float
    intercept: float
    slope: float
    rhythm: tuple[float, ...]
    examples: int = 0
    met: int = 0


class Company(NamedTuple):
    """What is known of a path's others at a moment.

    `touches` is the number of the others' touches, each faded by its age, `pull` the faded one of
    touches to expect of them, `others` the faded counts by party.
    """

    touches: float
    pull: float
    others: dict[str, float]


def power_law(knee: float, power: float) -> tuple[float, ...]:
    """Return the weights of `HALF_LIVES` whose sum of decays follows (1 + t / knee)^−power.

    Args:
        knee: In windows, positive.
        power: Positive.

    Source:
        The law as a gamma mixture of exponentials (Laplace transform), at rates a constant
        factor apart.
    """
    rates = [knee * math.log(2) / half_life for half_life in HALF_LIVES]
    parts = [rate**power * math.exp(-rate) for rate in rates]
    return tuple(part / sum(parts) for part in parts)


COMPANY, PULL = power_law(1.0, 1.25), power_law(2.0, 1.5)


class Counts:
    """Faded counts of touches by path and party; touches come in the order of their time.

    Each is kept as one number for each half-life and their time: constant time for a touch; a
    forecast for a path takes as long as it has parties.

    Args:
        window_s: Of the forecast: the measure of all half-lives.
        same: Tells whether two parties are no others to each other.
    """

    __slots__ = ("_parties", "_paths", "_rates", "_same")

    def __init__(self, window_s: float, same: Same = str.__eq__) -> None:
        first, second, third, last = (-math.log(2) / (window_s * each) for each in HALF_LIVES)
        self._rates = first, second, third, last
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
            found.add(touch.at_s, self._rates)

    def company(self, path: str, party: str, at_s: float) -> Company:
        """Return who else was at a path, seen from a party at a moment."""
        number = pull = 0.0
        others = {}
        for name, sums in self._paths.get(path, {}).items():
            if self._same(name, party):
                continue
            here = sums.at(at_s, self._rates)
            anywhere = self._parties[name].at(at_s, self._rates)
            others[name] = dot(COMPANY, here)
            number += others[name]
            share = here[AFFINITY] / (anywhere[AFFINITY] + PARTY_PRIOR)
            pull += share * dot(PULL, anywhere)
        return Company(number, pull, others)


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


def score(company: Company, activity: float, files: int) -> float:
    """Return what paths are ranked by: higher is likelier.

    Args:
        activity: Expected in the window, 1 for what is usual.
        files: How many the work spans.
    """
    facts = (
        company.touches + FLOOR,
        company.pull + FLOOR,
        max(activity, RHYTHM_MIN),
        max(files, 1),
    )
    return dot(WEIGHTS, [math.log(fact) for fact in facts])


def probability(model: Model, company: Company, at_s: float, files: int = 1) -> float:
    """Return the probability in (0, 1) that another party touches a path within the window."""
    activity = expected_activity(model.rhythm, at_s, model.window_s)
    return sigmoid(model.intercept + model.slope * score(company, activity, files))


def raised(probability: float, claims: int, strength: float) -> float:
    """Return a probability raised by others' claims: 1 − (1 − p) (1 − strength)^claims.

    Args:
        claims: How many others have reserved what is asked for.
        strength: In [0, 1]: how likely who reserves a file is to touch it.
    """
    return 1 - (1 - probability) * (1 - strength) ** claims


def untrained(window_s: float) -> Model:
    """Return the model of a swarm that has no log yet: it ranks, but is not calibrated."""
    return Model(window_s, INTERCEPT, SLOPE, (1.0,) * WEEK_HOURS)


# --- small things ---


class _Sums:
    """Decayed counts of one thing, one for each half-life."""

    __slots__ = ("_at_s", "_counts")

    def __init__(self, at_s: float) -> None:
        self._at_s = at_s
        self._counts = (0.0, 0.0, 0.0, 0.0)

    def add(self, at_s: float, rates: Rates) -> None:
        first, second, third, last = self.at(at_s, rates)
        self._counts = first + 1, second + 1, third + 1, last + 1
        self._at_s = at_s

    def at(self, at_s: float, rates: Rates) -> Rates:
        age_s = at_s - self._at_s
        if not age_s:
            return self._counts
        # Written out: a hook counts two hundred touches, and a loop takes it three times as long.
        first, second, third, last = self._counts
        return (
            first * math.exp(age_s * rates[0]),
            second * math.exp(age_s * rates[1]),
            third * math.exp(age_s * rates[2]),
            last * math.exp(age_s * rates[3]),
        )


def dot(left: Vector, right: Vector) -> float:
    """Return the inner product of two vectors."""
    return sum(a * b for a, b in zip(left, right, strict=True))


def sigmoid(logit: float) -> float:
    """Return the probability of log odds, those bounded by `LOGIT_MAX`."""
    return 1 / (1 + math.exp(-max(-LOGIT_MAX, min(LOGIT_MAX, logit))))
