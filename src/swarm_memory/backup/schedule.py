"""Backups by time: each category as often as the schema says, and the old ones removed.

Once a week there is a full backup; between them, increments hold the categories whose time has
come. Which process makes them does not matter: of many that ask at the same time one does.
"""

from __future__ import annotations

import os
from functools import partial

from swarm_memory.backup.manifest import Found, backups_in
from swarm_memory.backup.writing import write_backup
from swarm_memory.errors import InvalidArgumentError
from swarm_memory.exchange.lines import make_folder
from swarm_memory.locate import file_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.backup.writing import Backup
    from swarm_memory.engine import Tx
    from swarm_memory.swarm import Swarm

INTERVAL_S = {"hourly": 3600, "daily": 86_400, "weekly": 604_800}
CLAIM_S = 900  # after that somebody else may try: whoever claimed it has died
FOLDER = "backups"


def backup_folder(swarm: Swarm) -> str:
    """Return the directory beside the store in which its backups lie.

    Raises:
        InvalidArgumentError: The store is in no file, so nothing is beside it.
    """
    path = file_of(swarm.url)
    if path is None:
        raise InvalidArgumentError(
            "this store is in no folder", hint="say where: swarm-memory backup FOLDER"
        )
    return os.path.join(os.path.dirname(path), FOLDER)


def backups_due(swarm: Swarm) -> list[str]:
    """Return the frequencies whose time has come, the shortest first."""

    def read(tx: Tx) -> list[str]:
        due = []
        for name, interval_s in INTERVAL_S.items():
            row = tx.one("fact_get", swarm="", name=f"backup/{name}")
            if row is None or row[0] + 1000 * interval_s <= tx.now_ms:
                due.append(name)
        return due

    return swarm.read(lambda transaction: read(transaction.tx))


def run_due(swarm: Swarm, folder: str | None = None) -> Backup | None:
    """Make the backup that is due and remove the old ones; None if nothing is due or others do it.

    Args:
        folder: Where backups lie, by default in `backups` beside the store.

    Raises:
        EngineUnavailableError, StorageFullError: It cannot be written; it stays due.
    """
    due = backups_due(swarm)
    if not due or not swarm.transact(lambda transaction: _claim(transaction.tx)):
        return None
    folder = folder or backup_folder(swarm)
    # What is due weekly takes the rest along: it is the full one that increments begin from.
    covers = tuple(INTERVAL_S)[: 1 + max(tuple(INTERVAL_S).index(name) for name in due)]
    try:
        make_folder(folder)
        written = write_backup(swarm, folder, incremental="weekly" not in due, covers=covers)
    except BaseException:
        swarm.transact(lambda transaction: _done(transaction.tx, (), 0))
        raise
    made_ms = written.manifest.at_ms
    swarm.transact(partial(lambda transaction: _done(transaction.tx, covers, made_ms)))
    config = swarm.config
    prune_backups(folder, written, keep=config.backups_kept_min, age_s=config.backup_retention_s)
    return written


def _claim(tx: Tx) -> bool:
    before_ms = tx.now_ms - 1000 * CLAIM_S
    where = {"swarm": "", "name": "duty/backup"}
    return tx.one("fact_claim", **where, value=tx.now_ms, before=before_ms) is not None


def _done(tx: Tx, covered: tuple[str, ...], at_ms: int) -> None:
    for name in covered:
        tx.run("fact_set", swarm="", name=f"backup/{name}", value=at_ms)
    tx.run("fact_set", swarm="", name="duty/backup", value=0)


def prune_backups(folder: str, newest: Backup, *, keep: int, age_s: float | None) -> list[str]:
    """Remove old backups of the store of `newest` from `folder`; return their paths.

    A full backup goes together with its increments, once there are `keep` newer full ones and its
    last increment is older than `age_s` seconds (None: whatever its age).
    """
    store = newest.manifest.store
    mine = [found for found in backups_in(folder) if found.manifest.store == store]
    chains: list[list[Found]] = []
    for found in mine:
        if found.manifest.full:
            chains.append([found])
        else:
            ids = found.manifest.parent
            chain = next((c for c in chains if any(f.manifest.backup_id == ids for f in c)), None)
            if chain is not None:
                chain.append(found)
    removed = []
    now_ms = newest.manifest.at_ms
    for chain in chains[: max(0, len(chains) - keep)]:
        if age_s is not None and chain[-1].manifest.at_ms > now_ms - 1000 * age_s:
            continue
        # From the end: whatever is interrupted leaves a chain that can be restored.
        for found in reversed(chain):
            os.unlink(found.path)
            removed.append(found.path)
    return removed
