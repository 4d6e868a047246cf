"""The tables of docs/operations-postgresql.md, from what was measured and what the model says.

    python benchmarks/capacity_page.py      write them into the page

`capacity.py` keeps what it measured in `capacity.json` and does the same; a test compares.
"""

from __future__ import annotations

import json
import math
import re
import statistics
from pathlib import Path

from capacity_model import Cost, Prediction, agents_max, predict

MEASURED = Path(__file__).parent / "capacity.json"
PAGE = Path(__file__).parent.parent / "docs" / "operations-postgresql.md"
AGENTS = (100, 1_000, 10_000)  # that predictions are made for


HEADS = {
    "costs": "| call | of all | alone, ms | of it the turn | of the cores |",
    "predictions": "| agents | calls a second | turn used | cores used | p50 ms | p99 ms |",
    "played": "| agents | calls a second | turn used | p50 ms | p99 ms | p99 against predicted |",
}


def keep(costs: dict[str, Cost], played: list[dict[str, float]], about: dict[str, float]) -> None:
    """Keep what was measured; `played` has a row for each number of agents."""
    kept = {
        name: {**cost._asdict(), "alone_ms": _short(cost.alone_ms)} for name, cost in costs.items()
    }
    MEASURED.write_text(json.dumps({**about, "costs": kept, "played": played}, indent=1) + "\n")


def _short(numbers: tuple[float, ...]) -> list[float]:
    return [round(number, 3) for number in numbers]


def load() -> tuple[dict[str, Cost], list[dict[str, float]], dict[str, float]]:
    """Return costs by verb, rows of what was played, and `cores` and `think_s`."""
    said = json.loads(MEASURED.read_text())
    costs = {
        name: Cost(**{**cost, "alone_ms": tuple(cost["alone_ms"])})
        for name, cost in said.pop("costs").items()
    }
    return costs, said.pop("played"), said


def tables() -> dict[str, list[str]]:
    """Return the lines of each table of the page."""
    costs, played, about = load()

    def said(agents: int) -> Prediction:
        return predict(
            agents, list(costs.values()), think_s=about["think_s"], cores=int(about["cores"])
        )

    most = agents_max(list(costs.values()), think_s=about["think_s"], cores=int(about["cores"]))
    rows = {
        "costs": [_cost(name, cost) for name, cost in costs.items()],
        "predictions": [_prediction(agents, said(agents)) for agents in (*AGENTS, most)],
        "played": [_played(row, said(int(row["agents"]))) for row in played],
    }
    return {name: [HEADS[name], _rule(HEADS[name]), *lines] for name, lines in rows.items()}


def _rule(head: str) -> str:
    return "|" + "---|" * (head.count("|") - 1)


def _cost(name: str, cost: Cost) -> str:
    mean = statistics.mean(cost.alone_ms)
    turn = f"{mean * cost.turn:.2f}" if cost.turn else "–"
    return f"| {name} | {100 * cost.share:.1f} % | {mean:.2f} | {turn} | {cost.cores_ms:.2f} |"


def _prediction(agents: int, said: Prediction) -> str:
    return (
        f"| {agents:,} | {said.rate:,.0f} | {_percent(said.turns)} | {_percent(said.cores)} |"
        f" {_ms(said.p50_ms)} | {_ms(said.p99_ms)} |"
    )


def _played(row: dict[str, float], said: Prediction) -> str:
    error = "" if math.isinf(said.p99_ms) else f"{row['p99_ms'] / said.p99_ms:.1f} ×"
    return (
        f"| {row['agents']:,} | {row['rate']:,.0f} | {_percent(row['turns'])} |"
        f" {_ms(said.p50_ms)} → {_ms(row['p50_ms'])} | {_ms(said.p99_ms)} → {_ms(row['p99_ms'])} |"
        f" {error} |"
    )


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _ms(number: float) -> str:
    if math.isinf(number):
        return "grows"
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}"


def write() -> None:
    """Write the tables into the page, each between its marks."""
    text = PAGE.read_text()
    for name, lines in tables().items():
        marked = f"<!-- {name} -->\n{''.join(line + chr(10) for line in lines)}<!-- /{name} -->"
        text = re.sub(
            rf"<!-- {name} -->.*<!-- /{name} -->", lambda _, m=marked: m, text, flags=re.S
        )
    PAGE.write_text(text)


if __name__ == "__main__":
    write()
