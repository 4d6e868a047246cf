"""Hooks as requests to a server: which events, in which form, and back again."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from swarm_memory.doors.cli import main
from swarm_memory.wiring import claude, hooks, removal
from swarm_memory.wiring.plan import apply, take_out

BIN = Path(sys.executable).parent
PORT = 18377


def wired(entries):
    return [(e.path[1], e.value) for e in entries if e.path[0] == "hooks"]


def call(*arguments):
    with pytest.raises(SystemExit) as exit_:
        main([str(argument) for argument in arguments])
    return exit_.value.code or 0


@pytest.fixture
def settled(place):
    """Settings of somebody else's, before ours."""
    text = '{"theme":"dark",\n "hooks": {"Stop": [ ]}}'
    os.makedirs(os.path.dirname(place.user_settings), exist_ok=True)
    Path(place.user_settings).write_text(text)
    return text


def test_each_event_has_a_type_that_the_contract_allows_for_it():
    by_type = {}
    for event, group in wired(claude.settings(http_port=PORT)):
        for handler in group["hooks"]:
            by_type.setdefault(handler["type"], set()).add(event)

    assert {"SessionStart"} == by_type.pop("command")
    assert {"http"} == set(by_type)
    assert {hook.event for hook in hooks.HOOKS} - {"SessionStart"} == by_type["http"]


def test_a_request_names_nothing_but_what_the_contract_has():
    pairs = zip(wired(claude.settings(http_port=PORT)), wired(claude.settings()), strict=True)
    for (event, group), (same_event, as_command) in pairs:
        [handler], [command] = group["hooks"], as_command["hooks"]
        assert (same_event, as_command.get("matcher")) == (event, group.get("matcher"))
        assert command["timeout"] == handler["timeout"]  # a server that hangs holds nobody longer
        if handler["type"] == "http":
            assert {"type", "url", "headers", "allowedEnvVars", "timeout"} == set(handler)
            assert "http://127.0.0.1:18377/hook" == handler["url"]
            assert ["SWARM_MEMORY_TOKEN"] == handler["allowedEnvVars"]
            assert {"Authorization": "Bearer $SWARM_MEMORY_TOKEN"} == handler["headers"]


def test_one_form_replaces_the_other_and_leaves_the_same_bytes(place, ledger, settled):
    forms = [None, PORT, PORT + 1, None]
    for port in forms:
        apply(ledger, claude.plan(ledger, place, http_port=port))
        again = claude.plan(ledger, place, http_port=port)
        assert {"kept"} == {change.verb for change in again}
        document = json.loads(Path(place.user_settings).read_text())
        mine = [h for _, _, h in hooks.handlers(document) if hooks.is_written(h)]
        assert len(hooks.HOOKS) == len(mine)
        assert {port} - {None} == {
            int(h["url"].split(":")[2].split("/")[0]) for h in mine if "url" in h
        }
    take_out(ledger, removal.plan(ledger, place))

    assert settled == Path(place.user_settings).read_text()


def test_what_nobody_noted_is_known_by_its_token_and_others_stay(place, ledger, settled):
    other = {"type": "http", "url": "http://127.0.0.1:9/hook", "allowedEnvVars": ["X"]}
    document = {"hooks": {"Stop": [{"hooks": [other]}]}}
    for event, group in wired(claude.settings(http_port=PORT)):
        document["hooks"].setdefault(event, []).append(group)
    Path(place.user_settings).write_text(json.dumps(document))

    take_out(ledger, removal.plan(ledger, place))

    left = json.loads(Path(place.user_settings).read_text())
    assert {"hooks": {"Stop": [{"hooks": [other]}]}} == left


@pytest.mark.parametrize(
    "arguments",
    [
        ["--http"],
        ["--claude", "--http", "--project"],
        ["--claude", "--http", "--team"],
        ["--claude", "--port", "1"],
    ],
)
def test_committed_settings_hold_no_server_of_a_machine(place, project, arguments):
    assert 2 == call("init", *arguments)
    assert not os.path.exists(place.project_settings)


def findings(capsys):
    capsys.readouterr()
    call("doctor", "--claude", "--json")
    told = json.loads(capsys.readouterr().out)["findings"]
    return {one["check"]: one for one in told}


def test_doctor_tells_a_server_that_answers_from_one_that_does_not(project, capsys, monkeypatch):
    monkeypatch.setenv("PATH", f"{BIN}:/usr/bin:/bin")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert 0 == call("init", "--claude", "--http", "--port", port)
    assert f"swarm-memory serve --port {port}" in capsys.readouterr().err

    before = findings(capsys)
    command = [str(BIN / "swarm-memory"), "serve", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        server.stdout.readline()  # it serves
        after = findings(capsys)
        server.terminate()

    checks = ("wired", "http-server", "trial")
    assert ["ok", "error", "ok"] == [before[name]["severity"] for name in checks]
    assert f"--port {port}" in before["http-server"]["advice"]
    assert ["ok", "ok", "ok"] == [after[name]["severity"] for name in checks]
