"""What a window of samples says of a parameter, and when it is enough to decide."""

from __future__ import annotations

from math import exp, log, sqrt
from statistics import mean, stdev

from swarm_memory.lean import NamedTuple
from swarm_memory.meter import HIT_US, HITS, duration_of
from swarm_memory.tuned import CACHE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from swarm_memory.monitor.sample import Sample

MIB = 2**20
CALLS_MIN = 200  # of what a parameter is about in a window; the mean of fewer says little
BUSY_MIN = 0.01  # of the time must go into it, else nobody would notice a gain
PAIRS_MIN, PAIRS_MAX = 3, 8
HARM = 1.3  # times the cost of before, in one window: taken back at once
GAIN_MIN = 0.03  # a smaller gain is not worth a change
STEEPNESS = 4  # of a score: a tenth cheaper is 0.6, half the cost 0.94
BETTER, WORSE, SAME = "better", "worse", "same"
# Two-sided 95 % of Student's t by degrees of freedom: looking after each pair takes the other half.
_T = {2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365}
WRITES = ("put", "put_many", "delete", "rollback", "send", "acquire", "release", "outcome")


class Parameter(NamedTuple):
    """A parameter that can be tuned.

    `values` are all it may become beside its default, in their order: one change moves by one
    place. `verbs` are the calls whose mean duration it is judged by; with `hits` those that the
    read cache answered count, too.
    """

    name: str
    values: tuple[int, ...]
    verbs: tuple[str, ...]
    hits: bool

    def places(self, default: int) -> list[int]:
        """Return all values in their order, the default among them."""
        return sorted({default, *self.values})

    def neighbours(self, value: int, default: int) -> list[int]:
        """Return what one step leads to, the larger first."""
        places = self.places(default)
        at = min(range(len(places)), key=lambda place: abs(places[place] - value))
        return [*places[at + 1 : at + 2], *places[max(0, at - 1) : at]]


PARAMETERS = (Parameter(CACHE, (0, 8 * MIB, 24 * MIB, 64 * MIB), ("get", "scan"), hits=True),)


class Cost(NamedTuple):
    """The calls that a parameter is about, in one window, and the milliseconds that all took."""

    calls: int
    total_ms: float

    @property
    def mean_ms(self) -> float:
        """The mean; NaN of no calls."""
        return self.total_ms / self.calls if self.calls else float("nan")


class Compared(NamedTuple):
    """How two values compare: `verdict` is better, worse, same, or None while it is open.

    `ratio` is the cost of the candidate in that of what was before, with a 95 % interval.
    """

    verdict: str | None
    ratio: float | None
    low: float | None
    high: float | None


def cost_of(samples: Sequence[Sample], parameter: Parameter) -> Cost:
    """Return what the calls that a parameter is about cost in some samples."""
    calls, total_ms = 0, 0.0
    for sample in samples:
        for verb in parameter.verbs:
            for bucket, count in sample.latencies.get(verb, {}).items():
                calls += count
                total_ms += count * duration_of(bucket)
        if parameter.hits:
            calls += sample.counts.get(HITS, 0)
            total_ms += sample.counts.get(HIT_US, 0) / 1000
    return Cost(calls, total_ms)


def matters(cost: Cost, length_s: float) -> bool:
    """Tell whether there is enough of it to measure, and to notice."""
    return cost.calls >= CALLS_MIN and cost.total_ms >= 1000 * BUSY_MIN * length_s


def writes_share(samples: Sequence[Sample]) -> float:
    """Return which share of the reads and writes were writes, in tenths."""
    write_calls = sum(sample.calls(verb) for sample in samples for verb in WRITES)
    reads = sum(cost_of([sample], PARAMETERS[0]).calls for sample in samples)
    return round(write_calls / max(1, write_calls + reads), 1)


def score_of(ratio: float) -> float:
    """Return how good a cost is as 0 to 1: 0.5 for that of the default, more for less.

    Args:
        ratio: Of the cost to the default's, under the same load.
    """
    return float(1 / (1 + ratio**STEEPNESS))


def turn(windows: int) -> bool:
    """Tell whether the window with this number, from 0, is the candidate's.

    They are taken as A B B A A B B A …, so that a load that grows or falls steadily meets both.
    """
    return windows % 4 in (1, 2)


def compare(costs: Sequence[float]) -> Compared:
    """Compare by the mean costs of windows that were taken in the order of `turn`.

    Each two that follow each other are a pair, and the logarithms of their ratios a paired t-test:
    what both windows of a pair met, such as the machine's other work, falls out.

    Source:
        Student 1908; Bojinov, Simchi-Levi and Zhao 2023 for experiments that switch back.
    """
    differences = []
    for first in range(0, len(costs) - 1, 2):
        a, b = costs[first], costs[first + 1]
        differences.append(log(b / a) if turn(first + 1) and not turn(first) else log(a / b))
    if turn(len(costs) - 1):
        before = [cost for at, cost in enumerate(costs) if not turn(at)]
        harm = costs[-1] / mean(before[-2:])
        if harm > HARM:
            return Compared(WORSE, round(harm, 4), None, None)
    pairs = len(differences)
    if pairs < PAIRS_MIN:
        return Compared(None, None, None, None)
    middle = mean(differences)
    margin = _T[min(pairs - 1, max(_T))] * stdev(differences) / sqrt(pairs)
    verdict = None
    if middle + margin < log(1 - GAIN_MIN):
        verdict = BETTER
    elif middle - margin > 0:
        verdict = WORSE
    elif pairs >= PAIRS_MAX:
        verdict = SAME
    low, ratio, high = (round(exp(x), 4) for x in (middle - margin, middle, middle + margin))
    return Compared(verdict, ratio, low, high)
