"""The values that calls return: frozen, true when they worked, with one JSON form each.

They are named tuples and not dataclasses because importing dataclasses costs 15 ms, which every
hook would pay on every call. The fields' types stand as annotations in the class.
"""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = Any  # what JSON can express; checked by codec.check_value


class Record(
    namedtuple(
        "Record",
        "key value version author session created_ms updated_ms expires_ms provenance deleted",
        defaults=(False,),
    )
):
    """One version of one record.

    `version` counts 1, 2, … per key and never repeats. Times are epoch milliseconds by the
    store's clock; `expires_ms` None means it is kept. `author` is the agent that wrote this
    version, `session` the session it acted in, `provenance` where the value came from.
    `deleted` marks a version that is a deletion (`value` is None); only `history` shows those.
    """

    __slots__ = ()
    key: str
    value: Json
    version: int
    author: str
    session: str | None
    created_ms: int
    updated_ms: int
    expires_ms: int | None
    provenance: dict[str, Json] | None
    deleted: bool

    def to_dict(self) -> dict[str, Json]:
        """Return the record as every door shows it."""
        shown = self._asdict()
        if not self.deleted:
            del shown["deleted"]
        return shown


class Page(list["Record"]):
    """Records in key order. `next_after` continues the scan, None when it reached the end."""

    next_after: str | None = None


class Event(namedtuple("Event", "seq key version op author at_ms")):
    """One line of the change log: `op` is put, delete, expire or rollback; it holds no value."""

    __slots__ = ()
    seq: int
    key: str
    version: int
    op: str
    author: str
    at_ms: int

    def to_dict(self) -> dict[str, Json]:
        return self._asdict()


class Changes(namedtuple("Changes", "seq events complete")):
    """What happened since an agent last looked: `events` in order, and the `seq` reached.

    `complete` is False if events in between are gone, so that everything has to be read anew.
    Always true, also when nothing changed; `len(changes.events)` tells.
    """

    __slots__ = ()
    seq: int
    events: list[Event]
    complete: bool

    def to_dict(self) -> dict[str, Json]:
        """Return the changes as every door shows them."""
        events = [event.to_dict() for event in self.events]
        return {"seq": self.seq, "events": events, "complete": self.complete}


class Outcome(
    namedtuple(
        "Outcome",
        "outcome_id task_type agents success duration_s strategy cost choice_id propensity"
        " context author at_ms",
    )
):
    """How one task ended. `propensity` in (0, 1] is the logged probability of the choice."""

    __slots__ = ()
    outcome_id: str
    task_type: str
    agents: list[str]
    success: bool
    duration_s: float
    strategy: str | None
    cost: float | None
    choice_id: str | None
    propensity: float | None
    context: dict[str, Json] | None
    author: str
    at_ms: int

    def to_dict(self) -> dict[str, Json]:
        return self._asdict()


class Recommendation(
    namedtuple(
        "Recommendation",
        "strategy propensity expected interval evidence candidates task_type choice_id",
    )
):
    """A chosen strategy with its evidence.

    `strategy` is None when nothing is known and no candidates were given. `propensity` in (0, 1]
    is the probability with which it was chosen, `expected` its estimated success rate in [0, 1],
    `interval` the 90 % interval of that estimate, `evidence` the number of outcomes behind each
    candidate, `candidates` the same figures for all of them. Pass the whole thing back as
    `record_task_outcome(…, decision=recommendation)`.
    """

    __slots__ = ()
    strategy: str | None
    propensity: float | None
    expected: float | None
    interval: tuple[float, float] | None
    evidence: dict[str, Json]
    candidates: list[dict[str, Json]]
    task_type: str
    choice_id: str | None

    def to_dict(self) -> dict[str, Json]:
        return self._asdict()


class Insight(namedtuple("Insight", "kind text support interval facts")):
    """A sentence about outcomes, with the count and the interval that it rests on."""

    __slots__ = ()
    kind: str
    text: str
    support: int
    interval: tuple[float, float]
    facts: dict[str, Json]

    def to_dict(self) -> dict[str, Json]:
        return self._asdict()


class HealthReport(
    namedtuple("HealthReport", "overall_health issues recommendations metrics agent_info")
):
    """Whether the store is well: `overall_health` is healthy, warning or critical.

    `issues` and `recommendations` are sentences; `metrics` are ratios in [0, 1], counts and
    bytes; `agent_info` tells who asked and what is counted to them.
    """

    __slots__ = ()
    overall_health: str
    issues: list[str]
    recommendations: list[str]
    metrics: dict[str, Json]
    agent_info: dict[str, Json]

    def to_dict(self) -> dict[str, Json]:
        return self._asdict()


class Optimization(
    namedtuple(
        "Optimization", "applied optimizations space_saved_bytes entries_cleaned recommendations"
    )
):
    """What `optimize_memory` did, or (applied False) what it would do."""

    __slots__ = ()
    applied: bool
    optimizations: list[str]
    space_saved_bytes: int
    entries_cleaned: int
    recommendations: list[str]

    def to_dict(self) -> dict[str, Json]:
        return self._asdict()


class CoordinationState(
    namedtuple("CoordinationState", "swarm_id active_agents coordination_version last_sync_ms")
):
    """Who is in the swarm and how far its memory has come (`coordination_version` is a seq)."""

    __slots__ = ()
    swarm_id: str
    active_agents: list[str]
    coordination_version: int
    last_sync_ms: int | None

    def to_dict(self) -> dict[str, Json]:
        return self._asdict()


class Located(namedtuple("Located", "url why")):
    """Which store is meant and why."""

    __slots__ = ()
    url: str
    why: str

    def to_dict(self) -> dict[str, Json]:
        return self._asdict()
