"""The verbs brief and injected, and get by a number."""

import json

import pytest

from swarm_memory import Swarm

UUID = "3f2a9c1b-77d0-4b1e-9c55-0a1b2c3d4e5f"
CACHE = "We cache sessions in Redis."


@pytest.fixture
def swarm(project):
    with Swarm.open(agent="main@s9") as swarm:
        swarm.records.put("notes/1", CACHE)
        yield swarm


def test_what_a_session_would_be_shown_is_printed_and_counts_as_shown_to_nobody(swarm, call):
    for _ in range(2):
        (line,) = call("brief").out.splitlines()[1:]
        assert line.startswith("%1 note by main@s9, ")
        assert line.endswith(f': "{CACHE}"')
    assert "" == call("injected").out


def test_a_prompt_is_answered(swarm, call, call_json):
    assert CACHE in call_json("brief", "why", "do we cache sessions?")["text"]
    assert (0, "") == call("brief", "what is for lunch?")[:2]


def test_the_log_is_listed(swarm, call, call_json):
    swarm.sessions.begin(UUID)
    swarm.briefing.session(UUID, "main@3f2a9c1b", source="startup")
    swarm.briefing.session("s2", "main@s2", source="startup")
    swarm.briefing.cited(UUID, "as %1 says")

    (mine,) = call_json("injected", "--session", "3f2a9c1b")
    assert (UUID, "%1", "notes/1") == (mine["session_id"], mine["id"], mine["item"])
    lines = [line.split("\t") for line in call("injected").out.splitlines()]
    assert ["main@s2", "%2", "session", UUID] != lines[0][1:5]
    mine = next(line for line in lines if line[1] == "main@3f2a9c1b")
    assert ["%1", "memory", "notes/1", "1", "SessionStart:startup"] == mine[2:7]
    assert mine[9] and UUID == mine[10]


def test_get_takes_a_number(swarm, call, call_json):
    swarm.outcomes.record("deploy", ["a"], True, 3.0)
    swarm.briefing.session("s1", "main@s1", source="startup")
    ids = {one.kind: one.id for one in swarm.briefing.log.list()}

    assert f"{CACHE}\n" == call("get", ids["memory"]).out
    assert "notes/1" == call_json("get", ids["memory"])["key"]
    assert "deploy" == json.loads(call("get", ids["outcome"]).out)["task_type"]
    assert 1 == call("get", "%99").status
    assert 2 == call("get", "%x").status


def test_without_a_store_nothing_is_shown(project, call):
    assert (0, "") == call("brief")[:2]
    assert (0, "") == call("injected")[:2]
