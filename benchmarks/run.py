"""Run the benchmarks and write their figures to docs/figures.md.

    ./dev bench            all of them
    ./dev bench records    one

Every subject of a benchmark runs in every round, one after the other, and a figure is the median
over rounds of the ratio to its reference in the same round: absolute times say more about the
machine and its other work than about the code.
"""

from __future__ import annotations

import importlib
import json
import platform
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results.json"
FIGURES = HERE.parent / "docs" / "figures.md"
NAMES = [
    "records",
    "oneshot",
    "start",
    "size",
    "growth",
    "writers",
    "coordination",
    "messages",
    "upkeep",
    "monitor",
    "dashboard",
    "search",
    "hooks",
    "mcp_door",
    "http_door",
    "on_postgresql",
    "standby",
    "growth_postgresql",
    "capacity",
    "moving",
    "adapters",
    "learning",
    "learning_evaluate",
    "learning_patterns",
    "learning_hints",
    "read_cache",
    "tuning",
    "tuning_knobs",
    "conflict_forecast",
]


def main() -> int:
    sys.path.insert(0, str(HERE))
    names = sys.argv[1:] or NAMES
    if unknown := set(names) - set(NAMES):
        print(f"no benchmark {', '.join(sorted(unknown))}; there are: {' '.join(NAMES)}")
        return 2
    missed = []
    for name in names:
        print(f"== {name}", flush=True)
        module = importlib.import_module(name)
        figures = module.run()
        for figure in figures:
            print("  " + line(figure), flush=True)
        missed += [figure for figure in figures if figure["reached"] is False]
        measured = {
            "title": (module.__doc__ or name).splitlines()[0],
            "on": time.strftime("%Y-%m-%d"),
            "machine": f"{platform.machine()}, Python {platform.python_version()}",
            "figures": figures,
            "plot": getattr(module, "PLOT", None),
        }
        # Now, since the next one may fail; and read only now: another run may have ended meanwhile.
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        results[name] = measured
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")
        FIGURES.write_text(render(results))
    for figure in missed:
        print(f"missed: {line(figure)}")
    return 0


def line(figure: dict[str, object]) -> str:
    mark = {True: "reached", False: "MISSED", None: "for information"}[figure["reached"]]
    return f"{figure['what']}: {figure['value']} (goal {figure['goal']}, {mark}) {figure['note']}"


def render(results: dict[str, dict[str, object]]) -> str:
    out = [
        "# Figures",
        "",
        "Written by `./dev bench`; every figure names the file in `benchmarks/` that made it.",
        "Subjects run interleaved, a figure is the median over rounds of the ratio in the same",
        "round. P: survives a killed process; D: also survives power loss. The classes are never",
        "compared with each other.",
        "",
    ]
    for name, result in results.items():
        out += [
            f"## {result['title']}",
            "",
            f"`benchmarks/{name}.py`, {result['on']}, {result['machine']}",
            "",
            "| what | measured | goal | | |",
            "|---|---|---|---|---|",
        ]
        for f in result["figures"]:
            mark = {True: "reached", False: "**missed**", None: ""}[f["reached"]]
            out.append(f"| {f['what']} | {f['value']} | {f['goal']} | {mark} | {f['note']} |")
        out.append("")
        if plot := result.get("plot"):
            out += [f"![{result['title']}]({plot})", ""]
    return "\n".join(out)


if __name__ == "__main__":
    sys.exit(main())
