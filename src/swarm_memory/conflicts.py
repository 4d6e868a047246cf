"""Conflicts: what was written from an old version, and how it was settled."""

from __future__ import annotations

import json

from swarm_memory.errors import InvalidArgumentError, NotFoundError
from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.context import Context
    from swarm_memory.engine import Reader, Row, Tx
    from swarm_memory.model import Json

OUTCOMES = ("resolved", "parked")


class Conflict(NamedTuple):
    """Two writes from one base version: both sides, the base, and what became of them.

    `outcome` is resolved, or parked until somebody decides; `base` is None if it was pruned or
    there was none, `author` is who wrote `mine`.
    """

    conflict_id: str
    key: str
    base_version: int
    their_version: int
    strategy: str
    outcome: str
    base: Json
    theirs: Json
    mine: Json
    result: Json
    author: str
    at_ms: int

    def to_dict(self) -> dict[str, Json]:
        """Return the conflict as every door shows it."""
        return self._asdict()


class Conflicts:
    """The conflicts of one swarm."""

    __slots__ = ("_context", "_db")

    def __init__(self, db: Reader, context: Context) -> None:
        self._db = db
        self._context = context

    def within(self, tx: Tx) -> Conflicts:
        """Return these conflicts bound to a transaction."""
        return Conflicts(tx, self._context)

    def list(self, outcome: str | None = None, *, limit: int = 100) -> list[Conflict]:
        """Return conflicts, newest first: all, the resolved or the parked ones."""
        if outcome is not None and outcome not in OUTCOMES:
            raise InvalidArgumentError(f"outcome {outcome!r}", hint=" or ".join(OUTCOMES))
        rows = self._db.all(
            "conflict_list", swarm=self._context.swarm, outcome=outcome or "", limit=limit
        )
        return [_conflict(row) for row in rows]

    def get(self, conflict_id: str) -> Conflict:
        """Return one conflict.

        Raises:
            NotFoundError: There is none with that id.
        """
        row = self._db.one("conflict_get", swarm=self._context.swarm, conflict_id=conflict_id)
        if row is None:
            raise NotFoundError(f"there is no conflict {conflict_id!r}", hint="list them first")
        return _conflict(row)

    def close(self, conflict_id: str, result: Json) -> bool:
        """Mark a parked conflict as resolved with `result`; of two who decide one gets True."""

        def write(tx: Tx) -> bool:
            text = json.dumps(result, ensure_ascii=False)
            where = {"swarm": self._context.swarm, "conflict_id": conflict_id}
            return bool(tx.run("conflict_resolve", **where, result=text))

        return self._db.write(write)


def _conflict(row: Row) -> Conflict:
    fields = list(row)
    for index in (6, 7, 8, 9):
        fields[index] = None if row[index] is None else json.loads(row[index])
    return Conflict(*fields)
