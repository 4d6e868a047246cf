"""The demo's summary, for people: what was learned, who did what, what is recommended."""

from __future__ import annotations

from collections import Counter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from swarm_memory.demo import DemoReport

SHOWN = 5


def lines(report: DemoReport) -> list[str]:
    """Return the summary as lines of text."""
    learned = report.learned
    out = [f"What the swarm learned about {report.path}", ""]
    out.append(f"  {learned['files']} files{_skipped(report.skipped)}")
    out.append(f"  languages    {_counted(learned['languages'])}")
    if learned["definitions"]:
        out.append(
            f"  definitions  {learned['definitions']}, most in {_counted(learned['largest'])}"
        )
    if learned["imported"]:
        out.append(f"  imported     {_counted(learned['imported'])}")
    out += ["", "Who did what", ""]
    for name, done in sorted(report.agents.items()):
        killed = f"   killed half-way, holding {report.taken_over}" if name == report.victim else ""
        out.append(f"  {name:<10} {done:>4} tasks{killed}")
    out += ["", "What it recommends", ""]
    out += [f"  {sentence}" for sentence in report.recommendations] or ["  nothing yet"]
    if report.improvement:
        first, last = report.improvement
        out.append(f"  right answers: {first:.0%} in the first third, {last:.0%} in the last")
    out += ["", "What was promised", ""]
    for held in report.invariants:
        out.append(f"  {'✓' if held.held else '✗'} {held.name} ({held.detail})")
    out += [
        "",
        f"{report.tasks} tasks in {report.seconds:.1f} s, health: {report.health}. Look into it:",
        "",
        f"  swarm-memory --url {report.url} --swarm {report.swarm} ls",
        f"  swarm-memory --url {report.url} --swarm {report.swarm} insights",
    ]
    return out


def learned_from(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return what the results say about the tree; wrong findings are left out."""
    right = [result for result in results if result["success"]]
    languages = Counter(r["finding"] for r in right if r["kind"] == "language")
    definitions = {r["path"]: r["finding"] for r in right if r["kind"] == "definitions"}
    imported: Counter[str] = Counter()
    for result in right:
        if result["kind"] == "imports":
            imported.update(result["finding"])
    return {
        "files": len({r["path"] for r in results}),
        "languages": dict(languages.most_common(SHOWN)),
        "definitions": sum(definitions.values()),
        "largest": dict(Counter(definitions).most_common(3)),
        "imported": dict(imported.most_common(SHOWN)),
    }


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def _skipped(skipped: dict[str, int]) -> str:
    if not skipped:
        return ""
    return f" (left out: {', '.join(f'{n} {why}' for why, n in skipped.items())})"
