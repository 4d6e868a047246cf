"""The verbs that keep a store safe: verify repair backup restore."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from swarm_memory.backup import (
    backup_folder,
    prune_backups,
    restore_backup,
    restore_new,
    run_due,
    verify_backup,
    write_backup,
)
from swarm_memory.doors.cli.frame import Door, verb
from swarm_memory.doors.cli.show import cell, count, human_bytes, time_of
from swarm_memory.errors import InvalidArgumentError
from swarm_memory.exchange.lines import make_folder
from swarm_memory.integrity import verify_store
from swarm_memory.locate import file_of
from swarm_memory.repair import repair_store

if TYPE_CHECKING:
    from rich.console import Console

    from swarm_memory.integrity import Finding, VerifyReport
    from swarm_memory.repair import Repaired

PANEL = "Upkeep"
EXIT_DAMAGED = 6


@verb("verify", PANEL)
def verify(
    door: Door,
    backup: Annotated[
        str | None, typer.Argument(metavar="BACKUP", help="A backup to check instead.")
    ] = None,
) -> int | None:
    """Check the whole store for damage: every value, version, event and counter of every swarm.

    It reads everything once, of one moment, while others go on writing, and changes nothing. Exit
    status 6 if something is damaged; what is wrong is named by key, with what to do about it.

    A BACKUP is restored into a store that is thrown away, and what comes out is compared with it.

    In a pipe each line is check, damage or waste, swarm, key, problem and remedy.

    Example: swarm-memory verify
    """
    if backup is not None:
        return _verify_backup(door, backup)
    with door.open(create=False) as swarm, door.show.progress("verifying") as bar:
        report = verify_store(
            swarm, progress=lambda done, total, check: bar(done, total or None, f"{check}")
        )
    door.show.result(
        report.to_dict(), report.findings, lambda console: _print_findings(report, console)
    )
    if not door.as_json:
        door.show.note(_summary(report))
    return None if report.ok else EXIT_DAMAGED


def _verify_backup(door: Door, path: str) -> int:
    with door.show.progress("restoring") as bar:
        restored = verify_backup(
            path, progress=lambda done, total: bar(done, total, count(done, "row"))
        )
    door.show.result(restored.to_dict(), restored.rows.items(), lambda console: None)
    if not door.as_json:
        rows = count(sum(restored.rows.values()), "row")
        files = count(len(restored.paths), "file")
        door.show.note(f"{files}, {rows}: restored and compared, all of it is as it was")
    return 0


def _print_findings(report: VerifyReport, console: Console) -> None:
    for finding in report.findings:
        style = "bold red" if finding.level == "damage" else "yellow"
        console.print(cell(f"{finding.check}: ", style), cell(_place(finding)), sep="")
        console.print(cell(f"  {finding.remedy}", "dim"))


def _place(finding: Finding) -> str:
    where = " ".join(part for part in (finding.swarm, finding.key) if part)
    return f"{where}: {finding.problem}" if where else finding.problem


def _summary(report: VerifyReport) -> str:
    rows = count(sum(report.rows.values()), "row")
    speed = human_bytes(report.bytes / report.duration_s)
    read = f"read {rows}, {human_bytes(report.bytes)} at {speed}/s"
    found = sum(report.counts.values())
    shown = f", the first {len(report.findings)} are shown" if found > len(report.findings) else ""
    if report.ok:
        return f"{read}: nothing is damaged" + (f" ({count(found, 'finding')})" if found else "")
    return f"{read}: {count(found, 'finding')}{shown}"


@verb("repair", PANEL)
def repair(
    door: Door,
    to: Annotated[str, typer.Option("--to", metavar="NEW", help="The file of the new store.")],
) -> int | None:
    """Write what can be read of a damaged store into a new one; the old is not touched.

    End the processes that write to it first. Every loss is named, by key where it is known, and
    the exit status is 6 if there is any. A key whose value is lost keeps its older versions:
    swarm-memory history KEY, then rollback. Then look at the new store with verify, and put it in
    the place of the old one yourself.

    In a pipe each line is table, swarm, key and problem.

    Example: swarm-memory repair --to repaired.db
    """
    path = file_of(door.located().url)
    if path is None:
        raise InvalidArgumentError("a store in memory", hint="name a file with --url")
    with door.show.progress("saving what can be read"):
        repaired = repair_store(path, to)
    door.show.result(
        repaired.to_dict(),
        repaired.losses,
        lambda console: _print_losses(repaired, console),
    )
    if not door.as_json:
        rows = count(sum(repaired.rows.values()), "row")
        lost = len(repaired.losses)
        door.show.note(f"saved {rows} to {repaired.path}, {lost} lost")
    return EXIT_DAMAGED if repaired.losses else None


def _print_losses(repaired: Repaired, console: Console) -> None:
    for loss in repaired.losses:
        where = " ".join(part for part in (loss.table, loss.swarm, loss.key) if part)
        console.print(cell(f"{where}: ", "bold red"), cell(loss.problem), sep="")


@verb("backup", PANEL)
def backup(
    door: Door,
    to: Annotated[
        str | None,
        typer.Argument(metavar="TO", help="A file or a directory; else backups beside the store."),
    ] = None,
    incremental: Annotated[
        bool,
        typer.Option("--incremental", help="What changed since the newest backup in TO."),
    ] = False,
    due: Annotated[
        bool, typer.Option("--due", help="Only what the schema's backup_frequency says is due.")
    ] = False,
    keep: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Then remove all but the last N full ones."),
    ] = None,
) -> int | None:
    """Back up the whole store, all swarms of it, while everybody goes on writing.

    The file holds one moment, is compressed JSON lines (zstd -dc shows it), for its owner's eyes,
    and appears when all of it is on disk. Values that are damaged in the store are left out and
    named, and the exit status is 6.

    Example: swarm-memory backup ~/backups --incremental --keep 4
    """
    with door.open(create=False) as swarm, door.show.progress("backing up") as bar:
        place = to or backup_folder(swarm)
        if to is None or due:
            make_folder(place)
        if due:
            made = run_due(swarm, place)
        else:
            made = write_backup(
                swarm,
                place,
                incremental=incremental,
                progress=lambda done, total: bar(done, total or None, count(done, "row")),
            )
        if made is not None and keep is not None:
            prune_backups(os.path.dirname(made.path), made, keep=keep, age_s=None)
    if made is None:
        door.show.result(None, [], lambda console: console.print(cell("nothing is due")))
        return None
    kind = "full backup" if made.full else "increment"
    rows, size = count(sum(made.rows.values()), "row"), human_bytes(made.bytes)
    door.show.result(
        made.to_dict(),
        [[made.path]],
        lambda console: console.print(cell(f"{kind}, {rows}, {size}: {made.path}")),
    )
    for name in made.damaged:
        door.show.note(f"damaged and left out: {name}")
    return EXIT_DAMAGED if made.damaged else None


@verb("restore", PANEL)
def restore(
    door: Door,
    backup: Annotated[str, typer.Argument(metavar="BACKUP", help="A full one or an increment.")],
    at: Annotated[
        str | None,
        typer.Option(metavar="WHEN", help="An event's number, or a time such as 2026-01-31T12:00."),
    ] = None,
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace what the store holds.")
    ] = False,
) -> int | None:
    """Make the store what a backup holds; the files that an increment needs lie beside it.

    A store that is missing is made. One that holds anything is refused without --replace, which
    replaces all of it in one transaction: processes that use it see what was before or what was
    restored, and a killed restore changes nothing.

    Afterwards nobody holds a lease, and what was remembered from before (versions, tokens, cursors)
    is no longer valid.

    Example: swarm-memory restore backups/memory-20260131T120000.000Z-full-1a2b3c4d.jsonl.zst
    """
    moment, moment_ms = _moment(at)
    path = file_of(door.located().url)
    with door.show.progress("restoring") as bar:

        def show(done: int, total: int) -> object:
            return bar(done, total, count(done, "row"))

        if path is not None and not os.path.exists(path):
            done = restore_new(backup, path, at=moment, at_ms=moment_ms, progress=show)
        else:
            with door.open() as swarm:
                done = restore_backup(
                    swarm, backup, at=moment, at_ms=moment_ms, replace=replace, progress=show
                )
    door.show.result(
        done.to_dict(),
        [[path or "memory", done.seq, time_of(done.at_ms), done.epoch]],
        lambda console: console.print(
            cell(
                f"restored up to event {done.seq} of {time_of(done.at_ms)}: {path}, "
                f"now in epoch {done.epoch}"
            )
        ),
    )
    for name in done.damaged:
        door.show.note(f"was damaged before the backup and is missing: {name}")
    return EXIT_DAMAGED if done.damaged else None


def _moment(text: str | None) -> tuple[int | None, int | None]:
    """Return an event's number or a time in milliseconds, of which one at most is not None."""
    if text is None:
        return None, None
    if text.isdecimal():
        return int(text), None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InvalidArgumentError(
            f"--at {text}", hint="give an event's number, or a time such as 2026-01-31T12:00:00Z"
        ) from error
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    return None, round(moment.timestamp() * 1000)
