"""What `top` shows: one look at a swarm, as data, as lines and as a screen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from swarm_memory.doors.cli.show import cell, human_bytes, table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from swarm_memory.monitor.alerts import Alert
    from swarm_memory.swarm import Swarm

    Json = Any
    Look = dict[str, Json]

SESSIONS, ROWS = 12, 8
_LEVELS = {"healthy": "bold green", "warning": "bold yellow", "critical": "bold red"}


def look(swarm: Swarm) -> Look:
    """Return what is going on in a swarm now, and what its newest sample tells of its calls."""
    report = swarm.health.report()
    newest = swarm.monitor.newest()
    sample = None if newest is None else newest.to_dict()
    agents = []
    for session in swarm.sessions.list("active", limit=SESSIONS):
        running = [a for a in swarm.sessions.agents(session.session_id) if a.ended_ms is None]
        # Who began the session is at work as well as those whom it started.
        named = [(session.agent, session.kind, session.began_ms)]
        named += [(a.name, a.agent_type, a.started_ms) for a in running]
        agents += [
            {"agent": name, "type": kind, "session": session.short, "since_ms": since_ms}
            for name, kind, since_ms in named
        ]
    metrics = report.metrics
    return {
        "swarm": swarm.context.swarm,
        "health": report.overall_health,
        "issues": report.issues,
        "trends": report.trends,
        "memory": {
            name: metrics[name]
            for name in ("records", "telemetry", "bytes", "limit_bytes", "file_bytes", "wal_bytes")
        },
        "agents": agents,
        "leases": [seat.to_dict() for seat in swarm.leases.list()],
        "queues": sample["groups"]["queue"] if sample else {},
        "sample_ms": sample["at_ms"] if sample else None,
        "verbs": sample["verbs"] if sample else {},
        "errors": sample["errors"] if sample else {},
        "alerts": [alert.to_dict() for alert in worst_first(swarm.alerts.list())],
    }


def worst_first(alerts: Iterable[Alert]) -> list[Alert]:
    """Return alerts, the critical ones first, then the older ones."""
    return sorted(alerts, key=lambda alert: (alert.severity != "critical", alert.raised_ms))


def top_lines(seen: Look) -> list[list[Json]]:
    """Return a look as lines: what it is about, its name, and its figures."""
    lines: list[list[Json]] = [["health", seen["health"]]]
    lines += [["memory", name, value] for name, value in seen["memory"].items()]
    lines += [["agent", a["agent"], a["type"], a["session"], a["since_ms"]] for a in seen["agents"]]
    lines += [["lease", s["name"], s["state"], s["owner"], s["age_ms"]] for s in seen["leases"]]
    lines += [["queue", name, *figures] for name, figures in seen["queues"].items()]
    lines += [
        ["verb", name, v["calls"], v["per_s"], v["p50_ms"], v["p99_ms"]]
        for name, v in seen["verbs"].items()
    ]
    lines += [["error", name, calls] for name, calls in seen["errors"].items()]
    return lines + [["alert", a["alert_id"], a["severity"], a["text"]] for a in seen["alerts"]]


def print_top(seen: Look, height: int) -> Group:
    """Return a look as a screen of `height` lines."""
    memory = seen["memory"]
    head = Text.assemble(
        cell(f"swarm {seen['swarm']} "), cell(seen["health"], _LEVELS[seen["health"]]),
        cell(
            f"  {memory['records']:,} records, {human_bytes(memory['bytes'])} of "
            f"{human_bytes(memory['limit_bytes'])}, log {human_bytes(memory['wal_bytes'])}"
        ),
    )  # fmt: skip
    parts = [
        (_agents(seen), "nobody is at work"),
        (_leases(seen), "no lease is held"),
        (_queues(seen), "no message waits"),
        (_calls(seen), "no call was counted in the newest sample"),
    ]
    issues = [cell(f"! {text}", _LEVELS[seen["health"]]) for text in seen["issues"][:ROWS]]
    # What does not fit is cut evenly, and said: a live screen cannot be scrolled.
    room = max(1, (height - 3 - len(issues) - 2 * len(parts)) // len(parts))
    shown: list[Any] = [head, *issues]
    for rows, nothing in parts:
        shown.append(Text(""))
        shown.append(_cut(rows, room) if rows.row_count else cell(nothing, "dim"))
    return Group(*shown)


def _cut(rows: Table, room: int) -> Group | Table:
    left = rows.row_count - room
    if left <= 0:
        return rows
    for column in rows.columns:
        del column._cells[room - 1 :]
    del rows.rows[room - 1 :]
    return Group(rows, cell(f"… and {left + 1} more", "dim"))


def _agents(seen: Look) -> Table:
    rows = table("agent", "type", "session", "since", right=["since"])
    for agent in seen["agents"]:
        rows.add_row(
            cell(agent["agent"], "bold"), cell(agent["type"]), cell(agent["session"]),
            _span(_now_ms() - agent["since_ms"]),
        )  # fmt: skip
    return rows


def _leases(seen: Look) -> Table:
    rows = table("lease", "state", "for", "owner", right=["for"])
    waiting_first = sorted(seen["leases"], key=lambda seat: (seat["name"], seat["state"]))
    for seat in waiting_first:
        style = "yellow" if seat["state"] == "waiting" else "green"
        rows.add_row(
            cell(seat["name"], "bold"), cell(seat["state"], style), _span(seat["age_ms"]),
            cell(seat["owner"]),
        )  # fmt: skip
    return rows


def _queues(seen: Look) -> Table:
    rows = table("queue", "messages", "oldest", "", right=["messages", "oldest"])
    # They were that old when the sample was taken, up to a minute ago.
    since_ms = _now_ms() - (seen["sample_ms"] or _now_ms())
    for name, (size, age_ms, lapsed_ms) in seen["queues"].items():
        lapsed = f"one lapsed {_span(lapsed_ms + since_ms)} ago" if lapsed_ms else ""
        oldest = _span(age_ms + since_ms)
        rows.add_row(cell(name, "bold"), f"{size:,}", oldest, cell(lapsed, "yellow"))
    return rows


def _calls(seen: Look) -> Table:
    figures = ["calls", "per s", "p50 ms", "p99 ms"]
    rows = table("call", *figures, "failed", right=[*figures, "failed"])
    rows.columns[-1].justify = "left"
    for name, verb in sorted(seen["verbs"].items(), key=lambda pair: -pair[1]["calls"]):
        failed = sum(n for error, n in seen["errors"].items() if error.startswith(f"{name}!"))
        per_s = "" if verb["per_s"] is None else f"{verb['per_s']:.1f}"
        rows.add_row(
            cell(name, "bold"), f"{verb['calls']:,}", per_s, f"{verb['p50_ms']:.3g}",
            f"{verb['p99_ms']:.3g}", cell(str(failed) if failed else "", "yellow"),
        )  # fmt: skip
    return rows


def _span(ms: float) -> str:
    seconds = max(0.0, ms / 1000)
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def _now_ms() -> int:
    import time

    return int(time.time() * 1000)
