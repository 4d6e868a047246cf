"""TEMPORARY until the policy is merged."""

from __future__ import annotations

import json

from swarm_memory.lean import NamedTuple
from swarm_memory.learning import policy as counts


class Estimates(NamedTuple):
    mean: object
    variance: object
    low: object
    high: object
    duration_s: object
    cost: object
    trials: object
    neighbours: object


class Model:  # type: ignore
    def __init__(self, parts=None):
        self._arms = {}
        self._changed = set()
        self.load(parts or {})

    def load(self, parts):
        for name, state in parts.items():
            self._arms[name] = json.loads(state)

    def inherit(self, task_type, strategy, trials, rewards, seconds, cost):
        pass

    def learn(
        self, task_type, context, strategy, reward, *, duration_s=None, cost=None, outcome_id=None
    ):
        self._add(strategy, 1, reward, duration_s or 0.0, cost or 0.0)

    def correct(
        self,
        task_type,
        context,
        strategy,
        before,
        reward,
        *,
        duration_s=None,
        cost=None,
        outcome_id=None,
    ):
        self._add(strategy, 0, reward - before, 0.0, 0.0)

    def _add(self, strategy, n, reward, seconds, cost):
        arm = self._arms.setdefault("arm:" + strategy, [0, 0.0, 0.0, 0.0])
        for i, x in enumerate((n, reward, seconds, cost)):
            arm[i] += x
        self._changed.add("arm:" + strategy)

    def changed(self):
        out = {name: json.dumps(self._arms[name]).encode() for name in self._changed}
        self._changed = set()
        return out

    def estimate(self, task_type, context, strategies):
        arms = [self._arms.get("arm:" + s, [0, 0.0, 0.0, 0.0]) for s in strategies]
        est = counts.estimate_arms([a[0] for a in arms], [a[1] for a in arms])
        return Estimates(
            [e.mean for e in est],
            [e.variance for e in est],
            [e.low for e in est],
            [e.high for e in est],
            [a[2] / a[0] if a[0] else None for a in arms],
            [a[3] / a[0] if a[0] else None for a in arms],
            [a[0] for a in arms],
            [[] for _ in arms],
        )
