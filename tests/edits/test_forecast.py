"""The forecast of a swarm: what is logged, what is said of a path, when an agent hears of it."""

import random

import pytest

from swarm_memory import forecast
from swarm_memory.errors import InvalidArgumentError
from swarm_memory.wording import tokens

REPO = "/repo"


def edit(swarm, path="src/a.py", *, session="s1", agent_id=None, worktree=REPO):
    agent = f"{agent_id or 'main'}@{session}"
    swarm.edits.edited(
        [path], session_id=session, agent=agent, agent_id=agent_id, worktree=worktree
    )


def risk(swarm, path="src/a.py", *, session="s9", agent_id=None, **more):
    (found,) = swarm.forecast.risk([path], session_id=session, agent_id=agent_id, **more)
    return found


def touch(swarm, path="src/a.py", *, session="s9"):
    return swarm.briefing.tool(
        session, f"main@{session}", tool="Edit", paths=[f"{REPO}/{path}"], worktree=REPO
    )


def history(swarm, *, touches=400):
    """Log that four agents worked until now: all of them at one file, each at files of its own."""
    chance = random.Random(1)
    rows = []
    for number in range(touches):
        session = f"s{number % 4}"
        hot = chance.random() < 0.5
        path = "src/hot.py" if hot else f"src/own-{session}-{chance.randrange(5)}.py"
        at_ms = swarm._engine.now_ms - 61_000 * (touches - number)
        who = {"swarm": "s", "session_id": session, "agent_id": "", "agent": f"main@{session}"}
        rows.append({**who, "path": path, "now_ms": at_ms, "since_ms": at_ms - 60_000})
    swarm._engine.write(lambda tx: tx.many("touch_add", rows))


# --- what is logged ---


def test_an_edit_is_a_touch_and_another_one_within_a_minute_is_none(swarm, store):
    for advance_s in (0, 30, 31):
        store.clock.advance(advance_s)
        edit(swarm)
    edit(swarm, session="s2")

    rows = swarm._engine.all("touch_log", swarm="s", limit=10)

    assert ["main@s1", "main@s1", "main@s2"] == [row[3] for row in rows]
    assert {"src/a.py"} == {row[0] for row in rows}


def test_what_agents_stopped_changing_is_remembered(swarm):
    edit(swarm)
    swarm.edits.end_session("s1")

    assert ("main@s1",) == tuple(agent for agent, _ in risk(swarm).others)


def test_the_log_is_bounded(swarm, store, monkeypatch):
    monkeypatch.setattr(forecast, "KEPT", 3)
    for number in range(6):
        store.clock.advance(1)
        edit(swarm, f"f{number}")

    swarm.forecast.prune()

    assert 4 == len(swarm._engine.all("touch_log", swarm="s", limit=10))


# --- what is said of a path ---


def test_a_path_that_others_were_at_is_a_risk_and_others_less(swarm, store):
    edit(swarm, session="s1")
    edit(swarm, session="s2")
    edit(swarm, "src/b.py", session="s1")
    store.clock.advance(60)

    chances = [risk(swarm, path).probability for path in ("src/c.py", "src/b.py", "src/a.py")]

    assert sorted(chances) == chances
    assert 3 == len(set(chances))
    assert not risk(swarm).calibrated


def test_the_own_edits_and_those_of_the_own_family_are_no_risk(swarm):
    edit(swarm, session="s1")
    edit(swarm, session="s1", agent_id="sub")
    nobody = risk(swarm, "src/z.py").probability

    assert nobody == risk(swarm, session="s1").probability
    assert (("main@s1"), ("sub@s1")) == tuple(sorted(a for a, _ in risk(swarm).others))
    assert ("sub@s1",) == tuple(a for a, _ in risk(swarm, session="s1", agent_id="other").others)


def test_old_edits_fade(swarm, store):
    edit(swarm)
    fresh = risk(swarm).probability
    store.clock.advance(86_400)

    assert risk(swarm).probability < fresh
    assert not risk(swarm).active


def test_who_has_reserved_a_path_raises_its_risk_and_is_named(swarm, store):
    before = risk(swarm).probability
    other = store.open(agent="b")
    other.leases.acquire("file:src/*.py", ttl_s=60)

    found = risk(swarm)

    assert ("b",) == found.reserved
    assert pytest.approx(1 - (1 - before) * (1 - forecast.CLAIM)) == found.probability
    assert () == risk(swarm, "docs/a.md").reserved


def test_a_model_is_learned_when_enough_is_new_and_kept_for_all_doors(swarm, store):
    assert not swarm.forecast.keep_up()
    history(swarm)

    assert swarm.forecast.keep_up()
    assert not swarm.forecast.keep_up()

    found = store.open(agent="b").forecast.risk(["src/hot.py"])[0]
    assert found.calibrated
    assert found.probability > 0.7
    assert risk(swarm, "src/own-s1-1.py", session="s1").probability < 0.4


def test_of_those_who_find_the_model_old_at_once_one_learns(swarm, store):
    history(swarm)
    learning = {"swarm": "s", "name": forecast.LEARNING}
    swarm._engine.write_one("fact_set", **learning, value=swarm._engine.now_ms)

    assert not swarm.forecast.keep_up()
    assert not risk(swarm, "src/hot.py").calibrated

    store.clock.advance(forecast.LEARNING_MS / 1000)  # it has died of it
    assert swarm.forecast.keep_up()
    history(swarm, touches=100)
    store.clock.advance(1)
    assert swarm.forecast.keep_up() is False  # those are older than the model
    assert risk(swarm, "src/hot.py").calibrated


def test_who_asks_for_a_risk_or_a_plan_has_the_model_learned(swarm):
    history(swarm)

    assert risk(swarm, "src/hot.py").calibrated
    assert not swarm.forecast.keep_up()

    history(swarm, touches=100)
    swarm.forecast.assign({"fix": ["src/hot.py"]}, ["a"], window_s=3600)
    assert not swarm.forecast.keep_up(3600)


def test_a_door_in_a_session_is_no_other_to_itself(swarm):
    edit(swarm, session="s1")
    mine = swarm.as_agent("main@s1", session="s1")

    assert () == mine.forecast.risk(["src/a.py"])[0].others
    assert 1 == len(mine.forecast.risk(["src/a.py"], session_id="")[0].others)
    assert 1 == len(swarm.forecast.risk(["src/a.py"])[0].others)


def test_models_of_windows_that_nobody_asks_for_again_are_dropped(swarm, store, monkeypatch):
    monkeypatch.setattr(forecast, "MODELS_KEPT", 2)
    edit(swarm)
    for window_s in (60, 70, 80, 90):
        store.clock.advance(1)
        swarm.forecast.keep_up(window_s, always=True)

    swarm.forecast.prune()

    kept = [w for w in (60, 70, 80, 90) if swarm._engine.one(
        "forecast_get", swarm="s", window_ms=1000 * w)]  # fmt: skip
    assert [70, 80, 90] == kept


def test_keys_have_a_risk_from_the_change_log(swarm, store):
    other = store.open(agent="b")
    for number in range(5):
        store.clock.advance(60)
        other.records.put("notes/1", number)
    swarm.records.put("notes/2", 1)

    risks = swarm.forecast.keys(["notes/1", "notes/2"], agent="a")

    assert risks[0].probability > risks[1].probability
    assert ("b",) == tuple(agent for agent, _ in risks[0].others)


def test_tasks_are_given_so_that_agents_meet_least(swarm):
    tasks = {"fix": ["src/a.py"], "docs": ["docs/**"], "test": ["src/*.py"], "index": ["docs/x"]}

    plan = swarm.forecast.assign(tasks, ["a", "b"])

    assert {("fix", "test"), ("docs", "index")} == set(plan.tasks.values())
    with pytest.raises(InvalidArgumentError):
        swarm.forecast.assign(tasks, [])


@pytest.mark.parametrize("path", ["", "a\0b", "a" * 4097])
def test_what_is_no_path_is_refused(swarm, path):
    with pytest.raises(InvalidArgumentError):
        swarm.forecast.risk([path])
    with pytest.raises(InvalidArgumentError):
        swarm.forecast.assign({"fix": [path]}, ["a"])


@pytest.mark.parametrize("window_s", [0, 59, 1e9])
def test_a_window_out_of_range_is_refused(swarm, window_s):
    with pytest.raises(InvalidArgumentError):
        swarm.forecast.risk(["a"], window_s=window_s)


# --- when an agent hears of it ---


def test_before_an_edit_an_agent_hears_of_a_file_that_another_one_will_likely_change(swarm, store):
    history(swarm)
    swarm.forecast.keep_up()

    said = touch(swarm, "src/hot.py")

    assert said.startswith(
        "swarm-memory: another agent will likely change src/hot.py within 30 min"
    )
    assert "@s" in said
    assert tokens(said) <= 60
    assert "" == touch(swarm, "src/own-s1-1.py", session="s1")


def test_it_is_said_once_in_half_an_hour(swarm, store):
    history(swarm)
    swarm.forecast.keep_up()

    assert touch(swarm, "src/hot.py")
    assert "" == touch(swarm, "src/hot.py")


def test_nothing_is_said_when_nobody_else_is_at_work(swarm, store):
    history(swarm)
    swarm.forecast.keep_up()
    store.clock.advance(1801)

    assert "" == touch(swarm, "src/hot.py")


def test_nothing_is_said_before_the_log_is_long_enough(swarm, store):
    history(swarm, touches=120)
    swarm.forecast.keep_up()

    assert "" == touch(swarm, "src/hot.py")


def test_who_is_changing_it_now_is_said_instead(swarm, store):
    history(swarm)
    swarm.forecast.keep_up()
    edit(swarm, "src/hot.py")

    assert "is being changed by" in touch(swarm, "src/hot.py")


def test_a_forecast_denies_nothing(store):
    swarm = store.open(settings={"settings": {"warn_edits": "deny"}})
    history(swarm)
    swarm.forecast.keep_up()

    assert "" == touch(swarm, "src/hot.py")
