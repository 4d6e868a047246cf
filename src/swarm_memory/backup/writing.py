"""Writing a backup: one read snapshot of the whole store, while everybody goes on writing."""

from __future__ import annotations

import base64
import os
from functools import partial
from zlib import crc32

from swarm_memory import codec
from swarm_memory.backup.manifest import SUFFIX, Found, Manifest, backups_in
from swarm_memory.backup.tables import (
    DICTIONARIES,
    EMPTY,
    EVENTS,
    FORGOTTEN,
    HISTORY,
    OTHERS,
    RECORD_COLUMNS,
    RECORDS,
    TOMBSTONES,
    VERSION_COLUMNS,
)
from swarm_memory.codec import Compressor
from swarm_memory.config import BACKUP_FREQUENCIES
from swarm_memory.errors import CorruptValueError, InvalidArgumentError
from swarm_memory.exchange.lines import Frames, Lines, published
from swarm_memory.lean import NamedTuple
from swarm_memory.paging import Pager
from swarm_memory.rows import unseal_dictionary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

    from swarm_memory.config import Config
    from swarm_memory.engine import Row, Tx
    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm

COUNTED = ["records", "history", "events", "choices", "outcomes", "conflicts", "ops"]
COUNTED += ["messages", "message_runs"]
_BEFORE_ALL = -1


class Backup(NamedTuple):
    """A backup that was written; `damaged` names the versions that the store has lost."""

    path: str
    full: bool
    manifest: Manifest
    rows: dict[str, int]
    bytes: int
    damaged: list[str]

    def to_dict(self) -> dict[str, Json]:
        """Return the backup as every door shows it."""
        return self._asdict() | {"manifest": self.manifest._asdict()}


def write_backup(
    swarm: Swarm,
    to: str | os.PathLike[str],
    *,
    incremental: bool = False,
    covers: tuple[str, ...] = BACKUP_FREQUENCIES,
    progress: Callable[[int, int], object] | None = None,
) -> Backup:
    """Back up the whole store, all swarms of it, to a file and return what was written.

    The file holds one moment of the store, is for its owner's eyes, and appears under its name
    when all of it is on disk. Values that are damaged in the store are left out and named.

    Args:
        to: The file, or a directory, in which it gets a name with the store's and the time.
        incremental: Only what changed since the newest backup of this store in the same
            directory. Where there is none, or the change log does not reach back so far, it is
            a full one.
        covers: The categories to back up, by their `backup_frequency`.
        progress: Called with rows written and rows expected (0 if unknown).

    Raises:
        EngineUnavailableError, StorageFullError: The file cannot be written.
    """
    place = os.path.abspath(os.path.expanduser(os.fspath(to)))
    in_folder = os.path.isdir(place)
    folder = place if in_folder else os.path.dirname(place)
    store = _store_id(swarm)
    known = backups_in(folder) if incremental else []

    def read(tx: Tx) -> Backup:
        manifest = _describe(tx, known, store, covers, os.urandom(8).hex())
        path = os.path.join(folder, name_of(swarm, manifest)) if in_folder else place
        with published(path) as file:
            lines, size, damaged = _write(tx, file, manifest, swarm.config, progress)
        return Backup(path, manifest.full, manifest, lines.rows, size, damaged)

    return swarm.read(lambda transaction: read(transaction.tx), durable=True)


def name_of(swarm: Swarm, manifest: Manifest) -> str:
    """Return the name of a backup in its directory: names sort by time."""
    from datetime import UTC, datetime

    stem = os.path.basename(swarm.url).partition(".")[0].strip(":") or "memory"
    moment = datetime.fromtimestamp(manifest.at_ms / 1000, UTC).strftime("%Y%m%dT%H%M%S")
    kind = "full" if manifest.full else "more"
    return f"{stem}-{moment}.{manifest.at_ms % 1000:03d}Z-{kind}-{manifest.backup_id[:8]}{SUFFIX}"


def _store_id(swarm: Swarm) -> int:
    """Return the number of the store, drawn at its first backup, that its increments go by."""

    def write(tx: Tx) -> int:
        row = tx.one("fact_get", swarm="", name="store_id")
        if row is None:
            number = int.from_bytes(os.urandom(6), "big")
            tx.run("fact_set", swarm="", name="store_id", value=number)
            return number
        return int(row[0])

    known = swarm.read(
        lambda transaction: transaction.tx.one("fact_get", swarm="", name="store_id")
    )
    return int(known[0]) if known else swarm.transact(lambda transaction: write(transaction.tx))


def _describe(
    tx: Tx, known: list[Found], store: int, covers: tuple[str, ...], backup_id: str
) -> Manifest:
    unknown = [name for name in covers if name not in BACKUP_FREQUENCIES]
    if unknown or not covers:
        raise InvalidArgumentError(f"covers {covers!r}", hint=f"of {BACKUP_FREQUENCIES}")
    state = tx.one("backup_state") or (0, 0, 0, 0, 0)
    oldest, newest, newest_ms, versions, tokens = map(int, state)
    epoch = tx.one("fact_get", swarm="", name="epoch")
    counts = tx.one("backup_counts") or (0,) * len(COUNTED)
    manifest = Manifest(
        backup_id=backup_id,
        parent=None,
        store=store,
        epoch=int(epoch[0]) if epoch else 0,
        at_ms=tx.now_ms,
        oldest=oldest,
        newest=newest,
        newest_ms=newest_ms,
        versions=versions,
        tokens=tokens,
        since={},
        covers=list(covers),
        covered=dict.fromkeys(covers, newest),
        swarms=[row[0] for row in tx.all("backup_swarms") if row[0]],
        counts=dict(zip(COUNTED, counts, strict=True)),
    )
    parent = _parent(manifest, known)
    if parent is None:
        return manifest
    since = {name: parent.covered.get(name, 0) for name in covers}
    if min(since.values()) + 1 < oldest:
        return manifest  # events are gone that would tell what changed
    covered = parent.covered | manifest.covered
    return manifest._replace(parent=parent.backup_id, since=since, covered=covered)


def _parent(manifest: Manifest, known: list[Found]) -> Manifest | None:
    of_store = [
        found.manifest
        for found in known
        if (found.manifest.store, found.manifest.epoch) == (manifest.store, manifest.epoch)
        and found.manifest.newest <= manifest.newest
    ]
    return of_store[-1] if of_store else None


class _Writer:
    """One backup being written."""

    def __init__(
        self,
        tx: Tx,
        lines: Lines,
        manifest: Manifest,
        config: Config,
        progress: Callable[[int, int], object] | None,
    ) -> None:
        self._tx = tx
        self._lines = lines
        self._manifest = manifest
        self._progress = progress
        self._expected = sum(manifest.counts.values()) if manifest.full else 0
        self._expanders: dict[str, Compressor] = {}
        self._bytes_max = config.value_bytes_max
        self._frequency = {c.name: c.backup_frequency for c in config.categories}
        self.damaged: list[str] = []

    def all(self) -> None:
        for table in OTHERS:
            for row in self._pages(table.page, table.place):
                named = dict(zip(table.columns, row, strict=True))
                if table is not DICTIONARIES or self._unsealed(named):
                    self._lines.row(table.name, named)
        if self._manifest.full:
            self._full()
        else:
            self._increment()
        for row in self._pages(
            EVENTS.page, 1, first=min(self._manifest.since.values(), default=-1)
        ):
            if self._wanted(row[8], row[0]):
                self._lines.row(EVENTS.name, dict(zip(EVENTS.columns, row, strict=True)))

    def _wanted(self, category: str, seq: int | None = None) -> bool:
        """Tell whether rows of a category belong here, and an event that is as new as `seq`."""
        frequency = self._frequency.get(category, "daily")
        if frequency not in self._manifest.covers:
            return False
        return seq is None or self._manifest.full or seq > self._manifest.since[frequency]

    def _full(self) -> None:
        for row in self._pages("backup_records", 2):
            if self._wanted(row[11]):
                self._record(row)

    def _increment(self) -> None:
        changed = self._tx.all("backup_changed", seq=min(self._manifest.since.values()))
        keys = dict.fromkeys(row[:2] for row in changed if self._wanted(row[2], row[3]))
        for swarm, key in keys:
            row = self._tx.one("backup_record", swarm=swarm, key=key)
            if row is None:
                self._lines.row(FORGOTTEN, {"swarm": swarm, "key": key})
            else:
                self._record(row)
        for swarm, key in self._pages("backup_tombstones", 2):
            self._lines.row(TOMBSTONES, {"swarm": swarm, "key": key})

    def _pages(self, statement: str, place: int, first: int = _BEFORE_ALL) -> Iterator[Row]:
        pager = Pager()
        after: tuple[Json, ...] = EMPTY if place > 1 else (first,)
        names = ("after_a", "after_b", "after_c")[:place]
        if statement == DICTIONARIES.page:
            after = ("", _BEFORE_ALL)
        where = dict(zip(names, after, strict=False))
        while rows := self._tx.all(statement, **where, limit=pager.rows):
            yield from rows
            where = dict(zip(names, rows[-1], strict=False))
            pager.saw(rows, 9 if statement == "backup_records" else None)
            self._tell()

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(sum(self._lines.rows.values()), self._expected)

    def _record(self, row: Row) -> None:
        """Write the older versions of a record, oldest first, and the record."""
        swarm, key, history_id = row[0], row[1], row[13]
        if history_id is not None:
            for older in self._tx.all("backup_history", swarm=swarm, key=key):
                self._version(HISTORY, VERSION_COLUMNS, older[:10])
        self._version(RECORDS, RECORD_COLUMNS, row[:13])

    def _version(self, table: str, columns: list[str], row: Row) -> None:
        named: dict[str, Json] = dict(zip(columns, row, strict=True))
        frame = named.pop("value")
        named["table"] = table
        line = codec.dumps(named)
        if frame is not None:
            try:
                # As `codec.unseal` with `rows.meaning`, written out: this is done for every row.
                if crc32(frame, crc32(codec.dumps((row[0], row[1:9])))) != codec.RESIDUE:
                    raise codec.FrameError("its checksum does not match")
                encoded = frame[1:-4]
                if frame[0] != codec.PLAIN:
                    encoded = self._expander(row[0]).expand(frame[0], encoded)
            except (ValueError, TypeError, IndexError, CorruptValueError):
                self.damaged.append(f"{row[0]}: {row[1]} version {row[2]}")
                return
            # The stored JSON as it is: parsing it only to write it again would cost the most.
            line = line[:-1] + b',"value":' + encoded + b"}"
        self._lines.line(table, line + b"\n")

    def _expander(self, swarm: str) -> Compressor:
        if swarm not in self._expanders:
            load = partial(load_dictionary, self._tx, swarm)
            self._expanders[swarm] = Compressor(load, lambda: 0, self._bytes_max)
        return self._expanders[swarm]

    def _unsealed(self, named: dict[str, Json]) -> bool:
        """Replace the frame of a dictionary by its text; tell if it is intact."""
        try:
            plain = unseal_dictionary(named["swarm"], named["number"], named["bytes"])
        except CorruptValueError:
            self.damaged.append(f"{named['swarm']}: dictionary {named['number']}")
            return False
        named["bytes"] = base64.b64encode(plain).decode()
        return True


def load_dictionary(tx: Tx, swarm: str, number: int) -> bytes:
    """Return one dictionary as a transaction sees it."""
    row = tx.one("dictionary_get", swarm=swarm, number=number)
    if row is None:
        raise CorruptValueError(f"dictionary {number}", "it is missing from the store")
    return unseal_dictionary(swarm, number, row[0])


def _write(
    tx: Tx,
    file: BinaryIO,
    manifest: Manifest,
    config: Config,
    progress: Callable[[int, int], object] | None,
) -> tuple[Lines, int, list[str]]:
    frames = Frames(file)
    lines = Lines(frames)
    lines.manifest(manifest.to_line())
    writer = _Writer(tx, lines, manifest, config, progress)
    writer.all()
    lines.close(damaged=writer.damaged)
    frames.close()
    return lines, frames.bytes, writer.damaged
