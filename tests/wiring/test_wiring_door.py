"""init, uninstall, pause and doctor --claude, as a new user meets them."""

import io
import json
import os
import pty
import select
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from swarm_memory.doors.cli import main
from swarm_memory.wiring import claude, hooks, trial

BIN = str(Path(sys.executable).parent)
WAIT_S = 60
Ran = namedtuple("Ran", "status out err")


@pytest.fixture(autouse=True)
def _on_path(monkeypatch):
    monkeypatch.setenv("PATH", f"{BIN}:/usr/bin:/bin")


@pytest.fixture
def call(project, capsys):
    """Run a command line in this process, in the project."""

    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        return Ran(exit_.value.code or 0, *capsys.readouterr())

    return call


def files_below(folder):
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in Path(folder).rglob("*")
        if path.is_file() and ".git/" not in str(path)
    }


def write(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Path(path).write_text(text)


# --- init ---


def test_a_dry_run_shows_the_diff_and_writes_nothing(call, place):
    write(place.user_settings, '{\n  "theme": "dark"\n}\n')
    before = files_below(place.home), files_below(place.root)

    ran = call("init", "--claude", "--codex", "--dry-run")

    assert 0 == ran.status
    assert f"+++ {place.user_settings}" in ran.err
    assert '+    "SessionEnd": [' in ran.err
    assert '-  "theme": "dark"' not in ran.err
    assert {2} == {len(line.split("\t")) for line in ran.out.splitlines()}
    assert f"{place.user_settings}\tchanged\n" in ran.out
    assert f"{place.claude_state}\tmade\n" in ran.out
    assert before == (files_below(place.home), files_below(place.root))


def test_init_wires_tries_a_hook_and_changes_nothing_a_second_time(call, place):
    ran = call("init", "--claude", "--json")

    told = json.loads(ran.out)
    assert (0, True, "") == (ran.status, told["trial"]["works"], ran.err)
    assert ["made"] * 3 == [change["change"] for change in told["changes"]]
    assert "*\n" == Path(place.root, ".swarm-memory", ".gitignore").read_text()
    before = files_below(place.home)
    again = json.loads(call("init", "--claude", "--json").out)
    assert ["kept"] * 3 == [change["change"] for change in again["changes"]]
    assert before == files_below(place.home)


def test_the_trial_leaves_nothing_in_the_store(call):
    call("init", "--claude")

    assert [] == json.loads(call("ls", "--telemetry", "--json").out)
    assert [] == json.loads(call("session", "list", "--json").out)


def test_settings_that_are_broken_are_refused_and_nothing_is_written(call, place):
    write(place.user_settings, '{"theme": ')
    before = files_below(place.home), files_below(place.root)

    ran = call("init", "--claude")

    assert 2 == ran.status
    assert f"{place.user_settings}: it is no valid JSON" in ran.err
    assert before == (files_below(place.home), files_below(place.root))


def test_nothing_of_claude_flow_is_replaced_if_other_settings_are_refused(call, place):
    write(place.user_settings, '{"theme": ')
    write(os.path.join(place.root, "CLAUDE.md"), "npx claude-flow hooks pre-task\n")
    before = files_below(place.home), files_below(place.root)

    assert 2 == call("init", "--claude", "--claude-flow").status
    assert before == (files_below(place.home), files_below(place.root))


def test_init_says_so_if_the_hook_does_not_work(call, monkeypatch):
    monkeypatch.setenv("PATH", "/usr/bin:/bin")

    ran = call("init", "--claude")

    assert 1 == ran.status
    assert "trial\tfails\tswarm-memory is not on PATH\n" in ran.out


def test_wiring_outside_of_a_project_makes_none(call, place, tmp_path, monkeypatch):
    plain = tmp_path / "plain"
    plain.mkdir()
    monkeypatch.chdir(plain)

    told = json.loads(call("init", "--claude", "--json").out)

    assert [] == os.listdir(plain)
    assert told["url"] == f"sqlite:///{os.environ['XDG_DATA_HOME']}/swarm-memory/memory.db"


@pytest.mark.parametrize(
    "arguments",
    [
        ["--project"],
        ["--claude", "--project", "--local"],
        ["--codex", "--team"],
        ["--block"],
    ],
)
def test_options_that_contradict_each_other_are_a_usage_error(call, place, arguments):
    assert 2 == call("init", *arguments).status
    assert {} == files_below(place.home)


def test_who_reads_at_a_terminal_is_told_what_comes_next(project, place):
    shown = at_terminal("init", "--claude")

    for said in ("memory.db", "swarm-memory doctor --claude", "swarm-memory pause"):
        assert said in shown
    for said in ("SWARM_MEMORY_INJECT=off", "swarm-memory uninstall"):
        assert said in shown


# --- committed settings, for a colleague who lacks the command ---


@pytest.mark.parametrize("scope", ["--project", "--team"])
def test_a_colleague_who_lacks_the_command_hears_nothing(call, place, scope):
    call("init", "--claude", scope)
    wired = json.loads(Path(place.project_settings).read_text())

    lines = {handler["command"] for _, _, handler in hooks.handlers(wired)}
    assert {hooks.QUIET, hooks.QUIET_TICK} == lines
    for line in lines:
        # Exit status 0 and nothing on stdout: what stands on stderr goes to the debug log only.
        ran = subprocess.run(
            ["sh", "-c", line], input=b"{}", capture_output=True, env={"PATH": "/usr/bin:/bin"}
        )
        assert (0, b"") == (ran.returncode, ran.stdout)
    assert not os.path.exists(place.project_servers)
    assert "mcpServers" in json.loads(Path(place.claude_state).read_text())["projects"][place.root]


def test_the_silent_form_hands_the_event_on(place):
    result = trial.fire(claude.handler(quiet=True), os.environ, place.root)

    assert (True, hooks.QUIET) == (result.works, result.command)


# --- uninstall ---


@pytest.mark.parametrize("scope", [[], ["--project"], ["--team"], ["--local"]])
def test_uninstall_leaves_the_settings_byte_for_byte(call, place, scope):
    for path in (*place.settings, place.claude_state):
        write(path, '{"theme":"dark",\n "hooks": {"Stop": [ ]}, "mcpServers":{}}')
    write(os.path.join(place.root, "CLAUDE.md"), "# Mine")
    before = files_below(place.home), files_below(place.root)

    call("init", "--claude", "--codex", "--block", *scope)
    assert before != (files_below(place.home), files_below(place.root))
    ran = call("uninstall", "--delete-store")

    assert 0 == ran.status
    assert before == (files_below(place.home), files_below(place.root))


def test_uninstall_keeps_the_store_where_nobody_can_be_asked(call, place, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    call("init", "--claude")
    call("put", "notes/1", "1")

    ran = call("uninstall")

    store = os.path.join(place.root, ".swarm-memory", "memory.db")
    assert f"{store}\tkept\n" in ran.out
    assert "1" == call("get", "notes/1").out.strip()


@pytest.mark.parametrize(("answer", "kept"), [("n", True), ("y", False), ("", True)])
def test_uninstall_asks_about_the_store_at_a_terminal(call, place, answer, kept):
    call("init", "--claude")

    shown = at_terminal("uninstall", answer=answer)

    assert "Delete the memory in" in shown
    assert kept == os.path.exists(os.path.join(place.root, ".swarm-memory"))


def test_a_dry_uninstall_writes_nothing(call, place):
    call("init", "--claude")
    before = files_below(place.home), files_below(place.root)

    ran = call("uninstall", "--dry-run", "--delete-store")

    assert f"{place.user_settings}\tdeleted\n" in ran.out
    assert before == (files_below(place.home), files_below(place.root))


def test_uninstalling_what_is_not_there_is_fine(call, place):
    assert (0, "") == call("uninstall")[:2]
    assert {} == files_below(place.home)


# --- pause ---


def test_pause_and_resume_are_seen_by_doctor(call):
    call("init")

    assert call("pause").out.endswith("\tpaused\n")
    assert "swarm-memory resume" in call("doctor", "--claude", "--quiet").out
    assert not json.loads(call("pause", "--json").out)["changed"]
    assert json.loads(call("resume", "--json").out)["changed"]
    assert "swarm-memory resume" not in call("doctor", "--claude", "--quiet").out


def test_a_store_in_memory_cannot_be_paused(call):
    assert 2 == call("pause", "--url", "sqlite:///:memory:").status


# --- doctor --claude ---


@pytest.fixture
def found(call):
    """Run doctor --claude and return its exit status and its findings by check."""

    def found():
        ran = call("doctor", "--claude", "--json")
        told = json.loads(ran.out)
        assert told["status"] == ran.status
        by_check = {}
        for finding in told["findings"]:
            by_check.setdefault(finding["check"], []).append(finding)
        return ran.status, by_check

    return found


def test_after_init_everything_is_in_order(call, found):
    call("init", "--claude")

    status, checks = found()

    assert {"ok"} == {one["severity"] for findings in checks.values() for one in findings}
    assert 0 == status
    assert {"command", "hooks", "wired", "switches", "mcp-server", "store", "trial"} <= set(checks)


def test_without_init_it_says_what_is_missing(call, found):
    call("init")

    status, checks = found()

    assert 1 == status
    for check in ("wired", "mcp-server"):
        assert ["warning"] == [one["severity"] for one in checks[check]]
        assert "swarm-memory init --claude" == checks[check][0]["advice"]


def test_a_command_that_is_not_on_path_is_an_error(call, found, monkeypatch):
    call("init", "--claude")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")

    status, checks = found()

    assert 1 == status
    assert "error" == checks["command"][0]["severity"]
    assert "error" == checks["trial"][0]["severity"]


@pytest.mark.parametrize(
    ("script", "check", "said"),
    [
        ('[ "$1" = --version ] && echo swarm-memory 99.1', "command", "is 99.1, this is"),
        ("echo broken >&2; exit 3", "command", "broken"),
        ('[ "$1" = hook ] && exit 2', "trial", "exit status 2"),
        ('[ "$1" = hook ] && echo hello', "trial", "other than a JSON object: hello"),
        ('[ "$1" = hook ] && echo oh >&2', "trial", "something on stderr: oh"),
        ("echo '[]'", "trial", "other than a JSON object: []"),
        ('[ "$1" = --url ] && echo "[]"; true', "trial", "the tool call was not recorded"),
    ],
)
def test_a_command_that_does_not_do_its_work_is_found(
    call, found, tmp_path, monkeypatch, script, check, said
):
    call("init", "--claude")
    other = tmp_path / "other"
    other.mkdir()
    (other / "swarm-memory").write_text(f"#!/bin/sh\n{script}\n")
    (other / "swarm-memory").chmod(0o755)
    monkeypatch.setenv("PATH", f"{other}:/usr/bin:/bin")

    status, checks = found()

    assert 1 == status
    assert checks[check][0]["severity"] in {"warning", "error"}
    assert said in checks[check][0]["evidence"]


def test_a_store_of_another_version_is_found(call, found, place):
    call("init", "--claude")
    Path(place.root, ".swarm-memory", "memory.db").write_bytes(b"no database" * 1000)

    status, checks = found()

    assert 0 != status
    assert "ok" not in [one["severity"] for one in checks.get("store", checks.get("damage"))]


def test_hooks_that_are_switched_off_are_found_by_the_file_that_decides(call, found, place):
    call("init", "--claude")
    write(place.project_settings, '{"disableAllHooks": true}')

    assert place.project_settings in found()[1]["switches"][0]["evidence"]
    write(place.local_settings, '{"disableAllHooks": false}')
    assert "ok" == found()[1]["switches"][0]["severity"]


def test_events_that_are_missing_are_found(call, found, place):
    call("init", "--claude")
    wired = json.loads(Path(place.user_settings).read_text())
    del wired["hooks"]["SessionEnd"]
    write(place.user_settings, json.dumps(wired))

    assert ("warning", "SessionEnd") == tuple(
        found()[1]["wired"][0][name] for name in ("severity", "evidence")
    )


def test_settings_without_the_hook_that_stays_are_found(call, found, place):
    call("init", "--claude")
    wired = json.loads(Path(place.user_settings).read_text())
    del wired["hooks"]["SessionStart"][1]
    write(place.user_settings, json.dumps(wired))

    assert ("warning", "SessionStart (tick)") == tuple(
        found()[1]["wired"][0][name] for name in ("severity", "evidence")
    )


def test_settings_and_plugin_together_are_worth_a_note_and_nothing_to_do(call, found, place):
    call("init", "--claude")
    write(place.local_settings, '{"enabledPlugins": {"swarm-memory@swarm-memory": true}}')

    status, checks = found()

    assert (0, "note") == (status, checks["wired"][0]["severity"])


def test_the_plugin_alone_is_enough(call, found, place):
    call("init")
    write(place.local_settings, '{"enabledPlugins": {"swarm-memory@swarm-memory": true}}')

    status, checks = found()

    assert 0 == status
    assert "the plugin swarm-memory@swarm-memory" == checks["wired"][0]["evidence"]


@pytest.mark.parametrize(
    "wired",
    [
        {
            "Stop": [
                {"hooks": [{"type": "command", "command": "npx claude-flow hooks session-end"}]}
            ]
        },
        {"Stop": [{"hooks": [{"type": "command", "command": "node hook-handler.cjs status"}]}]},
        {"postEditHook": {"command": "npx", "args": ["claude-flow"]}},
    ],
)
def test_hooks_of_claude_flow_are_found(call, found, place, wired):
    call("init", "--claude")
    write(place.local_settings, json.dumps({"hooks": wired}))

    status, checks = found()

    assert (1, "warning") == (status, checks["claude-flow"][0]["severity"])


def test_inject_off_is_worth_a_note(call, found, monkeypatch):
    call("init", "--claude")
    monkeypatch.setenv("SWARM_MEMORY_INJECT", "off")

    status, checks = found()

    assert (0, "note") == (status, checks["switches"][0]["severity"])


def at_terminal(*arguments, answer=""):
    """Run the installed command with a terminal as its input and output; return what it shows."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "200"}
    process = subprocess.Popen(
        ["swarm-memory", *arguments], stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    os.write(ours, f"{answer}\n".encode())
    shown = b""
    while select.select([ours], [], [], WAIT_S)[0]:
        try:
            part = os.read(ours, 65536)
        except OSError:  # how Linux says that the other side is closed
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert 0 == process.wait(WAIT_S)
    return shown.decode()
