"""Who changes which file: who is told of whom, from when on, and until when."""

import pytest

from swarm_memory.edits import MERGE, RESERVED, SAME

IDLE_S = 900
REPO, TREE = "/repo", "/repo/.claude/worktrees/fix"


def edit(swarm, path="src/a.py", *, session="s1", agent_id=None, worktree=REPO, **more):
    agent = f"{agent_id or 'main'}@{session}"
    swarm.edits.edited(
        [path], session_id=session, agent=agent, agent_id=agent_id, worktree=worktree, **more
    )


def others(swarm, path="src/a.py", *, session="s2", agent_id=None, worktree=REPO):
    found = swarm.edits.others(path, session_id=session, agent_id=agent_id, worktree=worktree)
    return [(editor.how, editor.agent) for editor in found]


# --- who is told of whom ---


def test_another_session_is_told_who_since_when_and_with_what(swarm, store):
    since = store.clock.now_ms()
    edit(swarm, branch="fix-x", tool="Edit")
    store.clock.advance(60)
    edit(swarm, branch="fix-y", tool="Write")
    (found,) = swarm.edits.others("src/a.py", session_id="s2", worktree=REPO)

    assert (SAME, "main@s1", "s1", "", "src/a.py", REPO) == found[:6]
    assert ("fix-y", "Write", 2, since, since + 60_000) == found[6:]
    assert found._asdict() == found.to_dict()


def test_nobody_is_told_of_himself(swarm):
    edit(swarm)
    edit(swarm, agent_id="a1")

    assert [] == others(swarm, session="s1")
    assert [] == others(swarm, "src/b.py")


def test_a_session_and_its_subagents_never_hear_of_each_other(swarm):
    edit(swarm)
    edit(swarm, "src/b.py", agent_id="a1")

    assert [] == others(swarm, session="s1", agent_id="a1")
    assert [] == others(swarm, "src/b.py", session="s1")


def test_two_subagents_of_a_session_do_hear_of_each_other(swarm):
    edit(swarm, agent_id="a1")

    assert [(SAME, "a1@s1")] == others(swarm, session="s1", agent_id="a2")


def test_a_subagent_and_what_it_started_never_hear_of_each_other(swarm):
    swarm.sessions.begin("s1")
    for agent_id, parent in (("a1", None), ("a2", "a1"), ("a3", "a2"), ("b", None)):
        swarm.sessions.agent_started("s1", agent_id, "worker", parent)
    edit(swarm, agent_id="a1")
    edit(swarm, "src/c.py", agent_id="a3")

    assert [] == others(swarm, session="s1", agent_id="a3")
    assert [] == others(swarm, "src/c.py", session="s1", agent_id="a1")
    assert [(SAME, "a1@s1")] == others(swarm, session="s1", agent_id="b")
    assert [(SAME, "a3@s1")] == others(swarm, "src/c.py", session="s1", agent_id="b")


def test_parents_that_point_at_each_other_end(swarm):
    swarm.sessions.begin("s1")
    swarm.sessions.agent_started("s1", "a1", "worker", "a2")
    swarm.sessions.agent_started("s1", "a2", "worker", "a1")
    edit(swarm, agent_id="a1")

    assert [] == others(swarm, session="s1", agent_id="a2")


def test_ids_of_subagents_count_within_their_session_only(swarm):
    edit(swarm, agent_id="a1")

    assert [(SAME, "a1@s1")] == others(swarm, session="s2", agent_id="a1")


def test_swarms_do_not_see_each_other(swarm):
    edit(swarm)

    assert [] == others(swarm.as_agent("a", swarm="other"))


# --- which file ---


@pytest.mark.parametrize(
    "path",
    ["src/a.py", "/repo/src/a.py", "./src//a.py", "src/x/../a.py", "/repo/./src/a.py"],
)
def test_a_file_is_the_same_however_it_is_written(swarm, path):
    edit(swarm, path)

    assert [(SAME, "main@s1")] == others(swarm)
    assert [(SAME, "main@s1")] == others(swarm, worktree="/repo/")


def test_the_same_path_in_another_worktree_is_a_merge(swarm):
    edit(swarm, worktree=TREE, branch="fix")

    assert [(MERGE, "main@s1")] == others(swarm)
    assert [(SAME, "main@s1")] == others(swarm, worktree=TREE)


def test_the_very_file_comes_before_a_merge(swarm):
    edit(swarm, session="s1")
    edit(swarm, session="s3", worktree=TREE)

    assert [(SAME, "main@s1"), (MERGE, "main@s3")] == others(swarm)


def test_a_file_outside_of_any_worktree_is_the_same_for_all(swarm):
    edit(swarm, "/etc/hosts")

    assert [(SAME, "main@s1")] == others(swarm, "/etc/hosts", worktree="/elsewhere")
    assert [] == others(swarm, "etc/hosts")


@pytest.mark.parametrize(
    "path", ["src/a b.py", "src/\udcff.py", "src/\0.py", "src/[id]/*.py", "文"]
)
def test_any_name_of_a_file_will_do(swarm, path):
    edit(swarm, path)

    assert [(SAME, "main@s1")] == others(swarm, path)
    assert [] == others(swarm, f"{path}x")


def test_windows_paths_meet(swarm):
    edit(swarm, "C:\\repo\\src\\a.py", worktree="C:\\repo")

    assert [(SAME, "main@s1")] == others(swarm, "src/a.py", worktree="C:/repo")


def test_several_files_at_once(swarm):
    swarm.edits.edited(["a", "b"], session_id="s1", agent="x", worktree=REPO)
    swarm.edits.edited([], session_id="s1", agent="x", worktree=REPO)

    assert ["a", "b"] == sorted(editor.path for editor in swarm.edits.list())


# --- until when ---


def test_who_is_idle_is_not_told_of(swarm, store):
    edit(swarm)
    store.clock.advance(IDLE_S - 1)
    assert [(SAME, "main@s1")] == others(swarm)
    store.clock.advance(1)

    assert [] == others(swarm)
    assert [] == swarm.edits.list()


def test_each_edit_renews_and_after_a_pause_it_begins_anew(swarm, store):
    edit(swarm)
    store.clock.advance(IDLE_S - 1)
    edit(swarm)
    store.clock.advance(IDLE_S - 1)
    assert [2] == [editor.edits for editor in swarm.edits.list()]
    store.clock.advance(1)
    edit(swarm)

    (found,) = swarm.edits.list()
    assert (1, store.clock.now_ms()) == (found.edits, found.since_ms)


def test_how_long_is_a_setting(store):
    swarm = store.open(settings={"settings": {"edit_idle_s": 5}})
    edit(swarm)
    store.clock.advance(5)

    assert [] == others(swarm)


def test_setting_the_wall_clock_changes_nothing(swarm, store):
    edit(swarm)
    store.clock.jump(10 * IDLE_S)

    assert [(SAME, "main@s1")] == others(swarm)


def test_a_restart_of_the_machine_ends_it(swarm, store):
    edit(swarm)
    store.clock.reboot()

    assert [] == others(swarm)
    edit(swarm)
    assert [1] == [editor.edits for editor in swarm.edits.list()]


def test_stopping_frees_what_that_agent_changed_and_nothing_else(swarm):
    edit(swarm, "a")
    edit(swarm, "b", agent_id="a1")
    edit(swarm, "c", agent_id="a2")
    edit(swarm, "d", session="s3")

    assert 1 == swarm.edits.released("s1", "a1")
    assert 0 == swarm.edits.released("s1", "a1")
    assert 1 == swarm.edits.released("s1")
    assert ["c", "d"] == sorted(editor.path for editor in swarm.edits.list())


def test_a_commit_frees_the_session_s_edits_in_that_worktree(swarm):
    edit(swarm, "a")
    edit(swarm, "b", agent_id="a1")
    edit(swarm, "c", worktree=TREE)
    edit(swarm, "d", session="s3")

    assert 2 == swarm.edits.committed("s1", f"{REPO}/")
    assert ["c", "d"] == sorted(editor.path for editor in swarm.edits.list())


@pytest.mark.parametrize("end", ["ended", "lapsed"])
def test_they_end_with_their_session(swarm, store, end):
    swarm.sessions.begin("s1", ttl_s=100)
    edit(swarm, "a")
    edit(swarm, "b", agent_id="a1")
    edit(swarm, "d", session="s3")
    if end == "ended":
        swarm.sessions.end("s1")
    else:
        store.clock.advance(101)
        swarm.sessions.reap()

    assert ["d"] == [editor.path for editor in swarm.edits.list()]


def test_ending_a_session_that_cannot_commit_frees_nothing(swarm):
    swarm.sessions.begin("s1")
    edit(swarm)

    def fail(tx):
        tx.sessions.end("s1")
        raise RuntimeError

    with pytest.raises(RuntimeError):
        swarm.transact(fail)
    assert [(SAME, "main@s1")] == others(swarm)


def test_a_turn_without_an_edit_writes_nothing(swarm):
    edit(swarm, session="s3")
    version = swarm._engine.version()
    swarm.edits.released("s1")
    swarm.edits.committed("s1", REPO)
    others(swarm)

    assert version == swarm._engine.version()


def test_upkeep_forgets_what_is_idle(swarm, store):
    edit(swarm, "a")
    store.clock.advance(IDLE_S)
    edit(swarm, "b")

    assert 1 == swarm.edits.prune()
    assert ["b"] == [editor.path for editor in swarm.edits.list()]
    store.clock.advance(2 * 86_400)
    assert swarm.tick()
    assert 0 == swarm.edits.prune()


# --- and leases on paths ---


def test_who_has_reserved_the_path_is_told_of(swarm):
    holder = swarm.as_agent("boss", session="s9")
    holder.leases.acquire("file:src/**", ttl_s=600, reason="a big move")
    (found,) = swarm.edits.others("src/a.py", session_id="s2", worktree=TREE)

    assert (RESERVED, "boss", "s9", "src/**", "a big move") == (
        found.how, found.agent, found.session_id, found.path, found.branch
    )  # fmt: skip
    assert [] == others(swarm, "docs/a.md")
    assert [] == others(swarm, "/etc/hosts")


def test_one_s_own_session_s_reservations_are_no_news(swarm):
    swarm.as_agent("boss", session="s2").leases.acquire("file:src/a.py", ttl_s=600)

    assert [] == others(swarm)
    assert [(RESERVED, "boss")] == others(swarm, session="s1")


def test_a_reservation_that_lapsed_or_only_waits_is_none(swarm, store):
    lease = swarm.as_agent("x").leases.acquire("file:src/a.py", ttl_s=10)
    assert [(RESERVED, "x")] == others(swarm)
    store.clock.advance(11)
    assert [] == others(swarm)
    assert lease.token


def test_a_reservation_of_before_a_restart_is_none(swarm, store):
    swarm.as_agent("x").leases.acquire("file:src/a.py", ttl_s=600)
    store.clock.reboot()

    assert [] == others(swarm)


def test_edits_keep_nobody_from_a_lease(swarm):
    edit(swarm)

    assert swarm.as_agent("x").leases.try_acquire("file:src/a.py") is not None


def test_an_edit_of_what_is_reserved_is_noted_all_the_same(swarm):
    swarm.as_agent("x", session="s9").leases.acquire("file:src/a.py", ttl_s=600)
    edit(swarm)

    assert [(SAME, "main@s1"), (RESERVED, "x")] == others(swarm)
