"""A swarm with every kind of row that a store has, for whoever copies, checks or damages stores."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.swarm import Swarm

VALUES = 600  # enough to fold counters, to train a dictionary, and for trees of two levels


def fill(swarm: Swarm) -> None:
    """Write all that a backup has to bring back, in this swarm and in another."""
    records = swarm.records
    records.put_many((f"notes/{n:03}", _value(n)) for n in range(VALUES))
    for n in range(14):
        records.put("notes/often", {"n": n, "text": "ü\u2028 \U0001f41d"}, provenance={"n": n})
    records.put("notes/short", "lives for a while", ttl_s=3600)
    records.put("notes/gone", 1)
    records.delete("notes/gone")
    records.put("notes/back", 1)
    records.delete("notes/back")
    records.put("notes/back", 2)
    records.put("notes/often", {"n": "mine"}, expect=2, on_conflict="keep_both")
    records.put("notes/once", 1, op_id="op-1")
    records.put("swarm-s/agent-a/state", {"status": "active"})
    records.put("memory/operations/run", {"ran": "tests"})
    _fill_coordination(swarm)
    choice = swarm.outcomes.recommend({"task_type": "parse"}, ["x", "y"])
    swarm.outcomes.record("parse", ["a", "b"], True, 1.5, decision=choice, context={"n": 1})
    swarm.outcomes.record("parse", ["a"], False, 2, strategy="x", cost=0.5)
    swarm.events.changes("sync")
    other = swarm.as_agent("b", swarm="t")
    other.records.put("notes/000", "of t")
    swarm.retention.pack()


def _fill_coordination(swarm: Swarm) -> None:
    for _ in range(3):
        swarm.leases.acquire("deploy").release()
    swarm.leases.acquire("held", ttl_s=3600)
    sessions = swarm.sessions
    sessions.begin("s-active", about={"branch": "main"})
    sessions.agent_started("s-active", "a1", "explore")
    sessions.agent_started("s-active", "a2", "plan", "a1")
    sessions.agent_stopped("s-active", "a1")
    sessions.begin("s-ended", kind="process")
    sessions.agent_started("s-ended", "a1", "explore")
    sessions.end("s-ended", reason="done")
    messages = swarm.messages
    messages.send({"to": "b"}, to="b", type="hello")
    messages.send({"on": "topic"}, topic="builds", priority=5)
    messages.send({"later": True}, to="b", delay_s=600)
    messages.send({"to": "all"})
    swarm.as_agent("c").messages.claim()


def _value(number: int) -> dict[str, object]:
    text = f"task {number} was planned, built and reviewed by agent-{number % 7}"
    return {"task": number, "status": "done" if number % 3 else "open", "text": text, "x": 1.5}
