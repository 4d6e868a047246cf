"""The command line's contract: exit statuses, what goes to stdout and stderr, pipes and JSON."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from swarm_memory.doors.cli import app

COMMAND = str(Path(sys.executable).parent / "swarm-memory")


@pytest.fixture
def cli(tmp_path, monkeypatch):
    monkeypatch.delenv("SWARM_MEMORY_URL", raising=False)
    (tmp_path / "work" / ".swarm-memory").mkdir(parents=True)

    def cli(*arguments, stdin=None, cwd=tmp_path / "work", **environment):
        return subprocess.run(
            [COMMAND, *arguments],
            cwd=cwd,
            capture_output=True,
            text=True,
            input=stdin,
            timeout=60,
            env={**os.environ, "HOME": str(tmp_path), "COLUMNS": "200", **environment},
        )

    return cli


def test_a_value_goes_in_and_comes_out(cli):
    assert "notes/1\t1\n" == cli("put", "notes/1", '{"a": [1, 2]}').stdout
    assert '{"a":[1,2]}\n' == cli("get", "notes/1").stdout
    assert "plain text\n" == (cli("put", "notes/2", "plain text"), cli("get", "notes/2"))[1].stdout
    assert "notes/1\nnotes/2\n" == "".join(
        line.split("\t")[0] + "\n" for line in cli("ls").stdout.splitlines()
    )


def test_a_value_comes_from_standard_input(cli):
    cli("put", "notes/1", "-", stdin='{"from": "stdin"}\n')
    cli("put", "notes/2", stdin="two\nlines\n")

    assert '{"from":"stdin"}\n' == cli("get", "notes/1").stdout
    assert "two\nlines\n" == cli("get", "notes/2").stdout


def test_a_missing_key_exits_1_with_one_clear_line(cli):
    cli("put", "notes/1", "1")

    run = cli("get", "notes/none")

    assert (1, "") == (run.returncode, run.stdout)
    assert 1 == len(run.stderr.splitlines())
    assert "notes/none" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["put", "../x", "1"], 2),
        (["put", "notes/1", "NaN"], 2),
        (["put", "notes/1", '{"a":1,"a":2}'], 2),
        (["put"], 2),
        (["nonsense"], 2),
        (["get", "notes/1", "--nonsense"], 2),
        (["put", "notes/1", "2", "--expect", "9"], 3),
        (["ls", "--url", "sqlite:////no/such/folder/x.db"], 0),
        (["put", "a", "1", "--url", "sqlite:////no/such/folder/x.db"], 5),
        (["put", "a", "1", "--url", "mysql://x"], 2),
        (["rm", "notes/none"], 1),
        (["rollback", "notes/1"], 1),
        (["strategy", "build"], 1),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else str(value),
)
def test_what_goes_wrong_tells_by_its_exit_status(cli, arguments, status):
    cli("put", "notes/1", "1")

    run = cli(*arguments)

    assert status == run.returncode, run.stderr
    assert "Traceback" not in run.stderr
    assert status == 0 or run.stderr


def test_errors_are_json_on_stderr_when_json_is_asked_for(cli):
    run = cli("put", "a//b", "1", "--json")

    error = json.loads(run.stderr)
    assert ("invalid_key", "") == (error["error"], run.stdout)
    assert error["hint"]


def test_the_common_options_go_before_and_after_the_verb(cli, tmp_path):
    url = f"sqlite:///{tmp_path}/other.db"
    cli("--url", url, "--agent", "x", "put", "a", "1")
    cli("put", "b", "2", f"--url={url}", "--swarm", "s2")

    (record,) = json.loads(cli("ls", "--json", "--url", url).stdout)
    assert ("a", "x") == (record["key"], record["author"])
    assert "b" == json.loads(cli("--json", "--swarm", "s2", "ls", "--url", url).stdout)[0]["key"]
    assert "1\n" == cli("get", "a", SWARM_MEMORY_URL=url).stdout


def test_where_creates_nothing_and_init_says_what_it_did(cli, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()

    where = json.loads(cli("where", "--json", cwd=empty).stdout)
    assert not where["exists"]
    assert [] == list(empty.iterdir())

    assert "created" in cli("init", cwd=empty).stdout
    assert "*\n" == (empty / ".swarm-memory" / ".gitignore").read_text()
    assert "created" not in cli("init", cwd=empty).stdout
    (empty / "deep").mkdir()
    deep = json.loads(cli("where", "--json", cwd=empty / "deep").stdout)
    assert deep["url"] == f"sqlite:///{empty}/.swarm-memory/memory.db"
    assert deep["exists"]


def test_the_verbs_of_an_agents_day_work_together(cli):
    cli("decide", "plan", '{"step": 1}', "--agent", "a")
    cli("progress", "task-7", '{"percent": 40}', "--agent", "a")
    cli("share", "fact", '{"sky": "blue"}', "--agent", "a")
    chosen = json.loads(cli("strategy", "build", "--candidates", "x,y", "--json").stdout)
    outcome = ["outcome", "build", "--success", "--duration-s", "2", "--agents", "a,b"]
    assert 0 == cli(*outcome, "--decision", chosen["choice_id"]).returncode

    assert "plan" in cli("decisions", "--agent", "a").stdout
    assert "blue" in cli("knowledge").stdout
    assert "healthy" in cli("health").stdout
    assert 0 == cli("insights").returncode
    assert 0 == cli("state").returncode
    assert 0 == cli("snapshot").returncode
    assert "swarm-default/agent-a/progress/task-7" in cli("sync").stdout
    assert "" == cli("sync").stdout


def test_history_and_rollback_bring_a_value_back(cli):
    for value in ("one", "two"):
        cli("put", "notes/1", value)
    cli("rm", "notes/1")

    assert 3 == len(cli("history", "notes/1").stdout.splitlines())
    assert 0 == cli("rollback", "notes/1", "1").returncode
    assert "one\n" == cli("get", "notes/1").stdout


def test_a_store_goes_out_and_comes_into_another(cli, tmp_path):
    for number in range(3):
        cli("put", f"notes/{number}", f"value {number}")
    cli("rm", "notes/2")
    cli("outcome", "build", "--failure", "--duration-s", "1")
    out = tmp_path / "export.jsonl"
    assert 0 == cli("export", "-o", str(out)).returncode
    assert 0o600 == out.stat().st_mode & 0o777

    other = f"sqlite:///{tmp_path}/other.db"
    assert 0 == cli("import", str(out), "--url", other).returncode
    again = cli("import", str(out), "--url", other)

    assert "value 1\n" == cli("get", "notes/1", "--url", other).stdout
    assert 1 == cli("get", "notes/2", "--url", other).returncode
    assert "imported 0" in again.stderr + again.stdout


def test_a_closed_pipe_ends_quietly(cli, tmp_path):
    for number in range(30):
        cli("put", f"notes/{number}", "x" * 100)
    run = subprocess.run(
        f"{COMMAND} ls | head -1",
        shell=True,
        cwd=tmp_path / "work",
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (1, "") == (len(run.stdout.splitlines()), run.stderr)


def test_every_verb_explains_itself(cli):
    import typer

    for name, command in typer.main.get_command(app).commands.items():
        assert command.help, name
        assert "Example:" in command.help, name
    assert "put" in cli("--help").stdout
