"""What another policy would have reached: error and coverage of the estimates

    OUTCOME_DATA=FOLDER ./dev bench learning_evaluate

A scenario is a matrix of tasks and strategies, so that the truth is known. Tasks are drawn from it
with replacement and a made-up policy chooses: 0.7 softmax(6 × noisy prior rates) + 0.3 uniform;
confounded, hard tasks go to the strong one and easy ones rather to the others, where hard is what
the context says, or (hidden) what only that policy knows. The target is one
good strategy in half of the runs, and a rule of the context in the others. Rows whose truth is
known from third parties' data are read from `OUTCOME_DATA`;
without it only the made scenarios run. Coverage is over the runs that were not refused.
"""

from __future__ import annotations

import csv
import os
import statistics
from pathlib import Path
from typing import NamedTuple

import numpy as np

from subjects import told
from swarm_memory.learning import direct
from swarm_memory.learning.evaluate import Evaluation, Log
from swarm_memory.learning.observation import Observation

RUNS = {100: 50, 300: 120, 1_000: 40}  # by rows of a log
LOGGING = ("plain", "confounded", "confounded, hidden")
GOAL_SIZE, GOAL = 300, 0.93
COMPONENTS = 12
STRONG = 3  # a good strategy is one of the best so many
CHECKED = 5  # logs that the slow implementation evaluates, too
ESTIMATORS = ("naive", "IPS", "SNIPS", "DM", "DR", "used")


class Scenario(NamedTuple):
    """Rewards (n_tasks, n_strategies), numbers (n_tasks, d) and facets of the tasks."""

    name: str
    rewards: np.ndarray
    numbers: np.ndarray
    facets: list[dict[str, str]]


class Run(NamedTuple):
    """The errors of one run's estimates by ESTIMATORS, and which intervals held the truth."""

    errors: tuple[float, ...]
    covered: dict[str, bool]
    half_width: float


def run() -> list[dict[str, object]]:
    folder = os.environ.get("OUTCOME_DATA")
    scenarios = [made("made, middling", 0.0), made("made, mostly successes", 2.5)]
    figures = []
    if folder:
        scenarios = [*third_party(Path(folder)), *scenarios]
    else:
        figures = [told("third parties' outcomes", "skipped", "no folder; set OUTCOME_DATA")]
    for scenario in scenarios:
        sizes = [GOAL_SIZE] if scenario.name.startswith("made") else list(RUNS)
        for kind in LOGGING:
            figures += [measure(scenario, size, kind) for size in sizes]
    return [*figures, agreement(scenarios[0])]


def third_party(folder: Path) -> list[Scenario]:
    return [coding(folder), solver(folder, "QBF-2011")]


def coding(folder: Path) -> Scenario:
    """Return the tasks that all of the ten busiest strategies ran on, with their repository."""
    solved: dict[str, dict[str, float]] = {}
    repository: dict[str, str] = {}
    with (folder / "swebench_pro_runs.csv").open() as lines:
        for line in csv.DictReader(lines):
            done = line["resolved"].lower() in ("1", "1.0", "true")
            solved.setdefault(line["strategy"], {})[line["instance"]] = float(done)
            repository[line["instance"]] = line["repo"]
    names = sorted(solved, key=lambda s: -len(solved[s]))[:10]
    tasks = sorted(set.intersection(*(set(solved[s]) for s in names)))
    rewards = np.array([[solved[s][t] for s in names] for t in tasks])
    facets = [{"repository": repository[t]} for t in tasks]
    return Scenario("coding agents (pro)", rewards, np.zeros((len(tasks), 0)), facets)


def solver(folder: Path, name: str) -> Scenario:
    """Return an algorithm-selection scenario with the principal components of its features."""
    data = np.load(folder / f"aslib_{name}.npz", allow_pickle=False)
    features = np.where(np.isnan(data["X"]), np.nanmean(data["X"], axis=0), data["X"])
    features = features - features.mean(axis=0)
    features = features / np.where(features.std(axis=0) > 0, features.std(axis=0), 1)
    left, sizes, _ = np.linalg.svd(features, full_matrices=False)
    rewards = data["OK"].astype(float)
    numbers = (left * sizes)[:, :COMPONENTS]
    return Scenario(f"solvers ({name})", rewards, numbers, [{} for _ in rewards])


def made(name: str, level: float) -> Scenario:
    """Return 2,000 tasks with 6 strategies whose success depends on a kind and a number."""
    generator = np.random.default_rng(7)
    n, k = 2_000, 6
    kinds, numbers = generator.integers(0, 4, n), generator.normal(size=(n, 1))
    log_odds = level + generator.normal(0, 0.7, k) + generator.normal(0, 0.6, (4, k))[kinds]
    log_odds += 0.8 * numbers + generator.normal(0, 1, (n, 1))
    rewards = (generator.random((n, k)) < 1 / (1 + np.exp(-log_odds))).astype(float)
    return Scenario(name, rewards, numbers, [{"kind": f"kind-{i}"} for i in kinds])


def logging_policy(scenario: Scenario, kind: str, generator) -> np.ndarray:
    """Return the probabilities with which the log's strategies were chosen, (n_tasks, n)."""
    rates = scenario.rewards.mean(axis=0) + generator.normal(0, 0.1, scenario.rewards.shape[1])
    strength = np.full(len(scenario.rewards), 6.0)
    if kind != LOGGING[0]:
        seen = predicted(scenario) if kind == LOGGING[1] else scenario.rewards
        ease = seen.mean(axis=1)
        strength = np.where(ease < np.median(ease), 9.0, -3.0)
    weights = np.exp(strength[:, None] * (rates - rates.mean()))
    chosen = weights / weights.sum(axis=1, keepdims=True)
    return 0.7 * chosen + 0.3 / len(rates)


def contexts(scenario: Scenario) -> list[dict[str, object]]:
    return [
        {**{f"x{i:02}": float(x) for i, x in enumerate(numbers)}, **facets}
        for numbers, facets in zip(scenario.numbers, scenario.facets, strict=True)
    ]


def predicted(scenario: Scenario) -> np.ndarray:
    """Return the reward that least squares expects by the context, (n_tasks, n_strategies)."""
    facets = sorted({tuple(f.items()) for f in scenario.facets})
    one_hot = np.array([[tuple(f.items()) == g for g in facets] for f in scenario.facets], float)
    design = np.column_stack([scenario.numbers, one_hot])
    penalty = len(design) / 50 * np.eye(design.shape[1])
    fit = np.linalg.solve(design.T @ design + penalty, design.T @ scenario.rewards)
    return design @ fit


def measure(scenario: Scenario, size: int, kind: str) -> dict[str, object]:
    known = contexts(scenario)
    rule = np.argmax(predicted(scenario), axis=1)
    by_context = {tuple(c.items()): int(k) for c, k in zip(known, rule, strict=True)}
    runs, refused = [], 0
    for number in range(RUNS[size]):
        done = one(scenario, known, (rule, by_context), (number, size, kind))
        refused += done is None
        runs += [done] if done is not None else []
    return figure(scenario, size, kind, runs, refused)


def one(scenario, known, rules, which) -> Run | None:
    number, size, kind = which
    generator = np.random.default_rng([number, size, LOGGING.index(kind)])
    logged = logging_policy(scenario, kind, generator)
    n = len(scenario.rewards)
    target, name = rules[0], rule_target(rules[1])
    if number % 2:
        good = int(generator.choice(np.argsort(-scenario.rewards.mean(axis=0))[:STRONG]))
        target, name = np.full(n, good), f"s{good:02}"
    truth = float(scenario.rewards[np.arange(n), target].mean())
    gain = truth - float(np.mean(np.sum(logged * scenario.rewards, axis=1)))
    tasks = generator.integers(0, n, size)
    rows = log_of(scenario, known, logged, tasks, generator)
    found = Log(rows, seed=number).evaluate(name)
    if not isinstance(found, Evaluation):
        return None
    matching = np.array(
        [o.strategy == f"s{target[t]:02}" for o, t in zip(rows, tasks, strict=True)]
    )
    rewards = np.array([o.reward for o in rows])
    ips = np.mean(matching * rewards / [o.propensity for o in rows])
    estimates = (found.naive.mean, ips, found.snips.mean, found.direct)
    estimates += (found.doubly_robust.mean, found.value.mean)
    covered = {
        "used": found.value.low <= truth <= found.value.high,
        "SNIPS": found.snips.low <= truth <= found.snips.high,
        "DR": found.doubly_robust.low <= truth <= found.doubly_robust.high,
        "gain": found.gain.low <= gain <= found.gain.high,
        "naive": abs(found.naive.mean - truth) <= naive_half_width(rewards[matching]),
    }
    errors = tuple(float(e) - truth for e in estimates)
    return Run(errors, covered, (found.value.high - found.value.low) / 2)


def naive_half_width(rewards: np.ndarray) -> float:
    return 1.96 * float(rewards.std(ddof=1)) / len(rewards) ** 0.5


def rule_target(by_context):
    def target(context, candidates):
        seen = {name: value for name, value in context.items() if name != "task_type"}
        chosen = f"s{by_context[tuple(seen.items())]:02}"
        return [float(name == chosen) for name in candidates]

    return target


def log_of(scenario, known, logged, tasks, generator) -> list[Observation]:
    names = tuple(f"s{k:02}" for k in range(scenario.rewards.shape[1]))
    rows = []
    for i, task in enumerate(tasks):
        k = int(generator.choice(len(names), p=logged[task]))
        reward = float(scenario.rewards[task, k])
        rows.append(
            Observation(
                outcome_id=str(i),
                at_ms=i,
                task=f"{i}",  # drawn anew each time: independent, also when drawn twice
                task_type="any",
                strategy=names[k],
                status="success" if reward else "failure",
                reward=reward,
                context=known[task],
                candidates=names,
                propensities=tuple(logged[task]),
                propensity=float(logged[task, k]),
            )
        )
    return rows


def figure(scenario, size, kind, runs: list[Run], refused: int) -> dict[str, object]:
    what = f"{scenario.name}, {size:,} rows, {kind}"
    if not runs:
        return told(what, "refused", f"all of {RUNS[size]} runs")
    errors = np.array([r.errors for r in runs])
    rmse, bias = np.sqrt(np.mean(errors**2, axis=0)), errors.mean(axis=0)
    said = ", ".join(
        f"{name} {e:.3f} ({b:+.3f})" for name, e, b in zip(ESTIMATORS, rmse, bias, strict=True)
    )
    covered = {key: statistics.mean(r.covered[key] for r in runs) for key in runs[0].covered}
    others = ", ".join(f"{k} {v:.2f}" for k, v in covered.items() if k != "used")
    half = statistics.mean(r.half_width for r in runs)
    goal = size == GOAL_SIZE
    return {
        "what": what,
        "value": f"covers {covered['used']:.1%}, ± {half:.3f}",
        "goal": f"≥ {GOAL:.0%}" if goal else "",
        "reached": covered["used"] >= GOAL if goal else None,
        "note": f"RMSE (bias): {said}; cover: {others}; refused {refused} of {RUNS[size]}",
    }


def agreement(scenario: Scenario) -> dict[str, object]:
    """Return how far the estimates are off those of a slow implementation of the formulas."""
    known, worst = contexts(scenario), 0.0
    for number in range(CHECKED):
        generator = np.random.default_rng(number)
        logged = logging_policy(scenario, LOGGING[1], generator)
        tasks = generator.integers(0, len(known), 200)
        rows = log_of(scenario, known, logged, tasks, generator)
        target = f"s{int(np.argmax(scenario.rewards.mean(axis=0))):02}"
        found = Log(rows, seed=number).evaluate(target)
        if isinstance(found, Evaluation):
            ours = (found.snips.mean, found.doubly_robust.mean, found.value.mean)
            slow = slowly(rows, target, number)
            worst = max(worst, *(abs(a - b) for a, b in zip(ours, slow, strict=True)))
    return {
        "what": "SNIPS, DR and the one used against a slow implementation of the formulas",
        "value": f"differ by ≤ {worst:.1e}",
        "goal": "≤ 1e-06",
        "reached": worst <= 1e-6,
        "note": f"{CHECKED} logs of 200 rows; the model by Newton's method on the whole matrix",
    }


def slowly(rows: list[Observation], target: str, seed: int) -> tuple[float, float, float]:
    """Return SNIPS, DR and self-normalised DR (clipped to 0 … 1), row by row as they are defined.

    Folds and columns are the library's; model, weights and sums are not.
    """
    columns = direct.encode(rows)
    folds = direct.folds_by_task(np.arange(len(rows)), np.random.default_rng(seed))
    names = sorted(set(rows[0].candidates or ()))
    expected, correction, weights, weighted = [], [], [], []
    models = {fold: slow_model(rows, columns, folds != fold, names) for fold in set(folds)}
    for i, row in enumerate(rows):
        beta = models[folds[i]]
        weight = (row.strategy == target) / row.propensity
        expected.append(slow_predict(beta, columns[i], names.index(target), len(names)))
        own = slow_predict(beta, columns[i], names.index(row.strategy), len(names))
        weights.append(weight)
        weighted.append(weight * row.reward)
        correction.append(weight * (row.reward - own))
    n = len(rows)
    plain = sum(e + c for e, c in zip(expected, correction, strict=True)) / n
    used = sum(expected) / n + sum(correction) / sum(weights)
    clip = [min(max(v, 0.0), 1.0) for v in (sum(weighted) / sum(weights), plain, used)]
    return clip[0], clip[1], clip[2]


def slow_design(column: np.ndarray, strategy: int, n_strategies: int) -> np.ndarray:
    shared = np.concatenate([[1.0], column])
    return np.concatenate([shared, np.kron(np.eye(n_strategies)[strategy], shared)])


def slow_predict(beta, column, strategy: int, n_strategies: int) -> float:
    return float(1 / (1 + np.exp(-slow_design(column, strategy, n_strategies) @ beta)))


def slow_model(rows, columns, seen, names) -> np.ndarray:
    d, k = columns.shape[1], len(names)
    prior = [direct.PRIOR_LEVEL, *[direct.PRIOR_SHARED] * d]
    prior += [direct.PRIOR_STRATEGY, *[direct.PRIOR_SLOPE] * d] * k
    chosen = [i for i in range(len(rows)) if seen[i]]
    design = np.array([slow_design(columns[i], names.index(rows[i].strategy), k) for i in chosen])
    reward = np.array([rows[i].reward for i in chosen])
    beta = np.zeros(len(prior))
    for _ in range(30):
        p = 1 / (1 + np.exp(-design @ beta))
        curvature = design.T @ (design * (p * (1 - p))[:, None]) + np.diag(1 / np.array(prior))
        beta += np.linalg.solve(curvature, design.T @ (reward - p) - beta / prior)
    return beta


if __name__ == "__main__":
    for found in run():
        print(found["what"], found["value"], found["note"], sep=" | ", flush=True)
