"""The time of a recommendation and of an outcome in a store, above what the store itself takes

What the store takes is measured beside it: a choice that is only logged, an outcome that nobody
learns. Times are those that the calling thread computes: what is above the store's own is computing
and no waiting, and whatever else runs on the machine does not count. Medians; the longest outcome
tells how long others wait for the writer.
"""

from __future__ import annotations

import random
import sqlite3
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

from subjects import told
from swarm_memory import Swarm
from swarm_memory.learning.model import Model, weigh

STRATEGIES, CALLS = 30, 200
SIZES = (10, 2_000, 1_000_000)
RECOMMEND_MS, OUTCOME_MS = 0.3, 0.6  # the goals
NAMES = [f"strategy-{index}" for index in range(STRATEGIES)]
# As recorded and learned one after the other, but for the model: its window holds the last rows.
FILL = """
WITH RECURSIVE more (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM more WHERE i < :count)
INSERT INTO outcomes (swarm, outcome_id, seq, task_type, strategy, status, reward, label_source,
    duration_s, agents, context, author, at_ms)
SELECT 'speed', 'more-' || i, :newest + i, 'a', 'strategy-' || (i % 30), 'success', 1.0,
    'explicit', 1.0, '["a"]', '{"language":"python"}', 'a', 1796000000000 + i
FROM more
"""


def speed(sizes=SIZES, calls=CALLS):
    """Return the figures, at each number of outcomes before."""
    figures = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "memory.db"
        done = 0
        for size in sizes:
            if size - done > 10_000:
                _fill(path, size - done)
                done = size
            with Swarm.open(f"sqlite:///{path}", agent="a", swarm="speed") as swarm:
                pick = random.Random(size)
                longest = _learn(swarm, pick, size - done)
                figures += _measured(swarm, pick, size, calls)
                done = max(done, size) + 2 * calls
            if longest:
                figures.append(told("longest outcome, ms", f"{longest:.1f}", f"of {size:,}"))
    return figures


def computing(outcomes=1100, calls=CALLS):
    """Return the figures of the model alone, in memory, called over and over: no store can beat it.

    All that it needs stays in the processor's caches then, which between two calls of an agent it
    does not.
    """
    pick, model, times = random.Random(1), Model(), []
    for _ in range(outcomes):
        context, strategy = _context(pick), pick.choice(NAMES)
        start = time.thread_time()
        model.learn(context["task_type"], context, strategy, float(pick.random() < 0.5), cost=1.0)
        model.changed()
        times.append((time.thread_time() - start) * 1e3)
    asked = [_context(pick) for _ in range(calls)]
    each = iter(asked)

    def estimated():
        context = next(each)
        return model.estimate(context["task_type"], context, NAMES)

    expected = _times(estimated, calls)
    estimates = model.estimate("a", asked[0], NAMES)
    weighed = _times(lambda: weigh(estimates), calls)
    numbers = np.ones(STRATEGIES)
    added = _times(lambda: [numbers + numbers for _ in range(100)], calls)
    note = "computing alone, over and over"
    return [
        told(what, f"{statistics.median(values):.3f} ms", note)
        for what, values in (
            ("what to expect of 30 strategies", expected),
            ("their chances", weighed),
            ("learning an outcome", times[-calls:]),
            ("a hundred additions in numpy", added),
        )
    ]


def _fill(path, count):
    """Lengthen the log as by so many outcomes, which the model counts as learned."""
    with sqlite3.connect(path) as database:
        (newest,) = database.execute("SELECT max(seq) FROM outcomes").fetchone()
        database.execute(FILL, {"count": count, "newest": newest})
        moved = "UPDATE models SET version = version + ? WHERE part = ''"
        database.execute(moved, (newest + count - _version(database),))
    database.close()


def _version(database):
    (version,) = database.execute("SELECT version FROM models WHERE part = ''").fetchone()
    return version


def _context(pick):
    language = pick.choice(["python", "rust", "go"])
    return {"task_type": pick.choice("abc"), "language": language, "size": pick.random()}


def _record(swarm, pick, context, learn=True):
    swarm.outcomes.record(
        context["task_type"], ["a"], pick.random() < 0.5, 1.0,
        strategy=pick.choice(NAMES), context=context, cost=1.0, learn=learn,
    )  # fmt: skip


def _learn(swarm, pick, count):
    """Record so many outcomes; return the milliseconds of the longest, 0 without any."""
    longest = 0.0
    for _ in range(count):
        start = time.thread_time()
        _record(swarm, pick, _context(pick))
        longest = max(longest, time.thread_time() - start)
    return longest * 1e3


def _measured(swarm, pick, size, calls):
    same = _context(pick)
    subjects = {
        "logged": lambda: swarm.outcomes.choose(_context(pick), NAMES[0], candidates=NAMES),
        "recommendation": lambda: swarm.outcomes.recommend(_context(pick), NAMES),
        "again": lambda: swarm.outcomes.recommend(same, NAMES),
    }
    times = {name: _times(call, calls) for name, call in subjects.items()}
    times["outcome"] = _times(lambda: _record(swarm, pick, _context(pick)), calls)
    after = []
    for _ in range(calls):  # the first question after an outcome
        _record(swarm, pick, _context(pick))
        after += _times(lambda: swarm.outcomes.recommend(_context(pick), NAMES), 1)
    times["after"] = after
    times["unlearned"] = _times(lambda: _record(swarm, pick, _context(pick), learn=False), calls)
    swarm.outcomes.recommend(same, NAMES)  # learns them
    p50 = {name: statistics.median(values) for name, values in times.items()}
    note = f"above the store's own, {STRATEGIES} strategies, {size:,} outcomes"
    return [
        within("recommendation", p50["recommendation"] - p50["logged"], RECOMMEND_MS, note),
        within("the first after an outcome", p50["after"] - p50["logged"], RECOMMEND_MS, note),
        within("the same question again", p50["again"] - p50["logged"], RECOMMEND_MS, note),
        within("outcome", p50["outcome"] - p50["unlearned"], OUTCOME_MS, note),
    ]


def _times(call, count):
    times = []
    for _ in range(count):
        start = time.thread_time()
        call()
        times.append((time.thread_time() - start) * 1e3)
    return times


def within(what, measured, goal, note):
    return {
        "what": f"{what}, p50",
        "value": f"{measured:.2f} ms",
        "goal": f"≤ {goal:g} ms",
        "reached": measured <= goal,
        "note": note,
    }


if __name__ == "__main__":
    for figure in [*computing(), *speed()]:
        print(f"  {figure['what']}: {figure['value']} (goal {figure['goal']}) {figure['note']}")
