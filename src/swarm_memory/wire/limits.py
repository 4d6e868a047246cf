"""What an argument may be, as JSON Schema says it, by its name: one name means one thing.

The services check all of this and more; here it is said for who reads the OpenAPI document and
for clients that are made from it.
"""

from __future__ import annotations

from typing import Any

from swarm_memory import conflicts, forecast, leases, messages, outcomes, search, sessions, writing
from swarm_memory.config import RETENTION_S_MAX
from swarm_memory.learning.assignment import TASKS_MAX
from swarm_memory.lives import STATES
from swarm_memory.memories import FILES_MAX, KINDS, REPLACED_MAX
from swarm_memory.monitor import SERIES_MAX
from swarm_memory.monitor.alerts import STATES as ALERT_STATES
from swarm_memory.monitor.sample import SPANS
from swarm_memory.optimizing import STEPS
from swarm_memory.optimizing.optimizer import BUDGET_S_MAX
from swarm_memory.seats import MODES

WHOLE_MAX = 2**62
ROWS_MAX = 10_000  # as the setting batch_rows_max has it by default
_CHARACTER, _NO_DOT = "[A-Za-z0-9._:@+-]", "[A-Za-z0-9_:@+-]"
_SEGMENT = rf"({_CHARACTER}*{_NO_DOT}{_CHARACTER}*|\.{{3,}})"  # anything but `.` and `..`
KEY = rf"^{_SEGMENT}(/{_SEGMENT})*$"
PREFIX = rf"^(\*|{_SEGMENT}(/{_SEGMENT})*/?\*?)?$"
_NAME = r"\.?[^\x00-\x1f./\\][^\x00-\x1f/\\]{0,200}"
PATH = rf"^{_NAME}(/{_NAME})*/?$"
LEASE = r"^[0-9]{1,18}:[^\x00]+$"


def text(characters: int, characters_min: int = 1) -> dict[str, Any]:
    """Return the schema of a text without NUL."""
    return {"minLength": characters_min, "maxLength": characters, "pattern": r"^[^\x00]*$"}


def number(low: float, high: float) -> dict[str, Any]:
    """Return the schema of a number."""
    return {"minimum": low, "maximum": high}


def one_of(*words: str) -> dict[str, Any]:
    """Return the schema of a word."""
    return {"pattern": f"^({'|'.join(words)})$"}


# Part of a path of a URL, so without what ends or hides one.
NAME = {"minLength": 1, "maxLength": 100, "pattern": r"^[^\x00-\x20\x7f/]+$"}
LIMITS: dict[str, dict[str, Any]] = {
    "key": {"pattern": KEY, "maxLength": 255},
    "prefix": {"pattern": PREFIX, "maxLength": 255},
    "after": {"pattern": KEY, "maxLength": 255},
    "lease": {"pattern": LEASE, "maxLength": 1024},
    "fence": {"pattern": LEASE, "maxLength": 1024},
    "expect": number(0, WHOLE_MAX),
    "version": number(1, WHOLE_MAX),
    "since": number(0, WHOLE_MAX),
    "seq": number(0, WHOLE_MAX),
    "token": number(0, WHOLE_MAX),
    "limit": number(1, ROWS_MAX),
    "min_score": number(0, 1),
    "share": number(0, 1),
    "ttl_s": number(0.001, writing.TTL_S_MAX),
    "wait_s": number(0, leases.WAIT_S_MAX),
    "timeout_s": number(0.001, messages.WAIT_S_MAX),
    "visible_after_s": number(0.001, messages.VISIBLE_S_MAX),
    "delay_s": number(0, messages.DELAY_S_MAX),
    "interval_s": number(0, RETENTION_S_MAX),
    "budget_s": number(0.001, BUDGET_S_MAX),
    "only": {"minLength": 1, "maxLength": 20, "items": one_of(*STEPS)},
    "duration_s": number(0, outcomes.AMOUNT_MAX),
    "cost": number(0, outcomes.AMOUNT_MAX),
    "cost_weight": number(0, outcomes.AMOUNT_MAX),
    "time_weight": number(0, outcomes.AMOUNT_MAX),
    "seed": number(0, 2**63 - 1),
    "score": number(0, 1),
    "success": one_of(*outcomes.STATUSES),
    "propensity": number(1e-9, 1),
    "older_s": number(0, outcomes.AMOUNT_MAX),
    "failed_step": number(0, outcomes.STEP_MAX),
    "failed_agent": text(outcomes.NAME_BYTES_MAX),
    "error_class": text(outcomes.NAME_BYTES_MAX),
    "task": text(outcomes.NAME_BYTES_MAX),
    "label_source": one_of(*outcomes.LABEL_SOURCES),
    "priority": number(-messages.PRIORITY_MAX, messages.PRIORITY_MAX),
    "attempts_max": number(1, messages.ATTEMPTS_MAX_MAX),
    "name": text(leases.NAME_BYTES_MAX),
    "path": {"minLength": 1, "maxLength": leases.NAME_BYTES_MAX, "pattern": PATH},
    "to": text(messages.NAME_BYTES_MAX),
    "topic": text(messages.NAME_BYTES_MAX),
    "type": text(messages.LABEL_BYTES_MAX),
    "correlation": text(messages.LABEL_BYTES_MAX),
    "reason": text(leases.REASON_BYTES_MAX, 0),
    "session": text(sessions.NAME_BYTES_MAX),
    "session_id": text(sessions.NAME_BYTES_MAX),
    "agent_id": text(sessions.ID_BYTES_MAX),
    "agent_type": text(sessions.ID_BYTES_MAX),
    "parent": text(sessions.ID_BYTES_MAX),
    "decision_type": text(1024),
    "knowledge_type": text(1024),
    "task_type": text(outcomes.NAME_BYTES_MAX),
    "strategy": text(outcomes.NAME_BYTES_MAX),
    "conflict_id": NAME,
    "alert_id": NAME,
    "span": one_of(*SPANS),
    "since_ms": number(0, 2**53),
    "mode": one_of(*MODES),
    "durability": one_of("full", "relaxed"),
    "order": one_of(*messages.ORDERS),
    "state": one_of(*STATES),
    "outcome": one_of(*conflicts.OUTCOMES),
    "sender": text(messages.NAME_BYTES_MAX),
    "message_id": text(messages.LABEL_BYTES_MAX),
    "reply_to": text(messages.NAME_BYTES_MAX),
    "outcome_id": text(outcomes.NAME_BYTES_MAX),
    "also": {"maxLength": REPLACED_MAX, "items": {"pattern": KEY, "maxLength": 255}},
    "but": {"items": {"pattern": KEY, "maxLength": 255}},
    "window_s": number(forecast.WINDOW_S_MIN, forecast.WINDOW_S_MAX),
    "paths": {"maxLength": forecast.PATHS_MAX, "items": text(forecast.PATH_CHARS_MAX)},
    "keys": {"maxLength": forecast.PATHS_MAX, "items": {"pattern": KEY, "maxLength": 255}},
    "tasks": {"maxLength": TASKS_MAX, "items": text(forecast.PATH_CHARS_MAX)},
    "files": {"maxLength": FILES_MAX, "items": text(1024)},
    "names": {"maxLength": leases.PATTERNS_MAX, "items": text(leases.NAME_BYTES_MAX)},
    "agents": {"items": text(outcomes.NAME_BYTES_MAX)},
    "candidates": {
        "maxLength": outcomes.CANDIDATES_MAX,
        "items": text(outcomes.NAME_BYTES_MAX),
    },
}
# Where a verb takes less than the name allows.
OF_VERB: dict[tuple[str, str], dict[str, Any]] = {
    **{
        (verb, "ttl_s"): number(leases.TTL_S_MIN, leases.TTL_S_MAX)
        for verb in ("leases.acquire", "leases.acquire_all", "leases.renew")
    },
    ("sessions.begin", "ttl_s"): number(sessions.TTL_S_MIN, sessions.TTL_S_MAX),
    ("outcomes.relabel", "success"): one_of(*outcomes.STATUSES[:-1]),
    ("sessions.begin", "kind"): one_of("logical", "process"),
    ("sessions.begin", "agent"): text(sessions.NAME_BYTES_MAX),
    ("memories.store", "kind"): one_of(*KINDS),
    ("memories.supersede", "kind"): one_of(*KINDS),
    ("memories.supersede", "reason"): text(1024),
    ("leases.upgrade", "mode"): one_of(*MODES[1:]),
    ("swarm.search", "limit"): number(1, search.HITS_MAX),
    ("retention.due", "name"): text(outcomes.NAME_BYTES_MAX),
    ("alerts.list", "state"): one_of(*ALERT_STATES),
    ("monitor.series", "limit"): number(1, SERIES_MAX),
    ("forecast.risk", "session_id"): text(sessions.NAME_BYTES_MAX, 0),
    ("forecast.risk", "agent_id"): text(sessions.ID_BYTES_MAX, 0),
    ("forecast.risk", "files"): number(1, WHOLE_MAX),
    ("forecast.keys", "agent"): text(sessions.NAME_BYTES_MAX),
    ("forecast.assign", "agents"): {
        "minLength": 1,
        "maxLength": forecast.AGENTS_MAX,
        "items": text(outcomes.NAME_BYTES_MAX),
    },
    ("events.changes", "name"): text(outcomes.NAME_BYTES_MAX),
}
# Without it a call may mean the caller's own session, which a client says by its name; not where
# it is as well asked by somebody in none.
REQUIRED = {"session_id"}
