"""The verb of conflicts: those that were, those that a merge would have, and those to come."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Annotated

import typer

from swarm_memory.doors.cli.coordination import PANEL, Limit
from swarm_memory.doors.cli.frame import Door, verb
from swarm_memory.doors.cli.show import cell, one_line, table, time_of
from swarm_memory.doors.cli.values import TextFlag, object_of, value_of
from swarm_memory.locate import root_of
from swarm_memory.patterns import below

if TYPE_CHECKING:
    from rich.console import Console

    from swarm_memory.forecast import Risk
    from swarm_memory.model import Json
    from swarm_memory.worktrees import Report
    from swarm_memory.worktrees.merging import Hunk, Span

ACTIONS = "list|show|resolve|check|risk|plan"


@verb("conflicts", PANEL)
def conflicts(
    door: Door,
    action: Annotated[str, typer.Argument(metavar=f"[{ACTIONS}]", help="What to do.")] = "list",
    words: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="…",
            help="show: ID; resolve: ID VALUE (JSON if it is JSON, else a string; '-' or nothing "
            "reads standard input); risk: PATH…; plan: TASKS, a JSON object of paths by task.",
        ),
    ] = None,
    parked: Annotated[
        bool, typer.Option("--parked", help="List only those that wait for a decision.")
    ] = False,
    window_s: Annotated[
        float, typer.Option(metavar="S", help="risk, plan: how far to look ahead, in seconds.")
    ] = 1800.0,
    keys: Annotated[
        bool, typer.Option("--keys", help="risk: what is named are keys of records.")
    ] = False,
    to: Annotated[
        str | None, typer.Option(metavar="AGENTS", help="plan: who can work, with commas.")
    ] = None,
    text: TextFlag = False,
    limit: Limit = 100,
) -> int:
    """Say where agents' work met, where it would not merge now, and where it is likely to meet.

    list, show and resolve are about writes that met another one. check merges the worktrees of the
    project with each other as they stand, uncommitted edits included, and names agents, branches
    and lines; it changes nothing, needs git 2.38 or newer, and exits with 3 if something clashes.
    risk is the probability that another agent touches a file (or a key) within the window. plan
    gives tasks to agents so that they meet least.

    Example: swarm-memory conflicts risk src/app.py --window-s 3600
    """
    words = words or []
    if action == "list" and not words:
        return _list_conflicts(door, "parked" if parked else None, limit)
    if action == "show" and len(words) == 1:
        return _show(door, words[0])
    if action == "resolve" and len(words) in (1, 2):
        return _resolve(door, words[0], value_of(words[1] if words[1:] else None, text=text))
    if action == "check" and not words:
        return _check(door)
    if action == "risk" and words:
        return _risk(door, words, window_s, keys)
    if action == "plan" and len(words) == 1 and to:
        return _plan(door, words[0], to, window_s)
    raise typer.BadParameter(
        "say list, show ID, resolve ID VALUE, check, risk PATH…, or plan TASKS --to AGENTS"
    )


def _show(door: Door, conflict_id: str) -> int:
    with door.open(create=False) as swarm:
        found = swarm.conflicts.get(conflict_id)
    document = found.to_dict()
    door.show.result(document, [[name, one_line(part)] for name, part in document.items()])
    return 0


def _resolve(door: Door, conflict_id: str, settled: Json) -> int:
    with door.open() as swarm:
        record = swarm.resolve_conflict(conflict_id, settled)
    door.show.result(record.to_dict(), [[record.key, record.version]])
    return 0


def _check(door: Door) -> int:
    from swarm_memory.worktrees import check, editors_of

    with door.open(create=False) as swarm:
        report = check(os.getcwd(), os.environ, agents=editors_of(swarm))
    rows = [
        [c.path, c.kind, c.left.worktree, c.left.branch, ",".join(c.left.agents),
         c.right.worktree, c.right.branch, ",".join(c.right.agents), _lines(c.hunks)]
        for c in report.clashes
    ]  # fmt: skip
    for what, why in report.skipped:
        door.show.note(f"not checked: {what}: {why}")
    door.show.result(report.to_dict(), rows, lambda console: _clashes(console, report))
    return 3 if report.clashes else 0


def _clashes(console: Console, report: Report) -> None:
    if not report.clashes:
        console.print(cell(f"{report.pairs} pairs of worktrees merge cleanly"))
        return
    shown = table("file", "how", "left", "right", "lines")
    for clash in report.clashes:
        sides = [
            f"{side.branch or side.worktree}" + (f" ({', '.join(side.agents)})" * bool(side.agents))
            for side in (clash.left, clash.right)
        ]
        shown.add_row(
            cell(clash.path, "bold"), cell(clash.kind), *map(cell, sides), cell(_lines(clash.hunks))
        )
    console.print(shown)


def _lines(hunks: tuple[Hunk, ...]) -> str:
    return " ".join(f"{_span(h.left)}:{_span(h.right)}" for h in hunks)


def _span(span: Span) -> str:
    first, last = span
    return f"{first}" if last <= first else f"{first}-{last}"


def _risk(door: Door, paths: list[str], window_s: float, keys: bool) -> int:
    with door.open(create=False) as swarm:
        if keys:
            risks = swarm.forecast.keys(paths, agent=door.agent, window_s=window_s)
        else:
            if door.missing is None:
                swarm.forecast.keep_up(window_s, always=True)
            places = [_below(path) for path in paths]
            risks = swarm.forecast.risk(
                places, session_id=door.session or "", window_s=window_s, files=len(places)
            )
    rows = [
        [r.path, f"{r.probability:.3f}", "calibrated" if r.calibrated else "ranked",
         ",".join(agent for agent, _ in r.others), ",".join(r.reserved)]
        for r in risks
    ]  # fmt: skip
    door.show.result([r.to_dict() for r in risks], rows, lambda c: _risks(door, c, risks))
    return 0


def _risks(door: Door, console: Console, risks: list[Risk]) -> None:
    shown = table("risk", "path", "lately", "reserved", right=["risk"])
    for risk in risks:
        lately = ", ".join(f"{agent} {door.show.age(at_ms)}" for agent, at_ms in risk.others)
        style = "bold" if risk.probability >= 0.5 else ""
        shown.add_row(
            cell(f"{risk.probability:.0%}", style), cell(risk.path), cell(lately, "dim"),
            cell(", ".join(risk.reserved)),
        )  # fmt: skip
    console.print(shown)
    if not all(risk.calibrated for risk in risks):
        console.print(cell("not calibrated yet: the log is short, so only the order counts", "dim"))


def _plan(door: Door, tasks: str, to: str, window_s: float) -> int:
    given = object_of("TASKS", tasks) or {}
    for paths in given.values():
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise typer.BadParameter(f"TASKS is like {json.dumps({'fix': ['src/app.py']})}")
    agents = [name.strip() for name in to.split(",") if name.strip()]
    with door.open(create=False) as swarm:
        if door.missing is None:
            swarm.forecast.keep_up(window_s, always=True)
        plan = swarm.forecast.assign(given, agents, window_s=window_s)
    rows = [[agent, *names] for agent, names in plan.tasks.items()]

    def pretty(console: Console) -> None:
        for agent, names in plan.tasks.items():
            console.print(cell(f"{agent}: {', '.join(names)}", "bold"))
        for reason in plan.reasons:
            console.print(cell(reason))
        console.print(cell(f"meetings: {plan.cost:.1f}, at random {plan.at_random:.1f}", "dim"))

    door.show.result(plan.to_dict(), rows, pretty)
    return 0


def _below(typed: str) -> str:
    """Return a path as edits know it: below the worktree that the current folder is in."""
    folder = os.getcwd()
    return below(typed, root=root_of(folder), folder=folder)


def _list_conflicts(door: Door, outcome: str | None, limit: int) -> int:
    with door.open(create=False) as swarm:
        found = swarm.conflicts.list(outcome, limit=limit)
    rows = [
        [c.conflict_id, c.key, c.strategy, c.outcome, c.author, time_of(c.at_ms)] for c in found
    ]

    def pretty(console: Console) -> None:
        if not found:
            console.print(cell("no conflicts"))
            return
        shown = table("when", "id", "how", "state", "by", "key", right=["when"])
        for c in found:
            age, who = cell(door.show.age(c.at_ms), "dim"), cell(c.author, "green")
            state = cell(c.outcome, "bold" if c.outcome == "parked" else "")
            shown.add_row(age, cell(c.conflict_id), cell(c.strategy), state, who, cell(c.key))
        console.print(shown)

    door.show.result([conflict.to_dict() for conflict in found], rows, pretty)
    return 0
