"""Conflicts through MCP: those that a merge would have, and those to come."""

import os
import subprocess

import pytest
from mcp_calls import call, refused

from swarm_memory import Swarm

FULL = ("--tools", "full")


@pytest.fixture
def edited(place):
    """A place at which two sessions have changed files."""
    with Swarm.open(place.url) as swarm:
        for session, paths in (("s1", ["src/a.py", "src/b.py"]), ("s2", ["src/a.py"])):
            who = {"session_id": session, "agent": f"main@{session}"}
            swarm.edits.edited(paths, worktree="/repo", **who)
        swarm.as_agent("c").records.put("notes/1", 1)
    return place


def test_a_risk_says_who_was_there(edited, run):
    async def story():
        async with edited.client(*FULL) as client:
            return await call(client, "risk", paths=["src/a.py", "src/z.py"])

    hot, cold = run(story)["risks"]

    assert {"main@s1", "main@s2"} == {other["agent"] for other in hot["others"]}
    assert hot["probability"] > cold["probability"]
    assert not hot["calibrated"]


def test_what_the_own_session_did_is_no_risk(edited, run):
    async def story():
        async with edited.client(*FULL, SWARM_MEMORY_SESSION="s1") as client:
            return await call(client, "risk", paths=["src/a.py"])

    (risk,) = run(story)["risks"]

    assert ["main@s2"] == [other["agent"] for other in risk["others"]]


def test_keys_have_a_risk_too_and_one_of_both_is_asked(edited, run):
    async def story():
        async with edited.client(*FULL) as client:
            return (
                await call(client, "risk", keys=["notes/1"]),
                await refused(client, "risk"),
                await refused(client, "risk", keys=["notes/1"], paths=["a"]),
                await refused(client, "risk", paths=["a"], window_s=1),
            )

    found, *errors = run(story)

    assert ["c"] == [other["agent"] for other in found["risks"][0]["others"]]
    assert ["invalid_argument"] * 3 == [error["error"] for error in errors]


def test_a_plan_gives_tasks_that_share_a_file_to_one_agent(place, run):
    tasks = {"fix": ["src/a.py"], "docs": ["docs/x"], "test": ["src/*.py"], "index": ["docs/**"]}

    async def story():
        async with place.client(*FULL) as client:
            return (
                await call(client, "plan", tasks=tasks, agents=["one", "two"]),
                await refused(client, "plan", tasks={"fix": "src/a.py"}, agents=["one"]),
            )

    plan, error = run(story)

    assert {("fix", "test"), ("docs", "index")} == {tuple(t) for t in plan["tasks"].values()}
    assert [] == plan["meetings"]
    assert "invalid_argument" == error["error"]


def test_worktrees_that_would_not_merge_are_named(place, run, tmp_path, monkeypatch):
    main, side = tmp_path / "main", tmp_path / "side"
    main.mkdir()
    own = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*arguments):
        subprocess.run(["git", *arguments], cwd=main, env=own, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("config", "user.name", "somebody")
    git("config", "user.email", "somebody@example.com")
    (main / "a.py").write_text("1\n2\n3\n")
    git("add", "-A")
    git("commit", "-q", "-m", "one")
    git("worktree", "add", "-q", "-b", "side", str(side))
    (main / "a.py").write_text("1\nmine\n3\n")
    (side / "a.py").write_text("1\nyours\n3\n")
    with Swarm.open(place.url) as swarm:
        swarm.edits.edited(["a.py"], session_id="s1", agent="one@s1", worktree=str(main))
    monkeypatch.chdir(main)

    async def story():
        async with place.client(*FULL) as client:
            return await call(client, "merges")

    (clash,) = run(story)["clashes"]

    assert ("a.py", "main", "side") == (
        clash["path"],
        clash["left"]["branch"],
        clash["right"]["branch"],
    )
    assert [{"left": [2, 2], "right": [2, 2]}] == clash["hunks"]
    assert ["one@s1"] == clash["left"]["agents"]


def test_outside_of_a_repository_merges_says_so(place, run, monkeypatch):
    monkeypatch.chdir(place.folder)

    async def story():
        async with place.client(*FULL) as client:
            return await refused(client, "merges")

    assert "invalid_argument" == run(story)["error"]
