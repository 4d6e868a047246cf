"""Applying once: a call's result is kept under its op_id, in the call's own transaction."""

from __future__ import annotations

from swarm_memory import codec
from swarm_memory.checks import check_name
from swarm_memory.errors import InvalidValueError, OpIdReusedError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from swarm_memory.context import Context
    from swarm_memory.engine import Tx
    from swarm_memory.model import Json

    T = TypeVar("T")

OP_ID_BYTES_MAX = 255


def digest_of(arguments: Json) -> str:
    """Return the fingerprint of a call's arguments; equal ones have the same.

    Raises:
        InvalidValueError: They are no JSON.
    """
    from hashlib import sha256  # only calls with an op_id pay for it

    try:
        return sha256(codec.canonical(arguments)).hexdigest()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValueError(f"the arguments are no JSON: {error}") from error


def once(
    tx: Tx,
    context: Context,
    op_id: str,
    digest: str,
    call: Callable[[Tx], T],
    dump: Callable[[T], str],
    load: Callable[[str], T],
) -> T:
    """Run `call` unless this agent's `op_id` already did; then return what it returned.

    `dump` and `load` turn the result into the text that is kept, and back.

    Raises:
        OpIdReusedError: The same op_id came with other arguments.
    """
    check_name("op_id", op_id, OP_ID_BYTES_MAX)
    where = {"swarm": context.swarm, "agent": context.agent, "op_id": op_id}
    row = tx.one("op_get", **where)
    if row is None:
        result = call(tx)
        tx.do("op_put", **where, args_digest=digest, result=dump(result), at_ms=tx.now_ms)
        return result
    if row[0] != digest:
        raise OpIdReusedError(f"op_id {op_id!r} was used for another call")
    # Written before it is acknowledged: the first commit may not be on disk yet.
    tx.run("op_touch", **where, at_ms=tx.now_ms)
    return load(row[1])
