"""The verb of swarms, and a project whose swarms live elsewhere."""

import json
import subprocess
import sys

import pytest

from swarm_memory import Swarm

COMMAND = "import sys; from swarm_memory.doors.command import main; main()"


@pytest.fixture
def project(tmp_path, monkeypatch):
    folder = tmp_path / "project"
    (folder / ".git").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


def call(*arguments, status=0, said=""):
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *arguments],
        input=said, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert status == done.returncode, done.stderr
    return done.stdout


def test_a_project_moves_in_one_command_and_all_doors_follow(project, store_url):
    to = store_url("postgresql", "team")
    call("put", "notes/1", '"before"')
    call("--swarm", "other", "put", "notes/1", "1")
    stays = Swarm.open(swarm="default", agent="stays")  # as a server does

    moved = json.loads(call("swarm", "move", "--to", to, "--json"))

    assert [["default", True], ["other", True]] == [[m["swarm"], m["held_ms"] >= 0] for m in moved]
    assert '"before"' == json.dumps(call("get", "notes/1").strip())
    stays.records.put("notes/2", "by who stayed")
    assert "by who stayed" == call("get", "notes/2").strip()
    stays.close()
    event = {"session_id": "s-1", "cwd": str(project), "hook_event_name": "SessionStart"}
    call("hook", "SessionStart", said=json.dumps(event | {"source": "startup"}))
    with Swarm.open(to, agent="a") as swarm:
        assert ["s-1"] == [session.session_id for session in swarm.sessions.list()]
    assert [["default", to, "here"], ["other", to, "here"]] == [
        line.split("\t") for line in call("swarm").splitlines()
    ]
    assert to == dict(line.split("\t", 1) for line in call("where").splitlines())["url"]
    call("pause")
    call("resume")
    own = f"sqlite:///{project}/.swarm-memory/memory.db"
    refused = call("--url", own, "--json", "put", "notes/3", "1", status=5)
    assert "" == refused
    assert f"default\t{to}\n" == call("swarm", "drop", "default")


def test_what_would_move_is_said_and_nothing_is_made(project, tmp_path, store_url):
    call("put", "notes/1", "1")

    told = json.loads(
        call("swarm", "move", "default", "--to", store_url("file", "new"), "--dry-run", "--json")
    )

    assert (True, 1) == (told[0]["dry_run"], told[0]["rows"]["records"])
    assert not (tmp_path / "new.db").exists()
    assert not (project / ".swarm-memory" / "routes.json").exists()
    call("swarm", "move", "nobody", "--to", store_url("file", "new"), status=1)
    call("swarm", "move", status=2)


def test_a_route_is_set_by_hand(project, tmp_path, store_url):
    with Swarm.open(store_url("file", "new"), agent="a", swarm="s") as swarm:
        swarm.records.put("notes/1", "there")

    call("swarm", "route", "s", "--to", store_url("file", "new"))

    assert "there" == call("--swarm", "s", "get", "notes/1").strip()
    told = [line.split("\t") for line in call("--swarm", "s", "doctor").splitlines()]
    assert "error" not in {severity for severity, *_ in told}
