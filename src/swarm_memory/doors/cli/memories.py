"""The verbs of memories: store supersede. What an agent without MCP uses instead of its tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from swarm_memory.doors.cli.frame import Door, verb
from swarm_memory.doors.cli.records import PANEL, Expect, Key
from swarm_memory.doors.cli.show import cell
from swarm_memory.doors.cli.values import StrictFlag, TextFlag, Value, value_of
from swarm_memory.memories import KINDS

if TYPE_CHECKING:
    from rich.console import Console

Kind = Annotated[
    str | None, typer.Option(metavar="KIND", help=f"{', '.join(KINDS[:-1])} or {KINDS[-1]}.")
]
Files = Annotated[
    list[str] | None,
    typer.Option("--file", metavar="PATH", help="A file that it is about; may be repeated."),
]


@verb("store", PANEL)
def store(
    door: Door,
    value: Value = None,
    key: Annotated[
        str | None, typer.Option(metavar="KEY", help="By default one of its own, under its kind.")
    ] = None,
    kind: Kind = None,
    file: Files = None,
    expect: Expect = None,
    ttl_s: Annotated[
        float | None, typer.Option("--ttl-s", metavar="S", help="Seconds until it expires.")
    ] = None,
    text: TextFlag = False,
    strict_json: StrictFlag = False,
) -> None:
    """Store a memory for all agents, and name those that say nearly the same.

    In a pipe the first line is key and version; each line after it is the key, the version and
    the resemblance of a similar one.

    Example: swarm-memory store 'sessions are cached for 30 minutes' --kind decision --file web.py
    """
    given = value_of(value, text=text, strict=strict_json)
    with door.open() as swarm:
        stored = swarm.memories.store(
            given, key=key, kind=kind, files=file or (), expect=expect, ttl_s=ttl_s
        )
    record = stored.record

    def pretty(console: Console) -> None:
        console.print(cell(f"{record.key} is at version {record.version}"))
        for one in stored.similar:
            console.print(cell(f"similar: {one.key}: {one.text}", "dim"))

    rows: list[list[object]] = [[record.key, record.version]]
    rows += [[one.key, one.version, one.resemblance] for one in stored.similar]
    door.show.result(stored.to_dict(), rows, pretty)


@verb("supersede", PANEL)
def supersede(
    door: Door,
    key: Key,
    value: Value = None,
    also: Annotated[
        list[str] | None,
        typer.Option(metavar="KEY", help="A further key that it replaces; may be repeated."),
    ] = None,
    expect: Expect = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Why; kept with it.")] = None,
    kind: Kind = None,
    file: Files = None,
    text: TextFlag = False,
    strict_json: StrictFlag = False,
) -> None:
    """Replace the memory at KEY, and others, by a new one at KEY. History keeps the old ones.

    Example: swarm-memory supersede notes/cache 'sessions are cached for 5 minutes' --also notes/2
    """
    given = value_of(value, text=text, strict=strict_json)
    with door.open() as swarm:
        record = swarm.memories.supersede(
            key,
            given,
            also=also or (),
            expect=expect,
            reason=reason,
            kind=kind,
            files=file or (),
        )
    door.show.result(
        record.to_dict(),
        [[record.key, record.version]],
        lambda console: console.print(cell(f"{record.key} is at version {record.version}")),
    )
