"""Everything that can go wrong, as one family with stable codes.

Every error says what happened with the values involved, and `hint` says what to do next.
`retryable` is true only where the same call may succeed later without anything being changed.
`EXIT_STATUS` is the one table that maps a code to a process's exit status, `HTTP_STATUS` the one
that maps it to the status of a response.
"""

import time


class SwarmMemoryError(Exception):
    """A swarm-memory call failed."""

    code = "error"
    hint = "see docs/reference.md"
    retryable = False

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint

    def to_dict(self) -> dict[str, object]:
        """Return the error as every door shows it."""
        return {
            "error": self.code,
            "message": str(self),
            "hint": self.hint,
            "retryable": self.retryable,
        }


class InvalidKeyError(SwarmMemoryError):
    """The text breaks a rule of the key grammar.

    `rule` names the rule and `suggestion` is a valid key that keeps as much as possible.
    """

    code = "invalid_key"

    def __init__(self, key: object, rule: str, suggestion: str) -> None:
        shown = ascii(key) if len(str(key)) <= 80 else f"{str(key)[:77]!a}…"
        super().__init__(f"invalid key {shown}: {rule}", hint=f"use {suggestion!r}")
        self.key = key
        self.rule = rule
        self.suggestion = suggestion


class InvalidValueError(SwarmMemoryError):
    """The value is no JSON that the store can give back unchanged; nothing was written."""

    code = "invalid_value"
    hint = "store JSON: objects with string keys, arrays, strings, numbers, booleans, null"


class InvalidArgumentError(SwarmMemoryError):
    """An argument is outside its range; nothing was written."""

    code = "invalid_argument"


class ConfigError(SwarmMemoryError):
    """A setting is unknown, or has a value outside its range."""

    code = "config"


class LimitExceededError(SwarmMemoryError):
    """A quota or size limit would be passed; nothing was written and nothing was lost."""

    code = "limit_exceeded"

    def __init__(
        self, what: str, *, limit: int, actual: int, unit: str = "bytes", hint: str | None = None
    ) -> None:
        super().__init__(f"{what} would reach {actual} {unit}, the limit is {limit}", hint=hint)
        self.what = what
        self.limit = limit
        self.actual = actual


class NotFoundError(SwarmMemoryError):
    """The key, version or row does not exist."""

    code = "not_found"


class ConflictError(SwarmMemoryError):
    """Somebody else wrote first: the record is not at the version the caller expected.

    `actual` is 0 when the record is missing, deleted or expired.
    """

    code = "conflict"

    def __init__(self, key: str, expected: int, actual: int) -> None:
        super().__init__(
            f"{key} is at version {actual}, expected {expected}",
            hint="read it again and repeat with expect=record.version, or pass on_conflict=",
        )
        self.key = key
        self.expected = expected
        self.actual = actual


class OpIdReusedError(SwarmMemoryError):
    """The same op_id came with other arguments; nothing was written."""

    code = "op_id_reused"
    hint = "one op_id belongs to one call with its arguments: make a new one"


class LeaseHeldError(SwarmMemoryError):
    """Somebody else holds the lease, or comes first in line for it, and the wait is over.

    `owner` has it as `held`, which for leases on paths is a pattern that overlaps `name`.
    """

    code = "lease_held"
    retryable = True

    def __init__(
        self,
        name: str,
        owner: str,
        expires_ms: int,
        *,
        held: str | None = None,
        reason: str | None = None,
        waits: bool = False,
    ) -> None:
        until = time.strftime("%H:%M:%S", time.gmtime(expires_ms / 1000))
        other = f", as {held!r}" if held not in (None, name) else ""
        why = f" for {reason!r:.80}" if reason else ""
        how = "waited for" if waits else "held"
        end = "" if waits else f" until {until} UTC"
        super().__init__(
            f"lease {name!r} is {how} by {owner}{other}{why}{end}",
            hint="retry, or pass wait_s= to wait in line",
        )
        self.name = name
        self.owner = owner
        self.expires_ms = expires_ms
        self.held = held or name
        self.reason = reason


class LeaseLostError(SwarmMemoryError):
    """The lease lapsed or was taken over: its token is stale and guarded writes are refused."""

    code = "lease_lost"
    hint = "acquire it again and redo the work from a fresh read"


class DeadlockError(SwarmMemoryError):
    """Waiting would close a cycle; `cycle` names the owners, each waiting for the next."""

    code = "deadlock"
    retryable = True

    def __init__(self, cycle: list[str]) -> None:
        super().__init__(
            f"waiting would deadlock: {' → '.join(cycle)}",
            hint="release what you hold and try again, or take all with hold_all",
        )
        self.cycle = cycle


class WaitTimeoutError(SwarmMemoryError):
    """What was waited for did not happen in time."""

    code = "wait_timeout"
    retryable = True


class StaleReceiptError(SwarmMemoryError):
    """The message was given to somebody else after its visibility timeout."""

    code = "stale_receipt"
    hint = "drop the work: another consumer has the message"


class CursorExpiredError(SwarmMemoryError):
    """The change feed no longer reaches back to the cursor."""

    code = "cursor_expired"
    hint = "read the records anew and continue from the newest event"


class AccessDeniedError(SwarmMemoryError):
    """The caller may not do this."""

    code = "access_denied"


class EngineBusyError(SwarmMemoryError):
    """The store stayed locked past the deadline; nothing was written.

    `pid` is the process inside the write, where the system tells.
    """

    code = "engine_busy"
    hint = "retry; if it stays, a process may be frozen inside a write"
    retryable = True
    pid: int | None = None


class EngineUnavailableError(SwarmMemoryError):
    """The store cannot be reached or opened."""

    code = "engine_unavailable"
    retryable = True


class SwarmMovedError(SwarmMemoryError):
    """The swarm lives in another store, `to`, and this one takes no writes of it any more.

    `state` is "gone", or "arriving" while it is being moved here and still lives in `to`.
    `move` names the move.
    """

    code = "swarm_moved"

    def __init__(self, swarm: str, to: str, *, state: str = "gone", move: str = "") -> None:
        if state == "gone":
            what, hint = "moved to", f"open it there: --url {to}, or SWARM_MEMORY_URL"
        else:
            what = "is being moved here and still lives in"
            hint = f"use {to} until the move is done; if it ended early, repeat it"
        super().__init__(f"the swarm {swarm!r} {what} {to}; nothing was written", hint=hint)
        self.swarm = swarm
        self.to = to
        self.state = state
        self.move = move


class AmbiguousCommitError(SwarmMemoryError):
    """The commit failed half-way: the write may or may not have happened."""

    code = "ambiguous_commit"
    hint = "repeat the call with the same op_id: it applies once"
    retryable = True


class StorageFullError(SwarmMemoryError):
    """The disk is full; nothing was written."""

    code = "storage_full"
    hint = "free some space and retry; reading still works"


class CorruptValueError(SwarmMemoryError):
    """The stored bytes of a record do not match their checksum; they are never returned."""

    code = "corrupt_value"

    def __init__(self, key: str, why: str) -> None:
        super().__init__(
            f"the stored value of {key} is damaged: {why}",
            hint=f"older versions may be intact: swarm-memory history {key}",
        )
        self.key = key


class DamagedError(SwarmMemoryError):
    """A backup or a store is not as it was written; nothing of it was used."""

    code = "damaged"


class SchemaError(SwarmMemoryError):
    """The database has another schema than this code needs; it was not touched."""

    code = "schema"

    def __init__(self, message: str, *, found: object, wanted: object, hint: str) -> None:
        super().__init__(message, hint=hint)
        self.found = found
        self.wanted = wanted


class ImportSourceError(SwarmMemoryError):
    """A file to import cannot be read, or holds nothing that is known."""

    code = "import_source"


# 0 done · 1 not found or refused · 2 usage · 3 conflict · 4 held or timed out
# 5 store unavailable or ambiguous · 6 integrity
EXIT_STATUS = {
    "error": 1,
    "invalid_key": 2,
    "invalid_value": 2,
    "invalid_argument": 2,
    "config": 2,
    "limit_exceeded": 1,
    "not_found": 1,
    "conflict": 3,
    "op_id_reused": 3,
    "lease_held": 4,
    "lease_lost": 4,
    "deadlock": 4,
    "wait_timeout": 4,
    "stale_receipt": 3,
    "cursor_expired": 1,
    "access_denied": 1,
    "engine_busy": 5,
    "engine_unavailable": 5,
    "ambiguous_commit": 5,
    "swarm_moved": 5,
    "storage_full": 5,
    "corrupt_value": 6,
    "damaged": 6,
    "schema": 5,
    "import_source": 1,
}
# 400 to be changed · 404 not there · 409 in the way now · 412 another version · 503 later
HTTP_STATUS = {
    "error": 500,
    "invalid_key": 400,
    "invalid_value": 400,
    "invalid_argument": 400,
    "config": 500,
    "limit_exceeded": 413,
    "not_found": 404,
    "conflict": 412,
    "op_id_reused": 409,
    "lease_held": 409,
    "lease_lost": 409,
    "deadlock": 409,
    "wait_timeout": 409,
    "stale_receipt": 409,
    "cursor_expired": 409,
    "access_denied": 403,
    "engine_busy": 503,
    "engine_unavailable": 503,
    "ambiguous_commit": 503,
    "swarm_moved": 421,
    "storage_full": 507,
    "corrupt_value": 500,
    "damaged": 500,
    "schema": 500,
    "import_source": 400,
}
