"""Scenarios of the benchmark of learning: matrices of what every strategy reaches on every task

Real outcomes are third-party data and no part of this project: they are read from the folder that
`OUTCOME_DATA` names. Synthetic ones are made here and need nothing.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
import os
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np

TASKS_MAX = 1200  # of one replay
UNKNOWN = 0.8  # deviation of the difficulty, in log-odds, of synthetic tasks


class Scenario:
    """Tasks with their contexts, and what each strategy reaches on each.

    `rewards` (n_tasks, n_strategies) in [0, 1]; `costs` likewise or None, `cost_weight` what one
    unit is worth in reward; `knowable` the chances of success given the context, where these are
    known. Any object with these attributes is a scenario.
    """

    def __init__(
        self,
        name,
        contexts,
        rewards,
        *,
        costs=None,
        cost_weight=0.0,
        task_types=None,
        knowable=None,
    ):
        self.name = name
        self.contexts = list(contexts)
        self.rewards = np.asarray(rewards, float)
        self.costs = None if costs is None else np.asarray(costs, float)
        self.cost_weight = float(cost_weight)
        self.task_types = list(task_types or ["task"] * len(self.contexts))
        self.knowable = knowable
        if len(self.contexts) != len(self.rewards) or not len(self.contexts):
            raise ValueError(f"{name}: {len(self.contexts)} contexts, {len(self.rewards)} rewards")
        if not ((self.rewards >= 0) & (self.rewards <= 1)).all():
            raise ValueError(f"{name}: a reward is not in [0, 1]")


def utilities(scenario):
    """Return what each strategy is worth on each task, (n_tasks, n_strategies)."""
    if scenario.costs is None:
        return scenario.rewards
    return scenario.rewards - scenario.cost_weight * scenario.costs


def read(path):
    """Return the scenario of a file, .json or .npz.

    Both have `rewards` and `contexts`, and may have `costs`, `cost_weight` and `task_types`. In an
    .npz `contexts` is an array of n texts, each the JSON of a context.
    """
    path = Path(path)
    if path.suffix == ".npz":
        with np.load(path) as held:
            found = {name: held[name] for name in held.files}
        found["contexts"] = [json.loads(str(text)) for text in found["contexts"]]
        if "task_types" in found:
            found["task_types"] = [str(kind) for kind in found["task_types"]]
    else:
        found = json.loads(path.read_text())
    known = ("costs", "cost_weight", "task_types")
    options = {name: found[name] for name in known if name in found}
    return Scenario(path.stem, found["contexts"], found["rewards"], **options)


def synthetic():
    """Return scenarios whose truth is known: no use of context, much of it, and costs."""
    return [
        drawn("made: no context", 500, 8, slope=0.0, seed=1),
        drawn("made: facets", 800, 4, slope=1.5, seed=2, facets=4),
        drawn("made: numbers", 800, 4, slope=1.5, seed=3, numbers=6),
        drawn("made: costs", 600, 5, slope=0.5, seed=4, numbers=3, costs=True),
    ]


def logistic(odds):
    return 1 / (1 + np.exp(-odds))


def drawn(name, tasks, strategies, *, slope, seed, facets=0, numbers=0, costs=False):
    """Return a scenario drawn from a logistic model of difficulty, strategy and context."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(tasks, max(numbers, 1)))
    kind = rng.integers(max(facets, 1), size=tasks)
    odds = np.tile(rng.normal(0, 0.5, strategies), (tasks, 1))
    odds = odds + slope * rng.normal(size=(max(facets, 1), strategies))[kind] * bool(facets)
    weights = rng.normal(size=(max(numbers, 1), strategies)) / math.sqrt(max(numbers, 1))
    odds = odds + slope * (x @ weights) * bool(numbers)
    # Beyond its context a task has a difficulty of its own, which nobody can know.
    nodes, shares = np.polynomial.hermite_e.hermegauss(15)
    knowable = sum(w * logistic(odds + UNKNOWN * z) for z, w in zip(nodes, shares, strict=True))
    truths = logistic(odds + rng.normal(0, UNKNOWN, (tasks, 1)))
    contexts = []
    for row, value in zip(x, kind, strict=True):
        context = {f"n{i}": float(v) for i, v in enumerate(row[:numbers])}
        contexts.append(context | ({"area": f"area-{value}"} if facets else {}))
    price = np.linspace(0, 1, strategies)[None, :] * rng.uniform(0.5, 1.5, (tasks, strategies))
    rewards = rng.random(truths.shape) < truths
    return Scenario(
        name,
        contexts,
        rewards,
        costs=price if costs else None,
        cost_weight=0.2 if costs else 0.0,
        knowable=knowable / shares.sum(),
    )


def real(folder=None):
    """Return the scenarios of real outcomes whose files are there, and the names of those not."""
    folder = Path(folder or os.environ.get("OUTCOME_DATA", "")).expanduser()
    found, missing = [], []
    for load, file in (
        (_submissions, "swebench_submissions_resolved.json"),
        (_runs, "swebench_pro_runs.csv"),
        (_routing, "routellm_mmlu_gsm8k.csv.gz"),
    ):
        if folder.name and (folder / file).is_file():
            found += load(folder)
        else:
            missing.append(file)
    solvers = sorted(folder.glob("aslib_*.npz")) if folder.name else []
    found += [_solvers(path) for path in solvers]
    return found, missing + ([] if solvers else ["aslib_*.npz"])


def _submissions(folder):
    """Coding agents on SWE-bench Verified: all of them, and ten spread over their ranks."""
    held = json.loads((folder / "swebench_submissions_resolved.json").read_text())
    names = {name: index for index, name in enumerate(held["submissions"])}
    ran = [names[name] for name in held["verified"]]
    contexts, solved = [], []
    for line in (folder / "swebench_verified_contexts.jsonl").read_text().splitlines():
        row = json.loads(line)
        if row["instance_id"] not in held["resolved"]:
            continue
        by = set(held["resolved"][row["instance_id"]])
        solved.append([index in by for index in ran])
        contexts.append(
            {
                "repo": row["repo"],
                "text": f"{row['ps_title']} {row['ps_head']}",
                "characters": row["ps_chars"],
                "words": row["ps_words"],
                "code_blocks": row["ps_code_blocks"],
                "traceback": bool(row["ps_traceback"]),
            }
        )
    rewards = np.array(solved, float)
    rewards = rewards[:, np.argsort(-rewards.mean(axis=0), kind="stable")]
    every = len(ran) // 10 + 1
    return [
        Scenario("agents, 10", contexts, rewards[:, ::every][:, :10]),
        Scenario(f"agents, {len(ran)}", contexts, rewards),
    ]


def _runs(folder):
    """Coding agents with the turns they took, without and with a price on these."""
    with (folder / "swebench_pro_runs.csv").open() as file:
        rows = list(csv.DictReader(file))
    often = Counter(row["strategy"] for row in rows)
    strategies = sorted(name for name, count in often.items() if count >= 700)
    by_task = defaultdict(dict)
    for row in rows:
        if row["strategy"] in strategies:
            by_task[row["instance"], row["repo"]][row["strategy"]] = row
    full = {task: runs for task, runs in by_task.items() if len(runs) == len(strategies)}
    contexts = [{"repo": repo} for _, repo in full]
    table = [[runs[name] for name in strategies] for runs in full.values()]
    rewards = [[float(run["resolved"]) for run in line] for line in table]
    turns = np.array([[float(run["turns"] or "nan") for run in line] for line in table]) / 50
    turns = np.where(np.isnan(turns), np.nanmean(turns, axis=0), turns)
    return [
        Scenario("runs, 10", contexts, rewards),
        Scenario("runs, 10, turns cost", contexts, rewards, costs=turns, cost_weight=0.15),
    ]


def _routing(folder):
    """A cheap and a dear model on questions; the dear one costs 0.3."""
    with gzip.open(folder / "routellm_mmlu_gsm8k.csv.gz", "rt") as file:
        rows = list(csv.DictReader(file))
    chosen = np.random.default_rng(0).permutation(len(rows))[:3000]
    rows = [rows[index] for index in chosen]
    contexts = [
        {"domain": r["domain"], "characters": int(r["prompt_chars"]), "text": r["prompt_head"]}
        for r in rows
    ]
    rewards = [[float(row["mixtral_8x7b"]), float(row["gpt4_1106"])] for row in rows]
    costs = np.tile([0.0, 1.0], (len(rows), 1))
    return [Scenario("two models", contexts, rewards, costs=costs, cost_weight=0.3)]


def _solvers(path):
    """Algorithms on instances with many numbers as features."""
    with np.load(path, allow_pickle=True) as held:
        numbers, solved = held["X"].astype(float), held["OK"].astype(float)
        names = [str(name) for name in held["feats"]]
    contexts = [
        {n: None if math.isnan(v) else float(v) for n, v in zip(names, row, strict=True)}
        for row in numbers
    ]
    return Scenario(path.stem.replace("aslib_", "solvers, "), contexts, solved)
