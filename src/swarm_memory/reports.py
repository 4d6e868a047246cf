"""The values that reports and learning return: like those of `model`, but no hook has use for them.

Making a named tuple costs a process 0.15 ms, so these stand apart.
"""

from __future__ import annotations

from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.model import Event, Json


class Changes(NamedTuple):
    """What happened since an agent last looked: `events` in order, and the `seq` reached.

    `complete` is False if events in between are gone, so that everything has to be read anew.
    Always true, also when nothing changed; `len(changes.events)` tells.
    """

    seq: int
    events: list[Event]
    complete: bool

    def to_dict(self) -> dict[str, Json]:
        """Return the changes as every door shows them."""
        events = [event.to_dict() for event in self.events]
        return {"seq": self.seq, "events": events, "complete": self.complete}


class Outcome(NamedTuple):
    """How one task ended. `propensity` in (0, 1] is the logged probability of the choice."""

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


class Recommendation(NamedTuple):
    """A chosen strategy with its evidence.

    `strategy` is None when nothing is known and no candidates were given. `propensity` in (0, 1]
    is the probability with which it was chosen, `expected` its estimated success rate in [0, 1],
    `interval` the 90 % interval of that estimate, `evidence` the number of outcomes behind each
    candidate, `candidates` the same figures for all of them. Pass the whole thing back as
    `record_task_outcome(…, decision=recommendation)`.
    """

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


class Insight(NamedTuple):
    """A sentence about outcomes, with the count and the interval that it rests on."""

    kind: str
    text: str
    support: int
    interval: tuple[float, float]
    facts: dict[str, Json]

    def to_dict(self) -> dict[str, Json]:
        return self._asdict()


class HealthReport(NamedTuple):
    """Whether the store is well: `overall_health` is healthy, warning or critical.

    `issues` and `recommendations` are sentences; `metrics` are ratios in [0, 1], counts and
    bytes; `agent_info` tells who asked and what is counted to them.
    """

    overall_health: str
    issues: list[str]
    recommendations: list[str]
    metrics: dict[str, Json]
    agent_info: dict[str, Json]

    def to_dict(self) -> dict[str, Json]:
        return self._asdict()


class Optimization(NamedTuple):
    """What `optimize_memory` did, or (applied False) what it would do."""

    applied: bool
    optimizations: list[str]
    space_saved_bytes: int
    entries_cleaned: int
    recommendations: list[str]

    def to_dict(self) -> dict[str, Json]:
        return self._asdict()


class CoordinationState(NamedTuple):
    """Who is in the swarm and how far its memory has come (`coordination_version` is a seq)."""

    swarm_id: str
    active_agents: list[str]
    coordination_version: int
    last_sync_ms: int | None

    def to_dict(self) -> dict[str, Json]:
        return self._asdict()
