"""Checking a backup for real: it is restored, and what comes out is compared with what went in."""

from __future__ import annotations

import os
import tempfile

from swarm_memory import codec
from swarm_memory.backup.loading import EPOCH_LEAP
from swarm_memory.backup.manifest import Manifest, read_manifest, rows_of
from swarm_memory.backup.restoring import Restored, restore_backup
from swarm_memory.backup.tables import HISTORY, RECORDS
from swarm_memory.backup.writing import COUNTED
from swarm_memory.config import BACKUP_FREQUENCIES
from swarm_memory.errors import DamagedError
from swarm_memory.integrity import verify_store
from swarm_memory.swarm import Swarm

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.backup.restoring import Progress
    from swarm_memory.context import Context
    from swarm_memory.engine import Row, Tx
    from swarm_memory.model import Json

OTHER_BACKUP = "use another backup, and make a new one of the store"


def verify_backup(path: str | os.PathLike[str], *, progress: Progress | None = None) -> Restored:
    """Restore the backup into a store that is thrown away, and compare it with what it should be.

    Every byte of every file of its chain is compared with the seal, every row with the sums of its
    table. The restored rows are read back and compared with the file's, the number of rows with
    that of the store which was backed up, and the restored store is checked by `verify_store`.

    Args:
        progress: Called with rows written and rows expected.

    Raises:
        DamagedError: Something differs.
        NotFoundError: It is no backup, or a file of its chain is missing.
    """
    path = os.path.abspath(os.path.expanduser(os.fspath(path)))
    manifest = read_manifest(path)
    with (
        tempfile.TemporaryDirectory(prefix="swarm-memory-verify-") as folder,
        Swarm.open(f"sqlite:///{folder}/restored.db", durability="relaxed") as swarm,
    ):
        restored = restore_backup(swarm, path, progress=progress)
        swarm.read(lambda transaction: _compare_rows(transaction.tx, swarm, path))
        if set(manifest.covered) == set(BACKUP_FREQUENCIES):
            swarm.read(lambda transaction: _compare_counts(transaction.tx, manifest, restored))
        report = verify_store(swarm)
    if not report.ok:
        finding = report.findings[0]
        raise DamagedError(
            f"{path} restores to a damaged store: {finding.key}: {finding.problem}",
            hint=OTHER_BACKUP,
        )
    return restored


def _compare_counts(tx: Tx, manifest: Manifest, restored: Restored) -> None:
    counts = dict(zip(COUNTED, tx.one("backup_counts") or (), strict=True))
    # The log of the store may have been pruned since the parents were written.
    counts["events"] = min(restored.rows.get("events", 0), manifest.counts["events"])
    for table, rows in counts.items():
        missing = manifest.counts[table] - rows
        if not 0 <= missing <= len(restored.damaged):
            raise DamagedError(
                f"restored {rows} rows of {table}, the store had {manifest.counts[table]}",
                hint=OTHER_BACKUP,
            )


def _compare_rows(tx: Tx, swarm: Swarm, path: str) -> None:
    """Read back what the last file of the chain wrote."""
    written: list[dict[str, Json]] = []
    contexts = {s: swarm.as_agent("main", swarm=s).context for s in read_manifest(path).swarms}
    for table, row in rows_of(path):
        if table in {RECORDS, HISTORY}:
            written.append(row)
        if table == RECORDS:
            same = [r for r in written if (r["swarm"], r["key"]) == (row["swarm"], row["key"])]
            where = {"swarm": row["swarm"], "key": row["key"]}
            stored = tx.all("backup_history", **where) + tx.all("backup_record", **where)
            read = [_plain(contexts[row["swarm"]], version) for version in stored]
            if read != [_wanted(r) for r in same]:
                raise DamagedError(
                    f"{row['key']} is not restored as it was written", hint=OTHER_BACKUP
                )
            written.clear()


def _plain(context: Context, row: Row) -> list[Json]:
    frame, value = row[9], None
    if frame is not None:
        value = [codec.loads(context.compressor.expand(frame[0], frame[1:-4]))]
    return [row[0], row[1], row[2] % EPOCH_LEAP, *row[3:9], value]


def _wanted(row: dict[str, Json]) -> list[Json]:
    names = ("author", "session", "created_ms", "updated_ms", "expires_ms", "provenance")
    value = [row["value"]] if "value" in row else None
    said = [row["swarm"], row["key"], row["version"] % EPOCH_LEAP]
    return said + [row[name] for name in names] + [value]
