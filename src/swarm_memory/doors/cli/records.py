"""The verbs of single records: put get ls rm history rollback."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from swarm_memory.doors.cli.frame import Door, verb
from swarm_memory.doors.cli.listing import print_listing
from swarm_memory.doors.cli.show import (
    TERMINAL_ROWS,
    cell,
    one_line,
    preview,
    safe,
    table,
    time_of,
)
from swarm_memory.doors.cli.values import StrictFlag, TextFlag, Value, value_of
from swarm_memory.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rich.console import Console

    from swarm_memory.model import Record
    from swarm_memory.swarm import Swarm

PANEL = "Records"
PAGE_ROWS = 1000
Key = Annotated[str, typer.Argument(metavar="KEY", help="Such as notes/1; see docs/reference.md.")]
Expect = Annotated[
    int | None,
    typer.Option(
        metavar="N", min=0, help="Only if it is at version N; 0: only if it does not exist."
    ),
]


@verb("put", PANEL)
def put(
    door: Door,
    key: Key,
    value: Value = None,
    text: TextFlag = False,
    strict_json: StrictFlag = False,
    expect: Expect = None,
    ttl_s: Annotated[
        float | None, typer.Option("--ttl-s", metavar="S", help="Seconds until it expires.")
    ] = None,
    on_conflict: Annotated[
        str | None,
        typer.Option(
            metavar="HOW",
            help="If --expect does not hold: reject, first_write, last_write, merge, keep_both.",
        ),
    ] = None,
    op_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Makes a retry of this call apply once.")
    ] = None,
) -> None:
    """Write the next version of KEY.

    VALUE is taken as JSON if it is JSON, else as a string.

    Example: swarm-memory put notes/1 '{"todo": "measure"}' --expect 0
    """
    given = value_of(value, text=text, strict=strict_json)
    with door.open() as swarm:
        record = swarm.records.put(
            key, given, expect=expect, ttl_s=ttl_s, on_conflict=on_conflict, op_id=op_id
        )
    door.show.result(
        record.to_dict(),
        [[record.key, record.version]],
        lambda console: console.print(cell(f"{record.key} is at version {record.version}")),
    )


@verb("get", PANEL)
def get(
    door: Door,
    key: Key,
    version: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="An older version, from the history.")
    ] = None,
) -> None:
    """Print the value of KEY: a string as it is, anything else as JSON.

    With --json it is the whole record. A key that is not there exits 1. Instead of a key, the
    number will do by which an agent was shown something, such as %12.

    Example: swarm-memory get notes/1
    """
    with door.open(create=False) as swarm:
        meant = swarm.briefing.key_of(key)
        if meant is None:
            door.show.json(swarm.briefing.named(key))
            return
        record = swarm.records.get(meant) if version is None else _older(swarm, meant, version)
    if record is None:
        raise NotFoundError(f"{meant} is not in the swarm '{door.swarm}'", hint="")
    if door.as_json:
        door.show.json(record.to_dict())
    elif isinstance(record.value, str):
        print(safe(record.value) if door.show.terminal else record.value)
    elif door.show.terminal:
        door.show.console.print_json(data=record.value, ensure_ascii=False)
    else:
        print(one_line(record.value))


def _older(swarm: Swarm, key: str, version: int) -> Record | None:
    records = swarm.records.history(key)
    found = next((r for r in records if r.version == version and not r.deleted), None)
    if found is None and records:
        kept = ", ".join(str(record.version) for record in records if not record.deleted)
        raise NotFoundError(f"{key} has no version {version}", hint=f"kept: {kept or 'none'}")
    return found


@verb("ls", PANEL)
def ls(
    door: Door,
    prefix: Annotated[
        str,
        typer.Argument(
            metavar="PREFIX", help="Whole segments; a trailing * matches within a segment."
        ),
    ] = "",
    limit: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help=f"Rows at most. On a terminal {TERMINAL_ROWS}."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All rows on a terminal too.")] = False,
    after: Annotated[str | None, typer.Option(metavar="KEY", help="Go on behind this key.")] = None,
    telemetry: Annotated[
        bool, typer.Option("--telemetry", help="Telemetry too: what happened, not what is known.")
    ] = False,
    tree: Annotated[
        bool, typer.Option("--tree", help="Only how many records lie below each segment.")
    ] = False,
) -> None:
    """List records in key order.

    In a pipe each line is key, version, updated, author, bytes and the value as JSON, separated
    by tabs, and nothing is left out.

    Example: swarm-memory ls memory/imported --limit 20
    """
    if limit is None and door.show.terminal and not (everything or door.as_json or tree):
        limit = TERMINAL_ROWS
    with door.open(create=False) as swarm:
        records = _scan(swarm, prefix, after, telemetry)
        print_listing(
            door,
            records if limit is None else islice(records, limit),
            tree=tree,
            prefix=prefix,
            more=lambda: next(records, None) is not None,
            totals=lambda: swarm.records.count(prefix, telemetry=telemetry),
            hidden=lambda: swarm.records.count(prefix, telemetry=True)[0],
        )


def _scan(swarm: Swarm, prefix: str, after: str | None, telemetry: bool) -> Iterator[Record]:
    while True:
        page = swarm.records.scan(prefix, after=after, telemetry=telemetry, limit=PAGE_ROWS)
        yield from page
        after = page.next_after
        if after is None:
            return


@verb("rm", PANEL)
def rm(door: Door, key: Key, expect: Expect = None) -> None:
    """Delete KEY. Its history stays, and rollback brings it back.

    Example: swarm-memory rm notes/1
    """
    with door.open() as swarm:
        if not swarm.records.delete(key, expect=expect):
            raise NotFoundError(f"{key} is not in the swarm '{door.swarm}'", hint="")
    door.show.result(
        {"key": key, "deleted": True},
        [[key]],
        lambda console: console.print(cell(f"{key} is deleted")),
    )


@verb("history", PANEL)
def history(
    door: Door,
    key: Key,
    limit: Annotated[int, typer.Option(metavar="N", min=1, help="Versions at most.")] = 1000,
) -> None:
    """List the kept versions of KEY, newest first, deletions too.

    In a pipe each line is version, updated, author, deleted and the value as JSON.

    Example: swarm-memory history notes/1
    """
    with door.open(create=False) as swarm:
        records = swarm.records.history(key, limit=limit)
    if not records:
        raise NotFoundError(f"{key} has no history in the swarm '{door.swarm}'", hint="")

    def pretty(console: Console) -> None:
        shown = table("version", "when", "author", "value", right=["version", "when"])
        for record in records:
            value = cell("deleted", "red") if record.deleted else cell(preview(record.value))
            when = cell(door.show.age(record.updated_ms), "dim")
            shown.add_row(str(record.version), when, cell(record.author, "green"), value)
        console.print(shown)

    door.show.result(
        [record.to_dict() for record in records],
        (
            [r.version, time_of(r.updated_ms), r.author, r.deleted, one_line(r.value)]
            for r in records
        ),
        pretty,
    )


@verb("rollback", PANEL)
def rollback(
    door: Door,
    key: Key,
    version: Annotated[
        int | None,
        typer.Argument(metavar="VERSION", min=1, help="By default the one before the current."),
    ] = None,
    expect: Expect = None,
) -> None:
    """Write an older version of KEY as the next one; a deleted key comes back.

    Example: swarm-memory rollback notes/1 3
    """
    with door.open() as swarm:
        record = swarm.records.rollback(key, version, expect=expect)
    older = (record.provenance or {}).get("rollback_to")
    door.show.result(
        record.to_dict(),
        [[record.key, record.version, older]],
        lambda console: console.print(
            cell(f"{key} is at version {record.version}, with the value of version {older}")
        ),
    )
