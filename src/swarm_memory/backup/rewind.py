"""Going back within a backup: to the state after an event that lies before its end.

A record's older versions and the change log say together what it was. Where a version is no more
kept that would be needed, the moment cannot be restored, and that is said instead of guessed.
"""

from __future__ import annotations

from swarm_memory.backup.loading import Loader
from swarm_memory.errors import NotFoundError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.engine import Row, Tx

LATER = (
    "restore_later_ops",
    "restore_later_choices",
    "restore_later_outcomes",
    "restore_earlier_labels",
    "restore_later_relabels",
    "restore_later_conflicts",
    "restore_later_messages",
    "restore_later_sessions",
    "restore_later_session_agents",
    "restore_later_runs",
    "restore_shorter_runs",
)
SHOWN_MAX = 3


def rewind(tx: Tx, loader: Loader, *, versions: int, complete: bool, at_ms: int) -> None:
    """Undo in the store what `loader` found to have happened later.

    Args:
        versions: What was added to every version.
        complete: The change log reaches back to the first event of the store.
        at_ms: The time of the moment, for what has no event: outcomes, messages and the like.

    Raises:
        NotFoundError: Versions that would be needed are no more kept.
    """
    newest = _newest_before(tx, loader.later)
    lost = []
    for (swarm, key), (version, _) in loader.later.items():
        chain = tx.all("backup_history", swarm=swarm, key=key)
        wanted = version - 1
        place = next((row for row in chain if row[2] == wanted), None)
        before = newest.get((swarm, key))
        if place is not None:
            _step_back(tx, chain, place)
        elif before is not None and before[4] in {"delete", "expire"}:
            _bury(tx, chain, swarm, key, wanted)
        elif before is None and (complete or wanted == versions):
            tx.run("history_trim", swarm=swarm, key=key, keep=0)
            tx.run("restore_drop_record", swarm=swarm, key=key)
        else:
            lost.append(f"{key} version {wanted - versions}")
    if lost:
        more = f" and {len(lost) - SHOWN_MAX} more" if len(lost) > SHOWN_MAX else ""
        raise NotFoundError(
            f"that moment cannot be restored: {', '.join(lost[:SHOWN_MAX])}{more} are not kept",
            hint="choose the moment of a backup, or one nearer to its end",
        )
    for statement in LATER:
        tx.run(statement, at_ms=at_ms)
    tx.run("restore_clear_models")
    tx.run("restore_clear_arms")
    tx.run("restore_arms")


def _newest_before(
    tx: Tx, later: dict[tuple[str, str], tuple[int, str]]
) -> dict[tuple[str, str], Row]:
    """Return the newest event before the moment of each key that changed after it."""
    newest: dict[tuple[str, str], Row] = {}
    after = -1
    while rows := tx.all("backup_events", after_a=after, limit=1000):
        newest.update({row[1:3]: row for row in rows if row[1:3] in later})
        after = rows[-1][0]
    return newest


def _step_back(tx: Tx, chain: list[Row], place: Row) -> None:
    tx.run("restore_rewind", id=place[10])
    for row in chain:
        if row[2] >= place[2]:
            tx.run("restore_drop_version", id=row[10])


def _bury(tx: Tx, chain: list[Row], swarm: str, key: str, version: int) -> None:
    older = [row for row in chain if row[2] < version]
    history_id = older[-1][10] if older else None
    tx.run("restore_bury", swarm=swarm, key=key, version=version, history_id=history_id)
    for row in chain:
        if row[2] >= version:
            tx.run("restore_drop_version", id=row[10])
