"""The verb optimize: what would make the store smaller or faster, and doing it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarm_memory.doors.cli import store
from swarm_memory.doors.cli.frame import Door, verb
from swarm_memory.doors.cli.show import cell, human_bytes
from swarm_memory.errors import InvalidArgumentError
from swarm_memory.optimizing import STEPS
from swarm_memory.reports import optimization_of

if TYPE_CHECKING:
    from rich.console import Console

    from swarm_memory.manager import SwarmMemoryManager
    from swarm_memory.reports import Advice, Gain, Optimization

ARCHIVE = "archive"


@verb("optimize", store.PANEL)
def optimize(
    door: Door,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; else only say what.")] = False,
    only: Annotated[
        list[str] | None,
        typer.Option(
            "--only",
            metavar="NAME",
            help=f"Only this step, more than once for several: {' '.join(STEPS)}.",
        ),
    ] = None,
    budget_s: Annotated[
        float,
        typer.Option(
            "--budget-s", metavar="N", help="Begin nothing more after so many seconds.", min=0.001
        ),
    ] = 60.0,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="DIR", help="Where archive writes its file."),
    ] = None,
) -> None:
    """Say what would make the store smaller or faster, how much it gives, and how; or do it.

    Removed are records that have expired and older versions that no category keeps. Values are
    packed, indexes and statistics brought up to date, free space given back. Nothing that is live
    is removed, read or not. Others go on writing, and Ctrl-C leaves everything whole: what was done
    is shown, and a repeat goes on. Archive moves what ended sessions left into a file that import
    brings back; it is only done by its name.

    Example: swarm-memory optimize --apply --budget-s 30
    """
    if to is not None and not (apply and only and ARCHIVE in only):
        raise InvalidArgumentError("--to without --apply --only archive", hint="see --help")
    gains: list[Gain] = []
    with door.manager(create=apply) as manager:
        optimizer = manager.swarm.optimizer
        if not apply:
            found = optimization_of(optimizer.plan(only), None, _recommendations(manager))
        else:
            try:
                gains = _apply(door, optimizer, only, budget_s, to, gains)
            except KeyboardInterrupt:
                _show(door, optimization_of([], gains, []))
                raise
            found = optimization_of([], gains, _recommendations(manager))
    _show(door, found)


def _recommendations(manager: SwarmMemoryManager) -> list[str]:
    return manager.get_memory_health_report().recommendations


def _apply(
    door: Door,
    optimizer: Any,
    only: list[str] | None,
    budget_s: float,
    to: str | None,
    gains: list[Gain],
) -> list[Gain]:
    """Do the steps with a bar; `gains` gets each as it is done, for whom it is interrupted."""
    with door.show.progress("looking at the store") as bar:

        def tell(name: str, rows: int, gain: Gain | None) -> None:
            if gain is not None:
                gains.append(gain)
            bar(None, None, f"{name}: {rows:,} rows" if rows else name)

        done: list[Gain] = optimizer.apply(
            only, budget_s=budget_s, to=None if to is None else os.path.abspath(to), progress=tell
        )
    return done


def _show(door: Door, found: Optimization) -> None:
    door.show.result(found.to_dict(), _lines(found), lambda console: _print(found, console))


def _lines(found: Optimization) -> list[list[Any]]:
    lines: list[list[Any]] = [
        ["applied", found.applied],
        ["space_saved_bytes", found.space_saved_bytes],
        ["entries_cleaned", found.entries_cleaned],
    ]
    lines += [["advice", a.name, a.expected_bytes, a.what, a.command] for a in found.advice]
    lines += [
        ["gain", g.name, g.expected_bytes, g.measured_bytes, g.seconds, g.finished, g.what]
        for g in found.gains
    ]
    return lines + [["recommendation", text] for text in found.recommendations]


def _print(found: Optimization, console: Console) -> None:
    for advice in found.advice:
        _print_advice(advice, console)
    for gain in found.gains:
        size = f"{human_bytes(gain.measured_bytes)} of {human_bytes(gain.expected_bytes)} expected"
        console.print(cell(f"{gain.name:<10} ", "bold"), cell(gain.what), sep="", soft_wrap=True)
        later = "" if gain.finished else "; time was over, a repeat goes on"
        console.print(cell(f"{'':<10} {size}, {gain.seconds:.1f} s{later}", "dim"))
    if not found.optimizations:
        console.print(cell("there is nothing to do"))
    elif not found.applied:
        console.print(cell("nothing was done yet: --apply does it, all but archive", "dim"))
    for text in found.recommendations:
        console.print(cell(text))


def _print_advice(advice: Advice, console: Console) -> None:
    gives = f"gives {human_bytes(advice.expected_bytes)}; " if advice.expected_bytes > 0 else ""
    console.print(cell(f"{advice.name:<10} ", "bold"), cell(advice.what), sep="", soft_wrap=True)
    console.print(cell(f"{'':<10} {gives}{advice.benefit}", "dim"), soft_wrap=True)
    console.print(cell(f"{'':<10} {advice.command}", "cyan"), soft_wrap=True)
