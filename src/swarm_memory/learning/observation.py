"""What the learning parts read: one row of the log of outcomes, as plain values."""

from __future__ import annotations

from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = Any

SUCCESS, FAILURE, PARTIAL = "success", "failure", "partial"
TIMEOUT, CONFLICT, UNKNOWN = "timeout", "conflict", "unknown"
STATUSES = (SUCCESS, FAILURE, PARTIAL, TIMEOUT, CONFLICT, UNKNOWN)
# From the surest down: somebody said so; a test, linter or CI ran after the work; the work was
# reverted, rewritten or corrected; nothing of all this. To have finished is no success.
EXPLICIT, CHECK, REVERTED = "explicit", "check", "reverted"
LABEL_SOURCES = (EXPLICIT, CHECK, REVERTED, UNKNOWN)


class Observation(NamedTuple):
    """One ended task, in the order of the log.

    `task` is its identity: outcomes of one task share its difficulty and are no independent
    evidence. `reward` is in [0, 1] (a score where there is one, else 1 for success and 0 for
    failure, timeout and conflict), None where the label is unknown. `context` is what was known
    before the work: text, numbers and facets by name; `signals` what was seen while it went on,
    known too late for a choice. `candidates` with `propensities` (n_candidates,) are what the
    choice was made from, `propensity` in (0, 1] is that of `strategy`; None where nobody knows.
    `predicted` in [0, 1] with `interval` (95 %) is what was expected of it at the choice.
    """

    outcome_id: str
    at_ms: int
    task: str
    task_type: str
    strategy: str | None
    status: str
    reward: float | None
    label_source: str = EXPLICIT
    duration_s: float | None = None
    cost: float | None = None
    agents: tuple[str, ...] = ()
    context: dict[str, Json] | None = None
    signals: dict[str, Json] | None = None
    error_class: str | None = None
    failed_agent: str | None = None
    failed_step: int | None = None
    candidates: tuple[str, ...] | None = None
    propensities: tuple[float, ...] | None = None
    recommended: str | None = None
    propensity: float | None = None
    predicted: float | None = None
    interval: tuple[float, float] | None = None
