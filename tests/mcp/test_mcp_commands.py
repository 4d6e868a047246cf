"""Every tool is a command too, and both are documented."""

import json
import subprocess
from pathlib import Path

import pytest
from mcp_place import COMMAND

from swarm_memory.doors.mcp import full

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.mark.parametrize("name", [tool.name for tool in full.TOOLS])
def test_every_tool_is_in_the_documents(name):
    assert f"`{name}`" in (DOCS / "mcp.md").read_text()
    assert f"`{name}`" in (DOCS / "reference.md").read_text()


def test_the_default_tools_have_commands_that_answer_in_json(place):
    def command(*arguments):
        ran = subprocess.run(
            [COMMAND, *arguments, "--json"],
            capture_output=True,
            text=True,
            env=place.environment(),
            timeout=120,
        )
        assert (0, "") == (ran.returncode, ran.stderr)
        return json.loads(ran.stdout)

    stored = command("store", "Redis keeps sessions", "--kind", "decision", "--file", "a.py")
    again = command("store", "redis keeps sessions", "--key", "notes/redis")
    hits = command("search", "who keeps sessions", "--min-score", "0.35")["hits"]
    new = command("supersede", stored["key"], "SQLite", "--also", "notes/redis", "--expect", "1")
    lease = command("lock", "deploy", "--keep")
    released = command("unlock", "deploy", str(lease["token"]))
    sent = command("send", "hello", "--to", "main")
    (message,) = command("inbox", "--claim")

    assert {"kind": "decision", "files": ["a.py"]} == stored["provenance"]
    assert [stored["key"]] == [one["key"] for one in again["similar"]]
    assert {stored["key"], "notes/redis"} == {hit["record"]["key"] for hit in hits}
    assert ("SQLite", 2) == (command("get", stored["key"])["value"], new["version"])
    assert {"name": "deploy", "released": True} == released
    assert sent["message_id"] == message["message_id"]


def test_lock_takes_a_command_or_keeps_and_not_both(place):
    for arguments in (["lock", "x"], ["lock", "x", "--keep", "--", "true"]):
        ran = subprocess.run(
            [COMMAND, *arguments], capture_output=True, env=place.environment(), timeout=120
        )
        assert 2 == ran.returncode


def test_the_door_is_imported_by_nothing_but_its_verb():
    code = "import sys, swarm_memory.doors.cli; print('mcp' in sys.modules)"
    ran = subprocess.run(
        [Path(COMMAND).with_name("python"), "-c", code], capture_output=True, text=True, timeout=120
    )
    assert "False\n" == ran.stdout, ran.stderr
