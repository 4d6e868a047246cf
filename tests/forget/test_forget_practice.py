"""What was learned from a session that is forgotten goes too, and from others stays."""

import pytest
from traces import places_of

from swarm_memory import Swarm
from swarm_memory.backup import restore_backup, verify_backup, write_backup
from swarm_memory.forgetting import forget
from swarm_memory.integrity import verify_store

SESSION = "0191f3aa-77aa-7bbb-8ccc-123456789abc"
OTHER = "55550000-77aa-7bbb-8ccc-123456789abc"
RUNS, AGENTS = "memory/practice/runs", "memory/practice/agents"


def rows(short, *paths):
    return [[f"{short}/c{n}", n, path, "test", True, 5, False] for n, path in enumerate(paths)]


@pytest.fixture
def practised(swarm, folder):
    """Two sessions whose runs of checks lie in one log, and a backup from before the last."""
    theirs = swarm.sessions.begin(SESSION).short
    mine = swarm.sessions.begin(OTHER).short
    swarm.practised = theirs, mine
    log = swarm.as_agent("practice")
    log.records.put(RUNS, rows(theirs, "pytest theirs-one"))
    log.records.put(RUNS, rows(theirs, "pytest theirs-one") + rows(mine, "pytest mine-one"))
    swarm.before = write_backup(swarm, folder)
    log.records.put(AGENTS, [[f"{theirs}/a1", 1, "coder", "m", "fix", None, 2.0, 3]])
    log.records.put(
        RUNS,
        rows(theirs, "pytest theirs-one", "pytest theirs-two")
        + rows(mine, "pytest mine-one", "pytest mine-two"),
    )
    return swarm


def logs(swarm):
    return {r.key: r.value for r in swarm.records.each("memory/practice/")}


def test_a_session_leaves_the_logs_of_practice_and_those_in_backups(practised, folder, tmp_path):
    theirs, mine = practised.practised
    backup = write_backup(practised, folder, incremental=True)

    done = forget(practised, "session", SESSION)

    assert [] == done.left
    assert {RUNS: rows(mine, "pytest mine-one", "pytest mine-two")} == logs(practised)
    for text in ("theirs-one", "theirs-two", f"{theirs}/"):
        assert [] == places_of(tmp_path, text), text
    assert [] == verify_store(practised).findings
    assert 0 == sum(forget(practised, "session", SESSION, dry_run=True).removed.values())

    then = {RUNS: rows(mine, "pytest mine-one")}
    for number, (path, wanted) in enumerate(
        [(practised.before.path, then), (backup.path, logs(practised))]
    ):
        verify_backup(path)
        with Swarm.open(f"sqlite:///{tmp_path}/then{number}.db", agent="a", swarm="s") as other:
            restore_backup(other, path)
            assert wanted == logs(other)
            assert [] == verify_store(other).findings


@pytest.mark.parametrize("name", ["main@{}", "coder:a1@{}"])
def test_with_an_agent_go_the_rows_of_its_session(practised, tmp_path, name):
    theirs, mine = practised.practised

    forget(practised, "agent", name.format(theirs))

    assert {RUNS: rows(mine, "pytest mine-one", "pytest mine-two")} == logs(practised)
    assert [] == places_of(tmp_path, "theirs-one")


def test_an_agent_of_no_session_takes_nothing_along(practised):
    before = logs(practised)

    forget(practised, "agent", "worker")

    assert before == logs(practised)


def test_with_a_text_go_the_rows_that_hold_it(practised, tmp_path):
    theirs, mine = practised.practised

    forget(practised, "text", "theirs-two")

    left = logs(practised)
    assert rows(theirs, "pytest theirs-one") == left[RUNS][:1]
    assert rows(mine, "pytest mine-one", "pytest mine-two") == left[RUNS][1:]
    assert [] == places_of(tmp_path, "theirs-two")
    assert [] == verify_store(practised).findings


def test_a_session_that_nobody_remembers_leaves_the_logs_all_the_same(practised, store_without):
    _, mine = practised.practised
    store_without(practised, SESSION)

    forget(practised, "session", SESSION)

    assert {RUNS: rows(mine, "pytest mine-one", "pytest mine-two")} == logs(practised)


@pytest.fixture
def store_without():
    """What drops a session as its retention does."""

    def drop(swarm, session_id):
        swarm.sessions.end(session_id)
        where = {"swarm": "s", "session_id": session_id}
        swarm._engine.write(lambda tx: tx.run("forget_session", **where))

    return drop
