"""The policies of the benchmark of learning: ours, and its peers behind the same three calls

    choose(task, rng) -> (strategy, predicted success or None)
    learn(task, strategy, reward, cost)

Peers learn the utility itself. Their features are made with hindsight, which favours them: numbers
are scaled and projected, texts projected and facets ordered by what the whole scenario holds.
"""

from __future__ import annotations

import random
from collections import Counter

import numpy as np

from swarm_memory.learning.features import encode
from swarm_memory.learning.model import Model, choose

EPSILON = 0.1
FACETS, COMPONENTS_NUMBERS, COMPONENTS_TEXT = 16, 12, 8


class Ours:
    """The product's policy with its defaults."""

    def __init__(self, scenario, features, seed):
        self.scenario, self.model = scenario, Model()
        self.names = [f"strategy-{index}" for index in range(scenario.rewards.shape[1])]

    def choose(self, task, rng):
        scenario = self.scenario
        estimates = self.model.estimate(
            scenario.task_types[task], scenario.contexts[task], self.names
        )
        choice = choose(estimates, uniform=rng.random(), cost_weight=scenario.cost_weight)
        at = choice.chosen
        return at, (estimates.mean[at], estimates.low[at], estimates.high[at])

    def learn(self, task, strategy, reward, cost):
        scenario = self.scenario
        kind, context = scenario.task_types[task], scenario.contexts[task]
        self.model.learn(kind, context, self.names[strategy], reward, cost=cost)


class Peer:
    """What peers share: the utility as the only signal, and the number of strategies."""

    def __init__(self, scenario, features, seed):
        self.scenario, self.features, self.seed = scenario, features, seed
        self.count = scenario.rewards.shape[1]
        self.start()

    def start(self):
        """Prepare what a policy keeps."""

    def learn(self, task, strategy, reward, cost):
        self.update(task, strategy, reward - self.scenario.cost_weight * (cost or 0.0))

    def update(self, task, strategy, utility):
        """Learn from the utility of a choice."""


class Random(Peer):
    def choose(self, task, rng):
        return int(rng.integers(self.count)), None


class EpsilonGreedy(Peer):
    """The best mean so far, each strategy once first, one choice in ten at random."""

    def start(self):
        self.trials, self.total = np.zeros(self.count), np.zeros(self.count)

    def choose(self, task, rng):
        if rng.random() < EPSILON:
            return int(rng.integers(self.count)), None
        means = np.where(self.trials, self.total / np.maximum(self.trials, 1), np.inf)
        return int(rng.choice(np.flatnonzero(means == means.max()))), None

    def update(self, task, strategy, utility):
        self.trials[strategy] += 1
        self.total[strategy] += utility


class TypeCounts(Peer):
    """The success rate by kind of task once it has three trials, else that over all, else chance.

    The kind of task is its first facet.
    """

    def start(self):
        self.counts = {}

    def kinds(self, task):
        context = self.scenario.contexts[task]
        facet = next((f"{k}={v}" for k, v in context.items() if isinstance(v, str)), "any")
        return facet, ""

    def choose(self, task, rng):
        for kind in self.kinds(task):
            trials, total = self.counts.get(kind, (np.zeros(self.count), np.zeros(self.count)))
            if trials.sum() >= 3:
                means = np.where(trials > 0, total / np.maximum(trials, 1), -np.inf)
                return int(rng.choice(np.flatnonzero(means == means.max()))), None
        return int(rng.integers(self.count)), None

    def update(self, task, strategy, utility):
        for kind in self.kinds(task):
            trials, total = self.counts.setdefault(
                kind, (np.zeros(self.count), np.zeros(self.count))
            )
            trials[strategy] += 1
            total[strategy] += utility


class LinUCB(Peer):
    """mabwiser's LinUCB, alpha 0.25."""

    def policy(self):
        from mabwiser.mab import LearningPolicy

        return LearningPolicy.LinUCB(alpha=0.25)

    def start(self):
        from mabwiser.mab import MAB

        arms = list(range(self.count))
        self.bandit = MAB(arms, self.policy(), seed=self.seed)
        first = random.Random(self.seed).randrange(self.count)
        self.bandit.fit([first], [0.0], self.features[:1])

    def choose(self, task, rng):
        return int(self.bandit.predict(self.features[task : task + 1])), None

    def update(self, task, strategy, utility):
        self.bandit.partial_fit([strategy], [utility], self.features[task : task + 1])


class LinTS(LinUCB):
    """mabwiser's LinTS, alpha 0.25."""

    def policy(self):
        from mabwiser.mab import LearningPolicy

        return LearningPolicy.LinTS(alpha=0.25)


class SquareCB(Peer):
    """vowpalwabbit's squarecb with action features, gamma 10."""

    options = "--cb_explore_adf --squarecb --gamma_scale 10 -q CA --quiet"

    def start(self):
        from vowpalwabbit import Workspace

        self.work = Workspace(f"{self.options} --random_seed {self.seed}")
        self.last = None

    def lines(self, task, chosen=None, cost=0.0, chance=1.0):
        row = self.features[task]
        shared = " ".join(f"f{i}:{v:.4f}" for i, v in enumerate(row) if v)
        text = [f"shared |C {shared}"]
        for arm in range(self.count):
            label = f"0:{cost:.4f}:{chance:.4f} " if arm == chosen else ""
            text.append(f"{label}|A a{arm}")
        return text

    def choose(self, task, rng):
        chances = np.array(self.work.predict(self.lines(task)))
        chances = chances / chances.sum()
        chosen = int(rng.choice(self.count, p=chances))
        self.last = float(chances[chosen])
        return chosen, None

    def update(self, task, strategy, utility):
        self.work.learn(self.lines(task, strategy, -utility, self.last or 1.0))


class RiverLinUCB(Peer):
    """river's LinUCBDisjoint, alpha 0.25."""

    def start(self):
        from river.bandit import LinUCBDisjoint

        self.bandit = LinUCBDisjoint(alpha=0.25, seed=self.seed)

    def context(self, task):
        return {f"f{i}": float(v) for i, v in enumerate(self.features[task])}

    def choose(self, task, rng):
        return self.bandit.pull(list(range(self.count)), context=self.context(task)), None

    def update(self, task, strategy, utility):
        self.bandit.update(strategy, self.context(task), utility)


class RiverThompson(Peer):
    """river's Thompson sampling on the sign of the utility around its running mean: no context."""

    def start(self):
        from river.bandit import ThompsonSampling
        from river.proba import Beta

        self.bandit = ThompsonSampling(reward_obj=Beta(), seed=self.seed)

    def choose(self, task, rng):
        return self.bandit.pull(list(range(self.count))), None

    def update(self, task, strategy, utility):
        self.bandit.update(strategy, utility > 0)


POLICIES = {
    "swarm-memory": Ours,
    "random": Random,
    "epsilon-greedy": EpsilonGreedy,
    "counts by type": TypeCounts,
    "mabwiser LinUCB": LinUCB,
    "mabwiser LinTS": LinTS,
    "vw squarecb": SquareCB,
    "river LinUCB": RiverLinUCB,
    "river Thompson": RiverThompson,
}


def features_of(scenario):
    """Return the features that peers see, (n_tasks, n_features), the first of them 1."""
    encoded = [encode("", context) for context in scenario.contexts]
    names = sorted({name for e in encoded for name in e.numbers})
    numbers = np.array([[e.numbers.get(n, np.nan) for n in names] for e in encoded], float)
    columns = [np.ones((len(encoded), 1))]
    if names:
        columns.append(_components(_standardised(numbers), COMPONENTS_NUMBERS))
    texts = np.array([e.text for e in encoded], float)
    if texts.any():
        columns.append(_components(texts - texts.mean(axis=0), COMPONENTS_TEXT))
    facets = [_facets(context) for context in scenario.contexts]
    counts = Counter(facet for some in facets for facet in some)
    common = sorted(counts, key=lambda facet: (-counts[facet], facet))[:FACETS]
    columns.append(np.array([[facet in some for facet in common] for some in facets], float))
    return np.ascontiguousarray(np.concatenate(columns, axis=1))


def _standardised(numbers):
    known = ~np.isnan(numbers)
    filled = np.where(known, numbers, 0)
    centre = filled.sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    centred = np.where(known, numbers - centre, 0)
    deviation = centred.std(axis=0)
    return centred / np.where(deviation > 0, deviation, 1)


def _components(centred, most):
    """Return the first principal components, scaled to a deviation of about 0.3."""
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    found = left[:, :most] * values[:most]
    return 0.3 * found / max(found[:, 0].std(), 1e-9)


def _facets(context):
    return {
        f"{k}={v}" for k, v in context.items() if isinstance(v, (bool, str)) and len(str(v)) < 65
    }
