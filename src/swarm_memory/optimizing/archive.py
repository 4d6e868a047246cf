"""Archiving: what sessions left that are over goes into a file, and then out of the store.

The file is an export (see `importers.jsonl`), so `swarm-memory import FILE` brings it back, with
as long to live as it had left. A record goes only when the file is on disk, was read back and
holds all versions of it as they are in the store at that moment: what changed meanwhile stays.
"""

from __future__ import annotations

import os

from swarm_memory.errors import EngineUnavailableError
from swarm_memory.exchange.export import Selected, digest_of, export_records
from swarm_memory.exchange.lines import make_folder
from swarm_memory.importers.jsonl import RECORDS, read_export
from swarm_memory.key import scope_of, unescape
from swarm_memory.lean import NamedTuple
from swarm_memory.lives import ACTIVE
from swarm_memory.quota import Quota

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.config import Category
    from swarm_memory.engine import Engine, Reader, Row, Tx
    from swarm_memory.packing import Over, Tell
    from swarm_memory.swarm import Swarm

SESSION_PREFIX = "session-"
# A session's record may go when half of the time is over that its category keeps it after the last
# write, or of two weeks, where that keeps it for good.
RETENTION_SHARE = 0.5
RETENTION_S_ELSE = 14 * 86_400.0
REMOVED_AT_ONCE = 200
SESSIONS_MAX = 1000  # that one plan looks at
YOUNGEST_MS = 86_400_000  # no session that ended today is worth a word


class Archived(NamedTuple):
    """What an archive took: records, stored bytes, and the file (None if there was nothing)."""

    what: str
    records: int
    bytes: int
    path: str | None
    finished: bool = True


class Ended:
    """Which records belong to sessions that have been over for long enough."""

    def __init__(self, swarm: Swarm, now_ms: int) -> None:
        self._swarm = swarm
        self._now_ms = now_ms
        self._ends: dict[str, int | None] = {}

    def ended_ms(self, db: Reader, scope: str) -> int | None:
        """Return when the session of a scope ended, 0 if nobody knows it, None if it is active."""
        if scope not in self._ends:
            segment = scope.removeprefix(SESSION_PREFIX)
            name = unescape(segment) or segment
            swarm = self._swarm.context.swarm
            row = db.one("session_of", swarm=swarm, name=name, segment=segment)
            over = row is None or row[0] != ACTIVE
            self._ends[scope] = (0 if row is None else int(row[1] or 0)) if over else None
        return self._ends[scope]

    def may_go(self, db: Reader, key: str, updated_ms: int) -> bool:
        """Tell whether a record's session is over and the record old enough."""
        scope = scope_of(key)
        if not scope.startswith(SESSION_PREFIX):
            return False
        ended_ms = self.ended_ms(db, scope)
        if ended_ms is None:
            return False
        age_ms = _age_ms(self._swarm.config.category_of(key))
        return max(ended_ms, updated_ms) <= self._now_ms - age_ms


def _age_ms(category: Category) -> int:
    kept_s = category.retention_s if category.retention_s is not None else RETENTION_S_ELSE
    return round(1000 * RETENTION_SHARE * kept_s)


def sessions_over(swarm: Swarm, db: Engine) -> tuple[int, int, int]:
    """Return how many scopes of sessions that are over there are, their records and their bytes.

    From the counters, so what is too young to go is among them; of many sessions the first ones.
    """
    ended = Ended(swarm, db.now_ms)
    scopes: set[str] = set()
    records = size = 0
    for scope, _, telemetry, count, taken in db.all("usage_list", swarm=swarm.context.swarm):
        if telemetry or not scope.startswith(SESSION_PREFIX) or len(scopes) >= SESSIONS_MAX:
            continue
        ended_ms = ended.ended_ms(db, scope)
        if ended_ms is not None and ended_ms <= db.now_ms - YOUNGEST_MS:
            scopes.add(scope)
            records, size = records + int(count), size + int(taken)
    return len(scopes), records, size


def archive(swarm: Swarm, to: str, *, over: Over, tell: Tell) -> Archived:
    """Write what may go to a new file in the directory `to`, read it back, and let it go.

    Raises:
        EngineUnavailableError, StorageFullError: The file cannot be written, or does not hold what
            was written; nothing left the store.
    """
    folder = os.path.abspath(os.path.expanduser(to))
    make_folder(folder)
    now_ms = swarm.read(lambda tx: tx.now_ms)
    ended = Ended(swarm, now_ms)

    def chosen(tx: Tx, row: Row) -> bool:
        expired = row[6] is not None and row[6] <= now_ms
        return row[8] is not None and not expired and ended.may_go(tx, row[0], row[5])

    path = os.path.join(folder, f"archive-{now_ms}-{os.urandom(4).hex()}.jsonl")
    written = export_records(swarm, path, chosen, archive=True)
    if not written:
        os.unlink(path)
        return Archived("no session is over for long enough", 0, 0, None)
    _read_back(path, written)
    records = size = 0
    for first in range(0, len(written), REMOVED_AT_ONCE):
        if over():
            what = f"archived to {path}; of {len(written):,} records {records:,} have left"
            return Archived(what, records, size, path, finished=False)
        removed = _remove(swarm, written[first : first + REMOVED_AT_ONCE])
        records, size = records + removed[0], size + removed[1]
        tell(first)
    return Archived(f"archived {records:,} records to {path}", records, size, path)


def _read_back(path: str, written: list[Selected]) -> None:
    """See that the file holds each version that may go, as it was written.

    Raises:
        EngineUnavailableError: It does not.
    """
    reading = read_export(path)
    found = {c.rows[-1].key: digest_of(c.rows) for c in reading.copies() if c.table == RECORDS}
    lost = [each.key for each in written if found.get(each.key) != each.digest]
    if lost or reading.notes:
        raise EngineUnavailableError(
            f"{path} does not hold what was written to it: {', '.join(lost[:3] + reading.notes)}",
            hint="nothing left the store; look at the disk, and name another directory",
        )


def _remove(swarm: Swarm, written: list[Selected]) -> tuple[int, int]:
    """Let records go that are stored as they were, and whose sessions are still over."""
    quota = Quota(swarm.context)

    def remove(tx: Tx) -> tuple[int, int]:
        ended = Ended(swarm, tx.now_ms)
        gone = [each for each in written if _let_go(tx, quota, ended, swarm.context.swarm, each)]
        return len(gone), sum(len(each.frame) + len(each.key) for each in gone)

    removed: tuple[int, int] = swarm.transact(lambda transaction: remove(transaction.tx))
    return removed


def _let_go(tx: Tx, quota: Quota, ended: Ended, swarm: str, each: Selected) -> bool:
    where = {"swarm": swarm, "key": each.key}
    head = tx.one("record_head", **where)
    if head is None or not ended.may_go(tx, each.key, each.updated_ms):
        return False
    stored = {"version": each.version, "before": each.frame, "now_ms": tx.now_ms}
    if not tx.run("record_archive", **where, **stored):
        return False  # somebody wrote, touched or packed it meanwhile: the next archive has it
    tx.run("history_trim", **where, keep=0)
    tx.run("record_unlink", **where)
    quota.remove(tx, each.key, each.version, "expire", head)
    return True
