"""Noteworthy: which memories an agent that begins is told of, and in which order. Pure maths.

A memory speaks for itself by its kind (a decision or a lesson holds for whoever works here; a
report may) and by its age; and it speaks for this agent if it answers what the agent is about, as
far as that is known: the branch it works on, the type of agent it is, what its session was shown.
The sum of both orders them. What nobody meant as a memory of one of these kinds is told only if
it answers.
"""

from __future__ import annotations

from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from swarm_memory.model import Record

DAY_MS = 86_400_000
HALF_LIFE_MS = 14 * DAY_MS  # after which the age counts half
AGE_SHARE = 0.5  # of what a kind weighs that goes with age
RELEVANCE = 1.0  # what a certain answer weighs, as much as a fresh decision
WEIGHT_MIN = 0.3  # what is below by kind and age is told only if it answers
# What a kind weighs. The names are those that doors store under.
KINDS = {
    "decision": 1.0,
    "lesson": 1.0,
    "note": 0.9,
    "summary": 0.8,
    "fact": 0.7,
    "knowledge": 0.7,
    "outcome": 0.6,
    "pattern": 0.6,
    "insight": 0.6,
    "task": 0.5,
    "report": 0.45,
}
OTHER = "memory"
# Segments of keys that tell the kind where the provenance does not.
_SEGMENTS = {
    "decisions": "decision",
    "lessons": "lesson",
    "notes": "note",
    "summaries": "summary",
    "facts": "fact",
    "knowledge": "knowledge",
    "outcomes": "outcome",
    "patterns": "pattern",
    "insights": "insight",
    "tasks": "task",
    "reports": "report",
} | {kind: kind for kind in KINDS}
# What the store says of itself, and what agents keep for themselves to go on from.
_OWN_USE = frozenset({"state", "snapshots", "monitoring", "optimization", "progress", "context"})
# What an agent said, of which the session's own agent has heard already.
HEARD = frozenset({"report", "summary", "task"})


class Noteworthy(NamedTuple):
    """A memory with its kind and the score that it is ordered by, 0 to 2."""

    record: Record
    kind: str
    score: float


def kind_of(record: Record) -> str | None:
    """Return what kind of memory a record is; None if it is none to be told of."""
    about = record.provenance or {}
    if about.get("stale"):
        return None  # somebody has marked it: it holds no longer
    for said in (about.get("kind"), _field(record, "kind")):
        if isinstance(said, str) and said in KINDS:
            return said
    segments = record.key.split("/")[:-1]
    for segment in reversed(segments):
        if segment in _SEGMENTS:
            return _SEGMENTS[segment]
    return None if _OWN_USE.intersection(record.key.split("/")) else OTHER


def rank(
    records: Iterable[Record], relevance: Mapping[str, float], now_ms: int, score_min: float
) -> list[Noteworthy]:
    """Return what an agent is told of, best first; of equal ones the younger.

    Args:
        relevance: By key, how certainly a record answers what the agent is about, 0 to 1.
        score_min: From which relevance on that counts.
    """
    found: dict[str, Noteworthy] = {}
    for record in records:
        kind = kind_of(record)
        if kind is None:
            continue
        answers = relevance.get(record.key, 0.0)
        answers = answers if answers >= score_min else 0.0
        weight = KINDS.get(kind, 0.0) * (1 - AGE_SHARE * (1 - _youth(now_ms - record.updated_ms)))
        if answers or weight >= WEIGHT_MIN:
            score = weight + RELEVANCE * answers
            found[record.key] = Noteworthy(record, kind, round(score, 3))
    return sorted(found.values(), key=lambda n: (-n.score, -n.record.updated_ms, n.record.key))


def _youth(age_ms: int) -> float:
    """Return in (0, 1] how young something is: 1 now, half after the half-life."""
    return float(0.5 ** (max(0, age_ms) / HALF_LIFE_MS))


def _field(record: Record, name: str) -> object:
    return record.value.get(name) if isinstance(record.value, dict) else None
