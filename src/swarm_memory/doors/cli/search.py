"""The verb `search`: the records that answer a question."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from swarm_memory.doors.cli.frame import Door, verb
from swarm_memory.doors.cli.listing import readable
from swarm_memory.doors.cli.records import PANEL
from swarm_memory.doors.cli.show import cell, count, safe, time_of

if TYPE_CHECKING:
    from rich.console import Console

    from swarm_memory.search import Hits

CATCH_UP_ROWS, CATCH_UP_S = 50_000, 20.0  # a person waits once for an index that is far behind


@verb("search", PANEL)
def search(
    door: Door,
    query: Annotated[
        list[str], typer.Argument(metavar="QUERY...", help="Words or a question, in any form.")
    ],
    prefix: Annotated[str, typer.Option(metavar="PREFIX", help="Only keys under it.")] = "",
    limit: Annotated[int, typer.Option(metavar="N", min=1, max=1000, help="Hits at most.")] = 10,
    author: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only what this agent wrote last.")
    ] = None,
    since: Annotated[
        int | None,
        typer.Option(metavar="MS", min=0, help="Only what was written since, in ms since 1970."),
    ] = None,
    min_score: Annotated[
        float,
        typer.Option(metavar="SCORE", min=0, max=1, help="0.35 keeps out what matches by chance."),
    ] = 0.0,
    rebuild: Annotated[
        bool, typer.Option("--rebuild", help="Make the index anew first, if it is damaged.")
    ] = False,
) -> None:
    """Find the records that answer QUERY, best first. Any text is a question.

    Every word helps and none is needed. In a pipe each line is score, key, version, updated,
    author and the place that matched, separated by tabs.

    Example: swarm-memory search why do we cache sessions
    """
    with door.open(create=False) as swarm:
        if rebuild:
            swarm.finder.rebuild()
        hits = swarm.finder.search(
            " ".join(query),
            prefix=prefix,
            limit=limit,
            author=author,
            since=since,
            min_score=min_score,
            rows_max=CATCH_UP_ROWS,
            within_s=CATCH_UP_S,
        )
    door.show.result(
        hits.to_dict(),
        (
            [
                f"{hit.score:.2f}",
                hit.record.key,
                hit.record.version,
                time_of(hit.record.updated_ms),
                hit.record.author,
                hit.snippet,
            ]
            for hit in hits
        ),
        lambda console: _print_hits(door, hits, console),
    )
    if not hits.complete:
        door.show.note("the newest changes are not indexed yet: search again")
    for key in hits.damaged:
        door.show.note(f"{key} is damaged: swarm-memory verify")


def _print_hits(door: Door, hits: Hits, console: Console) -> None:
    for hit in hits:
        line = Text(f"{hit.score:.2f}  ", style="bold")
        line.append(readable(hit.record.key), style="bold cyan")
        line.append(f"  {hit.record.author}", style="green")
        line.append(f"  {door.show.age(hit.record.updated_ms)}", style="dim")
        console.print(line, no_wrap=True, overflow="ellipsis", crop=True)
        console.print(cell(f"      {safe(hit.snippet)}"), overflow="fold")
    console.print(cell(count(len(hits), "hit") if hits else "nothing answers that", "dim"))
