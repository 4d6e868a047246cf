"""The values that calls return: frozen, true when they worked, with one JSON form each.

They are named tuples and not dataclasses because importing dataclasses costs 15 ms, which every
hook would pay on every call. The fields' types stand as annotations in the class.
"""

from __future__ import annotations

from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = Any  # what JSON can express; checked by codec.check_value


class Record(NamedTuple):
    """One version of one record.

    `version` counts 1, 2, … per key and never repeats. Times are epoch milliseconds by the
    store's clock; `expires_ms` None means it is kept. `author` is the agent that wrote this
    version, `session` the session it acted in, `provenance` where the value came from.
    `deleted` marks a version that is a deletion (`value` is None); only `history` shows those.
    """

    key: str
    value: Json
    version: int
    author: str
    session: str | None
    created_ms: int
    updated_ms: int
    expires_ms: int | None
    provenance: dict[str, Json] | None
    deleted: bool = False

    def to_dict(self) -> dict[str, Json]:
        """Return the record as every door shows it."""
        shown = self._asdict()
        if not self.deleted:
            del shown["deleted"]
        return shown


class Page(list["Record"]):
    """Records in key order. `next_after` continues the scan, None when it reached the end."""

    next_after: str | None = None


class Event(NamedTuple):
    """One line of the change log, without the value.

    `op` is put, delete, expire, rollback, or touch for a version that expires at another time.
    """

    seq: int
    key: str
    version: int
    op: str
    author: str
    at_ms: int

    def to_dict(self) -> dict[str, Json]:
        return self._asdict()


class Located(NamedTuple):
    """Which store is meant and why."""

    url: str
    why: str

    def to_dict(self) -> dict[str, Json]:
        return self._asdict()
