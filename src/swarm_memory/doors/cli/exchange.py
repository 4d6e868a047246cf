"""The verbs that bring memory in and out: import export."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarm_memory.doors.cli.frame import EXIT_INTERRUPTED, Door, verb
from swarm_memory.doors.cli.show import cell, count, human_bytes, table
from swarm_memory.errors import EXIT_STATUS
from swarm_memory.exchange import export_store, import_stores

if TYPE_CHECKING:
    from rich.console import Console

    from swarm_memory.exchange import FileReport, ImportReport

PANEL = "Exchange"
STDOUT = "-"
REASON_LENGTH_MAX = 100


@verb("import", PANEL)
def import_(
    door: Door,
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="Files, or directories to search.")
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read everything, say what would come, write nothing.")
    ] = False,
    source: Annotated[
        str | None, typer.Option(metavar="LABEL", help="Names the source in the keys.")
    ] = None,
) -> int | None:
    """Import stores of claude-flow, ruflo and the original Python version, and our own exports.

    What a file is comes from its content. Nothing is written beside it. A second run imports 0.
    Rows about what was done (hooks, metrics) come in as telemetry: ls shows them on --telemetry.
    Exit status 0 if at least one source could be read.

    In a pipe each line is path, table, rows read, imported, unchanged, changed, kept, skipped and
    unreadable.

    Example: swarm-memory import ~/project --dry-run
    """
    with (
        door.open(create=not dry_run) as swarm,
        door.show.progress("looking for stores") as bar,
    ):
        report = import_stores(
            swarm,
            paths,
            source=source,
            dry_run=dry_run,
            progress=lambda at: bar(
                at.file, at.files, f"{count(at.rows, 'row')}, {os.path.basename(at.path)}"
            ),
        )
    door.show.result(
        report.to_dict(), _lines(report), lambda console: _print_files(report, console)
    )
    if not door.as_json:
        _tell(door, report)
    return _status(report)


def _status(report: ImportReport) -> int | None:
    if report.stopped is not None:
        code = str(report.stopped["error"])
        return EXIT_STATUS.get(code, EXIT_INTERRUPTED)
    return None if any(file.readable for file in report.files) else 1


def _lines(report: ImportReport) -> list[list[Any]]:
    return [[file.path, *_numbers(row)] for file in report.files for row in file.tables]


def _print_files(report: ImportReport, console: Console) -> None:
    right = ("read", "new", "unchanged", "changed", "kept", "skipped", "unreadable")
    names = [str(row["table"]) for file in report.files for row in file.tables]
    width = max(map(len, names), default=0) + 2
    for file in report.files:
        console.print(cell(file.path, "bold"), cell(f"  {file.format or ''}", "dim"), sep="")
        full = [numbers for numbers in map(_numbers, file.tables) if any(numbers[1:])]
        if full:
            shown = table("  table", *right, right=right)
            shown.expand = False
            shown.columns[0].min_width = width
            for name, *numbers in full:
                shown.add_row(cell(f"  {name}"), *(f"{n:,}" if n else "" for n in numbers))
            console.print(shown)
        elif file.readable:
            console.print(cell("  no rows", "dim"))


def _numbers(row: dict[str, Any]) -> list[Any]:
    """Return a table's name, the rows read, where they went, and those that did not come in."""
    fates = [row[fate] for fate in ("imported", "unchanged", "changed", "kept")]
    lost = [sum(row["skipped"].values()), sum(row["unreadable"].values())]
    return [row["table"], row["read"], *fates, *lost]


def _tell(door: Door, report: ImportReport) -> None:
    """Say on stderr what could not come in and why, and the sum of it all."""
    for file in report.files:
        for text in _notes(file):
            door.show.note(f"{file.path}: {text}")
    if not report.files:
        door.show.note("no stores were found")
    rest = ("unchanged", "changed", "kept", "skipped", "unreadable")
    said = ", ".join(f"{getattr(report, name)} {name}" for name in rest if getattr(report, name))
    done = f"imported {report.imported}"
    if report.dry_run:
        done = f"would import {report.imported} (dry run, nothing is written)"
    read = f"{report.memories} memories, {report.telemetry} telemetry"
    door.show.note(f"{read}: {done}{'; ' + said if said else ''}")
    if report.stopped is not None:
        door.show.note(
            f"stopped: {report.stopped['message']}; {report.stopped['hint']}. "
            "What came in stays, and a repeat goes on from there"
        )


def _notes(file: FileReport) -> list[str]:
    notes = [*file.notes]
    if file.error is not None:
        notes.append(file.error.removeprefix(f"{file.path} "))
    for table_ in file.tables:
        for what in ("skipped", "unreadable"):
            for reason, rows in table_[what].items():
                if rows:
                    shown = reason[:REASON_LENGTH_MAX]
                    notes.append(f"{count(rows, 'row')} of {table_['table']} {what}: {shown}")
    return notes


@verb("export", PANEL)
def export(
    door: Door,
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="FILE", help="A file, or - for standard output.")
    ] = STDOUT,
    all_swarms: Annotated[
        bool, typer.Option("--all-swarms", help="Every swarm of the store.")
    ] = False,
) -> int | None:
    """Write everything the swarm holds as JSONL, telemetry and history included.

    All of it is of one moment. A file appears only when it is complete, for its owner's eyes.
    Values that are damaged in the store are left out and named, and the exit status is 6. Leases,
    messages under way and the change log belong to this store and are not in it.

    Example: swarm-memory export -o memory.jsonl
    """
    target: Any = sys.stdout.buffer if out == STDOUT else out
    with door.open(create=False) as swarm, door.show.progress("exporting") as bar:
        written = export_store(
            swarm,
            target,
            all_swarms=all_swarms,
            progress=lambda rows: bar(None, None, f"exporting, {count(rows, 'row')}"),
        )
    rows, size = sum(written["rows"].values()), human_bytes(written["bytes"])
    if out == STDOUT:
        sys.stdout.buffer.flush()
        door.show.note(f"exported {count(rows, 'row')}, {size}")
    else:
        door.show.result(
            written,
            written["rows"].items(),
            lambda console: console.print(
                cell(f"exported {count(rows, 'row')}, {size} to {written['path']}")
            ),
        )
    for key in written["damaged"]:
        door.show.note(f"damaged and left out: {key}")
    return EXIT_STATUS["corrupt_value"] if written["damaged"] else None
