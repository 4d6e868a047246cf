"""Learning: choosing a strategy by outcomes, against other policies on the same tasks

    ./dev bench learning                                  everything, many orders
    python benchmarks/learning.py --orders 4 --only swarm-memory,epsilon-greedy
    python benchmarks/learning.py --scenario mine.json    a scenario of one's own

A scenario is a full matrix: what every strategy reaches on every task. Tasks come in random order,
the policy sees a task's context, picks one strategy and learns that strategy's outcome only. Its
reward is normalised: 0 is a strategy at random, 1 the best fixed strategy, known beforehand. Each
choice is compared with chance on the same task, so an order with easy tasks is no better. The
interval is that of the mean over orders (1.96 standard errors), of one fixed matrix.

Scenarios of real outcomes are read from the folder `OUTCOME_DATA`; where it is missing, synthetic
ones are replayed. A scenario of one's own is a .json with `rewards` (tasks × strategies, in [0, 1])
and `contexts` (a list of mappings), or an .npz with the same arrays (contexts as JSON texts), each
with `costs`, `cost_weight` and `task_types` if there are any; or, in Python, any object with the
attributes of `learning_scenarios.Scenario`, given to `replay` or `compare`.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import numpy as np

from learning_peers import POLICIES, features_of
from learning_scenarios import TASKS_MAX, drawn, read, real, synthetic, utilities
from learning_speed import speed
from subjects import at_least, at_most, told

ORDERS, ORDERS_OF_PEERS = 50, 6
OURS, REFERENCE = "swarm-memory", "epsilon-greedy"
FIRST = 100
EARLY = (10, 30, 100, 300)
BINS = 10


def replay(scenario, policy, seed, *, features=None, reversal=False, tasks_max=TASKS_MAX):
    """Return what one policy reached in one order.

    With `reversal` the strategies swap their ranks half-way: the best becomes the worst.

    Returns:
        gains: (n,) utility of the pick less the mean of all strategies on that task.
        predictions: (n, 4) expected success, its interval, and what came; NaN if unknown.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(scenario.rewards))[:tasks_max]
    features = features_of(scenario) if features is None else features
    subject = POLICIES[policy](scenario, features, seed)
    worth = utilities(scenario)
    centred = worth - worth.mean(axis=1, keepdims=True)
    behind = np.arange(worth.shape[1])
    ranks = np.argsort(-worth.mean(axis=0), kind="stable")
    gains, predictions = np.zeros(len(order)), np.full((len(order), 4), np.nan)
    for step, task in enumerate(order):
        if reversal and step == len(order) // 2:
            behind[ranks] = ranks[::-1].copy()
        chosen, predicted = subject.choose(int(task), rng)
        column = behind[chosen]
        reward = float(scenario.rewards[task, column])
        cost = None if scenario.costs is None else float(scenario.costs[task, column])
        subject.learn(int(task), chosen, reward, cost)
        gains[step] = centred[task, column]
        if predicted is not None:
            predictions[step] = (*predicted, reward)
    return gains, predictions


def scale(scenario):
    """Return how much better the best fixed strategy is than chance."""
    worth = utilities(scenario)
    return max(float(worth.mean(axis=0).max() - worth.mean()), 1e-9)


def compare(scenarios, policies, orders, *, reversal=False, processes=None):
    """Return the replays of policies on scenarios: {(scenario, policy): [(gains, predictions)]}.

    All see the same orders. Progress is printed.

    Args:
        orders: How many, by policy.
    """
    features = {scenario.name: features_of(scenario) for scenario in scenarios}
    jobs = [(s, p, seed) for s in scenarios for p in policies for seed in range(orders[p])]
    found, begun = {}, time.monotonic()
    with ProcessPoolExecutor(processes or os.cpu_count(), initializer=_alone) as pool:
        waiting = [
            pool.submit(replay, s, p, seed, features=features[s.name], reversal=reversal)
            for s, p, seed in jobs
        ]
        for number, (job, future) in enumerate(zip(jobs, waiting, strict=True), 1):
            scenario, policy, seed = job
            found.setdefault((scenario.name, policy), []).append(future.result())
            if seed == orders[policy] - 1:
                gains = [g.mean() / scale(scenario) for g, _ in found[scenario.name, policy]]
                print(
                    f"  {number}/{len(jobs)} {time.monotonic() - begun:.0f} s"
                    f"  {scenario.name}, {policy}: {interval(gains)}",
                    flush=True,
                )
    return found


def _alone():
    """Let a process compute on one core only, and quietly."""
    import warnings

    warnings.simplefilter("ignore")


def interval(values):
    """Return mean ± 1.96 standard errors as a text."""
    mean, half = centre(values)
    return f"{mean:.2f} ± {half:.2f}"


def centre(values):
    half = 1.96 * statistics.stdev(values) / len(values) ** 0.5 if len(values) > 1 else 0.0
    return float(np.mean(values)), half


def calibration_error(expected, came):
    """Return the expected calibration error in ten equal bins.

    Source:
        Guo et al. 2017, "On Calibration of Modern Neural Networks".
    """
    bins = np.minimum((expected * BINS).astype(int), BINS - 1)
    gaps = [abs((expected[bins == b] - came[bins == b]).sum()) for b in range(BINS)]
    return sum(gaps) / len(expected)


def run(orders=ORDERS, only=None, scenarios=None, parts=("reward", "reversal", "rest", "speed")):
    """Return the figures."""
    if scenarios is None:
        scenarios, missing = real()
        if missing:
            print(f"  no {', '.join(missing)} in OUTCOME_DATA", flush=True)
        scenarios = scenarios or synthetic()
    policies = [name for name in POLICIES if only is None or name in only]
    counts = {
        p: orders if p in (OURS, REFERENCE) else min(orders, ORDERS_OF_PEERS) for p in policies
    }
    figures = []
    if "reward" in parts:
        figures += rewards(scenarios, compare(scenarios, policies, counts), policies)
    if "reversal" in parts:
        few = {p: min(orders, ORDERS_OF_PEERS) for p in policies}
        figures += reversals(scenarios, compare(scenarios, policies, few, reversal=True), policies)
    if "rest" in parts and OURS in policies:
        figures += [*early(), *coverage()]
    if "speed" in parts and OURS in policies:
        figures += speed()
    return figures


def normalised(found, scenario, policy, part=slice(None)):
    return [gains[part].mean() / scale(scenario) for gains, _ in found[scenario.name, policy]]


def rewards(scenarios, found, policies):
    """Return the figures of reward, the paired difference and the calibration."""
    figures = []
    for policy in policies:
        means = {s.name: centre(normalised(found, s, policy))[0] for s in scenarios}
        first = [centre(normalised(found, s, policy, slice(FIRST)))[0] for s in scenarios]
        each = ", ".join(f"{s.name} {interval(normalised(found, s, policy))}" for s in scenarios)
        mean, worst = float(np.mean(list(means.values()))), min(means.values())
        if policy == OURS:
            figures += [
                at_least("normalised reward, mean over scenarios", mean, 1.0, each),
                at_least(f"first {FIRST} tasks, mean", float(np.mean(first)), 0.6),
                at_least("worst scenario", worst, 0.4),
            ]
        else:
            note = f"first {FIRST} {np.mean(first):.2f}, worst {worst:.2f}; {each}"
            figures.append(told(f"{policy}, mean", f"{mean:.2f}", note))
    if {OURS, REFERENCE} <= set(policies):
        figures.append(paired(scenarios, found))
    if OURS in policies:
        errors = {s.name: _error(found[s.name, OURS]) for s in scenarios}
        note = ", ".join(f"{name} {error:.3f}" for name, error in errors.items())
        figures.append(
            at_most("calibration error, worst scenario", max(errors.values()), 0.04, note)
        )
    return figures


def _error(replays):
    predictions = np.concatenate([p for _, p in replays])
    return calibration_error(predictions[:, 0], predictions[:, 3])


def paired(scenarios, found):
    """Return the figure of the paired difference to the reference: its lowest upper end."""
    texts, ends = [], []
    for scenario in scenarios:
        ours, theirs = (normalised(found, scenario, p) for p in (OURS, REFERENCE))
        differences = [a - b for a, b in zip(ours, theirs, strict=True)]
        mean, half = centre(differences)
        ends.append(mean + half)
        texts.append(f"{scenario.name} {mean:+.2f} ± {half:.2f}")
    return at_least(f"better than {REFERENCE}: lowest upper end", min(ends), 0.0, ", ".join(texts))


def reversals(scenarios, found, policies):
    """Return what is reached in the second half, after the ranks were reversed."""
    figures, shares, notes = [], [], []
    for scenario in scenarios:
        half = slice(min(len(scenario.rewards), TASKS_MAX) // 2, None)
        means = {p: centre(normalised(found, scenario, p, half)) for p in policies}
        notes.append(
            f"{scenario.name}: "
            + ", ".join(f"{p} {m:.2f} ± {h:.2f}" for p, (m, h) in means.items())
        )
        peers = [mean for p, (mean, _) in means.items() if p != OURS]
        if OURS in policies and peers:
            # In units above chance; where no peer is above it, neither has to be.
            best = max(*peers, 0.05) if len(peers) > 1 else max(peers[0], 0.05)
            shares.append(means[OURS][0] / best)
    if shares:
        what = "after a reversal: second half / best peer's, worst scenario"
        figures.append(at_least(what, min(shares), 0.9))
    figures += [told("after a reversal, second half", "", note) for note in notes]
    return figures


def early():
    """How good the recommended strategy is after few outcomes, on synthetic scenarios."""
    figures = []
    for strategies in (3, 4, 5, 6):
        table = [
            _after(drawn(f"{strategies}", max(EARLY), strategies, slope=0.0, seed=seed), seed)
            for seed in range(40)
        ]
        text = ", ".join(
            f"{n}: {v:.2f}" for n, v in zip(EARLY, np.mean(table, axis=0), strict=True)
        )
        figures.append(told(f"value of the advice, {strategies} strategies", text, "by outcomes"))
    return figures


def _after(scenario, seed):
    """Return the normalised true value of the best advice after each number of EARLY."""
    subject = POLICIES[OURS](scenario, None, seed)
    rng = np.random.default_rng(seed)
    truth = scenario.knowable.mean(axis=0)
    values = []
    for task in range(max(EARLY)):
        chosen, _ = subject.choose(task, rng)
        subject.learn(task, chosen, float(scenario.rewards[task, chosen]), None)
        if task + 1 in EARLY:
            mean = subject.model.estimate("task", {}, subject.names).mean
            values.append((truth[int(mean.argmax())] - truth.mean()) / (truth.max() - truth.mean()))
    return values


def coverage():
    """How often the 95 % interval holds the true probability, where that is known."""
    figures, inside = [], []
    for scenario in synthetic():
        hits = []
        for seed in range(3):
            hits += _hits(scenario, seed)
        inside.append(float(np.mean(hits)))
        figures.append(told(f"95 % interval holds the truth, {scenario.name}", f"{inside[-1]:.1%}"))
    worst = at_least("95 % intervals that hold the truth, mean", float(np.mean(inside)), 0.93)
    return [worst, *figures]


def _hits(scenario, seed):
    """Return for each pick whether the truth was inside: mean success in like contexts.

    The difficulty of one task beyond its context cannot be known from it, so it is averaged out.
    """
    subject = POLICIES[OURS](scenario, None, seed)
    rng = np.random.default_rng(seed)
    hits = []
    for task in rng.permutation(len(scenario.rewards)):
        chosen, (_, low, high) = subject.choose(int(task), rng)
        cost = None if scenario.costs is None else scenario.costs[task, chosen]
        subject.learn(int(task), chosen, float(scenario.rewards[task, chosen]), cost)
        hits.append(low <= float(scenario.knowable[task, chosen]) <= high)
    return hits


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", action="append", help=".json or .npz, may be repeated")
    parser.add_argument("--orders", type=int, default=ORDERS)
    parser.add_argument("--only", help="policies, separated by commas")
    parser.add_argument("--parts", default="reward,reversal,rest,speed")
    given = parser.parse_args()
    scenarios = [read(path) for path in given.scenario] if given.scenario else None
    only = given.only.split(",") if given.only else None
    for figure in run(given.orders, only, scenarios, given.parts.split(",")):
        print(f"  {figure['what']}: {figure['value']} (goal {figure['goal']}) {figure['note']}")


if __name__ == "__main__":
    main()
