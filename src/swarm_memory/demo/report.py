"""The demo's summary, for people: what was learned, who did what, what is recommended."""

from __future__ import annotations

import os
from collections import Counter
from shlex import quote

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from swarm_memory.demo import DemoReport
    from swarm_memory.reports import Insight

SHOWN = 5
SHOWN_LARGEST = 3
ERROR_SHOWN = 300  # of an invariant's detail


def lines(report: DemoReport) -> list[str]:
    """Return the summary as lines of text."""
    took_over = f", {report.taken_over_by} took over" if report.taken_over_by else ""
    out = [f"What the swarm learned about {report.path}", *_learned(report)]
    out += ["", "Who did what"]
    for name, done in report.agents.items():
        killed = f"   killed half-way, holding {report.taken_over}" if name == report.victim else ""
        out.append(f"  {name:<10} {done:>4} tasks{killed}{took_over if killed else ''}")
    out += ["", "What it recommends"]
    out += [f"  {sentence}" for sentence in report.recommendations] or [
        "  nothing stands out yet: too few tasks"
    ]
    if report.improvement:
        first, last = report.improvement
        out.append(f"  right answers: {first:.0%} in the first third, {last:.0%} in the last")
    out += ["", "What was promised"]
    for held in report.invariants:
        detail = held.detail.replace("\n", " | ")[:ERROR_SHOWN]
        out.append(f"  {'✓' if held.held else '✗'} {held.name} ({detail})")
    usage = f"{report.usage['records']} records, {report.usage['file_bytes'] / 1e6:.1f} MB on disk"
    out += [
        "",
        f"{report.tasks} tasks in {report.seconds:.1f} s, health: {report.health} ({usage})."
        " Look into it:",
        f"  swarm-memory --url {quote(report.url)} --swarm {report.swarm} ls",
        f"  swarm-memory --url {quote(report.url)} --swarm {report.swarm} learn report",
    ]
    return out


def _learned(report: DemoReport) -> list[str]:
    learned = report.learned
    left_out = [f"{n} {why}" for why, n in report.skipped.items()]
    left_out += [] if report.complete else ["the rest of a tree that is larger"]
    shown = {
        "files": f"{learned['files']} with {learned['lines']} lines"
        + (f" (left out: {', '.join(left_out)})" if left_out else ""),
        "languages": _counted(learned["languages"]),
        "longest": _counted(learned["longest"]),
        "definitions": _with_most(learned["definitions"], learned["largest"]),
        "connected": _counted(learned["connected"]),
        "imported": _counted(learned["imported"]),
        "comments": f"{learned['comments']} lines, {learned['notes']} notes such as TODO",
    }
    needed = {"longest", "connected", "imported", "definitions", "comments"}
    return [
        f"  {name:<12} {text}"
        for name, text in shown.items()
        if learned[name] or name not in needed
    ]


def learned_from(results: list[dict[str, Any]], root: str = "") -> dict[str, Any]:
    """Return what the results say about the tree named `root`; wrong findings are left out."""
    right: dict[str, dict[str, Any]] = {}
    for result in results:
        if result["success"]:
            right.setdefault(result["kind"], {})[result["path"]] = result["finding"]
    definitions = right.get("definitions", {}) | right.get("declarations", {})
    files = {r["path"]: r["lines"] for r in results}
    connected, imported = _edges(right.get("imports", {}), list(files), root)
    comments = right.get("comments", {}).values()
    return {
        "files": len(files),
        "lines": sum(files.values()),
        "languages": dict(Counter(right.get("language", {}).values()).most_common(SHOWN)),
        "longest": dict(Counter(files).most_common(SHOWN_LARGEST)),
        "definitions": sum(definitions.values()),
        "largest": dict(Counter(definitions).most_common(SHOWN_LARGEST)),
        "connected": dict(connected.most_common(SHOWN)),
        "imported": dict(imported.most_common(SHOWN)),
        "comments": sum(found["comments"] for found in comments),
        "notes": sum(found["notes"] for found in comments),
    }


def _edges(
    imports: dict[str, list[str]], files: list[str], root: str
) -> tuple[Counter[str], Counter[str]]:
    """Return how often each file of the tree is imported by others, and each foreign package."""
    known = {name: path for path in files for name in _names(path, root)}
    within: Counter[str] = Counter()
    foreign: Counter[str] = Counter()
    for path, names in imports.items():
        found = {known.get(_absolute(name, path)) for name in names} - {None, path}
        within.update(f for f in found if f)
        outside = [n for n in names if _absolute(n, path) not in known and not n.startswith(".")]
        foreign.update({name.partition(".")[0] for name in outside} - {root, "__future__"})
    return within, foreign


def _names(path: str, root: str) -> list[str]:
    """Return the names under which a file of the tree may be imported."""
    stem, end = os.path.splitext(path)
    if end != ".py":
        return []
    parts = stem.split("/")
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    below = parts[1:] if parts[:1] == ["src"] else parts
    return [name for name in {".".join(below), ".".join(parts), ".".join([root, *parts])} if name]


def _absolute(name: str, path: str) -> str:
    """Return the name that an import in the file `path` means, as seen from the root."""
    rest = name.lstrip(".")
    up = len(name) - len(rest)
    if not up:
        return name
    folders = path.split("/")[:-1]
    folders = folders[: max(0, len(folders) - up + 1)]
    return ".".join([*folders, rest] if rest else folders)


def advice(insights: list[Insight]) -> list[str]:
    """Return what the swarm says of each kind of task."""
    said = {"best_strategy", "open"}
    return [i.text for i in sorted(insights, key=lambda i: (i.kind, i.text)) if i.kind in said]


def _with_most(total: int, most: dict[str, int]) -> str:
    return f"{total}, most in {_counted(most)}"


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"
