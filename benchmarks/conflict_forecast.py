"""Conflict forecast: human commits over days, in the place of agents' edits.

    ./dev bench conflict_forecast
    python benchmarks/conflict_forecast.py [--parts] FILE.csv.gz… | REPOSITORY…

For each file of each commit: will another author edit it within 1 or 3 days? From the history
before it alone; forecasts are made along the log, and what a window showed is learned when it has
ended. The first 70 % of the rows only serve to learn, the rest is scored. Rows whose window
ends after the log, and commits of more than 50 files, are left out.

This is a benchmark of human commits: there are no logs of agents' edits yet to measure beside it.

The data are files git_edits_*.csv.gz (commit, author_time, author, path) in the folder that
OUTCOME_DATA names; without it there is nothing to run. Given repositories instead,
their own history is read. With --parts each is also taken apart: halves in time, every second
author, the largest top folders; what holds only for the whole is tuned to it.
"""

from __future__ import annotations

import csv
import gzip
import math
import os
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from subjects import told
from swarm_memory.learning.conflicts import DAY_S, Touch
from swarm_memory.learning.forecaster import Forecaster

WINDOWS_DAYS = (1, 3)
HALF_LIVES_DAYS = {"1 day": 1.0, "7 days": 7.0, "30 days": 30.0, "no decay": 1e9}
AUTHORS = "other authors in 30 days"
AUTHORS_DAYS = 30
TRAIN_SHARE = 0.7
COMMIT_FILES_MAX = 50
MARGIN = 0.02
BINS = 10
TOPS, PART_ROWS_MIN = 3, 3000


class Edit(NamedTuple):
    at_s: int
    author: str
    path: str
    commit: str


class Score(NamedTuple):
    pr_auc: float
    roc_auc: float
    top_tenth: float


def run() -> list[dict[str, object]]:
    folder = os.environ.get("OUTCOME_DATA", "")
    edits = sorted(Path(folder).glob("git_edits_*.csv.gz")) if folder else []
    if not edits:
        what = "OUTCOME_DATA names no folder with git_edits_*.csv.gz"
        return [told("conflict forecast", "skipped", what)]
    return figures_of({_name(path): read_edits(path) for path in edits})


def figures_of(repositories: dict[str, list[Edit]]) -> list[dict[str, object]]:
    """Return the figures of all repositories and windows, and of their mean."""
    figures = []
    gains = []
    for name, edits in repositories.items():
        for days in WINDOWS_DAYS:
            ours, counts, note = measured(edits, days)
            best = max(counts, key=lambda row: counts[row].pr_auc)
            gains.append(ours.pr_auc - counts[best].pr_auc)
            rows = ", ".join(f"{row} {shown(score)}" for row, score in counts.items())
            figures.append(
                {
                    "what": f"{name}, {days} day{'s' * (days > 1)}: PR-AUC / ROC-AUC / top tenth",
                    "value": shown(ours),
                    "goal": f"PR-AUC ≥ {counts[best].pr_auc:.3f} ({best})",
                    "reached": ours.pr_auc >= counts[best].pr_auc,
                    "note": f"{note}; decayed counts of others' edits: {rows}",
                }
            )
    mean = sum(gains) / len(gains)
    figures.append(
        {
            "what": "mean gain of PR-AUC over the best of the decayed counts of each",
            "value": f"{mean:+.3f}",
            "goal": f"≥ +{MARGIN}",
            "reached": mean >= MARGIN,
            "note": f"{len(gains)} cells; human commits, not agents",
        }
    )
    return figures


def measured(edits: list[Edit], days: float) -> tuple[Score, dict[str, Score], str]:
    """Return our score, those of the counts, and the base rate and calibration as a note."""
    window_s = days * DAY_S
    hits = labels(edits, window_s)
    files = Counter(edit.commit for edit in edits)
    forecaster = Forecaster(window_s)
    chances = np.array(
        [forecaster.add(Touch(e.at_s, e.author, e.path, files[e.commit])) for e in edits]
    )
    times = np.array([edit.at_s for edit in edits])
    test = np.arange(len(edits)) >= int(TRAIN_SHARE * len(edits))
    test &= times <= times[-1] - window_s
    counts = {
        row: scored(hits[test], values[test]) for row, values in decayed_counts(edits).items()
    }
    brier = float(np.mean((chances[test] - hits[test]) ** 2))
    error = calibration_error(hits[test], chances[test])
    note = f"base {hits[test].mean():.3f}, Brier {brier:.4f}, ECE {error:.3f}"
    return scored(hits[test], chances[test]), counts, note


def labels(edits: list[Edit], window_s: float) -> np.ndarray:
    """Return for each edit whether another author edits the file later, within the window."""
    by_path: dict[str, list[int]] = defaultdict(list)
    for i, edit in enumerate(edits):
        by_path[edit.path].append(i)
    hits = np.zeros(len(edits), bool)
    for rows in by_path.values():
        for place, i in enumerate(rows):
            for j in rows[place + 1 :]:
                if edits[j].at_s > edits[i].at_s + window_s:
                    break
                if edits[j].author != edits[i].author and edits[j].at_s > edits[i].at_s:
                    hits[i] = True
                    break
    return hits


def decayed_counts(edits: list[Edit]) -> dict[str, np.ndarray]:
    """Return the simple scores: decayed counts of others' edits, and others in 30 days."""
    rates = math.log(2) / (np.array(list(HALF_LIVES_DAYS.values())) * DAY_S)
    seen: dict[str, dict[str, tuple[int, np.ndarray]]] = defaultdict(dict)
    out = np.zeros((len(edits), len(rates) + 1))
    for i, edit in enumerate(edits):
        for author, (at_s, counts) in seen[edit.path].items():
            if author != edit.author:
                out[i, :-1] += counts * np.exp(-rates * (edit.at_s - at_s))
                out[i, -1] += edit.at_s - at_s <= AUTHORS_DAYS * DAY_S
        at_s, counts = seen[edit.path].get(edit.author, (edit.at_s, np.zeros(len(rates))))
        seen[edit.path][edit.author] = (
            edit.at_s,
            counts * np.exp(-rates * (edit.at_s - at_s)) + 1,
        )
    return {row: out[:, i] for i, row in enumerate((*HALF_LIVES_DAYS, AUTHORS))}


# --- reading ---


def read_edits(path: Path) -> list[Edit]:
    with gzip.open(path, "rt") as file:
        rows = [
            Edit(int(row["author_time"]), row["author"], row["path"], row["commit"])
            for row in csv.DictReader(file)
        ]
    return in_order(rows)


def read_repository(folder: str) -> list[Edit]:
    """Return the history of a git repository; only the paths of commits are read."""
    command = ["git", "log", "--no-merges", "--no-renames", "--name-only", "-z"]
    done = subprocess.run(
        [*command, "--format=%x01%H %at %aE"], cwd=folder, capture_output=True, check=True
    )
    rows = []
    for block in done.stdout.decode("utf-8", "backslashreplace").split("\1")[1:]:
        head, *paths = block.split("\0")
        commit, at_s, author = head.strip().split(" ", 2)
        rows += [Edit(int(at_s), author, p.strip("\n"), commit) for p in paths if p.strip("\n")]
    return in_order(rows)


def in_order(rows: list[Edit]) -> list[Edit]:
    files = Counter(row.commit for row in rows)
    return sorted(
        (row for row in rows if files[row.commit] <= COMMIT_FILES_MAX), key=lambda row: row.at_s
    )


def _name(path: Path) -> str:
    return path.name.removesuffix(".csv.gz").rsplit("_", 1)[1]


# --- scoring ---


def scored(hits: np.ndarray, values: np.ndarray) -> Score:
    return Score(pr_auc(hits, values), roc_auc(hits, values), top_tenth(hits, values))


def pr_auc(hits: np.ndarray, values: np.ndarray) -> float:
    """Return the average precision; equal values count as one step."""
    order = np.argsort(-values, kind="stable")
    found = np.cumsum(hits[order])
    last = np.r_[np.diff(values[order]) != 0, True]
    found, tried = found[last], np.arange(1, len(hits) + 1)[last]
    return float(np.sum(np.diff(np.r_[0, found / max(found[-1], 1)]) * found / tried))


def roc_auc(hits: np.ndarray, values: np.ndarray) -> float:
    """Return the chance that a hit has a higher value than a miss; equal ones count half."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[places]
    n, misses = int(hits.sum()), int((~hits).sum())
    return float((ranks[hits].sum() - n * (n + 1) / 2) / max(n * misses, 1))


def top_tenth(hits: np.ndarray, values: np.ndarray) -> float:
    order = np.argsort(-values, kind="stable")[: max(len(hits) // 10, 1)]
    return float(hits[order].mean())


def calibration_error(hits: np.ndarray, chances: np.ndarray) -> float:
    """Return the expected calibration error over ten equal bins."""
    bins = np.minimum((chances * BINS).astype(int), BINS - 1)
    gaps = [
        (bins == b).sum() * abs(chances[bins == b].mean() - hits[bins == b].mean())
        for b in np.unique(bins)
    ]
    return float(sum(gaps) / len(hits))


def shown(score: Score) -> str:
    return f"{score.pr_auc:.3f} / {score.roc_auc:.3f} / {score.top_tenth:.2f}"


def parts(name: str, edits: list[Edit]) -> dict[str, list[Edit]]:
    """Return slices of a history, each as a repository of its own."""
    authors = sorted({edit.author for edit in edits})
    half = len(edits) // 2
    found = {f"{name}, first half": edits[:half], f"{name}, second half": edits[half:]}
    for odd in (0, 1):
        some = set(authors[odd::2])
        found[f"{name}, authors {odd + 1}/2"] = [edit for edit in edits if edit.author in some]
    tops = Counter(edit.path.split("/")[0] for edit in edits if "/" in edit.path)
    for top, _ in tops.most_common(TOPS):
        found[f"{name}, {top}/"] = [edit for edit in edits if edit.path.startswith(f"{top}/")]
    return found


def main(arguments: list[str]) -> None:
    places = [place for place in arguments if place != "--parts"]
    named = {
        Path(place).name.split(".")[0]: read_repository(place)
        if Path(place).is_dir()
        else read_edits(Path(place))
        for place in places
    }
    if "--parts" in arguments:
        named = {p: rows for name, edits in named.items() for p, rows in parts(name, edits).items()}
    long_enough = {name: rows for name, rows in named.items() if len(rows) >= PART_ROWS_MIN}
    for name in named.keys() - long_enough.keys():
        print(f"{name}: skipped, fewer than {PART_ROWS_MIN} rows")
    if not long_enough:
        return
    for figure in figures_of(long_enough):
        print(f"{figure['what']}: {figure['value']} (goal {figure['goal']}) {figure['note']}")


if __name__ == "__main__":
    main(sys.argv[1:])
