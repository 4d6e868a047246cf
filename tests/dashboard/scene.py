"""A swarm at work, as its hooks would leave it: for tests of the dashboard, and for its pictures.

Run as a program it writes the scene into the store of the URL that it is given, and with `--live`
goes on working in it.
"""

import itertools
import random
import sys
import time

from swarm_memory import Swarm, SwarmMemoryManager
from swarm_memory.clock import SystemClock
from swarm_memory.testing import ManualClock

SWARM = "shop-backend"
ROOT = "/projects/shop"
LESSONS = [
    ("checkout/retries", "Payment callbacks may come twice: compare the idempotency key first."),
    ("tests/database", "Run migrations before the integration tests, or the schema is stale."),
    ("api/pagination", "Cursors are opaque to clients; sort by (created_at, id), never by id."),
    ("deploy/canary", "Hold the deploy lock until the canary has been healthy for five minutes."),
    ("search/index", "Rebuilding the index takes four minutes; do it outside of office hours."),
    ("auth/sessions", "Refresh tokens rotate; a reused one ends the whole family of sessions."),
    ("orders/totals", "Totals are in minor units everywhere; only the templates format them."),
    ("cache/keys", "Cache keys carry the schema version, so a rollout never reads old shapes."),
]
SESSIONS = [
    ("3f2a9c1b-7d40-4c1e-9a52-1f0c8be24a77", "feature/checkout", "checkout"),
    ("b81d04e6-2f7e-4f0e-8d3a-5a9d1c7e6b10", "feature/search", "search"),
    ("c0ffee12-90ab-4cde-8f01-23456789abcd", "main", "review"),
]
FILES = {
    "checkout": ["src/checkout/payment.py", "src/checkout/totals.py", "tests/test_payment.py"],
    "search": ["src/search/index.py", "src/search/query.py", "src/checkout/totals.py"],
    "review": ["docs/adr/0012-cursors.md"],
}


def play(url, swarm=SWARM):
    """Write the scene."""
    _outcomes(url, swarm)
    with Swarm.open(url, agent="main", swarm=swarm) as door:
        for number, (key, text) in enumerate(LESSONS):
            author = door.as_agent(f"main@{_short(SESSIONS[number % 3])}")
            about = {"kind": "lesson", "files": [f"src/{key.split('/')[0]}"]}
            author.records.put(f"memory/notes/{key}", text, provenance=about)
        _config(door)
        for session, branch, name in SESSIONS:
            _work(door, session, branch, name)
        _locks(door)
        _told(door)
        _trouble(door)
        _samples(door)
    for name, percent in (("checkout", 70), ("search", 35)):
        session = next(s for s in SESSIONS if s[2] == name)
        with SwarmMemoryManager(f"main@{_short(session)}", swarm, url=url) as manager:
            manager.initialize_agent_memory({"role": "engineer", "status": "working"})
            manager.update_agent_progress(f"{name}: second attempt", {"percent": percent})
            manager.share_knowledge_with_swarm("optimization", {"strategy": f"batch {name}"})
            manager.store_agent_decision("library", {"use": "the one that we have"})


def _short(session):
    return session[0][:8]


def _config(door):
    """One record with versions worth comparing, whose numbers no browser could keep."""
    key = "config/payment"
    value = {"provider": "acme", "timeout_s": 10, "retries": {"max": 3, "backoff": [1, 2, 4]}}
    door.as_agent("main@3f2a9c1b").records.put(key, value)
    value = value | {"timeout_s": 30, "limits": {"amount_max": 9_007_199_254_740_993}}
    door.as_agent("main@b81d04e6").records.put(key, value, provenance={"kind": "decision"})
    value = value | {"retries": {"max": 5, "backoff": [1, 2, 4, 8, 16], "jitter": True}}
    door.as_agent("main@3f2a9c1b").records.put(key, value, provenance={"kind": "decision"})


def _work(door, session, branch, name):
    short = session[:8]
    worktree = f"{ROOT}-{name}"
    door.sessions.begin(
        session, agent="main", about={"branch": branch, "worktree": worktree, "source": "startup"}
    )
    me = door.as_agent(f"main@{short}", session=session)
    who = {"session_id": session, "agent": f"main@{short}"}
    door.briefing.session(session, f"main@{short}", source="startup", branch=branch)
    door.briefing.prompt(session, f"main@{short}", f"how do {name} totals and retries work")
    place = {"worktree": worktree, "branch": branch}
    for number, path in enumerate(FILES[name]):
        me.edits.edited([path], **who, tool="Edit", **place)
        call = f"toolu_{name}{number}"
        value = {"tool": "Edit", "operation": "edit", "path": path, "exit": "ok"}
        me.records.put(f"memory/operations/{short}/{call}", value)
    if name != "review":
        _subagent(door, session, short, name, place)
    value = {"tool": "Bash", "operation": "command", "command": "pytest", "exit": "failed"}
    me.records.put(f"memory/operations/{short}/toolu_{name}_test", value)


def _subagent(door, session, short, name, place):
    agent_id = f"a7d93f{name[:1]}"
    me = f"explore:{agent_id}@{short}"
    door.sessions.agent_started(session, agent_id, "explore")
    door.briefing.subagent(session, me, agent_id=agent_id, agent_type="explore")
    who = {"session_id": session, "agent": me, "agent_id": agent_id}
    door.as_agent(me, session=session).edits.edited([f"docs/{name}.md"], **who, **place)
    value = {"tool": "Grep", "operation": "search", "path": f"src/{name}", "exit": "ok"}
    door.as_agent(me, session=session).records.put(
        f"memory/operations/{short}/toolu_{name}_grep", value
    )


def _locks(door):
    session = SESSIONS[0][0]
    owner = door.as_agent("main@3f2a9c1b", session=session)
    owner.leases.acquire("deploy", ttl_s=3600, reason="canary of 2.14")
    door.as_agent("main@b81d04e6").leases.acquire("file:src/search/**", ttl_s=3600)
    door.as_agent("reviewer").leases.acquire("benchmarks", "read", ttl_s=3600)


def _told(door):
    messages = door.as_agent("main@c0ffee12").messages
    messages.send({"please": "look at the cursor decision"}, to="main@b81d04e6", type="review")
    messages.send({"please": "rebase on main"}, topic="builds")
    door.briefing.cited(SESSIONS[0][0], "As %1 says, compare the idempotency key first.")


def _trouble(door):
    """A conflict that waits, one that settled itself, and a dead letter."""
    ours, theirs = door.as_agent("main@3f2a9c1b").records, door.as_agent("main@b81d04e6").records
    key = "memory/decisions/orders/rounding"
    base = ours.put(key, {"mode": "half_even", "digits": 2})
    theirs.put(key, {"mode": "half_even", "digits": 4}, expect=base.version)
    mine = {"mode": "half_up", "digits": 2, "why": "as the invoices do"}
    ours.put(key, mine, expect=base.version, on_conflict="keep_both")
    key = "memory/decisions/orders/currency"
    base = ours.put(key, {"default": "EUR"})
    theirs.put(key, {"default": "EUR", "shown": "symbol"}, expect=base.version)
    ours.put(key, {"default": "EUR", "fallback": "USD"}, expect=base.version, on_conflict="merge")
    door.messages.send({"deploy": "2.14"}, topic="deploys", attempts_max=1)
    for message in door.as_agent("deployer").messages.claim("deploys"):
        message.nack(reason="the canary was not healthy")


def _outcomes(url, swarm):
    """Outcomes of two strategies, of which one gets better, in the last two hours."""
    choose = random.Random(3)
    clock = ManualClock(SystemClock().now_ms() - 7_200_000)
    with Swarm.open(url, agent="main", swarm=swarm, clock=clock) as door:
        _ended(door, clock, choose)


def _ended(door, clock, choose):
    for number in range(80):
        clock.advance(88)
        strategy = "small-steps" if choose.random() < 0.4 + number / 160 else "rewrite"
        well = choose.random() < (0.55 + number / 240 if strategy == "small-steps" else 0.5)
        door.outcomes.record(
            "refactoring" if number % 3 else "bugfix",
            ["main@3f2a9c1b"],
            well,
            choose.uniform(40, 400),
            strategy=strategy,
            cost=choose.uniform(0.02, 0.3),
            error_class=None if well else "test_failed",
        )


def _samples(door):
    """Two hours of samples that look like work; the last one is of what is really there."""
    taken = door.monitor.take().sample
    choose = random.Random(5)
    samples = []
    for ago in range(120, -1, -1):
        busy = 900 + 500 * choose.random() + 4 * (120 - ago)
        buckets = {72: int(busy * 0.6), 76: int(busy * 0.35), 88: int(busy * 0.05)}
        gauges = taken.gauges | {"bytes": taken.gauges["bytes"] * (1 - ago / 240)}
        samples.append(
            taken._replace(
                at_ms=taken.at_ms - 60_000 * ago,
                length_s=60.0,
                gauges=gauges,
                latencies={"put": buckets, "get": {60: int(3 * busy)}, "search": {88: 40}},
            )
        )
    door.transact(
        lambda handle: [
            handle.tx.run(
                "sample_put",
                swarm=door.context.swarm,
                span=sample.span,
                at_ms=sample.at_ms,
                body=sample.body(),
            )
            for sample in samples
        ]
    )


def work(url, swarm=SWARM, seed=1):
    """Go on working until the program is ended."""
    choose = random.Random(seed)
    with Swarm.open(url, agent="main", swarm=swarm) as door:
        for number in itertools.count():
            session, branch, name = choose.choice(SESSIONS)
            short, path = session[:8], choose.choice(FILES[name])
            me = door.as_agent(f"main@{short}", session=session)
            me.sessions.touch()
            value = {"tool": "Edit", "operation": "edit", "path": path, "exit": "ok"}
            me.records.put(f"memory/operations/{short}/live_{number}", value)
            if number % 4 == 0:
                me.records.put(f"memory/notes/{name}/live", f"Note {number} of {branch}.")
            time.sleep(choose.uniform(0.2, 1.2))


if __name__ == "__main__":
    play(sys.argv[1])
    if "--live" in sys.argv[2:]:
        work(sys.argv[1])
