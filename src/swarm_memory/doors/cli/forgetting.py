"""The verb that removes for good: forget."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from swarm_memory.doors.cli.frame import Door, verb
from swarm_memory.doors.cli.show import cell, count
from swarm_memory.doors.cli.upkeep import PANEL
from swarm_memory.forgetting import AGENT, SESSION, TEXT, forget

if TYPE_CHECKING:
    from rich.console import Console

    from swarm_memory.forgetting import Forgotten

EXIT_LEFT = 1


@verb("forget", PANEL)
def forget_(
    door: Door,
    text: Annotated[
        str | None, typer.Option("--text", metavar="TEXT", help="As it was written; - reads it.")
    ] = None,
    session: Annotated[
        str | None, typer.Option("--session", metavar="ID", help="Its id or its short name.")
    ] = None,
    backups: Annotated[
        list[str] | None,
        typer.Option("--backups", metavar="DIR", help="More directories with backups."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be removed.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> int | None:
    """Remove a text, a session or an agent from the store, its history and its backups, for good.

    Give one of --text (looked for in all swarms; '-' reads it from standard input, which keeps it
    out of the shell's history), --session and --agent, here the one whose words are to go.
    Records, older versions, telemetry, messages, outcomes, conflicts, the search index and the
    change log are rid of it, backups beside the store are written anew without it, and what is
    free in the file is overwritten. A key keeps the versions of others.

    Without --yes it shows what would go and asks; not at a terminal it only shows. Running it
    again is harmless and finishes what was interrupted. Exit status 1 if something is left, which
    is named.

    In a pipe each line is removed, a kind and a count; backup and a path; or left and a sentence.

    Example: swarm-memory forget --text - --dry-run
    """
    given = {TEXT: text, SESSION: session, AGENT: door.named_agent}
    named = [(kind, name) for kind, name in given.items() if name is not None]
    if len(named) != 1:
        raise typer.BadParameter("give one of --text, --session and --agent")
    kind, name = named[0]
    if kind == TEXT and name == "-":
        name = sys.stdin.buffer.read().decode().removesuffix("\n")
    with door.open(create=False) as swarm, door.show.progress("forgetting"):
        sure = yes or dry_run
        folders = backups or []
        done = forget(swarm, kind, name, folders=folders, dry_run=dry_run or not yes)
        if not sure and sys.stdin.isatty() and door.show.terminal:
            _print(done, door.show.console)
            typer.confirm("remove this for good?", abort=True)
            done = forget(swarm, kind, name, folders=folders)
    door.show.result(done.to_dict(), _lines(done), lambda console: _print(done, console))
    if not door.as_json:
        door.show.note(f"never reached: {'; '.join(done.beyond)}")
        if done.dry_run and not dry_run:
            door.show.note("nothing was removed yet: --yes does it")
    return EXIT_LEFT if done.left else None


def _lines(done: Forgotten) -> list[list[object]]:
    lines: list[list[object]] = [["removed", kind, n] for kind, n in done.removed.items()]
    return lines + [["backup", p] for p in done.backups] + [["left", text] for text in done.left]


def _print(done: Forgotten, console: Console) -> None:
    would = "would be " if done.dry_run else ""
    said = ", ".join(f"{number:,} {kind}" for kind, number in done.removed.items())
    console.print(cell(f"{would}removed from the store: {said or 'nothing'}"))
    if done.backups:
        console.print(cell(f"{would}written anew: {count(len(done.backups), 'backup')}"))
        for path in done.backups:
            console.print(cell(f"  {path}", "dim"))
    for text in done.left:
        console.print(cell(f"left: {text}", "bold yellow"))
