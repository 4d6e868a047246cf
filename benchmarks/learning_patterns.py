"""Patterns, change points and failures: what is planted is found, and nothing where nothing is

Made-up swarms: tasks with a difficulty that their rows share, facets of the tasks, strategies whose
success rates differ, and (or not) one conjunction that changes how tasks end. With
OUTCOME_DATA=FOLDER also recorded failures and runs of agents, which are not part of this project.
"""

from __future__ import annotations

import json
import os
import statistics as standard
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from learning_swarms import is_planted, recorded_runs, shuffled, swarm, with_forecasts
from subjects import told
from swarm_memory.learning import expected, mining, patterns, statistics, taxonomy, trends
from swarm_memory.learning.observation import FAILURE, SUCCESS, Observation
from swarm_memory.learning.page_hinkley import Drift, advance

PLOT = "learning-patterns.svg"
EFFECTS = (0.1, 0.15, 0.2, 0.3, 0.4)
SUPPORTS = (0.05, 0.1, 0.15, 0.25)
SHAPES = {
    "1 row a task": {"rows_per_task": 1, "hardness": 0.15},
    "5 rows a task": {"rows_per_task": 5, "hardness": 0.2},
    "10 rows a task": {"rows_per_task": 10, "hardness": 0.25},
}
CURVE_SHAPES = tuple(SHAPES)
NULLS, PLANTED, CURVE, COVERED = 40, 40, 20, 30
STREAMS = 1000
CANDIDATES = 60

Figure = dict[str, object]
Power = dict[tuple[str, float, float], float]  # by shape, support and effect


def run() -> list[Figure]:
    """Return all figures; each part is told when it is measured, for together they take minutes."""
    power: Power = {}
    parts: list[Callable[[], list[Figure]]] = []
    for name, shape in SHAPES.items():
        parts += [partial(_false, name, shape), partial(_found, name, shape)]
    parts += [_interaction, _forecasts, _covers, partial(_curve, power), _seconds, _alarms]
    parts += [_looking_back, _recorded, partial(_plot, power)]
    figures = []
    for part in parts:
        measured = part()
        for figure in measured:
            print(f"  {figure['what']}: {figure['value']} {figure['note']}", flush=True)
        figures += measured
    return figures


def reached(what: str, measured: float, goal: float, note: str = "", *, most: bool) -> Figure:
    return {
        "what": what,
        "value": f"{measured:.2f}",
        "goal": f"{'≤' if most else '≥'} {goal:g}",
        "reached": measured <= goal if most else measured >= goal,
        "note": note,
    }


def _false(name: str, shape: dict[str, float]) -> list[Figure]:
    """Count what is found when the facets are shuffled between tasks."""
    counts: dict[str, list[int]] = {"few": [], "many": [], "naive": []}
    for seed in range(NULLS):
        rows = shuffled(swarm(seed, effect=0.3, **shape), seed)
        counts["few"].append(len(_mine(rows, seed).patterns))
        if seed < NULLS // 2:
            counts["many"].append(len(patterns.mine(rows, seed=seed).patterns))
            counts["naive"].append(_naive(rows))
    mean = {kind: sum(some) / len(some) for kind, some in counts.items()}
    note = (
        f"{NULLS} sets of 2,000 outcomes, ≤ 60 candidates; {mean['many']:.2f} with ≤ 2,000; rows "
        f"taken as independent and p < .05, {mean['naive']:.1f}"
    )
    return [reached(f"false patterns, {name}", mean["few"], 0.5, note, most=True)]


def _mine(rows: list[Observation], seed: int, basis: str = expected.AVERAGE) -> patterns.Mined:
    return patterns.mine(rows, seed=seed, candidates_max=CANDIDATES, basis=basis)


def _naive(rows: list[Observation]) -> int:
    """Count the conditions that differ at p < .05 when rows count as independent."""
    alone = [row._replace(task=row.outcome_id) for row in rows]
    residual = expected.rewards_of(alone) - expected.expected(alone)
    found, masks = patterns.facets.conditions(alone, rows_min=mining.ROWS_MIN, limit=CANDIDATES)
    columns = masks.astype(float) - masks.mean(axis=0)
    tested = statistics.contrasts(columns, residual - residual.mean(), np.arange(len(rows)))
    return sum(2 * tail < 0.05 for tail in tested.tails()[: len(found)])


def _found(name: str, shape: dict[str, float]) -> list[Figure]:
    hits, many, extra = 0, 0, 0
    for seed in range(PLANTED):
        rows = swarm(1000 + seed, effect=0.3, **shape)
        mined = _mine(rows, seed)
        hits += any(is_planted(pattern) for pattern in mined.patterns)
        extra += sum(not is_planted(pattern) for pattern in mined.patterns)
        if seed < PLANTED // 2:
            mined = patterns.mine(rows, seed=seed)
            many += any(is_planted(pattern) for pattern in mined.patterns)
    note = (
        f"effect 0.3, support 15 %, {PLANTED} sets; with ≤ 2,000 candidates "
        f"{many / (PLANTED // 2):.2f}; others shown beside it {extra / PLANTED:.2f} a set"
    )
    what = f"planted pattern found and confirmed, {name}"
    return [reached(what, hits / PLANTED, 0.9, note, most=False)]


def _interaction() -> list[Figure]:
    """Two conditions, neither of which was named beforehand, among all conjunctions."""
    found = 0
    for seed in range(PLANTED):
        rows = swarm(2000 + seed, effect=0.3, conditions=2, facets=6)
        mined = patterns.mine(rows, seed=seed)
        found += any(is_planted(pattern, 2) for pattern in mined.patterns)
    what = "planted conjunction of two conditions found exactly, 1 row a task"
    note = f"effect 0.3, support 15 %, ≤ 2,000 candidates, {PLANTED} sets"
    return [told(what, f"{found / PLANTED:.2f}", note)]


def _forecasts() -> list[Figure]:
    """What is found when the forecasts have learned the pattern while it went on."""
    hits = Counter[str]()
    for seed in range(PLANTED // 2):
        rows = with_forecasts(swarm(1000 + seed, effect=0.3))
        for basis in expected.BASES:
            hits[basis] += any(is_planted(p) for p in _mine(rows, seed, basis).patterns)
    share = {basis: hits[basis] / (PLANTED // 2) for basis in expected.BASES}
    what = "planted pattern found where the forecasts learn it, 1 row a task"
    line = f"{share['predicted']:.2f} against the forecast, {share['average']:.2f} the average"
    return [told(what, line, "what a forecast knows is expected")]


def _covers() -> list[Figure]:
    """Intervals of shown patterns that hold the true effect, weak ones among them."""
    covered: list[bool] = []
    inflated = []
    for effect in (0.15, 0.2, 0.3):
        for seed in range(COVERED):
            rows = swarm(3000 + seed, effect=effect, hardness=0.05)
            for pattern in _mine(rows, seed).patterns:
                if is_planted(pattern):
                    covered.append(pattern.interval[0] <= effect <= pattern.interval[1])
                    inflated.append(pattern.effect / effect)
    share = sum(covered) / len(covered)
    note = f"{len(covered)} patterns, effects 0.15 to 0.3; shown / true effect, mean "
    note += f"{standard.mean(inflated):.2f}"
    return [reached("95 % intervals that cover the true effect", share, 0.93, note, most=False)]


def _power(shape: dict[str, float], support: float, effect: float) -> float:
    hits = 0
    for seed in range(CURVE):
        rows = swarm(4000 + seed, effect=effect, support=support, **shape)
        hits += any(is_planted(pattern) for pattern in _mine(rows, seed).patterns)
    return hits / CURVE


def _curve(power: Power) -> list[Figure]:
    """Measure the power, into `power`, by support and effect."""
    figures = []
    for name in CURVE_SHAPES:
        for support in SUPPORTS:
            for effect in EFFECTS:
                power[name, support, effect] = _power(SHAPES[name], support, effect)
            line = ", ".join(f"{e:g}: {power[name, support, e]:.2f}" for e in EFFECTS)
            figures.append(told(f"power by effect, {name}, support {support:.0%}", line))
    return figures


def _seconds() -> list[Figure]:
    rows = swarm(1, effect=0.3)
    few = min(_timed(lambda: _mine(rows, 1)) for _ in range(3))
    many = min(_timed(lambda: patterns.mine(rows, seed=1)) for _ in range(3))
    large = swarm(1, rows=20_000, effect=0.3, rows_per_task=4)
    largest = _timed(lambda: patterns.mine(large, seed=1))
    note = f"≤ 2,000 candidates {many:.2f} s; 20,000 rows × ≤ 2,000 candidates {largest:.1f} s"
    what = "seconds of a processor to mine 2,000 rows × 60 candidates"
    return [reached(what, few, 2, note, most=True)]


def _timed(call) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def _stream(rng: np.random.Generator, *parts: tuple[int, float]) -> list[float]:
    ends = [rng.random(count) < rate for count, rate in parts]
    return np.concatenate(ends).astype(float).tolist()


def _first_alarm(rewards: list[float]) -> int | None:
    state = Drift()
    for place, reward in enumerate(rewards):
        state, alarm = advance(state, reward)
        if alarm:
            return place
    return None


def _alarms() -> list[Figure]:
    rng = np.random.default_rng(1)
    false = {}
    for rate in (0.3, 0.5, 0.7, 0.9):
        streams = (_first_alarm(_stream(rng, (150, rate))) for _ in range(STREAMS))
        false[rate] = sum(place is not None for place in streams) / STREAMS
    line = ", ".join(f"{rate:g}: {share:.3f}" for rate, share in false.items())
    what = "Page-Hinkley: false alarms in 150 outcomes, the worst rate"
    figures = [reached(what, max(false.values()), 0.02, line, most=True)]
    for after, goal in ((0.4, 0.95), (0.55, None)):
        places = [_first_alarm(_stream(rng, (150, 0.7), (150, after))) for _ in range(STREAMS)]
        there = [p for p in places if p is None or p >= 150]
        delays = [p - 149 for p in there if p is not None]
        found, delay = len(delays) / len(there), standard.median(delays)
        what = f"Page-Hinkley: 0.7 → {after:g} found"
        if goal is None:
            figures.append(told(what, f"{found:.2f}", f"median delay {delay:.0f}"))
        else:
            figures.append(reached(what, found, goal, most=False))
            figures.append(reached(f"{what}, median delay", delay, 35, most=True))
    return figures


def _changes(rng: np.random.Generator, *parts: tuple[int, float]) -> list[trends.Change]:
    rows = [
        Observation(f"o{n}", n, f"t{n}", "fix", None, SUCCESS if r else FAILURE, r)
        for n, r in enumerate(_stream(rng, *parts))
    ]
    found = trends.trends(rows, seed=1)
    return [change for trend, change in found.changes if trend.kind == trends.OVERALL]


def _looking_back() -> list[Figure]:
    rng = np.random.default_rng(2)
    count = STREAMS // 10
    false = {r: sum(bool(_changes(rng, (150, r))) for _ in range(count)) for r in (0.5, 0.7, 0.9)}
    line = ", ".join(f"{rate:g}: {some / count:.3f}" for rate, some in false.items())
    worst = max(false.values()) / count
    figures = [reached("looking back: false changes in 150 outcomes", worst, 0.02, line, most=True)]
    for after, goal in ((0.4, 0.95), (0.55, None)):
        found = [_changes(rng, (150, 0.7), (150, after)) for _ in range(count)]
        share = sum(bool(f) for f in found) / count
        apart = [abs(f[0].row - 150) for f in found if f]
        note = f"median error {standard.median(apart):.0f} outcomes"
        what = f"looking back: 0.7 → {after:g} found"
        if goal is None:
            figures.append(told(what, f"{share:.2f}", note))
        else:
            figures.append(reached(what, share, goal, note, most=False))
    return figures


def _recorded() -> list[Figure]:
    folder = os.environ.get("OUTCOME_DATA")
    if not folder:
        return [told("recorded failures", "skipped: OUTCOME_DATA names no folder")]
    return [*_attributed(Path(folder)), *_runs(Path(folder))]


def _attributed(folder: Path) -> list[Figure]:
    """Compare whom failed runs are put down to with what people found (Who&When, MIT)."""
    runs = json.loads((folder / "whoandwhen_failures.json").read_text())
    ours, chance, last, most, steps, any_step = ([] for _ in range(6))
    for run in runs:
        speakers = [name.split(" (")[0] for name in run["speakers"]]
        agent, step = run["mistake_agent"].split(" (")[0], run["mistake_step"]
        found = taxonomy.attribute(list(zip(speakers, run["step_chars"], strict=True)))
        ours.append(found.agent == agent)
        steps.append(found.step == step)
        chance.append((agent in speakers) / len(set(speakers)))
        any_step.append(1 / len(speakers))
        last.append(speakers[-1] == agent)
        most.append(Counter(speakers).most_common(1)[0][0] == agent)
    low, high = statistics.wilson(sum(ours), len(ours))
    mean = standard.mean
    note = (
        f"95 % {low:.2f} to {high:.2f}, {len(runs)} runs of Who&When; random {mean(chance):.2f}, "
        f"last speaker {mean(last):.2f}, most frequent {mean(most):.2f}"
    )
    return [
        told("failed agent named rightly", f"{mean(ours):.2f}", note),
        told("failed step named rightly", f"{mean(steps):.2f}", f"random {mean(any_step):.2f}"),
    ]


def _runs(folder: Path) -> list[Figure]:
    """Mine recorded runs of coding agents as they are, and with their facets shuffled."""
    rows = recorded_runs(folder)
    found = patterns.mine(rows, seed=1)
    false = [len(patterns.mine(shuffled(rows, seed), seed=seed).patterns) for seed in range(20)]
    shown = "; ".join(pattern.text for pattern in found.patterns) or found.reason
    return [
        told(f"patterns in {found.rows} recorded runs", str(len(found.patterns)), shown),
        reached(
            "false patterns, recorded runs shuffled",
            sum(false) / len(false),
            0.5,
            f"{len(false)} shuffles, {found.candidates} candidates",
            most=True,
        ),
    ]


def _plot(power: Power) -> list[Figure]:
    """Draw the share of planted patterns found against their effect."""
    try:
        import matplotlib
    except ImportError:
        return [told("plot", "skipped: matplotlib is not installed")]
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": PLOT, "font.size": 11})
    from matplotlib import pyplot

    names = list(dict.fromkeys(key[0] for key in power))
    figure, panels = pyplot.subplots(1, len(names), figsize=(13, 4.2), layout="constrained")
    colours = ("#1f5fa8", "#c2571a", "#3c8c4a", "#7a4fa3")
    for panel, name in zip(panels, names, strict=True):
        for support, colour in zip(SUPPORTS, colours, strict=True):
            shares = [power[name, support, effect] for effect in EFFECTS]
            panel.plot(EFFECTS, shares, "-o", color=colour, label=f"support {support:.0%}")
        panel.axhline(0.9, color="#888", linewidth=0.8, linestyle="--")
        panel.set(xlabel="effect on the success rate", ylabel="found and confirmed", title=name)
        panel.set_ylim(-0.03, 1.03)
        panel.grid(alpha=0.3)
    panels[0].legend(frameon=False, fontsize=10)
    path = Path(__file__).parent.parent / "docs" / PLOT
    figure.savefig(path, metadata={"Date": None})
    return [told("plot", f"[{PLOT}]({PLOT})")]


if __name__ == "__main__":
    run()
