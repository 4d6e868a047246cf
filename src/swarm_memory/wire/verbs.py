"""The verbs of the HTTP API, one line each: which method of which service is asked for where.

What a verb takes and returns is the signature of its method; nothing is said twice.
"""

from __future__ import annotations

from swarm_memory.conflicts import Conflicts
from swarm_memory.events import Events
from swarm_memory.forecast import Forecast
from swarm_memory.health import Health
from swarm_memory.journal import Journal
from swarm_memory.lean import NamedTuple
from swarm_memory.leases import Leases
from swarm_memory.memories import Memories
from swarm_memory.messages import Messages
from swarm_memory.monitor import Monitor
from swarm_memory.monitor.alerts import Alerts
from swarm_memory.optimizing import Optimizer
from swarm_memory.outcomes import Outcomes
from swarm_memory.records import Records
from swarm_memory.retention import Retention
from swarm_memory.search import Search
from swarm_memory.sessions import Sessions
from swarm_memory.swarm import Swarm

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# How a retry is kept from applying twice:
READ = "read"  # there is nothing to apply
ONCE = "once"  # the method takes an op_id, which is kept in the store with its result
KEPT = "kept"  # the server keeps the answer in memory for a while
AGAIN = "again"  # applied twice it is the same

SERVICES: dict[str, type[Any]] = {
    "records": Records,
    "leases": Leases,
    "messages": Messages,
    "events": Events,
    "sessions": Sessions,
    "outcomes": Outcomes,
    "conflicts": Conflicts,
    "forecast": Forecast,
    "memories": Memories,
    "journal": Journal,
    "finder": Search,
    "health": Health,
    "monitor": Monitor,
    "alerts": Alerts,
    "retention": Retention,
    "optimizer": Optimizer,
    "swarm": Swarm,
}
# Of these a transaction has its own.
IN_TRANSACTIONS = ("records", "events", "leases", "messages", "sessions", "outcomes")


class Verb(NamedTuple):
    """One verb: `service` and `name` of the method, HTTP `method` and `path`, and its retries.

    A path has the names of arguments in braces; the others are in the query of GET and DELETE,
    else in the body. `hidden` are arguments that mean nothing elsewhere, `waits` is the one that
    bounds how long an answer may take, and `gives` what is returned where it is not what the
    method does.
    """

    service: str
    name: str
    method: str
    path: str
    retry: str
    hidden: tuple[str, ...] = ()
    waits: str | None = None
    gives: str | None = None

    @property
    def full_name(self) -> str:
        return f"{self.service}.{self.name}"

    @property
    def function(self) -> Any:
        """The method whose signature and docstring it has."""
        return getattr(SERVICES[self.service], self.name)


VERBS = (
    Verb("records", "get", "GET", "/records/{key}", READ),
    Verb("records", "put", "PUT", "/records/{key}", ONCE),
    Verb("records", "delete", "DELETE", "/records/{key}", ONCE),
    Verb("records", "scan", "GET", "/records", READ),
    Verb("records", "put_many", "POST", "/records", ONCE),
    Verb("records", "keys", "GET", "/keys", READ),
    Verb("records", "touch", "POST", "/touch/{key}", AGAIN),
    Verb("records", "touch_many", "POST", "/touch", AGAIN),
    Verb("records", "count", "GET", "/count", READ),
    Verb("records", "history", "GET", "/history/{key}", READ),
    Verb("records", "rollback", "POST", "/rollback/{key}", ONCE),
    Verb("swarm", "search", "GET", "/search", READ),
    Verb("leases", "acquire", "POST", "/leases", KEPT, ("given_up",), "wait_s"),
    Verb("leases", "acquire_all", "POST", "/leases/all", KEPT, waits="wait_s"),
    Verb("leases", "list", "GET", "/leases", READ),
    Verb("leases", "held", "GET", "/leases/held", READ),
    Verb("leases", "covering", "GET", "/leases/covering", READ),
    Verb("leases", "renew", "POST", "/leases/renew", AGAIN, gives="Lease"),
    Verb("leases", "release", "POST", "/leases/release", KEPT),
    Verb("leases", "upgrade", "POST", "/leases/upgrade", KEPT, waits="wait_s", gives="Lease"),
    Verb("leases", "end_session", "POST", "/leases/end-session", AGAIN),
    Verb("leases", "prune", "POST", "/leases/prune", AGAIN),
    Verb("messages", "send_many", "POST", "/messages", ONCE),
    Verb("messages", "claim", "POST", "/messages/claim", KEPT, waits="wait_s"),
    Verb("messages", "ack", "POST", "/messages/ack", KEPT),
    Verb("messages", "nack", "POST", "/messages/nack", KEPT),
    Verb("messages", "extend", "POST", "/messages/extend", AGAIN),
    Verb("messages", "request", "POST", "/messages/request", KEPT, waits="timeout_s"),
    Verb("messages", "reply", "POST", "/messages/reply", ONCE),
    Verb("messages", "inbox", "GET", "/messages", READ),
    Verb("messages", "dead", "GET", "/messages/dead", READ),
    Verb("messages", "revive", "POST", "/messages/revive", KEPT),
    Verb("messages", "counts", "GET", "/messages/counts", READ),
    Verb("messages", "end_session", "POST", "/messages/end-session", AGAIN),
    Verb("messages", "prune", "POST", "/messages/prune", AGAIN),
    Verb("events", "since", "GET", "/events", READ),
    Verb("events", "newest", "GET", "/events/newest", READ),
    Verb("events", "newest_at", "GET", "/events/newest-at", READ),
    Verb("events", "changes", "POST", "/events/changes", KEPT),
    Verb("journal", "decide", "POST", "/decisions", ONCE),
    Verb("journal", "share", "POST", "/knowledge", ONCE),
    Verb("journal", "snapshot", "POST", "/snapshots", ONCE),
    Verb("memories", "store", "POST", "/memories", ONCE),
    Verb("memories", "supersede", "POST", "/memories/supersede", ONCE),
    Verb("memories", "similar", "POST", "/memories/similar", READ),
    Verb("conflicts", "list", "GET", "/conflicts", READ),
    Verb("conflicts", "get", "GET", "/conflicts/{conflict_id}", READ),
    Verb("swarm", "resolve_conflict", "POST", "/conflicts/{conflict_id}", ONCE),
    Verb("forecast", "risk", "POST", "/forecast/risk", READ),
    Verb("forecast", "keys", "POST", "/forecast/keys", READ),
    Verb("forecast", "assign", "POST", "/forecast/plan", READ),
    Verb("forecast", "keep_up", "POST", "/upkeep/forecast", AGAIN),
    Verb("outcomes", "record", "POST", "/outcomes", KEPT),
    Verb("outcomes", "recent", "GET", "/outcomes", READ),
    Verb("outcomes", "count", "GET", "/outcomes/count", READ),
    Verb("outcomes", "recommend", "POST", "/outcomes/recommend", KEPT),
    Verb("outcomes", "choose", "POST", "/choices", KEPT),
    Verb("outcomes", "waiting", "GET", "/choices/waiting", READ),
    Verb("outcomes", "may_try", "GET", "/choices/may-try", READ),
    Verb("outcomes", "observations", "GET", "/outcomes/log", READ),
    Verb("outcomes", "rebuild", "POST", "/outcomes/rebuild", AGAIN),
    Verb("outcomes", "insights", "GET", "/outcomes/insights", READ),
    Verb("outcomes", "get", "GET", "/outcome/{outcome_id}", READ),
    Verb("outcomes", "relabel", "POST", "/outcome/{outcome_id}/label", AGAIN),
    Verb("sessions", "begin", "POST", "/sessions", KEPT),
    Verb("sessions", "list", "GET", "/sessions", READ),
    Verb("sessions", "get", "GET", "/sessions/one", READ),
    Verb("sessions", "touch", "POST", "/sessions/touch", AGAIN),
    Verb("sessions", "end", "POST", "/sessions/end", KEPT),
    Verb("sessions", "reap", "POST", "/sessions/reap", AGAIN),
    Verb("sessions", "prune", "POST", "/sessions/prune", AGAIN),
    Verb("sessions", "agents", "GET", "/sessions/agents", READ),
    Verb("sessions", "agent_started", "POST", "/sessions/agent-started", KEPT),
    Verb("sessions", "agent_stopped", "POST", "/sessions/agent-stopped", KEPT),
    Verb("health", "report", "POST", "/health", READ),
    Verb("monitor", "newest", "GET", "/monitor/newest", READ),
    Verb("monitor", "series", "GET", "/monitor/series", READ),
    Verb("monitor", "trends", "GET", "/monitor/trends", READ),
    Verb("alerts", "list", "GET", "/alerts", READ),
    Verb("alerts", "get", "GET", "/alerts/{alert_id}", READ),
    Verb("alerts", "acknowledge", "POST", "/alerts/{alert_id}/acknowledge", AGAIN),
    Verb("alerts", "resolve", "POST", "/alerts/{alert_id}/resolve", AGAIN),
    Verb("retention", "due", "POST", "/upkeep/due", KEPT),
    Verb("retention", "sweep", "POST", "/upkeep/sweep", AGAIN),
    Verb("retention", "pack", "POST", "/upkeep/pack", AGAIN),
    Verb("retention", "train", "POST", "/upkeep/train", AGAIN),
    Verb("finder", "keep_up", "POST", "/upkeep/index", AGAIN),
    Verb("optimizer", "plan", "POST", "/upkeep/plan", READ),
    Verb(
        "optimizer",
        "apply",
        "POST",
        "/upkeep/optimize",
        KEPT,
        ("to", "progress"),
        "budget_s",
    ),
    Verb("swarm", "tick", "POST", "/upkeep/tick", AGAIN),
    Verb("swarm", "maintain", "POST", "/upkeep/maintain", AGAIN),
    Verb("swarm", "verify", "POST", "/upkeep/verify", KEPT, ("progress",)),
    Verb("swarm", "waste", "GET", "/upkeep/waste", READ),
    Verb("swarm", "file_bytes", "GET", "/upkeep/file-bytes", READ),
    Verb("swarm", "agents", "GET", "/agents", READ),
)
# What asks for somebody in a session, and is as well asked by somebody in none.
SESSION_OR_NONE = {"forecast.risk"}
BY_NAME = {verb.full_name: verb for verb in VERBS}
