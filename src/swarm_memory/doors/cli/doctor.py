"""The verb doctor: what is wrong with the store and around it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated

import typer

from swarm_memory import doctor as examination
from swarm_memory.doors.cli.frame import Door, verb
from swarm_memory.doors.cli.show import cell, count
from swarm_memory.doors.cli.store import PANEL
from swarm_memory.locate import file_of
from swarm_memory.moving import home_of, without_password

if TYPE_CHECKING:
    from rich.console import Console

    from swarm_memory.doctor import Finding

_MARKS = {
    "ok": ("✓", "green"),
    "note": ("i", "cyan"),
    "warning": ("!", "bold yellow"),
    "error": ("✗", "bold red"),
}


@verb("doctor", PANEL)
def doctor(
    door: Door,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Leave out what is in order.")
    ] = False,
    claude: Annotated[
        bool, typer.Option("--claude", help="How Claude Code is wired, with a trial of its hooks.")
    ] = False,
) -> int:
    """Examine the store and all around it: what is wrong, what it means, what to do.

    Looks at frozen processes, the file system, permissions, room, software, settings, Claude
    Code's hooks, the content and other stores nearby. Writes nothing, and works when the store
    does not open. In a pipe each line is severity, check, meaning, evidence and advice.

    Exit status 0 when there is nothing to do, 1 when there is, 6 when the store is damaged.

    Example: swarm-memory doctor
    """
    located = door.located()
    home = home_of(located.url, door.swarm)
    shown_url = home if home == located.url else without_password(home)
    located = located._replace(url=home)
    case = examination.Case(
        located,
        file_of(located.url),
        directory=os.getcwd(),
        environment=os.environ,
        agent=door.agent,
        swarm=door.swarm,
    )
    with door.show.progress("trying the hooks" if claude else "examining the store"):
        if claude:
            findings = examination.examine(
                case, examination.CLAUDE_CHECKS, check_s_max=examination.CLAUDE_CHECK_S_MAX
            )
        else:
            findings = examination.examine(case)
    status = examination.exit_status(findings)
    shown = [f for f in findings if not quiet or f.severity != examination.OK]
    door.show.result(
        {"url": shown_url, "status": status, "findings": [f.to_dict() for f in shown]},
        [[f.severity, f.check, f.means, f.evidence, f.advice] for f in shown],
        lambda console: _print(shown_url, shown, status, console),
    )
    return status


def _print(url: str, findings: list[Finding], status: int, console: Console) -> None:
    console.print(cell(url, "bold"), soft_wrap=True)
    width = max((len(f.check) for f in findings), default=0)
    indent = " " * (width + 5)
    for finding in findings:
        mark, style = _MARKS[finding.severity]
        console.print(cell(f" {mark} ", style), cell(f"{finding.check:<{width}} ", "dim"), end=" ")
        if finding.severity == "ok":
            _in_order(console, finding, indent)
            continue
        _wrapped(console, finding.means, indent, style)
        if finding.evidence:
            _wrapped(console, finding.evidence, indent, "dim", first=indent)
        if finding.advice:
            _wrapped(console, f"→ {finding.advice}", indent, "", first=indent)
    bad = sum(f.severity in {"warning", "error"} for f in findings)
    notes = sum(f.severity == "note" for f in findings)
    verdict = f"{count(bad, 'finding')} to act on" if bad else "nothing to do"
    style = "bold red" if status == 6 else "bold yellow" if bad else "bold green"
    console.print(cell(verdict, style), cell(f", {count(notes, 'note')}" if notes else ""), sep="")


def _in_order(console: Console, finding: Finding, indent: str) -> None:
    """Print what is in order on one line if it fits: nobody has to act on it."""
    if len(indent) + len(finding.means) + len(finding.evidence) + 2 > console.width:
        _wrapped(console, finding.means, indent, "")
        _wrapped(console, finding.evidence, indent, "dim", first=indent)
    else:
        console.print(cell(finding.means), cell(finding.evidence, "dim"), sep="  ")


def _wrapped(console: Console, text: str, indent: str, style: str, *, first: str = "") -> None:
    """Print text whose further lines begin under its first."""
    import textwrap

    room = max(30, console.width - len(indent))
    lines = textwrap.wrap(text, room, break_long_words=False, break_on_hyphens=False) or [""]
    for number, line in enumerate(lines):
        console.print(cell((indent if number else first) + line, style), soft_wrap=True)
