"""Who does what now: sessions and their agents, what they hold, and what they did last."""

from __future__ import annotations

from swarm_memory.identity import agent_name
from swarm_memory.layout import Layout
from swarm_memory.lives import ACTIVE
from swarm_memory.overview.latest import latest, text_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.engine import Engine
    from swarm_memory.lives import Session
    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm

SESSIONS_MAX, AGENTS_MAX, FILES_MAX, LOCKS_MAX = 100, 200, 200, 500
LATEST = 60
RECENT_MS = 15 * 60_000  # who wrote within is at work, also without a session


def look(swarm: Swarm, engine: Engine) -> dict[str, Json]:
    """Return one moment of a swarm.

    `people` are the agents at work: `agent`, `session` (its short name, None without one),
    `main` (its session's own agent), `type`, `branch`, `since_ms`, `seen_ms`, `task` (what it last
    reported progress on), `last` (the last line of the log by it), `files`, `locks` and `waits`.
    `files` says who changes what, `locks` who holds and who waits, `latest` what happened last,
    and `counts` how much there is of everything.
    """
    lines = latest(swarm, engine, limit=LATEST)
    sessions = swarm.sessions.list(ACTIVE, limit=SESSIONS_MAX)
    files = [editor.to_dict() for editor in swarm.edits.list(limit=FILES_MAX)]
    locks = [seat.to_dict() for seat in swarm.leases.list(limit=LOCKS_MAX)]
    people = _People(swarm)
    for session in sessions:
        people.add_session(session)
    for file in files:
        people.of(file["agent"], file["since_ms"], file["at_ms"])["files"].append(file["path"])
    for lock in locks:
        lock["agent"] = _holder(lock)
        kind = "locks" if lock["state"] == "held" else "waits"
        people.of(lock["agent"], lock["since_ms"], lock["since_ms"])[kind].append(lock["name"])
    for line in lines:
        people.saw(line, engine.now_ms)
    shown = people.listed()
    return {
        "now_ms": engine.now_ms,
        "people": shown,
        "files": files,
        "locks": locks,
        "latest": lines,
        "counts": _counts(swarm, len(sessions), files, locks, shown),
    }


class _People:
    """The agents that are seen anywhere, by name."""

    def __init__(self, swarm: Swarm) -> None:
        self._swarm = swarm
        self._known: dict[str, dict[str, Json]] = {}

    def add_session(self, session: Session) -> None:
        """Enter a session's own agent, and those of its agents that run."""
        about = session.about
        main = session.agent if "@" in session.agent else agent_name(session.short)
        if session.agent != main and session.kind == "process":
            main = session.agent  # a process acts by the name that it was given
        known = self.of(main, session.began_ms, session.touched_ms)
        known |= {"session": session.short, "main": True, "branch": _text(about.get("branch"))}
        known["since_ms"] = session.began_ms
        for agent in self._swarm.sessions.agents(session.session_id, limit=AGENTS_MAX):
            if agent.ended_ms is None:
                mine = self.of(agent.name, agent.started_ms, agent.started_ms)
                mine |= {"session": session.short, "type": agent.agent_type}
                mine["branch"] = known["branch"]

    def of(self, agent: str, since_ms: int, seen_ms: int) -> dict[str, Json]:
        """Return what is known of an agent, which was seen at a time."""
        known = self._known.get(agent)
        if known is None:
            session = agent.rpartition("@")[2] if "@" in agent else None
            known = self._known[agent] = {
                "agent": agent, "session": session, "main": False, "type": None, "branch": None,
                "since_ms": since_ms, "seen_ms": seen_ms, "task": None, "last": None,
                "files": [], "locks": [], "waits": [],
            }  # fmt: skip
        known["seen_ms"] = max(known["seen_ms"], seen_ms)
        known["since_ms"] = min(known["since_ms"], since_ms)
        return known

    def saw(self, line: dict[str, Json], now_ms: int) -> None:
        """Note what an agent did; the log comes with the last of it first."""
        author, at_ms = line["author"], line["at_ms"]
        if author not in self._known and now_ms - at_ms > RECENT_MS:
            return
        known = self.of(author, at_ms, at_ms)
        if known["last"] is None:
            known["last"] = {name: line[name] for name in ("key", "op", "at_ms", "text")}

    def listed(self) -> list[dict[str, Json]]:
        """Return all, by session, its own agent first, then whoever was seen last."""
        listed = list(self._known.values())
        for known in listed:
            known["task"] = self._task(known["agent"])
        seen: dict[str, int] = {}
        for known in listed:
            group = known["session"] or known["agent"]
            seen[group] = max(seen.get(group, 0), known["since_ms"])
        listed.sort(
            key=lambda p: (
                -seen[p["session"] or p["agent"]],
                p["session"] or "",
                not p["main"],
                p["agent"],
            )
        )
        return listed[:AGENTS_MAX]

    def _task(self, agent: str) -> dict[str, Json] | None:
        """Return what an agent last reported progress on, if it did."""
        prefix = Layout(self._swarm.context.swarm, agent).progress("x").removesuffix("x")
        newest = max(
            self._swarm.records.scan(prefix, limit=20), key=lambda r: r.updated_ms, default=None
        )
        if newest is None:
            return None
        value = newest.value if isinstance(newest.value, dict) else {}
        task_id = value.get("task_id")
        return {
            "key": newest.key,
            "task_id": task_id if isinstance(task_id, str) else newest.key.rpartition("/")[2],
            "text": text_of(self._swarm, newest.key),
            "at_ms": newest.updated_ms,
        }


def _holder(lock: dict[str, Json]) -> str:
    """Return the agent of a lease: its owner without the session behind it."""
    owner: str = lock["owner"]
    return owner if lock["session"] is None else owner.removesuffix(f"/{lock['session']}")


def _text(value: Json) -> str | None:
    return value if isinstance(value, str) else None


def _counts(swarm: Swarm, sessions: int, files: Json, locks: Json, people: Json) -> dict[str, Json]:
    health = swarm.health.report().metrics
    return {
        "agents": len(people),
        "sessions": sessions,
        "files": len({file["path"] for file in files}),
        "contended": _contended(files),
        "locks": sum(lock["state"] == "held" for lock in locks),
        "waiting": sum(lock["state"] != "held" for lock in locks),
        "messages": swarm.messages.counts().to_dict(),
        "records": health["records"],
        "operations": health["telemetry"],
        "bytes": health["bytes"],
        "limit_bytes": health["limit_bytes"],
    }


def _contended(files: Json) -> list[str]:
    """Return the files that more than one agent changes."""
    agents: dict[str, set[str]] = {}
    for file in files:
        agents.setdefault(file["path"], set()).add(file["agent"])
    return sorted(path for path, who in agents.items() if len(who) > 1)
