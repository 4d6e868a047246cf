"""The plugin and the settings say the same, in the form that Claude Code's contract wants."""

import json
import re
from importlib.metadata import version
from pathlib import Path

import pytest

from swarm_memory.doors.cli import app
from swarm_memory.wiring import claude, hooks, teaching
from swarm_memory.wiring.plugin import contents

ROOT = Path(__file__).parents[2]
# Events whose matcher is a tool's name; SessionEnd's handlers of a plugin share 1.5 s.
TOOL_EVENTS = {"PreToolUse", "PostToolUse", "PostToolUseFailure"}
WANTED = {
    "SessionStart", "SubagentStart", "UserPromptSubmit", "SubagentStop", "TaskCreated",
    "TaskCompleted", "Notification", "PreCompact", "PostCompact", "Stop", "SessionEnd",
    "WorktreeRemove",
} | TOOL_EVENTS  # fmt: skip
TOOLS = {"Edit", "Write", "MultiEdit", "NotebookEdit", "Bash", "PowerShell", "Agent"}
FIELDS = {"type", "command", "args", "timeout", "async"}


@pytest.mark.parametrize("name", sorted(contents("1")))
def test_each_file_of_the_plugin_is_as_it_would_be_written(name):
    assert contents(version("swarm-memory"))[name] == (ROOT / name).read_text(encoding="utf-8")


def read(name):
    return json.loads((ROOT / name).read_text(encoding="utf-8"))


def wired_by(form):
    if form == "plugin":
        return read("hooks/hooks.json")["hooks"]
    entries = claude.settings(quiet=form == "quiet")
    wired = {entry.path[1]: [] for entry in entries if entry.path[0] == "hooks"}
    for entry in entries:
        if entry.path[0] == "hooks":
            wired[entry.path[1]].append(entry.value)
    return wired


@pytest.mark.parametrize("form", ["plugin", "exec", "quiet"])
def test_the_hooks_have_the_form_of_the_contract(form):
    wired = wired_by(form)

    assert set(wired) == WANTED
    assert set(wired) <= hooks.EVENTS
    for event, groups in wired.items():
        first, *more = (group.get("matcher") for group in groups)
        assert (TOOLS if event in TOOL_EVENTS else None) == (
            set(first.split("|")) if first else None
        )
        # No character that would make the list of names a pattern.
        assert re.fullmatch(r"[A-Za-z0-9_\-, |]*", first or "")
        further = {"PreToolUse": [hooks.SERVER_TOOLS], "SessionStart": [None]}
        assert further.get(event, []) == more
        for group in groups:
            assert {"matcher", "hooks"} >= set(group)
            for handler in group["hooks"]:
                assert set(handler) <= FIELDS
                assert "command" == handler["type"]
                if hooks.stays(handler):
                    assert (hooks.STAYS_S, True) == (handler["timeout"], handler["async"])
                else:
                    assert 1 <= handler["timeout"] <= 10  # seconds, not milliseconds


def test_the_plugin_wires_what_the_settings_wire():
    assert wired_by("exec") == wired_by("plugin")


@pytest.mark.parametrize(
    ("tool", "expected"),
    [
        *((f"mcp__swarm-memory__{tool}", True) for tool in claude.READ_TOOLS),
        ("mcp__plugin_swarm-memory_swarm-memory__store", True),
        ("mcp__memory__store", False),
        ("mcp__other-swarm-memory__store", False),
        ("Bash", False),
    ],
)
def test_calls_of_our_own_server_are_seen_before_they_are_made(tool, expected):
    assert expected == bool(re.search(hooks.SERVER_TOOLS, tool))


@pytest.mark.parametrize("form", ["plugin", "exec"])
def test_a_hook_needs_no_shell_and_no_path_of_a_machine(form):
    handlers = [h for groups in wired_by(form).values() for g in groups for h in g["hooks"]]

    expected = {("swarm-memory", ("hook",)), ("swarm-memory", ("hook", "tick"))}
    assert expected == {(h["command"], tuple(h["args"])) for h in handlers}


def test_only_what_has_no_order_runs_in_the_background():
    background = {
        (event, *handler["args"])
        for event, groups in wired_by("plugin").items()
        for group in groups
        for handler in group["hooks"]
        if handler.get("async")
    }

    assert {("Notification", "hook"), ("SessionStart", "hook", "tick")} == background


def test_the_manifest_names_the_plugin_and_its_version():
    manifest, market = read(".claude-plugin/plugin.json"), read(".claude-plugin/marketplace.json")

    assert re.fullmatch(r"[a-z0-9-]+", manifest["name"])
    assert version("swarm-memory") == manifest["version"]
    assert [(manifest["name"], "./")] == [(p["name"], p["source"]) for p in market["plugins"]]
    assert {"name", "owner", "plugins"} == set(market)
    # What has its usual place is found there; named again it would be loaded twice.
    assert {"hooks", "mcpServers", "skills"}.isdisjoint(manifest)


def test_the_server_is_the_same_in_the_plugin_and_in_the_settings():
    (entry,) = claude.server()

    assert {"mcpServers": {entry.name: claude.SERVER}} == read(".mcp.json")
    assert {"type": "stdio", **claude.SERVER} == entry.value


def test_what_may_be_read_without_asking_are_tools_of_the_server_that_only_read():
    assert ("recall", "retrieve", "inbox") == tuple(
        p.rpartition("__")[2] for p in claude.PERMISSIONS
    )
    assert {f"mcp__{claude.SERVER_NAME}"} == {p.rpartition("__")[0] for p in claude.PERMISSIONS}


# --- what agents are told ---


def test_the_texts_are_short():
    assert teaching.INSTRUCTIONS_BYTES_MAX >= len(teaching.INSTRUCTIONS.encode())
    assert teaching.BLOCK_LINES_MAX >= len(teaching.BLOCK.splitlines())
    assert 3000 >= len(teaching.SKILL.encode())


def test_the_skill_has_a_name_and_says_when_it_is_of_use():
    _, head, body = teaching.SKILL.split("---\n", 2)
    fields = dict(line.split(": ", 1) for line in head.splitlines())

    assert {"name", "description"} == set(fields)
    assert "swarm-memory" == fields["name"]
    assert 1024 >= len(fields["description"])
    for part in ("When a look pays", "What deserves remembering", "What never"):
        assert f"## {part}\n" in body
    assert teaching.RELATION in body


@pytest.mark.parametrize("text", [teaching.SKILL, teaching.BLOCK])
def test_every_command_that_agents_are_told_of_is_one(text):
    import typer

    verbs = typer.main.get_command(app).commands
    told = [line.split() for line in re.findall(r"`swarm-memory ([^`]+)`", text)]

    assert told
    for verb, *words in told:
        options = {name for parameter in verbs[verb].params for name in parameter.opts}
        assert {word for word in words if word.startswith("--") and word != "--"} <= options
