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
    """How one task ended.

    `status` is success, failure, partial, timeout, conflict or unknown; `reward` in [0, 1] is
    what is learned from, None if nobody knows how it ended; `label_source` tells who says so:
    explicit, check, reverted or unknown. `strategy` is what was used, and `propensity` in (0, 1]
    the probability with which it was chosen, None if that is not known.
    """

    outcome_id: str
    task_type: str
    agents: list[str]
    status: str
    duration_s: float
    strategy: str | None
    cost: float | None
    choice_id: str | None
    propensity: float | None
    context: dict[str, Json] | None
    author: str
    at_ms: int
    reward: float | None = None
    label_source: str = "explicit"
    task: str | None = None
    signals: dict[str, Json] | None = None
    error_class: str | None = None
    failed_agent: str | None = None
    failed_step: int | None = None

    @property
    def success(self) -> bool | None:
        """Whether it succeeded; None if nobody knows."""
        return None if self.status == "unknown" else self.status == "success"

    def to_dict(self) -> dict[str, Json]:
        """Return the outcome as every door shows it."""
        return self._asdict() | {"success": self.success}


class Recommendation(NamedTuple):
    """A chosen strategy with its evidence.

    `strategy` is None when nothing is known and no candidates were given, or when too few of the
    outcomes say how they ended. `propensity` in (0, 1] is the probability with which it was
    chosen, `expected` its estimated success in [0, 1], `interval` the 95 % interval of that,
    `duration_s` and `cost` what it is expected to take. `evidence` tells how many outcomes stand
    behind it, and some that were alike; `candidates` the same figures for all that competed, the
    best first. `why` is a sentence; `confident` is False where the outcomes do not say that this
    is the best; `trying` is True if something else looks better, and this was chosen to learn.
    Pass the whole thing back as `record_task_outcome(…, decision=recommendation)`.
    """

    strategy: str | None
    propensity: float | None
    expected: float | None
    interval: tuple[float, float] | None
    evidence: dict[str, Json]
    candidates: list[dict[str, Json]]
    task_type: str
    choice_id: str | None
    confident: bool = False
    trying: bool = False
    why: str = ""
    duration_s: float | None = None
    cost: float | None = None

    def to_dict(self) -> dict[str, Json]:
        return self._asdict()


class Choice(NamedTuple):
    """A decision that waits for its outcome."""

    choice_id: str
    task_type: str
    strategy: str
    propensity: float | None
    context: dict[str, Json]
    author: str
    at_ms: int

    def to_dict(self) -> dict[str, Json]:
        return self._asdict()


class Insight(NamedTuple):
    """A sentence about outcomes that a person can act on, with what it rests on.

    `support` counts the outcomes behind it, `interval` is that of the figure which the sentence
    names, `action` says what to do, `evidence` names some of the outcomes. `first_ms` is when it
    was first said, `confirmed_ms` the time of the last outcome that it was held against.
    """

    kind: str
    text: str
    support: int
    interval: tuple[float, float]
    facts: dict[str, Json]
    action: str = ""
    evidence: list[str] = []  # noqa: RUF012 - nobody writes into it
    first_ms: int = 0
    confirmed_ms: int = 0

    def to_dict(self) -> dict[str, Json]:
        return self._asdict()


class HealthReport(NamedTuple):
    """Whether the store is well: `overall_health` is healthy, warning or critical.

    `issues` and `recommendations` are sentences; `metrics` are ratios in [0, 1], counts and
    bytes; `agent_info` tells who asked and what is counted to them. `trends` says how the swarm
    grows, in how many days it is full and what changed since yesterday (see `monitor.trends`).
    """

    overall_health: str
    issues: list[str]
    recommendations: list[str]
    metrics: dict[str, Json]
    agent_info: dict[str, Json]
    trends: dict[str, Json] = {}  # noqa: RUF012 - nobody writes into it

    def to_dict(self) -> dict[str, Json]:
        return self._asdict()


class Advice(NamedTuple):
    """Something that upkeep can do for the store, and what it would give.

    `name` is what `optimize --only` takes and `command` does it. `what` is a sentence, `evidence`
    holds what was found, in numbers; of a large store they are estimates from a sample.
    `expected_bytes` is what it is expected to save, `benefit` what else is better then.
    """

    name: str
    what: str
    evidence: dict[str, Json]
    expected_bytes: int
    benefit: str
    command: str

    def to_dict(self) -> dict[str, Json]:
        """Return the advice as every door shows it."""
        return self._asdict()


class Gain(NamedTuple):
    """What one step of an optimization did: bytes as they were expected and as they were measured.

    `changed` counts rows, `seconds` is how long it took, and `finished` is False if the time was
    over before its end: what is left is found the next time.
    """

    name: str
    what: str
    changed: int
    expected_bytes: int
    measured_bytes: int
    seconds: float
    finished: bool = True

    def to_dict(self) -> dict[str, Json]:
        """Return the gain as every door shows it."""
        return self._asdict()


class Optimization(NamedTuple):
    """What `optimize_memory` did, or (applied False) what it would do.

    `space_saved_bytes` is the larger of what values take less and what the file gave back;
    `optimizations` are the sentences of `advice` or of `gains`.
    """

    applied: bool
    optimizations: list[str]
    space_saved_bytes: int
    entries_cleaned: int
    recommendations: list[str]
    advice: list[Advice] = []  # noqa: RUF012 - nobody writes into it
    gains: list[Gain] = []  # noqa: RUF012

    def to_dict(self) -> dict[str, Json]:
        return self._asdict() | {
            "advice": [advice.to_dict() for advice in self.advice],
            "gains": [gain.to_dict() for gain in self.gains],
        }


def optimization_of(
    advice: list[Advice], gains: list[Gain] | None, recommendations: list[str]
) -> Optimization:
    """Return what a plan says (gains None), or what was done, as one report."""
    steps: list[tuple[str, str, int, int]]
    if gains is None:
        counted = ((a, a.evidence.get("expired", 0)) for a in advice)
        steps = [(a.name, a.what, a.expected_bytes, count) for a, count in counted]
    else:
        steps = [(g.name, g.what, g.measured_bytes, g.changed) for g in gains]
    freed = sum(size for name, _, size, _ in steps if name == "vacuum")
    less = sum(size for name, _, size, _ in steps if name not in ("vacuum", "archive"))
    return Optimization(
        gains is not None,
        [what for _, what, _, _ in steps],
        max(freed, less, 0),
        sum(count for name, _, _, count in steps if name == "sweep"),
        recommendations,
        advice,
        gains or [],
    )


class CoordinationState(NamedTuple):
    """Who is in the swarm and how far its memory has come (`coordination_version` is a seq)."""

    swarm_id: str
    active_agents: list[str]
    coordination_version: int
    last_sync_ms: int | None

    def to_dict(self) -> dict[str, Json]:
        return self._asdict()
