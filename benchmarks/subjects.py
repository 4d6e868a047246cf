"""What the benchmarks share: deterministic values, rounds, and figures."""

from __future__ import annotations

import random
import statistics
import time

WORDS = (
    "agent task plan review merge test failed passed because cache index token lease message"
    " queue worker schema value key record version retry timeout error handler module function"
)
WORD = WORDS.split()


def value(number: int) -> dict[str, object]:
    """Return a JSON value of 0.4 to 2 KB as agents write them."""
    pick = random.Random(number)
    return {
        "task": f"task-{number}",
        "agent": f"agent-{number % 7}",
        "status": pick.choice(["done", "failed", "open"]),
        "note": " ".join(pick.choice(WORD) for _ in range(pick.randint(40, 240))),
        "numbers": [round(pick.random(), 6) for _ in range(8)],
        "when": 1_750_000_000_000 + number,
    }


def timed(call, count: int = 1) -> float:
    """Return the seconds that one of `count` operations took."""
    start = time.perf_counter()
    call()
    return (time.perf_counter() - start) / count


def ratio(rows: list[dict[str, float]], subject: str, reference: str) -> float:
    """Return the median over rounds of subject / reference in the same round."""
    return statistics.median(row[subject] / row[reference] for row in rows)


def at_most(what: str, measured: float, goal: float, note: str = "") -> dict[str, object]:
    return {
        "what": what,
        "value": f"{measured:.2f} ×",
        "goal": f"≤ {goal:g} ×",
        "reached": measured <= goal,
        "note": note,
    }


def at_least(what: str, measured: float, goal: float, note: str = "") -> dict[str, object]:
    return {
        "what": what,
        "value": f"{measured:.2f} ×",
        "goal": f"≥ {goal:g} ×",
        "reached": measured >= goal,
        "note": note,
    }


def told(what: str, value: str, note: str = "") -> dict[str, object]:
    return {"what": what, "value": value, "goal": "", "reached": None, "note": note}
