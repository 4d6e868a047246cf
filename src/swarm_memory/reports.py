"""The values that reports and learning return: like those of `model`, but no hook has use for them.

Making a named tuple costs a process 0.15 ms, so these stand apart.
"""

from __future__ import annotations

from collections import namedtuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.model import Event, Json


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
