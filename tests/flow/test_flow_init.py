"""`init --claude-flow` calls us where claude-flow was called, and all of it can be taken back."""

import json
import os
import subprocess

import pytest
from flow_lines import COMMAND

from swarm_memory.flow import HOOKS
from swarm_memory.flow.options import SAME
from swarm_memory.wiring.claude_flow import NAMES, rewrite

OURS = "swarm-memory flow-hook"


@pytest.mark.parametrize(
    "call",
    [
        "npx claude-flow hooks pre-task",
        "npx claude-flow@alpha hooks post-edit",
        "npx -y claude-flow@2.0.0-alpha.88 hooks notify",
        "npx --yes ruflo hooks post-command",
        "claude-flow hook session-end",
        "bunx claude-flow@latest hooks pre-bash",
        "./node_modules/.bin/claude-flow hooks session-restore",
        "pnpm dlx claude-flow hooks  notification",
    ],
)
def test_the_beginning_of_a_call_is_replaced_and_nothing_else(call):
    line = f"""cat | jq -r .x | xargs {call} --file "{{}}" --format true"""
    name = call.split()[-1]

    assert f"""cat | jq -r .x | xargs {OURS} {name} --file "{{}}" --format true""" == rewrite(line)
    assert rewrite(line) == rewrite(rewrite(line))


@pytest.mark.parametrize(
    "text",
    [
        "claude-flow hooks are called at every step",
        "npx claude-flow hooks modify-bash",
        "npx claude-flow hooks pre-tasking",
        "npx claude-flow swarm init",
        "npx claude-flow mcp start",
        "my-claude-flow hooks pre-task",
        "npx claude-flow hooks $HOOK",
    ],
)
def test_what_is_no_call_that_we_answer_stays(text):
    assert text == rewrite(text)


def test_what_is_replaced_is_what_we_answer():
    assert set(NAMES) == (HOOKS.keys() | {n for n in SAME if n != "notification-hook"})


SETTINGS = """{
   "hooks" : {"PostToolUse": [{"matcher": "Edit", "hooks": [{"type": "command",
      "command": "npx claude-flow@alpha hooks post-edit --file x --memory-key swarm/a/1"}]}]}
}"""


@pytest.fixture
def flowed(project):
    """A project that claude-flow was set up in, with its memory."""
    files = {
        ".claude/settings.json": SETTINGS,
        "CLAUDE.md": "Use `npx claude-flow hooks pre-task`.\r\nThen claude-flow hooks notify.\r\n",
        ".claude/commands/sub/go.md": "!npx claude-flow@alpha hooks session-start\n",
        ".claude/agents/a.md": "no call here\n",
        "scripts/run.sh": "#!/bin/sh\nclaude-flow hook post-task --task-id $1\n",
        "memory/memory-store.json": json.dumps(
            {"default": [{"key": "k", "value": "v", "namespace": "default", "timestamp": 1}]}
        ),
        "src/app.py": "# npx claude-flow hooks pre-task\n",
    }
    for name, text in files.items():
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_bytes(text.encode())
    os.chmod(project / "scripts/run.sh", 0o750)
    return files


def contents(project, files):
    return {name: (project / name).read_bytes().decode() for name in files}


def swarm_memory(*words):
    return subprocess.run([COMMAND, *words], capture_output=True, timeout=60, text=True)


def test_a_dry_run_shows_the_change_and_writes_nothing(project, flowed):
    ran = swarm_memory("init", "--claude-flow", "--dry-run")

    assert 0 == ran.returncode
    assert f"+Use `{OURS} pre-task`." in ran.stderr
    assert "1 memories, 0 telemetry; 1 would be imported" in ran.stderr
    assert flowed == contents(project, flowed)
    assert [] == list((project / ".swarm-memory").glob("memory.db"))


def test_the_calls_are_replaced_and_the_memory_is_imported(project, flowed):
    ran = swarm_memory("init", "--claude-flow")

    assert 0 == ran.returncode, ran.stderr
    assert "1 memories, 0 telemetry; 1 imported" in ran.stderr
    after = contents(project, flowed)
    assert SETTINGS.replace("npx claude-flow@alpha hooks", OURS) == after[".claude/settings.json"]
    assert after["scripts/run.sh"] == f"#!/bin/sh\n{OURS} post-task --task-id $1\n"
    assert 0o750 == os.stat(project / "scripts/run.sh").st_mode & 0o777
    assert flowed["src/app.py"] == after["src/app.py"]
    assert "\r\n" in after["CLAUDE.md"]


def test_a_second_call_changes_nothing(project, flowed):
    swarm_memory("init", "--claude-flow")
    once = contents(project, flowed)

    ran = swarm_memory("init", "--claude-flow")

    assert once == contents(project, flowed)
    assert "1 memories, 0 telemetry; 0 imported" in ran.stderr


def test_uninstall_puts_back_every_call_as_it_was(project, flowed):
    swarm_memory("init", "--claude-flow")
    swarm_memory("init", "--claude-flow")

    assert 0 == swarm_memory("uninstall").returncode
    assert flowed == contents(project, flowed)


def test_uninstall_keeps_what_was_edited_meanwhile(project, flowed):
    swarm_memory("init", "--claude-flow")
    path = project / "CLAUDE.md"
    path.write_bytes(
        b"A new line with swarm-memory flow-hook metrics.\r\n"
        + path.read_bytes().replace(b"Then", b"And then")
    )

    swarm_memory("uninstall")

    wanted = flowed["CLAUDE.md"].replace("Then", "And then")
    new = "A new line with swarm-memory flow-hook metrics.\r\n"
    assert new + wanted == path.read_bytes().decode()


def test_both_setups_go_in_and_out_together(project, flowed):
    assert "not changed" not in swarm_memory("init", "--claude-flow", "--claude", "--local").stderr

    swarm_memory("uninstall")

    assert flowed == contents(project, flowed)
    assert not (project / ".claude" / "settings.local.json").exists()


def test_a_link_out_of_the_project_is_not_followed(project, flowed, tmp_path):
    outside = tmp_path / "shared.md"
    outside.write_text("npx claude-flow hooks pre-task\n")
    (project / ".claude/commands/shared.md").symlink_to(outside)

    swarm_memory("init", "--claude-flow")

    assert outside.read_text() == "npx claude-flow hooks pre-task\n"
