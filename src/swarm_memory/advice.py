"""Advice: which strategy to use for a task, and how sure that is."""

from __future__ import annotations

from swarm_memory.lean import NamedTuple
from swarm_memory.reports import Recommendation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from swarm_memory.context import Context
    from swarm_memory.engine import Row, Tx
    from swarm_memory.learned import Learned
    from swarm_memory.learning.choice import Choice
    from swarm_memory.learning.model import Estimates

    Json = Any

OUTCOMES_MIN = 10  # before that a share of labels says nothing
SURE = 0.8  # probability that the recommended one is the best, from which on we say so
SURE_TRIALS = 3


class _Counted(NamedTuple):
    """What the outcomes of one strategy add up to, in one task type."""

    trials: int = 0
    successes: float = 0.0
    duration_s: float = 0.0
    cost: float = 0.0
    unlabelled: int = 0


_NOTHING = _Counted()


class Adviser:
    """Chooses among strategies, inside a transaction."""

    def __init__(self, tx: Tx, context: Context, learned: Learned) -> None:
        self._tx = tx
        self._context = context
        self._learned = learned

    def advise(
        self,
        task_type: str,
        context: dict[str, Json],
        offered: list[str] | None,
        explore: bool,
        weights: tuple[float, float],
        seed: int,
    ) -> Recommendation:
        """Return the recommendation, without an id: whoever asked logs it."""
        here = {row[1]: _Counted(*row[2:7]) for row in self._arms(task_type)}
        names = offered or sorted(n for n in here if n)
        names = names or sorted({row[1] for row in self._arms("") if row[1]})
        coverage = _coverage(here)
        if not names:
            return _nothing(task_type, coverage, "nothing is known and nothing was offered")
        if coverage is not None and coverage < self._context.config.label_ratio:
            return _nothing(
                task_type, coverage,
                f"only {coverage:.0%} of the outcomes of {task_type} say how they ended;"
                f" below {self._context.config.label_ratio:.0%} nothing is recommended",
            )  # fmt: skip
        estimates = self._learned.estimate(self._tx, task_type, context, names)
        import random  # what only records an outcome does without

        from swarm_memory.learning.model import choose

        cost_weight, duration_weight = weights
        choice = choose(
            estimates,
            uniform=random.Random(seed).random(),
            explore=explore,
            cost_weight=cost_weight,
            duration_weight=duration_weight,
        )
        alike = self._learned.alike(task_type, context, names[choice.chosen])
        return _recommendation(task_type, names, here, estimates, choice, coverage, alike)

    def _arms(self, task_type: str) -> list[Row]:
        return self._tx.all("arm_list", swarm=self._context.swarm, task_type=task_type)


def _recommendation(
    task_type: str,
    names: list[str],
    here: dict[str, _Counted],
    estimates: Estimates,
    choice: Choice,
    coverage: float | None,
    alike: list[str],
) -> Recommendation:
    shown = _candidates(names, here, estimates, choice)
    picked = shown[choice.chosen]
    chance = _best_chance(estimates, choice)
    best = max(range(len(names)), key=lambda index: float(choice.utility[index]))
    trying = best != choice.chosen
    confident = not trying and chance >= SURE and picked["trials"] >= SURE_TRIALS
    trials = sum(one["trials"] for one in shown)
    evidence = {
        "trials": trials,
        "strategy_trials": picked["trials"],
        "strategy_successes": picked["successes"],
        "alike": round(float(estimates.similar[choice.chosen]), 1),
        "outcomes": alike,
        "best_chance": round(chance, 4),
        "label_coverage": coverage,
    }
    return Recommendation(
        strategy=picked["strategy"],
        propensity=float(choice.propensities[choice.chosen]),
        expected=picked["expected"],
        interval=(picked["interval"][0], picked["interval"][1]),
        evidence=evidence,
        candidates=sorted(shown, key=lambda one: -one["utility"]),
        task_type=task_type,
        choice_id=None,
        confident=confident,
        trying=trying,
        why=_why(picked, shown[best], len(names), trials, chance, confident, trying),
        duration_s=picked["duration_s"],
        cost=picked["cost"],
    )


def _best_chance(estimates: Estimates, choice: Choice) -> float:
    """Return the probability that what was chosen is the best, by the whole posterior."""
    from swarm_memory.learning.choice import propensities

    chances = propensities(choice.utility, estimates.variance, scale=1.0, floor=0.0)
    return float(chances[choice.chosen])


def _candidates(
    names: list[str], here: dict[str, _Counted], estimates: Estimates, choice: Choice
) -> list[dict[str, Json]]:
    """Return the figures of each candidate, in the order that they were given in."""
    columns = (estimates.mean, estimates.low, estimates.high, choice.utility)
    means, lows, highs, utilities = (column.round(4).tolist() for column in columns)
    chances = choice.propensities.round(9).tolist()
    durations, costs = estimates.duration_s.round(6).tolist(), estimates.cost.round(6).tolist()
    shown = []
    for index, name in enumerate(names):
        counted = here.get(name, _NOTHING)
        ended = counted.trials + counted.unlabelled
        shown.append(
            {
                "strategy": name,
                "expected": means[index],
                "interval": [lows[index], highs[index]],
                "propensity": chances[index],
                "utility": utilities[index],
                "trials": counted.trials,
                "successes": round(counted.successes, 6),
                "mean_duration_s": round(counted.duration_s / ended, 6) if ended else None,
                "duration_s": durations[index] if ended else None,
                "cost": costs[index] if ended else None,
            }
        )
    return shown


def _why(
    picked: dict[str, Json],
    best: dict[str, Json],
    candidates: int,
    trials: int,
    chance: float,
    confident: bool,
    trying: bool,
) -> str:
    """Return the reason in one sentence."""
    name, expected = picked["strategy"], picked["expected"]
    seen = f"{picked['successes']:g} of {picked['trials']} succeeded here"
    if trying:
        return (
            f"trying {name} ({expected:.0%} expected) to learn whether it is better than"
            f" {best['strategy']} ({best['expected']:.0%})"
        )
    if candidates == 1:
        return f"{name} is the only candidate; {seen}"
    if trials == 0:
        return (
            f"none of the {candidates} candidates has an outcome of this type here yet;"
            f" what is known elsewhere expects {expected:.0%} of {name}"
        )
    if confident:
        return f"{name} is best of {candidates} with {chance:.0%} probability; {seen}"
    return f"{name} looks best of {candidates}, but only with {chance:.0%} probability; {seen}"


def _coverage(here: dict[str, _Counted]) -> float | None:
    """Return the share of outcomes that say how they ended; None for too few to tell."""
    labelled = sum(counted.trials for counted in here.values())
    ended = labelled + sum(counted.unlabelled for counted in here.values())
    return round(labelled / ended, 4) if ended >= OUTCOMES_MIN else None


def _nothing(task_type: str, coverage: float | None, why: str) -> Recommendation:
    evidence = {"trials": 0, "label_coverage": coverage}
    return Recommendation(None, None, None, None, evidence, [], task_type, None, why=why)
