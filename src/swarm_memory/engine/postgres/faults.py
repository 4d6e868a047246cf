"""What PostgreSQL and its driver say went wrong, as one of our errors.

Source:
    PostgreSQL documentation, appendix A: error codes (SQLSTATE), by class and by code.
"""

from __future__ import annotations

import psycopg

from swarm_memory.engine.fence import moved_error
from swarm_memory.errors import (
    DamagedError,
    EngineBusyError,
    EngineUnavailableError,
    StorageFullError,
    SwarmMemoryError,
)

# What the same transaction may do better a moment later: conflicts of transactions (40), a node
# that is no primary any more (25006), one that starts, ends or has lost its connection (57P, 08).
_CONFLICTS = ("40001", "40P01")
_UNREACHABLE = ("57P", "08")
_READ_ONLY = "25006"
_FULL = ("53100", "53200")
_BUSY = ("55P03", "57014", "53300", "53400")
MOVED = "SM001"  # of our own: raised by the triggers of a swarm that has moved
_DAMAGED = ("XX001", "XX002")


def is_conflict(error: psycopg.Error) -> bool:
    """Tell whether the same transaction may succeed if it runs again at once."""
    return error.sqlstate in _CONFLICTS


def is_lost(error: psycopg.Error) -> bool:
    """Tell whether the server cannot be reached or takes no writes, as during a failover."""
    state = error.sqlstate
    if state is None:
        return isinstance(error, psycopg.OperationalError)
    return state.startswith(_UNREACHABLE) or state == _READ_ONLY


def translate(error: psycopg.Error, where: str) -> SwarmMemoryError:
    """Return the driver's error as one of ours; `where` names the database."""
    state = error.sqlstate or ""
    if state == MOVED:
        moved = moved_error(str(error))
        if moved is not None:
            return moved
    what = f"{where}: {str(error).strip() or type(error).__name__}"
    if state in _FULL:
        return StorageFullError(what)
    if state in _BUSY:
        return EngineBusyError(what)
    if state in _DAMAGED:
        return DamagedError(what, hint="restore the server's data, or a backup of this store")
    if is_conflict(error):
        busy = EngineBusyError(what)
        busy.hint = "retry: others wrote the same at the same time"
        return busy
    unavailable = EngineUnavailableError(what, hint=_hint(error))
    unavailable.retryable = is_lost(error)
    return unavailable


def _hint(error: psycopg.Error) -> str:
    if is_lost(error):
        return "see that the server runs and can be reached; during a failover, retry"
    if (error.sqlstate or "").startswith(("28", "42501")):
        return "check the user, the password and what the role may do"
    return "report this"
