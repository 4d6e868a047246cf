"""`swarm-memory conflicts check`, `risk` and `plan`, as somebody calls them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from swarm_memory import Swarm

COMMAND = str(Path(sys.executable).with_name("swarm-memory"))
PATH = "src/a.py"


@pytest.fixture
def project(tmp_path):
    """Return a repository with a worktree whose edits clash with its own, and a store in it."""
    main, side = tmp_path / "main", tmp_path / "side"
    main.mkdir()
    own = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "GIT_CONFIG_NOSYSTEM": "1"}

    def git(*arguments):
        subprocess.run(["git", *arguments], cwd=main, env=own, check=True, capture_output=True)

    git("init", "-q", "-b", "main")
    git("config", "user.name", "somebody")
    git("config", "user.email", "somebody@example.com")
    (main / "src").mkdir()
    (main / PATH).write_text("1\n2\n3\n")
    git("add", "-A")
    git("commit", "-q", "-m", "one")
    git("worktree", "add", "-q", "-b", "side", str(side))
    (main / PATH).write_text("1\nmine\n3\n")
    (side / PATH).write_text("1\nyours\n3\n")
    return main, side


@pytest.fixture
def run(project, tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/memory.db"
    monkeypatch.setenv("SWARM_MEMORY_URL", url)

    def run(*arguments, folder=None, status=0):
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=folder or project[0], capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert status == done.returncode, done.stderr
        return done.stdout

    run.url = url
    return run


def test_check_names_agents_branches_and_lines_and_exits_with_3(run, project):
    main, side = project
    with Swarm.open(run.url) as swarm:
        for agent, place in (("one", main), ("two", side)):
            swarm.edits.edited([PATH], session_id=agent, agent=agent, worktree=str(place))

    (row,) = run("conflicts", "check", status=3).splitlines()

    expected = [PATH, "content", str(main), "main", "one", str(side), "side", "two", "2:2"]
    assert expected == row.split("\t")


def test_check_is_quiet_where_all_merges(run, project):
    (project[1] / PATH).write_text("1\n2\n3\n")

    assert "" == run("conflicts", "check")


def test_risk_takes_paths_as_seen_from_the_current_folder(run, project):
    with Swarm.open(run.url) as swarm:
        swarm.edits.edited([PATH], session_id="s", agent="one", worktree=str(project[0]))

    found = json.loads(
        run("conflicts", "risk", "a.py", "b.py", "--json", folder=project[0] / "src")
    )

    assert [PATH, "src/b.py"] == [risk["path"] for risk in found]
    assert found[0]["probability"] > found[1]["probability"]
    assert "one" == found[0]["others"][0]["agent"]
    assert not found[0]["calibrated"]


def test_plan_gives_tasks_that_share_files_to_one_agent(run):
    tasks = {"a": ["x"], "b": ["y"], "c": ["x"], "d": ["y"]}

    plan = json.loads(run("conflicts", "plan", json.dumps(tasks), "--to", "one, two", "--json"))

    assert {("a", "c"), ("b", "d")} == {tuple(names) for names in plan["tasks"].values()}


@pytest.mark.parametrize("words", [["risk"], ["plan", "{}"], ["resolve"], ["check", "x"], ["what"]])
def test_what_is_missing_is_said(run, words):
    run("conflicts", *words, status=2)
