"""Advice: which strategy to use for a task, and how sure that is."""

from __future__ import annotations

from swarm_memory import codec
from swarm_memory.lean import NamedTuple
from swarm_memory.learned import NOTHING
from swarm_memory.reports import Recommendation

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from swarm_memory.context import Context
    from swarm_memory.engine import Tx
    from swarm_memory.learned import Counted, Learned
    from swarm_memory.learning.choice import Chances
    from swarm_memory.learning.model import Estimates, Model

    Json = Any

OUTCOMES_MIN = 10  # before that a share of labels says nothing
SURE = 0.8  # probability that the recommended one is the best, from which on we say so
SURE_TRIALS = 3
DIGITS = (4, 4, 4, 4, 6, 6, 9)  # after the point, of the figures of a candidate


class _Answer(NamedTuple):
    """What is said of the candidates of one task, whichever of them is drawn."""

    estimates: Estimates
    chances: Chances
    shown: list[dict[str, Json]]  # the figures of each candidate, the best first
    places: list[int]  # of each candidate among these
    trials: int  # of all
    logged: str  # what is shown, as it is logged


class Adviser:
    """Chooses among strategies, inside a transaction."""

    def __init__(self, tx: Tx, context: Context, learned: Learned) -> None:
        self._tx = tx
        self._context = context
        self._learned = learned

    def advise(
        self,
        task_type: str,
        context: str,
        offered: list[str] | None,
        explore: bool,
        weights: tuple[float, float],
        seed: int,
    ) -> tuple[Recommendation, str]:
        """Return the recommendation, without an id, and its candidates as whoever asked logs them.

        Args:
            context: What is known of the task, JSON.
        """
        model, head = self._learned.catch_up(self._tx)
        here = self._learned.counts(self._tx, head, task_type)
        names = offered or sorted(n for n in here if n)
        names = names or sorted(n for n in self._learned.counts(self._tx, head, "") if n)
        coverage = _coverage(here)
        if not names:
            return _nothing(task_type, coverage, "nothing is known and nothing was offered")
        if coverage is not None and coverage < self._context.config.label_ratio:
            return _nothing(
                task_type, coverage,
                f"only {coverage:.0%} of the outcomes of {task_type} say how they ended;"
                f" below {self._context.config.label_ratio:.0%} nothing is recommended",
            )  # fmt: skip
        strategies = tuple(names)
        answer = self._learned.kept(
            head,
            (task_type, context, strategies, explore, weights),
            lambda: self._answer(model, task_type, context, strategies, explore, weights, here),
        )
        import random  # what only records an outcome does without

        from swarm_memory.learning.choice import pick

        chosen = pick(answer.chances.propensities, random.Random(seed).random())
        alike = self._learned.alike(task_type, context, names[chosen])
        return _recommendation(task_type, answer, chosen, coverage, alike), answer.logged

    def _answer(
        self,
        model: Model,
        task_type: str,
        context: str,
        strategies: tuple[str, ...],
        explore: bool,
        weights: tuple[float, float],
        here: dict[str, Counted],
    ) -> _Answer:
        from swarm_memory.learning.model import weigh

        estimates = self._learned.estimate(model, task_type, context, strategies)
        cost_weight, duration_weight = weights
        chances = weigh(
            estimates, explore=explore, cost_weight=cost_weight, duration_weight=duration_weight
        )
        given = _candidates(strategies, here, estimates, chances)
        order = sorted(range(len(given)), key=lambda index: -given[index]["utility"])
        places = sorted(range(len(given)), key=order.__getitem__)
        shown = [given[index] for index in order]
        trials = sum([one["trials"] for one in given])
        return _Answer(estimates, chances, shown, places, trials, codec.dumps(shown).decode())


def _recommendation(
    task_type: str, answer: _Answer, chosen: int, coverage: float | None, alike: list[str]
) -> Recommendation:
    # What is kept for who asks next is not the asker's to change.
    shown = [{**one, "interval": [*one["interval"]]} for one in answer.shown]
    picked, best = shown[answer.places[chosen]], answer.chances.order[0]
    chance = float(answer.chances.best[chosen])
    trying = best != chosen
    confident = not trying and chance >= SURE and picked["trials"] >= SURE_TRIALS
    trials = answer.trials
    evidence = {
        "trials": trials,
        "strategy_trials": picked["trials"],
        "strategy_successes": picked["successes"],
        "alike": round(float(answer.estimates.similar[chosen]), 1),
        "outcomes": alike,
        "best_chance": round(chance, 4),
        "label_coverage": coverage,
    }
    return Recommendation(
        strategy=picked["strategy"],
        propensity=float(answer.chances.propensities[chosen]),
        expected=picked["expected"],
        interval=(picked["interval"][0], picked["interval"][1]),
        evidence=evidence,
        candidates=shown,
        task_type=task_type,
        choice_id=None,
        confident=confident,
        trying=trying,
        why=_why(picked, shown[answer.places[best]], len(shown), trials, chance, confident, trying),
        duration_s=picked["duration_s"],
        cost=picked["cost"],
    )


def _candidates(
    names: tuple[str, ...], here: dict[str, Counted], estimates: Estimates, chances: Chances
) -> list[dict[str, Json]]:
    """Return the figures of each candidate, in the order that they were given in."""
    from swarm_memory.learning.choice import rounded

    e = estimates
    columns = (e.mean, e.low, e.high, chances.utility, e.duration_s, e.cost, chances.propensities)
    figures = zip(
        names,
        [here.get(name, NOTHING) for name in names],
        *rounded(columns, DIGITS),
        strict=True,
    )
    return [
        {
            "strategy": name,
            "expected": mean,
            "interval": [low, high],
            "propensity": chance,
            "utility": utility,
            "trials": trials,
            "successes": successes,
            "mean_duration_s": mean_duration_s,
            "duration_s": duration_s if ended else None,
            "cost": cost if ended else None,
        }
        for name, (trials, successes, ended, mean_duration_s), mean, low, high, utility, duration_s,
            cost, chance in figures
    ]  # fmt: skip


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


def _coverage(here: dict[str, Counted]) -> float | None:
    """Return the share of outcomes that say how they ended; None for too few to tell."""
    labelled = sum(counted.trials for counted in here.values())
    ended = sum(counted.ended for counted in here.values())
    return round(labelled / ended, 4) if ended >= OUTCOMES_MIN else None


def _nothing(task_type: str, coverage: float | None, why: str) -> tuple[Recommendation, str]:
    evidence = {"trials": 0, "label_coverage": coverage}
    return Recommendation(None, None, None, None, evidence, [], task_type, None, why=why), "[]"
