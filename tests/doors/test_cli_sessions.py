"""The verb of sessions, and how the command line acts in one."""

import json

import pytest

from swarm_memory import Swarm

UUID = "3f2a9c1b-77d0-4b1e-9c55-0a1b2c3d4e5f"


@pytest.fixture
def swarm(project):
    with Swarm.open(agent="worker") as swarm:
        swarm.sessions.begin(UUID, about={"branch": "main"})
        swarm.sessions.agent_started(UUID, "a1", "explore")
        yield swarm


def test_sessions_are_listed_with_what_they_hold(swarm, call, call_json):
    swarm.as_agent("worker", session=UUID).leases.acquire("deploy")
    swarm.sessions.begin("s")
    swarm.sessions.end("s", reason="done\there")

    found, ended = call_json("session")
    assert (UUID, "active", {"leases": 1, "messages": 0, "agents": 1}) == (
        found["session_id"],
        found["state"],
        found["held"],
    )
    lines = [line.split("\t") for line in call("session", "list").out.splitlines()]
    assert [UUID, "3f2a9c1b", "active", "logical", "worker", "1", "0", "1"] == lines[0][:8]
    assert ["s", "s", "ended", "logical", "worker", "0", "0", "0"] == lines[1][:8]
    assert "done\\there" == lines[1][10]
    assert "done\there" == ended["reason"]
    assert ["s"] == [one["session_id"] for one in call_json("session", "--state", "ended")]


def test_a_session_is_shown_with_its_agents(swarm, call, call_json):
    shown = call_json("session", "show", "3f2a9c1b")

    assert (UUID, {"branch": "main"}) == (shown["session_id"], shown["about"])
    assert ["explore:a1@3f2a9c1b"] == [agent["name"] for agent in shown["agents"]]
    lines = dict(line.split("\t") for line in call("session", "show", UUID).out.splitlines())
    again = {name: json.loads(part) for name, part in lines.items()}
    # Its end is counted by one clock and shown by another: a millisecond may lie between.
    del shown["expires_ms"], again["expires_ms"]
    assert shown == again


def test_ending_a_session_frees_what_it_holds_and_says_what_that_was(swarm, call, call_json):
    lease = swarm.as_agent("worker", session=UUID).leases.acquire("deploy")
    ended = call_json("session", "end", "3f2a9c1b", "--reason", "its terminal is gone")

    freed = {"leases": 1, "messages": 0, "agents": 1}
    assert {"session_id": UUID, "freed": freed} == ended
    assert [] == swarm.leases.list(lease.name)
    assert "its terminal is gone" == swarm.sessions.get(UUID).reason
    again = call("session", "end", UUID)
    assert (1, "") == again[:2]
    assert "was over already (ended)" in again.err


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["show"], 2),
        (["begin", "s"], 2),
        (["show", "nobody"], 1),
        (["end", "nobody"], 1),
        (["list", "--state", "dead"], 2),
    ],
)
def test_what_is_not_understood_or_not_there_says_so(swarm, call, arguments, status):
    ran = call("session", *arguments)

    assert (status, "") == ran[:2]
    assert ran.err


def test_a_terminal_shows_who_is_there_and_what_was_freed(swarm, on_terminal):
    assert "no sessions" in on_terminal("session", "--swarm", "empty").out
    shown = on_terminal("session").out
    assert "3f2a9c1b" in shown
    assert "1 agent" in shown
    assert "freed 1 agent" in on_terminal("session", "end", UUID).out


def test_a_command_that_writes_in_a_session_renews_it(swarm, call, monkeypatch):
    monkeypatch.setenv("SWARM_MEMORY_SESSION", UUID)
    swarm.sessions.begin(UUID, ttl_s=86_400)
    before = swarm.sessions.get(UUID)
    call("get", "notes/1")
    assert before.touched_ms == swarm.sessions.get(UUID).touched_ms

    swarm._engine.write(lambda tx: age(tx, swarm, before))
    aged = swarm.sessions.get(UUID)
    call("get", "notes/1")
    assert aged.expires_ms == pytest.approx(swarm.sessions.get(UUID).expires_ms, abs=1000)
    call("put", "notes/1", "1")
    renewed = swarm.sessions.get(UUID)
    assert ("active", None) == (renewed.state, renewed.reason)
    assert renewed.expires_ms > aged.expires_ms + 40_000_000


def age(tx, swarm, session):
    """Let half of a session's time to live be gone."""
    boot_id, half_ms = swarm._engine.boot_id, round(500 * session.ttl_s)
    where = {"swarm": "default", "session_id": session.session_id, "boot_id": boot_id}
    tx.run("session_carry", **where, expires_ms=tx.uptime_ms + half_ms)
