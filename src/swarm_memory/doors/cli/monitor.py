"""The verbs that watch a swarm: top monitor alerts."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarm_memory.doors.cli.frame import Door, verb
from swarm_memory.doors.cli.show import cell, human_bytes, time_of
from swarm_memory.doors.cli.store import PANEL
from swarm_memory.doors.cli.top import look, print_top, top_lines, worst_first
from swarm_memory.errors import InvalidArgumentError
from swarm_memory.ticker import Ticker

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from swarm_memory.monitor.alerts import Alert
    from swarm_memory.monitor.sample import Sample
    from swarm_memory.swarm import Swarm

ACTIONS = ("list", "ack", "resolve")
LOOK_S_MAX = 30.0
_SEVERITIES = {"warning": "bold yellow", "critical": "bold red"}


@verb("top", PANEL)
def top(
    door: Door,
    interval_s: Annotated[
        float, typer.Option(metavar="S", min=0.1, max=3600, help="Between two looks.")
    ] = 2.0,
) -> None:
    """Show who does what now: agents, locks, queues, calls, memory and alerts, live.

    Calls are those of the newest sample. Ctrl-C ends it. In a pipe, or with --json, one look.

    Example: swarm-memory top
    """
    with door.open(create=False) as swarm:
        if door.as_json or not door.show.terminal:
            seen = look(swarm)
            door.show.result(seen, top_lines(seen))
            return
        from rich.live import Live

        with Live(console=door.show.console, screen=True, auto_refresh=False) as live:
            while True:
                seen = look(swarm)
                live.update(print_top(seen, door.show.console.height), refresh=True)
                time.sleep(interval_s)


@verb("monitor", PANEL)
def monitor(
    door: Door,
    once: Annotated[bool, typer.Option("--once", help="One sample, then end.")] = False,
) -> None:
    """Print each sample and each alert as it comes, and see to it that samples are taken.

    A sample is taken by one of all processes. With --once the newest one is printed; if it is due
    it is taken first. Long-lived, it does the duties of the store as serve does: it cleans, backs
    up and delivers alerts. In a pipe a sample is a line with the time, "sample", records, bytes,
    calls, errors and alerts; a change of an alert one with the time, "raised" or "resolved",
    severity, rule, subject and text.

    Example: swarm-memory monitor --once --json
    """
    with door.open() as swarm:
        if once:
            swarm.tick()
            _print_sample(door, swarm, swarm.monitor.newest(), swarm.alerts.list())
            return
        ticker = Ticker(swarm, logs=False)
        try:
            _follow(door, swarm)
        finally:
            ticker.stop()


def _follow(door: Door, swarm: Swarm) -> None:
    swarm.tick()
    look_s = min(LOOK_S_MAX, swarm.config.monitor_interval_s) / 2
    after_ms = -1
    known: dict[str, Alert] = {}
    while True:
        alerts = {alert.alert_id: alert for alert in swarm.alerts.list()}
        for alert in _changed(swarm, known, alerts):
            _print_change(door, alert)
        known = alerts
        newest = swarm.monitor.newest()
        if newest is not None and newest.at_ms > after_ms:
            after_ms = newest.at_ms
            _print_sample(door, swarm, newest, list(alerts.values()))
        time.sleep(look_s)


def _changed(swarm: Swarm, known: dict[str, Alert], alerts: dict[str, Alert]) -> Iterator[Alert]:
    for alert_id, alert in alerts.items():
        if alert_id not in known:
            yield alert
    for alert_id in known:
        if alert_id not in alerts:
            yield swarm.alerts.get(alert_id)


def _print_change(door: Door, alert: Alert) -> None:
    kind = "resolved" if alert.resolved_ms is not None else "raised"
    at_ms = alert.resolved_ms if alert.resolved_ms is not None else alert.raised_ms
    line = [time_of(at_ms), kind, alert.severity, alert.rule, alert.subject, alert.text]
    if door.as_json:
        door.show.json({"at_ms": at_ms, "change": kind, **alert.to_dict()})
    elif door.show.terminal:
        style = "green" if kind == "resolved" else _SEVERITIES.get(alert.severity, "")
        shown = cell(f"{time_of(at_ms)[11:19]}  ", "dim")
        shown.append_text(cell(f"{kind:<8}  ", style))
        shown.append_text(cell(alert.text))
        door.show.console.print(shown)
    else:
        door.show.lines([line])
    _flush()


def _print_sample(door: Door, swarm: Swarm, sample: Sample | None, alerts: list[Alert]) -> None:
    open_ = [alert.to_dict() for alert in worst_first(alerts)]
    if sample is None:
        document: Any = None
        line: list[Any] = []
    else:
        document = sample.to_dict() | {"swarm": swarm.context.swarm, "alerts": open_}
        gauges = sample.gauges
        calls = sum(sample.calls(verb) for verb in sample.latencies)
        line = [time_of(sample.at_ms), "sample", round(gauges["records"]), round(gauges["bytes"])]
        line += [calls, sum(sample.errors.values()), len(alerts)]

    def pretty(console: Console) -> None:
        if sample is None:
            console.print(cell("no sample was taken yet"))
            return
        at, _, records, size, calls, errors, _ = line
        text = f"{records:,} records, {human_bytes(size)}, {calls:,} calls"
        text += f" in {sample.length_s:.0f} s, {errors:,} failed"
        console.print(cell(f"{at[11:19]}  ", "dim"), cell(text), sep="")
        if not alerts:
            return
        for alert in worst_first(alerts):
            console.print(cell(f"          ! {alert.text}", _SEVERITIES.get(alert.severity, "")))

    door.show.result(document, [line] if line else [], pretty)
    _flush()


def _flush() -> None:
    import sys

    sys.stdout.flush()  # a reader of a pipe waits for this very line


@verb("alerts", PANEL)
def alerts(
    door: Door,
    action: Annotated[str, typer.Argument(help="list, ack or resolve.")] = "list",
    alert_id: Annotated[str | None, typer.Argument(metavar="ID")] = None,
    state: Annotated[
        str | None,
        typer.Option(
            metavar="STATE", help="open, acknowledged or resolved; else what is not over."
        ),
    ] = None,
) -> None:
    """List what is wrong, say that it was seen, or that it is over.

    What is acknowledged stays until it is over. If the rule of what is resolved still holds, the
    next sample raises it anew.

    Example: swarm-memory alerts
    """
    if action not in ACTIONS:
        raise InvalidArgumentError(f"action {action!r}", hint=f"give one of {', '.join(ACTIONS)}")
    if (alert_id is None) != (action == "list"):
        hint = "swarm-memory alerts ack ID; swarm-memory alerts lists them"
        raise InvalidArgumentError(f"{action} {alert_id or 'without an ID'}", hint=hint)
    with door.open(create=False) as swarm:
        if alert_id is None:
            found = swarm.alerts.list(state)
        elif action == "ack":
            found = [swarm.alerts.acknowledge(alert_id)]
        else:
            found = [swarm.alerts.resolve(alert_id)]
    door.show.result(
        [alert.to_dict() for alert in found],
        (
            [a.alert_id, a.state, a.severity, a.rule, a.subject, time_of(a.raised_ms), a.text]
            for a in found
        ),
        lambda console: _print_alerts(door, found, console),
    )


def _print_alerts(door: Door, found: list[Alert], console: Console) -> None:
    if not found:
        console.print(cell("nothing is wrong", "green"))
    for alert in worst_first(found):
        style = "dim" if alert.resolved_ms else _SEVERITIES.get(alert.severity, "")
        by = f" by {alert.acknowledged_by}" if alert.state == "acknowledged" else ""
        console.print(cell(f"! {alert.text}", style), soft_wrap=True)
        since = door.show.age(alert.raised_ms)
        console.print(cell(f"  {alert.state}{by}, raised {since} ago  {alert.alert_id}", "dim"))
        if alert.resolved_ms is None:
            console.print(cell(f"  {alert.advice}"), soft_wrap=True)
