"""What the outcomes of a swarm say: insights, each with its support."""

from __future__ import annotations

from swarm_memory.learning import policy
from swarm_memory.reports import Insight

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.engine import Row

INSIGHT_TRIALS_MIN = 5


def _task_insights(task_type: str, arms: list[Row]) -> list[Insight]:
    trials, successes = sum(a[2] for a in arms), sum(a[3] for a in arms)
    if trials < INSIGHT_TRIALS_MIN:
        return []
    seconds = sum(a[4] for a in arms) / trials
    (overall,) = policy.estimate_arms([trials], [successes])
    found = [
        Insight(
            "task_type",
            f"{task_type}: {successes} of {trials} succeeded, {seconds:.3g} s each",
            trials,
            (overall.low, overall.high),
            {"task_type": task_type, "successes": successes, "mean_duration_s": seconds},
        )
    ]
    named = [a for a in arms if a[1] and a[2]]
    if len(named) < 2:
        return found
    estimates = policy.estimate_arms([a[2] for a in named], [a[3] for a in named])
    ranked = sorted(zip(estimates, named, strict=True), key=lambda pair: -pair[0].mean)
    best, arm = ranked[0]
    stands_out = all(best.low > other.high for other, _ in ranked[1:])
    rates = ", ".join(f"{a[1]} {a[3]}/{a[2]}" for _, a in ranked)
    if stands_out and arm[2] >= INSIGHT_TRIALS_MIN:
        kind, text = "best_strategy", f"{task_type}: {arm[1]} works best ({rates})"
    else:
        kind, text = "open", f"{task_type}: no strategy stands out yet ({rates})"
    facts = {"task_type": task_type, "strategy": arm[1] if stands_out else None}
    found.append(Insight(kind, text, trials, (best.low, best.high), facts))
    return found
