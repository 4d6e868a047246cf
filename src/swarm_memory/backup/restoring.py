"""Restoring: a chain of backups becomes the content of a store, in one transaction."""

from __future__ import annotations

import os
import tempfile
from contextlib import contextmanager

from swarm_memory.backup.loading import Before, Loader, leap
from swarm_memory.backup.manifest import Found, Manifest, chain_to, rows_of, trailer_of
from swarm_memory.backup.rewind import rewind
from swarm_memory.config import BACKUP_FREQUENCIES
from swarm_memory.errors import InvalidArgumentError, NotFoundError
from swarm_memory.exchange.lines import make_folder, sync_folder
from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swarm_memory.engine import Tx
    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm

    Progress = Callable[[int, int], object]

PROGRESS_ROWS = 1000


class Restored(NamedTuple):
    """What was restored: the files of the chain, the last event and its time, the new epoch.

    `rows` counts what was written by table; `damaged` names versions that were lost before the
    backups were made.
    """

    paths: list[str]
    seq: int
    at_ms: int
    epoch: int
    rows: dict[str, int]
    swarms: list[str]
    damaged: list[str]

    def to_dict(self) -> dict[str, Json]:
        """Return the result as every door shows it."""
        return self._asdict()


def restore_backup(
    swarm: Swarm,
    path: str | os.PathLike[str],
    *,
    at: int | None = None,
    at_ms: int | None = None,
    replace: bool = False,
    progress: Progress | None = None,
) -> Restored:
    """Make the store of `swarm` what the backup at `path` and its parents hold.

    One transaction does it: processes that use the store see what was before or all of what was
    restored, and a killed restore leaves the store as it was. Afterwards nobody holds a lease,
    messages in somebody's hands are ready again, and versions, tokens and cursors of before are
    no longer valid (see `backup.loading`).

    Args:
        at: The last event to restore, by its number in the store that was backed up.
        at_ms: The last moment to restore, in milliseconds since 1970, instead of `at`.
        replace: Replace what the store holds; without it a store that holds anything is refused.
        progress: Called with rows written and rows expected.

    Raises:
        DamagedError: A file is not as it was written; nothing was changed.
        NotFoundError: A file of the chain is missing, or the moment is in none of them.
        InvalidArgumentError: The store is not empty, or both moments are given.
    """
    if at is not None and at_ms is not None:
        raise InvalidArgumentError("two moments", hint="give an event or a time")
    chain = _up_to(chain_to(os.path.abspath(os.path.expanduser(os.fspath(path)))), at, at_ms)
    at = _event_of(chain, at_ms) if at_ms is not None else at
    if at is not None and at < chain[0].manifest.oldest:
        raise NotFoundError(
            f"the change log of {chain[0].path} begins after that moment",
            hint=f"name event {chain[0].manifest.oldest} or a later one, or an older backup",
        )
    if at is not None and at >= chain[-1].manifest.newest:
        at = None  # all of it

    def write(tx: Tx) -> Restored:
        return _restore(tx, swarm, chain, at, at_ms, replace, progress)

    return swarm.transact(lambda transaction: write(transaction.tx))


def restore_new(
    path: str | os.PathLike[str],
    to: str,
    *,
    at: int | None = None,
    at_ms: int | None = None,
    progress: Progress | None = None,
) -> Restored:
    """Restore into a new SQLite file at `to`, which appears when all of it is there.

    Raises:
        InvalidArgumentError: There is a file at `to` already.
        DamagedError, NotFoundError: See `restore_backup`.
    """
    with new_store(to) as swarm:
        return restore_backup(swarm, path, at=at, at_ms=at_ms, progress=progress)


@contextmanager
def new_store(to: str) -> Iterator[Swarm]:
    """Give a store that becomes the file `to` when the block has ended without an error.

    Raises:
        InvalidArgumentError: There is a file at `to` already.
        EngineUnavailableError: It cannot be made there.
    """
    from swarm_memory.swarm import Swarm

    target = os.path.abspath(os.path.expanduser(to))
    folder, name = os.path.split(target)
    there = InvalidArgumentError(f"{target} is there already", hint="name another file")
    if os.path.exists(target):
        raise there
    make_folder(folder)
    with tempfile.TemporaryDirectory(prefix=f".{name[:100]}.", suffix=".part", dir=folder) as part:
        waiting = os.path.join(part, name)
        with Swarm.open(f"sqlite:///{waiting}") as swarm:
            yield swarm
            swarm.maintain()  # moves the log into the file
        try:
            os.link(waiting, target)
        except FileExistsError:
            raise there from None
    sync_folder(folder)


def _up_to(chain: list[Found], at: int | None, at_ms: int | None) -> list[Found]:
    """Return the chain as far as it is needed for a moment."""
    for place, found in enumerate(chain):
        manifest = found.manifest
        reached = (at is not None and manifest.newest >= at) or (
            at_ms is not None and manifest.at_ms >= at_ms
        )
        if reached:
            return chain[: place + 1]
    if at is not None and at > chain[-1].manifest.newest:
        raise NotFoundError(
            f"the backup ends with event {chain[-1].manifest.newest}, before {at}",
            hint="name a later backup",
        )
    return chain


def _event_of(chain: list[Found], at_ms: int) -> int:
    """Return the newest event that is not later than a time."""
    newest = 0
    for found in chain:
        for table, row in rows_of(found.path):
            if table == "events" and row["at_ms"] <= at_ms:
                newest = max(newest, row["seq"])
    return newest


def _restore(
    tx: Tx,
    swarm: Swarm,
    chain: list[Found],
    at: int | None,
    at_ms: int | None,
    replace: bool,
    progress: Progress | None,
) -> Restored:
    before = Before(tx)
    last: Manifest = chain[-1].manifest
    if not replace and before.newest:
        raise InvalidArgumentError(
            f"{swarm.url} is not empty", hint="restore with replace, or into a new store"
        )
    seqs, versions = (
        leap(max(before.newest, last.newest)),
        leap(max(before.versions, last.versions)),
    )
    partial = any(set(f.manifest.covers) != set(BACKUP_FREQUENCIES) for f in chain)
    loader = Loader(tx, swarm.config, before, versions=versions, seqs=seqs, at=at, dense=partial)
    damaged = _load(loader, chain, progress)
    if at is not None:
        moment = at_ms if at_ms is not None else _time_of(tx)
        rewind(tx, loader, versions=versions, complete=chain[0].manifest.oldest <= 1, at_ms=moment)
    epoch = max(before.epoch, last.epoch) + 1
    store = int.from_bytes(os.urandom(6), "big")  # a copy is another store than its original
    swarms = set(last.swarms)
    tokens = leap(max(before.tokens, last.tokens))
    loader.finish(oldest=last.oldest, tokens=tokens, epoch=epoch, swarms=swarms, store=store)
    reached = last.newest if at is None else at
    reached_ms = last.at_ms if at is None else _time_of(tx)
    paths = [found.path for found in chain]
    return Restored(paths, reached, reached_ms, epoch, loader.rows, sorted(swarms), damaged)


def _load(loader: Loader, chain: list[Found], progress: Progress | None) -> list[str]:
    done = 0
    damaged: list[str] = []
    expected = sum(chain[0].manifest.counts.values())
    for found in chain:
        loader.begin_file(found.manifest.full)
        for table, row in rows_of(found.path):
            loader.add(table, row)
            done += 1
            if progress is not None and done % PROGRESS_ROWS == 0:
                progress(done, max(done, expected))
        loader.end_file()
        damaged += trailer_of(found.path).get("damaged", [])
    return damaged


def _time_of(tx: Tx) -> int:
    """Return the time of the newest event in the store."""
    state = tx.one("backup_state")
    return int(state[2]) if state else 0
