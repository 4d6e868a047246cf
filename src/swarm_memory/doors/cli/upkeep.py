"""The verbs that keep a store safe: verify."""

from __future__ import annotations

from typing import TYPE_CHECKING

from swarm_memory.doors.cli.frame import Door, verb
from swarm_memory.doors.cli.show import cell, count, human_bytes
from swarm_memory.integrity import verify_store

if TYPE_CHECKING:
    from rich.console import Console

    from swarm_memory.integrity import Finding, VerifyReport

PANEL = "Upkeep"
EXIT_DAMAGED = 6


@verb("verify", PANEL)
def verify(door: Door) -> int | None:
    """Check the whole store for damage: every value, version, event and counter of every swarm.

    It reads everything once, of one moment, while others go on writing, and changes nothing. Exit
    status 6 if something is damaged; what is wrong is named by key, with what to do about it.

    In a pipe each line is check, damage or waste, swarm, key, problem and remedy.

    Example: swarm-memory verify
    """
    with door.open(create=False) as swarm, door.show.progress("verifying") as bar:
        report = verify_store(
            swarm, progress=lambda done, total, check: bar(done, total or None, f"{check}")
        )
    door.show.result(
        report.to_dict(), report.findings, lambda console: _print_findings(report, console)
    )
    if not door.as_json:
        door.show.note(_summary(report))
    return None if report.ok else EXIT_DAMAGED


def _print_findings(report: VerifyReport, console: Console) -> None:
    for finding in report.findings:
        style = "bold red" if finding.level == "damage" else "yellow"
        console.print(cell(f"{finding.check}: ", style), cell(_place(finding)), sep="")
        console.print(cell(f"  {finding.remedy}", "dim"))


def _place(finding: Finding) -> str:
    where = " ".join(part for part in (finding.swarm, finding.key) if part)
    return f"{where}: {finding.problem}" if where else finding.problem


def _summary(report: VerifyReport) -> str:
    rows = count(sum(report.rows.values()), "row")
    speed = human_bytes(report.bytes / report.duration_s)
    read = f"read {rows}, {human_bytes(report.bytes)} at {speed}/s"
    found = sum(report.counts.values())
    shown = f", the first {len(report.findings)} are shown" if found > len(report.findings) else ""
    if report.ok:
        return f"{read}: nothing is damaged" + (f" ({count(found, 'finding')})" if found else "")
    return f"{read}: {count(found, 'finding')}{shown}"
