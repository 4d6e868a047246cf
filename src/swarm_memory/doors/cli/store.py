"""The verbs of the whole store: where health snapshot demo."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarm_memory.doors.cli.frame import Door, verb
from swarm_memory.doors.cli.show import cell, count, human_bytes, safe, table
from swarm_memory.doors.cli.watching import Watched
from swarm_memory.locate import file_of
from swarm_memory.moving import home_of, without_password
from swarm_memory.swarm import Swarm

if TYPE_CHECKING:
    from rich.console import Console

    from swarm_memory.reports import HealthReport

PANEL = "Store"
BAR_WIDTH = 24
LISTED_MAX = 12
WATCHING_S = 45.0  # so long the demo takes for somebody who watches
SYNC = {
    "shared": "writers share one sync of the log",
    "direct": "every durable write syncs for itself: no locks that can be relied on here",
    None: "nothing to sync, it ends with the process",
}
ON_SERVER = "who has written durably waits until the server's log is safe"
_LEVELS = {"healthy": "bold green", "warning": "bold yellow", "critical": "bold red"}


@verb("where", PANEL)
def where(door: Door) -> None:
    """Print which store is used and why; nothing is created.

    Example: swarm-memory where
    """
    located = door.located()
    home, why = home_of(located.url, door.swarm), located.why
    if home != located.url:
        home = without_password(home)
        why = f"{why}: the swarm lives there by {located.url}"
    path = file_of(home)
    # A server is not asked: it may be slow to answer, and doctor does.
    exists = None if path is None else os.path.exists(path)
    size = None
    if exists and path is not None:
        sides = (path, f"{path}-wal")
        size = sum(os.stat(side).st_size for side in sides if os.path.exists(side))
    protocol = Swarm.protocol_of(path) if path is not None else None
    facts = {
        "url": home,
        "why": why,
        "exists": exists,
        "bytes": size,
        "sync": protocol,
        "swarm": door.swarm,
        "agent": door.agent,
    }

    is_file = path is not None or home.endswith(":memory:")

    def pretty(console: Console) -> None:
        state = human_bytes(size) if size is not None else "not made yet (swarm-memory init)"
        state = "ask the server: swarm-memory doctor" if exists is None else state
        for name, text in (
            ("store", home),
            ("why", why),
            ("size", state),
            ("sync", SYNC[protocol] if is_file else ON_SERVER),
            ("swarm", door.swarm),
            ("agent", door.agent),
        ):
            console.print(cell(f"{name:<6} {text}"), soft_wrap=True)

    door.show.result(facts, facts.items(), pretty)


@verb("health", PANEL)
def health(door: Door) -> int | None:
    """Show usage against the limits, what is wrong and what to do.

    Exit status 0 when healthy or with warnings, 1 when critical.

    Example: swarm-memory health --json
    """
    with door.manager(create=False) as manager:
        report = manager.get_memory_health_report()
        limits = manager.swarm.config
        bounds = (limits.agent_bytes_max, limits.session_bytes_max)
    door.show.result(
        report.to_dict(),
        _health_lines(report),
        lambda console: _print_health(door, report, bounds, console),
    )
    return 1 if report.overall_health == "critical" else None


def _health_lines(report: HealthReport) -> list[list[Any]]:
    lines: list[list[Any]] = [["overall_health", report.overall_health]]
    for name, value in report.metrics.items():
        if isinstance(value, dict):
            lines += [[f"{name}/{inner}", _number(figure)] for inner, figure in value.items()]
        else:
            lines.append([name, value])
    lines += [["issue", issue] for issue in report.issues]
    return lines + [["recommendation", advice] for advice in report.recommendations]


def _number(figure: Any) -> Any:
    return figure["bytes"] if isinstance(figure, dict) else figure


def _print_health(
    door: Door, report: HealthReport, bounds: tuple[int, int], console: Console
) -> None:
    metrics, style = report.metrics, _LEVELS[report.overall_health]
    console.print(cell(f"swarm {door.swarm}: "), cell(report.overall_health, style), sep="")
    outcomes = metrics.get("outcomes", 0)
    console.print(
        cell(
            f"  {count(metrics['records'], 'memory')}, {metrics['telemetry']:,} of telemetry, "
            f"{count(outcomes, 'outcome')}; the file has {human_bytes(metrics['file_bytes'])}, "
            f"{metrics['fragmentation_level']:.0%} of it free"
        )
    )
    rows = [(f"swarm {door.swarm}", metrics["bytes"], metrics["limit_bytes"])]
    for names, limit in zip((metrics["agents"], metrics["sessions"]), bounds, strict=True):
        largest = sorted(names.items(), key=lambda pair: -pair[1])
        rows += [(name, size, limit) for name, size in largest[:LISTED_MAX]]
    width = max(len(name) for name, _, _ in rows)
    for name, size, limit in rows:
        console.print(cell(f"  {name:<{width}}  "), _bar(size / limit), end="")
        console.print(cell(f"  {human_bytes(size)} of {human_bytes(limit)}", "dim"))
    _print_categories(metrics["categories"], console)
    for issue in report.issues:
        console.print(cell(f"  ! {issue}", style))
    for advice in report.recommendations:
        console.print(cell(f"    {advice}"))


def _bar(ratio: float) -> Any:
    filled = min(BAR_WIDTH, round(ratio * BAR_WIDTH))
    style = "red" if ratio >= 0.9 else "yellow" if ratio >= 0.8 else "green"
    shown = cell("█" * filled, style)
    shown.append("░" * (BAR_WIDTH - filled), style="dim")
    shown.append(f" {ratio:4.0%}")
    return shown


def _print_categories(categories: dict[str, dict[str, int]], console: Console) -> None:
    if not categories:
        return
    shown = table("  category", "records", "bytes", right=["records", "bytes"])
    shown.expand = False
    for name, figures in sorted(categories.items(), key=lambda pair: -pair[1]["bytes"]):
        shown.add_row(cell(f"  {name}"), f"{figures['records']:,}", human_bytes(figures["bytes"]))
    console.print(shown)


@verb("snapshot", PANEL)
def snapshot(door: Door) -> None:
    """Write a monitoring sample of the swarm's memory into the store.

    Example: swarm-memory snapshot
    """
    with door.manager() as manager:
        record = manager.create_memory_snapshot()
    door.show.result(
        record.to_dict(),
        [[record.key, record.version]],
        lambda console: console.print(cell(f"written: {record.key}")),
    )


@verb("demo", PANEL)
def demo(
    door: Door,
    path: Annotated[
        str | None, typer.Argument(metavar="PATH", help="A source tree; by default its own.")
    ] = None,
    agents: Annotated[int, typer.Option(metavar="N", min=2, max=64, help="Processes.")] = 6,
    watch: Annotated[
        bool, typer.Option("--watch", help="Slowly, and with the dashboard, until Ctrl-C.")
    ] = False,
    no_open: Annotated[
        bool, typer.Option("--no-open", help="Only say where the dashboard is.")
    ] = False,
) -> int:
    """Let a real swarm of processes study a source tree together, and look at what it learned.

    The store stays for swarm-memory to look into. Exit status 1 if anything was lost or done twice.
    With --watch the agents take their time and the dashboard shows them, until Ctrl-C.

    Example: swarm-memory demo src
    """
    from swarm_memory import demo as study

    with ExitStack() as ending:
        watched = Watched(no_open) if watch else None
        if watched is not None:
            ending.enter_context(watched)
        with door.show.progress("the agents are working") as bar:
            report = study.run(
                path,
                url=door.url,
                agents=agents,
                progress=lambda done, total: bar(done, total, f"{done} of {total} tasks"),
                ready=None if watched is None else watched.begin,
                lasting_s=0.0 if watched is None else WATCHING_S,
            )
        if door.show.as_json:
            door.show.json(report.to_dict())
        else:
            for line in study.lines(report):
                print(safe(line))
        if watched is not None:
            door.show.note("the dashboard stays until Ctrl-C")
            watched.wait()
    return 0 if report.ok else 1
