"""Taking turns: a read and the writes that depend on it, repeated until nobody came between."""

from __future__ import annotations

from swarm_memory.errors import ConflictError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from swarm_memory.records import Records
    from swarm_memory.swarm import Swarm

    T = TypeVar("T")

ATTEMPTS_MAX = 8


def in_turn(swarm: Swarm, step: Callable[[Records, int], T]) -> T:
    """Return what `step` returns once none of its writes met a conflict.

    It is given the records and how often it was overtaken, and runs without a transaction, so its
    writes have to carry what it read as `expect=`, all in one call. After 8 attempts it gets a
    transaction of its own, in which nobody can come between: so it ends however many others
    write, and costs no transaction while they do not.
    """
    for attempt in range(ATTEMPTS_MAX):
        try:
            return step(swarm.records, attempt)
        except ConflictError:
            continue
    return swarm.transact(lambda tx: step(tx.records, ATTEMPTS_MAX))
