"""The verb tuning: which parameters the store has adjusted by itself, why, and taking it back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from swarm_memory.doors.cli import store
from swarm_memory.doors.cli.frame import Door, verb
from swarm_memory.doors.cli.show import cell, table, time_of

if TYPE_CHECKING:
    from rich.console import Console

    from swarm_memory.tuning.tuner import Change, Knob

ACTIONS = ("list", "history", "undo", "off", "on")


@verb("tuning", store.PANEL)
def tuning(
    door: Door,
    action: Annotated[
        str, typer.Argument(metavar=f"[{'|'.join(ACTIONS)}]", help="What to do.")
    ] = "list",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="history: how many.")] = 100,
) -> None:
    """Show which parameters the store has adjusted by what was measured, or take that back.

    list shows each parameter with its value, its default, and whether it is the default, tuned,
    or given in the configuration, which nothing changes. history shows what was tried: before,
    after, whether it was kept, and what the calls that it is about cost afterwards in what they
    cost before. undo takes the last change back and leaves that parameter alone for a month. off
    puts every process on its defaults until on; the setting tuning=off does so for good.

    Example: swarm-memory tuning history
    """
    if action not in ACTIONS:
        raise typer.BadParameter(f"say one of {', '.join(ACTIONS)}")
    with door.open() as swarm:
        tuner = swarm.tuner
        if action == "history":
            _show_changes(door, tuner.history(limit=limit))
            return
        if action == "undo":
            _show_changes(door, [tuner.undo()])
            return
        if action in ("on", "off"):
            tuner.turn(action == "on")
        _show_knobs(door, tuner.knobs(), tuner.is_on)


def _show_knobs(door: Door, knobs: list[Knob], is_on: bool) -> None:
    rows: list[list[object]] = [
        [knob.parameter, knob.value, knob.default, knob.source, knob.trying or ""] for knob in knobs
    ]
    names = ["parameter", "value", "default", "source", "trying"]
    document = {"on": is_on, "parameters": [knob.to_dict() for knob in knobs]}
    door.show.result(document, rows, lambda console: _print(console, names, rows))
    if not is_on and not door.as_json:
        door.show.note("tuning is off: every process uses its defaults")


def _print(console: Console, names: list[str], rows: list[list[object]]) -> None:
    shown = table(*names)
    for row in rows:
        shown.add_row(*(cell(str(part)) for part in row))
    console.print(shown)


def _show_changes(door: Door, changes: list[Change]) -> None:
    rows: list[list[object]] = [
        [
            time_of(change.at_ms), change.parameter, change.before, change.after,
            "kept" if change.kept else "not kept", change.why,
            "" if change.ratio is None else f"{change.ratio:.2f} x",
        ]
        for change in changes
    ]  # fmt: skip
    names = ["when", "parameter", "before", "after", "", "why", "cost"]
    document = [change.to_dict() for change in changes]
    door.show.result(document, rows, lambda console: _print(console, names, rows))
    if not changes and not door.as_json:
        door.show.note("nothing was tried yet")
