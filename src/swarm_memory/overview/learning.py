"""Learning: how tasks ended, what each strategy is worth, and how that went over time."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.engine import Engine
    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm

STRATEGIES_MAX = 200
RECENT = 50
CURVE = 500  # outcomes that the curve is made of
WINDOW = 20  # of which a point of it is the mean
_ARM = ("task_type", "strategy", "trials", "successes", "duration_s", "cost", "unlabelled")


def look(swarm: Swarm, engine: Engine) -> dict[str, Json]:
    """Return what was learned from outcomes.

    `strategies` has the counts of each, by task type, with its `mean` reward in [0, 1] and the
    means of duration and cost; `recent` the last outcomes, the last first; `curve` the mean reward
    of twenty outcomes in a row, [epoch ms, mean] in order; `coverage` the share of outcomes that
    say how they ended, None before the first; `waiting` how many choices wait for their outcome.
    """
    arms = [
        dict(zip(_ARM, row, strict=True))
        for row in engine.all("arm_list", swarm=swarm.context.swarm, task_type="")
    ]
    for arm in arms:
        _add_means(arm)
    arms.sort(key=lambda arm: (-arm["trials"], arm["task_type"], arm["strategy"]))
    outcomes = swarm.outcomes.recent(limit=CURVE)
    labelled = sum(arm["trials"] for arm in arms)
    ended = labelled + sum(arm["unlabelled"] for arm in arms)
    rewards = [(o.at_ms, o.reward) for o in reversed(outcomes) if o.reward is not None]
    return {
        "now_ms": engine.now_ms,
        "strategies": [arm for arm in arms if arm["strategy"]][:STRATEGIES_MAX],
        "recent": [outcome.to_dict() for outcome in outcomes[:RECENT]],
        "curve": curve(rewards),
        "outcomes": ended,
        "coverage": labelled / ended if ended else None,
        "waiting": len(swarm.outcomes.waiting(limit=1000)),
    }


def insights(swarm: Swarm) -> list[dict[str, Json]]:
    """Return the sentences that the outcomes allow; see `Outcomes.insights`."""
    return [insight.to_dict() for insight in swarm.outcomes.insights()]


def curve(rewards: list[tuple[int, float]]) -> list[list[float]]:
    """Return the mean of the last `WINDOW` rewards at each of them, once there are as many."""
    points = []
    total = 0.0
    for place, (at_ms, reward) in enumerate(rewards):
        total += reward
        if place >= WINDOW:
            total -= rewards[place - WINDOW][1]
        if place >= WINDOW - 1:
            points.append([at_ms, round(total / WINDOW, 4)])
    return points


def _add_means(arm: dict[str, Json]) -> None:
    ended = arm["trials"] + arm["unlabelled"]
    arm["mean"] = arm["successes"] / arm["trials"] if arm["trials"] else None
    arm["mean_duration_s"] = arm["duration_s"] / ended if ended else None
    arm["mean_cost"] = arm["cost"] / ended if ended else None
