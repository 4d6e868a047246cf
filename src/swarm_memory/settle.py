"""Settling a conflict: which value is written when a record is not at the expected version."""

from __future__ import annotations

from swarm_memory import lean_json
from swarm_memory.context import new_id
from swarm_memory.errors import ConflictError, InvalidArgumentError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from swarm_memory.context import Context
    from swarm_memory.engine import Tx
    from swarm_memory.model import Json, Record

    OnConflict = str | Callable[[Json, Json, Json], Json]

KEEPS_THEIRS = ("first_write", "keep_both")


def settle(
    on_conflict: OnConflict,
    mine: Json,
    theirs: Record | None,
    base: Record | None,
    conflict: ConflictError,
) -> Json:
    """Return the value to write over `theirs`.

    Strategies that keep theirs never come here. A base that was pruned makes a conflict real: it
    is never an empty base.

    Raises:
        ConflictError: `conflict`, if the strategy cannot settle it.
        InvalidArgumentError: There is no such strategy.
    """
    if on_conflict == "last_write":
        return mine
    if on_conflict != "merge" and not callable(on_conflict):
        raise InvalidArgumentError(
            f"on_conflict {on_conflict!r}",
            hint='"reject", "first_write", "last_write", "merge", "keep_both" or a function',
        )
    if theirs is None or (base is None and conflict.expected != 0):
        raise conflict
    origin = base.value if base is not None else None
    if callable(on_conflict):
        return on_conflict(origin, theirs.value, mine)
    from swarm_memory.merge import MergeConflict, three_way

    try:
        return three_way(origin, theirs.value, mine)
    except MergeConflict as error:
        conflict.hint = f"both sides changed {', '.join(error.paths)}; decide and write again"
        raise conflict from error


def strategy_name(on_conflict: OnConflict) -> str:
    """Return how a strategy is called in the log; a function by its own name."""
    if isinstance(on_conflict, str):
        return on_conflict
    return f"function {getattr(on_conflict, '__qualname__', type(on_conflict).__name__)}"


def note(
    tx: Tx,
    context: Context,
    on_conflict: OnConflict,
    mine: Json,
    theirs: Record | None,
    base: Record | None,
    conflict: ConflictError,
    result: Json = None,
) -> None:
    """Record a conflict with both sides, the base and the outcome, in the same transaction."""
    tx.run(
        "conflict_add",
        swarm=context.swarm,
        conflict_id=new_id(tx.now_ms),
        key=conflict.key,
        base_version=conflict.expected,
        their_version=theirs.version if theirs else 0,
        strategy=strategy_name(on_conflict),
        outcome="parked" if on_conflict == "keep_both" else "resolved",
        base=_text(base.value) if base else None,
        theirs=_text(theirs.value) if theirs else None,
        mine=_text(mine),
        result=None if on_conflict in KEEPS_THEIRS else _text(result),
        author=context.agent,
        at_ms=tx.now_ms,
    )


def _text(value: Json) -> str:
    return lean_json.dumps(value)
