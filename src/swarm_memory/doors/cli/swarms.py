"""The verb of swarms: swarm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from swarm_memory.doors.cli.frame import Door, verb
from swarm_memory.doors.cli.show import cell, count, table
from swarm_memory.doors.cli.store import PANEL
from swarm_memory.locate import followed, own_store
from swarm_memory.moving import (
    drop_copy,
    move_all,
    move_swarm,
    places_of,
    set_route,
)

if TYPE_CHECKING:
    from rich.console import Console

    from swarm_memory.moving import Moved, Place

SHOWN = {"gone": "moved away", "arriving": "is being moved"}
ACTIONS = {"list", "move", "route", "drop"}


@verb("swarm", PANEL)
def swarm(
    door: Door,
    action: Annotated[
        str, typer.Argument(metavar="[list|move|route|drop]", help="What to do.")
    ] = "list",
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="Which swarm; for move and route else all."),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="URL", help="The store to move to, or to route to."),
    ] = None,
    routes: Annotated[
        str | None,
        typer.Option(
            "--routes", metavar="FILE", help="The routes to change; else those of the project."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be moved; write nothing.")
    ] = False,
) -> None:
    """Say where swarms live, or move them to another store while agents go on working.

    move copies a swarm, catches up, and switches in a moment; a move that was killed is taken up by
    the same command. Agents of the project follow by themselves, and so does who opens
    routes:FILE. The old store keeps its copy and takes no writes of it: drop removes that copy.
    route says where a swarm lives that was brought there by other means.

    In a pipe each line of list is swarm, URL and state, of move swarm, from, to, records, how long
    writers were held up in ms, and whether a move was taken up.

    Example: swarm-memory swarm move --to postgresql://db.example.org/agents
    """
    if action not in ACTIONS or (action in {"move", "route"} and to is None):
        ways = "list, move [NAME] --to URL, route [NAME] --to URL, or drop NAME"
        raise typer.BadParameter(f"say {ways}")
    located = door.located().url
    url = f"routes:{routes}" if routes is not None else followed(located)
    if action == "list":
        _list(door, places_of(url))
    elif action == "drop":
        if name is None:
            raise typer.BadParameter("say which swarm's copy to drop")
        lives = drop_copy(door.url or own_store(located), name)
        door.show.result(
            {"swarm": name, "lives": lives},
            [[name, lives]],
            lambda console: console.print(
                cell(f"dropped the copy of {name}, which lives in {lives}"), soft_wrap=True
            ),
        )
    elif action == "route":
        set_route(url, name or "", to or "")
        _list(door, places_of(url))
    else:
        _move(door, url, name, to or "", dry_run)


def _list(door: Door, places: list[Place]) -> None:
    def pretty(console: Console) -> None:
        shown = table("swarm", "lives in", "")
        for place in places:
            shown.add_row(cell(place.swarm), cell(place.url), cell(SHOWN.get(place.state, "")))
        console.print(shown)

    told = [place.to_dict() for place in places]
    door.show.result(told, [[place.swarm, place.url, place.state] for place in places], pretty)


def _move(door: Door, url: str, name: str | None, to: str, dry_run: bool) -> None:
    with door.show.progress("copying") as bar:

        def show(done: int, total: int) -> object:
            return bar(done, total or None, f"copying, {count(done, 'row')}")

        if name is None:
            moves = move_all(url, to, dry_run=dry_run, progress=show)
        else:
            moves = [move_swarm(url, name, to, dry_run=dry_run, progress=show)]
    door.show.result(
        [move.to_dict() for move in moves],
        [
            [m.swarm, m.source, m.target, m.rows.get("records", 0), m.held_ms, m.resumed]
            for m in moves
        ],
        lambda console: console.print(
            cell("\n".join(_told(move) for move in moves)), soft_wrap=True
        ),
    )
    if not door.as_json and not dry_run:
        door.show.note(
            "the old store takes no writes of it; swarm-memory swarm drop NAME removes its copy"
        )
        if not url.startswith("routes:"):
            door.show.note(
                f"agents follow when they are told so: SWARM_MEMORY_URL={moves[0].target}"
            )


def _told(move: Moved) -> str:
    way = f"{move.swarm}: {move.source} → {move.target}"
    if move.resumed:
        return f"{way}: the move that was begun is done"
    if move.dry_run:
        rows = ", ".join(f"{n:,} {name}" for name, n in move.rows.items() if n)
        return f"would move {way}: {rows}"
    records = count(move.rows.get("records", 0), "record")
    return f"moved {way}: {records}, writers were held up for {move.held_ms} ms"
