"""Doctor reads what was set: variables, the configuration file, Claude Code's hooks."""

import json
import os
from pathlib import Path

import pytest


def severities(findings):
    return [finding.severity for finding in findings]


@pytest.fixture
def settings(case):
    """Write Claude Code's settings of the project, with handlers by event."""

    def settings(hooks, name="settings.json", folder=None, **more):
        folder = Path(folder or case.project, ".claude")
        folder.mkdir(exist_ok=True)
        events = {event: [{"matcher": "*", "hooks": handlers}] for event, handlers in hooks.items()}
        (folder / name).write_text(json.dumps({"hooks": events, **more}))
        return str(folder / name)

    return settings


@pytest.fixture
def installed(tmp_path):
    """A folder with a command swarm-memory in it, for PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "swarm-memory").write_text("#!/bin/sh\n")
    (folder / "swarm-memory").chmod(0o755)
    return str(folder)


def command(line, **more):
    return {"type": "command", "command": line, **more}


def test_a_variable_that_means_nothing_is_a_warning_with_the_nearest_name(look):
    (found,) = look("environment", environment={"SWARM_MEMORY_BUSY_TIMEOUT": "3"})

    assert "warning" == found.severity
    assert "did you mean SWARM_MEMORY_BUSY_TIMEOUT_S?" in found.evidence


def test_variables_that_mean_something_are_in_order(look):
    known = {"SWARM_MEMORY_BUSY_TIMEOUT_S": "3", "SWARM_MEMORY_AGENT": "a"}

    assert ["ok", "ok"] == severities(look("environment", "configuration", environment=known))


def test_a_value_out_of_range_is_an_error(look):
    (found,) = look("configuration", environment={"SWARM_MEMORY_BUSY_TIMEOUT_S": "-3"})

    assert "error" == found.severity
    assert "busy_timeout_s" in found.evidence


def test_an_unknown_setting_in_a_file_is_an_error_with_the_nearest_name(look, tmp_path):
    file = tmp_path / "config.json"
    file.write_text('{"settings": {"busy_timeout": 3}}')

    (found,) = look("configuration", environment={"SWARM_MEMORY_CONFIG": str(file)})

    assert "error" == found.severity
    assert "did you mean busy_timeout_s?" in found.evidence


def test_a_good_file_is_in_order(look, tmp_path):
    file = tmp_path / "config.json"
    file.write_text('{"settings": {"busy_timeout_s": 3}}')

    (found,) = look("configuration", environment={"SWARM_MEMORY_CONFIG": str(file)})

    assert ("ok", str(file)) == (found.severity, found.evidence)


# --- hooks ---


def test_without_settings_hooks_are_in_order(look):
    (found,) = look("hooks")

    assert ("ok", "none of swarm-memory") == (found.severity, found.evidence)


def test_hooks_that_exist_are_in_order(look, settings, installed):
    settings(
        {
            "PostToolUse": [command("A=1 swarm-memory hook post-edit"), command("other --thing")],
            "Stop": [command(f"{installed}/swarm-memory", args=["hook", "stop"])],
        }
    )

    (found,) = look("hooks", environment={"PATH": installed})

    assert ("ok", "2 of swarm-memory") == (found.severity, found.evidence)


@pytest.mark.parametrize(
    "handler",
    [
        command("swarm-memory hook stop"),
        command("SWARM_MEMORY_AGENT=a swarm-memory hook stop"),
        command("/nowhere/swarm-memory hook stop"),
        command('"$CLAUDE_PROJECT_DIR"/bin/swarm-memory hook stop'),
        command("~/bin/swarm-memory hook stop"),
        command("swarm-memory", args=["hook", "stop"]),
        command("python-that-is-gone -m swarm_memory hook stop"),
    ],
)
def test_a_hook_whose_command_does_not_exist_is_a_warning(look, settings, tmp_path, handler):
    path = settings({"Stop": [handler]})

    (found,) = look("hooks", environment={"PATH": str(tmp_path / "empty")})

    assert "warning" == found.severity
    assert found.evidence.startswith(f"{path}: Stop: ")


@pytest.mark.parametrize(
    "line", ["${CLAUDE_PROJECT_DIR}/swarm-memory hook stop", "$HOME/swarm-memory hook stop"]
)
def test_places_that_claude_code_knows_are_filled_in(look, settings, case, installed, line):
    for folder in (case.project, Path(os.environ["HOME"])):
        os.symlink(f"{installed}/swarm-memory", folder / "swarm-memory")
    settings({"Stop": [command(line)]})

    assert ["ok"] == severities(look("hooks"))


def test_an_event_that_there_is_not_is_a_warning_with_the_nearest(look, settings, installed):
    settings({"PostToolUsed": [command("swarm-memory hook post-edit")]})

    (found,) = look("hooks", environment={"PATH": installed})

    assert ("warning", "call the event PostToolUse") == (found.severity, found.advice)


def test_the_same_hook_twice_under_two_spellings_is_a_warning(look, settings, installed):
    settings(
        {
            "Stop": [
                command("swarm-memory hook stop"),
                command(f"{installed}/swarm-memory hook stop"),
            ]
        }
    )

    (found,) = look("hooks", environment={"PATH": installed})

    assert "warning" == found.severity
    assert "twice" in found.means


def test_hooks_of_others_are_none_of_our_business(look, settings):
    settings({"NoEvent": [command("gone"), command("gone"), {"type": "prompt"}, 7]})

    assert ["ok"] == severities(look("hooks"))


@pytest.mark.parametrize("text", ["{", "[]", '{"hooks": '])
def test_settings_that_are_no_json_are_a_warning(look, case, text):
    folder = case.project / ".claude"
    folder.mkdir()
    (folder / "settings.local.json").write_text(text)

    (found,) = look("hooks")

    assert "warning" == found.severity
    assert "settings.local.json" in found.evidence


@pytest.mark.parametrize("text", ["{}", "", '{"hooks": 3}', '{"hooks": {"Stop": [{"hooks": 1}]}}'])
def test_settings_without_hooks_are_in_order(look, case, text):
    folder = case.project / ".claude"
    folder.mkdir()
    (folder / "settings.json").write_text(text)

    assert ["ok"] == severities(look("hooks"))


def test_hooks_that_are_switched_off_are_a_note(look, settings, installed):
    settings({"Stop": [command("swarm-memory hook stop")]}, disableAllHooks=True)

    assert ["note"] == severities(look("hooks", environment={"PATH": installed}))


def test_the_users_own_settings_are_read_too(look, settings):
    path = settings({"Stop": [command("/nowhere/swarm-memory")]}, folder=os.environ["HOME"])

    (found,) = look("hooks")

    assert path in found.evidence
