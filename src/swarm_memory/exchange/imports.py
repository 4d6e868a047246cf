"""Importing: every store that is found, in batches, each row once."""

from __future__ import annotations

import os
from pathlib import Path

from swarm_memory.errors import (
    ImportSourceError,
    InvalidKeyError,
    InvalidValueError,
    LimitExceededError,
    SwarmMemoryError,
)
from swarm_memory.exchange.report import FileReport, summed
from swarm_memory.exchange.restore import Restorer
from swarm_memory.importers import default_source, discover, read_store
from swarm_memory.importers.jsonl import OUTCOMES, RELABELS, read_export
from swarm_memory.importers.sources import SWARM_MEMORY
from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import TypeVar

    from swarm_memory.exchange.report import ImportReport
    from swarm_memory.importers import Candidate, Item
    from swarm_memory.importers.jsonl import Copy
    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm, Transaction

    T = TypeVar("T")

BATCH_ROWS = 500
VALUE_TOO_LARGE = "the value"  # LimitExceededError.what for one value, as against a quota
INTERRUPTED = {
    "error": "interrupted",
    "message": "interrupted",
    "hint": "repeat it to go on",
    "retryable": True,
}


class Progress(NamedTuple):
    """How far an import has come: in file number `file` of `files`, after `rows` rows in all."""

    path: str
    file: int
    files: int
    rows: int


class _Undo(Exception):
    """Ends a dry run's transaction; what it would have done is in `args`."""


def import_stores(
    swarm: Swarm,
    paths: Iterable[str | os.PathLike[str]],
    *,
    source: str | None = None,
    dry_run: bool = False,
    progress: Callable[[Progress], object] | None = None,
) -> ImportReport:
    """Import the stores at `paths`, files or directories to search, and report on each.

    What one file cannot give never keeps the others out. Each batch of `BATCH_ROWS` rows is one
    transaction. A quota, a full disk or Ctrl-C end the import after the batch before; the report
    is returned with `stopped` set, and a repeat goes on from there.

    Args:
        source: The label in the keys of foreign rows; by default made from each file's path.
            With several files each one's digest is appended.
        dry_run: Read everything and tell what would happen; nothing is written.
        progress: Called after each batch.
    """
    run = _Import(swarm, source, dry_run, progress)
    try:
        run.all(list(paths))
    except KeyboardInterrupt:
        run.stopped = dict(INTERRUPTED)
    except SwarmMemoryError as error:
        # Only writing gets here: what reading raises is kept with its file.
        run.stopped = dict(error.to_dict())
    return summed(run.files, dry_run=dry_run, stopped=run.stopped)


class _Import:
    """One import under way; what is counted so far survives whatever ends it."""

    def __init__(
        self,
        swarm: Swarm,
        source: str | None,
        dry_run: bool,
        progress: Callable[[Progress], object] | None,
    ) -> None:
        self.files: list[FileReport] = []
        self.stopped: dict[str, Json] | None = None
        self._swarm = swarm
        self._source = source
        self._dry_run = dry_run
        self._progress = progress
        self._place = (0, 0)
        self._rows = 0
        self._now_ms = swarm.read(lambda tx: tx.now_ms)

    def all(self, paths: list[str | os.PathLike[str]]) -> None:
        candidates = self._discover(paths)
        for number, candidate in enumerate(candidates, 1):
            self._place = (number, len(candidates))
            report = FileReport(str(candidate.path))
            self.files.append(report)
            try:
                if candidate.kind == SWARM_MEMORY:
                    self._own_export(candidate, report)
                else:
                    self._foreign(candidate, report, len(candidates))
            except ImportSourceError as error:
                report.error = str(error)
            self._tell(report)

    def _discover(self, paths: list[str | os.PathLike[str]]) -> list[Candidate]:
        found: dict[Path, Candidate] = {}
        for path in paths:
            try:
                for candidate in discover([path]):
                    found.setdefault(candidate.path.resolve(), candidate)
            except ImportSourceError as error:
                report = FileReport(os.fspath(path))
                report.error = str(error)
                self.files.append(report)
        return list(found.values())

    # --- foreign stores ---

    def _foreign(self, candidate: Candidate, report: FileReport, files: int) -> None:
        label = default_source(candidate.path)
        if self._source is not None:
            label = self._source if files == 1 else f"{self._source}-{label.rpartition('-')[2]}"
        reading = read_store(candidate.path, now_ms=self._now_ms, source=label)
        report.format, report.source = reading.format, reading.source
        waiting: dict[str, list[Item]] = {}
        table = ""
        try:
            try:
                for item in reading.items():
                    if item.provenance["table"] != table:
                        self._flush(waiting, table, report)
                        table = item.provenance["table"]
                    batch = waiting.setdefault(item.kind, [])
                    batch.append(item)
                    if len(batch) >= BATCH_ROWS:
                        self._flush(waiting, table, report)
            except ImportSourceError as error:
                report.error = str(error)  # what was read before it still goes in
            self._flush(waiting, table, report)
        finally:
            report.close(reading)

    def _flush(self, waiting: dict[str, list[Item]], table: str, report: FileReport) -> None:
        for kind, items in waiting.items():
            if items:
                self._load(items, table, kind, report)
                self._rows += len(items)
                items.clear()
                self._tell(report)

    def _load(self, items: list[Item], table: str, kind: str, report: FileReport) -> None:
        """Write a batch; where one item stops it, halve it until that item stands alone."""
        try:
            counts = self._transact(lambda tx: tx.records.load(items))
        except (InvalidKeyError, InvalidValueError, LimitExceededError) as error:
            if len(items) > 1:
                half = len(items) // 2
                self._load(items[:half], table, kind, report)
                self._load(items[half:], table, kind, report)
            elif isinstance(error, LimitExceededError) and error.what != VALUE_TOO_LARGE:
                raise
            else:
                report.add_skipped(table, str(error))
            return
        counts["unchanged"] = counts.pop("same")
        report.add(table, kind, counts)

    # --- our own exports ---

    def _own_export(self, candidate: Candidate, report: FileReport) -> None:
        reading = read_export(candidate.path)
        report.format = reading.format
        later_ms = max(0, self._now_ms - reading.exported_ms) if reading.is_archive else None
        batch: list[Copy] = []
        try:
            for copy in reading.copies():
                same = not batch or _are_one(copy, batch[0])
                if not same or len(batch) >= BATCH_ROWS:
                    self._restore(batch, report, later_ms)
                    batch = []
                batch.append(copy)
            self._restore(batch, report, later_ms)
        finally:
            report.close(reading)
            if reading.swarms:
                names = ", ".join(reading.swarms)
                report.notes.insert(0, f"rows go to the swarm they come from: {names}")

    def _restore(self, batch: list[Copy], report: FileReport, later_ms: int | None) -> None:
        if not batch:
            return
        swarm = self._swarm.as_agent(self._swarm.context.agent, swarm=batch[0].swarm)
        restorer = Restorer(swarm.context, later_ms)
        try:
            fates = self._transact(lambda tx: restorer.restore(tx.tx, batch), swarm)
        except (InvalidKeyError, InvalidValueError, LimitExceededError) as error:
            if len(batch) > 1:
                half = len(batch) // 2
                self._restore(batch[:half], report, later_ms)
                self._restore(batch[half:], report, later_ms)
            elif isinstance(error, LimitExceededError) and error.what != VALUE_TOO_LARGE:
                raise
            else:
                report.add_skipped(batch[0].table, str(error), len(batch[0].rows))
            return
        for (table, kind), counts in fates.items():
            report.add(table, kind, counts)
        self._rows += len(batch)
        self._tell(report)

    # --- both ---

    def _transact(self, fn: Callable[[Transaction], T], swarm: Swarm | None = None) -> T:
        """Run `fn` in one transaction, which a dry run undoes."""
        swarm = swarm or self._swarm
        if not self._dry_run:
            return swarm.transact(fn)

        def undo(tx: Transaction) -> T:
            raise _Undo(fn(tx))

        try:
            return swarm.transact(undo)
        except _Undo as done:
            result: T = done.args[0]
            return result

    def _tell(self, report: FileReport) -> None:
        if self._progress is not None:
            self._progress(Progress(report.path, *self._place, self._rows))


def _are_one(copy: Copy, first: Copy) -> bool:
    """Tell whether a row belongs into a batch: of one table, or of the log of learning."""
    if copy.swarm != first.swarm:
        return False
    return copy.table == first.table or {copy.table, first.table} <= {OUTCOMES, RELABELS}
