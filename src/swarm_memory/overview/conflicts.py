"""Conflicts: both sides of what two agents wrote, as texts that can be compared and edited."""

from __future__ import annotations

from swarm_memory.errors import CorruptValueError
from swarm_memory.overview.record import TEXT_CHARS_MAX, text_of_value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.conflicts import Conflict
    from swarm_memory.engine import Engine
    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm

PARKED, RESOLVED = "parked", "resolved"
SETTLED_MAX = 50


def look(swarm: Swarm, engine: Engine, *, limit: int = 50) -> dict[str, Json]:
    """Return `parked`, the conflicts that wait for somebody to settle them, and `settled` ones.

    Each has its key, who wrote which side (`author` wrote `mine`), the texts of `base`, `theirs`,
    `mine` and `result` as indented JSON (None where there is none), and of those that wait the
    text of the key `now`, whose `version` is what a settlement replaces.
    """
    parked = [_shown(one) for one in swarm.conflicts.list(PARKED, limit=limit)]
    for conflict in parked:
        try:
            record = swarm.records.get(conflict["key"])
        except CorruptValueError:
            record = None
        conflict["now"] = None if record is None else text_of_value(record.value)
        conflict["version"] = None if record is None else record.version
        conflict["their_author"] = None if record is None else record.author
    settled = [_shown(one) for one in swarm.conflicts.list(RESOLVED, limit=SETTLED_MAX)]
    return {"now_ms": engine.now_ms, "parked": parked, "settled": settled}


def _shown(conflict: Conflict) -> dict[str, Json]:
    shown = conflict.to_dict()
    for side in ("base", "theirs", "mine", "result"):
        value = shown[side]
        shown[side] = None if value is None else text_of_value(value)[:TEXT_CHARS_MAX]
    return shown
