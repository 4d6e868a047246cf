"""Risks and plans over HTTP: the same class says the same as beside the store."""

import pytest

from swarm_memory import Swarm
from swarm_memory.errors import InvalidArgumentError
from swarm_memory.forecast import Risk
from swarm_memory.learning.assignment import Plan

TASKS = {"fix": ["src/a.py"], "docs": ["docs/**"], "test": ["src/*.py"], "index": ["docs/x"]}


@pytest.fixture
def beside(tmp_path, api):
    """The store that the API keeps, in which two sessions have changed files."""
    with Swarm.open(f"sqlite:///{tmp_path}/memory.db", agent="a", swarm="s") as swarm:
        for session, paths in (("s1", ["src/a.py", "src/b.py"]), ("s2", ["src/a.py"])):
            who = {"session_id": session, "agent": f"main@{session}"}
            swarm.edits.edited(paths, worktree="/repo", **who)
        swarm.as_agent("c").records.put("notes/1", 1)
        yield swarm


def without_chance(risk):
    """Return a risk without its number, which fades with the time that passes between two."""
    return risk._replace(probability=0.0)


def test_a_risk_is_the_same_over_http(beside, opened):
    beside.as_agent("b").leases.acquire("file:src/a.py", ttl_s=600)
    options = {"session_id": "s9", "window_s": 3600, "files": 2}

    there = opened().forecast.risk(["src/a.py", "src/z.py"], **options)
    here = beside.forecast.risk(["src/a.py", "src/z.py"], **options)

    assert list(map(without_chance, here)) == list(map(without_chance, there))
    assert [r.probability for r in here] == pytest.approx([r.probability for r in there], rel=0.05)
    assert isinstance(there[0], Risk)
    assert {"main@s1", "main@s2"} == {agent for agent, _ in there[0].others}
    assert here[0].to_dict().keys() == there[0].to_dict().keys()
    assert ("b",) == there[0].reserved


def test_what_the_own_session_did_is_no_risk_over_http(beside, opened):
    mine, nobody = opened(session="s1"), opened()

    assert ["main@s2"] == [agent for agent, _ in mine.forecast.risk(["src/a.py"])[0].others]
    assert 2 == len(nobody.forecast.risk(["src/a.py"])[0].others)
    assert 2 == len(mine.forecast.risk(["src/a.py"], session_id="")[0].others)


def test_keys_have_the_same_risk_over_http(beside, opened):
    (there,) = opened("a").forecast.keys(["notes/1"])
    (own,) = opened("c").forecast.keys(["notes/1"])

    assert ["c"] == [agent for agent, _ in there.others]
    assert () == own.others


def test_a_plan_is_the_same_over_http(beside, opened):
    there = opened().forecast.assign(TASKS, ["one", "two"])
    here = beside.forecast.assign(TASKS, ["one", "two"])

    assert isinstance(there, Plan)
    assert here._replace(cost=0, at_random=0) == there._replace(cost=0, at_random=0)
    assert here.at_random == pytest.approx(there.at_random, rel=0.05)
    assert {("fix", "test"), ("docs", "index")} == set(there.tasks.values())


def test_a_model_is_learned_at_the_server(beside, opened):
    assert not opened().forecast.keep_up()
    assert opened().forecast.keep_up(always=True)


@pytest.mark.parametrize(
    "body",
    [
        {"paths": ["a\0"]},
        {"paths": [""]},
        {"paths": ["a"], "window_s": 59},
        {"paths": ["a"], "files": 0},
        {"paths": ["a"] * 1001},
        {"paths": "a"},
        {},
    ],
)
def test_what_is_no_question_is_refused(ask, body):
    answer = ask.post("/forecast/risk", json=body)

    assert (400, "invalid_argument") == (answer.status_code, answer.json()["error"])


def test_a_plan_without_agents_is_refused_at_both_ends(beside, opened):
    for swarm in (beside, opened()):
        with pytest.raises(InvalidArgumentError):
            swarm.forecast.assign(TASKS, [])
