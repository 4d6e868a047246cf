"""The command: exit status, output, what it imports, and many of it at once."""

import json
import os
import subprocess
import sys

import pytest
from flow_lines import COMMAND

from swarm_memory import Swarm
from swarm_memory.pausing import pause

PROCESSES = 8


def test_a_hook_is_done_with_status_0_and_says_so(command):
    ran = command("pre-task", "--description", "Build", "--task-id", "t-1")

    assert (0, "") == (ran.status, ran.err)
    assert ran.out.startswith("task t-1 began\nrecommended strategy: ")


def test_json_is_one_object(command):
    ran = command("post-edit", "--file", "a.py", "--memory-key", "swarm/a/1", "--json")

    answer = json.loads(ran.out)
    assert ("post-edit", True, "swarm/a/1") == (answer["hook"], answer["ok"], answer["key"])


def test_options_of_every_verb_hold_before_it_too(command, tmp_path):
    url = f"sqlite:///{tmp_path}/else.db"
    ran = command("notify", "-m", "x", "--new", before=("--json", "--url", url, "--agent", "coder"))

    with Swarm.open(url) as swarm:
        assert "coder" == swarm.records.get(json.loads(ran.out)["key"]).author


def test_an_unknown_hook_is_harmless(command):
    assert 0 == command("no-such-hook").status
    assert 0 == command().status


def test_what_is_refused_has_status_1_and_one_line_on_stderr(command):
    for words in (("neural-trained", "--accuracy", "0.99"), ("post-task", "--success", "perhaps")):
        ran = command(*words)

        assert (1, "", 1) == (ran.status, ran.out, len(ran.err.splitlines()))


def test_a_store_that_cannot_be_opened_is_said(command):
    ran = command("notify", "-m", "x", env={**os.environ, "SWARM_MEMORY_URL": "sqlite:////no/x.db"})

    assert (1, 1) == (ran.status, len(ran.err.splitlines()))


def test_a_paused_store_is_left_alone(command, project):
    command("notify", "-m", "before")
    pause(str(project / ".swarm-memory" / "memory.db"))

    ran = command("notify", "-m", "after")

    assert (0, "", "") == ran
    with Swarm.open() as swarm:
        assert 1 == len(swarm.records.scan("swarm-default/agent-main/decisions/"))


def test_the_agent_and_the_session_come_from_options_or_the_environment(command):
    command("notify", "-m", "one", "--agent-id", "coder")
    command("notify", "-m", "two", env={**os.environ, "SWARM_MEMORY_AGENT": "tester"})

    with Swarm.open() as swarm:
        authors = {r.author for r in swarm.records.scan("swarm-default/")}
    assert {"coder", "tester"} == authors


def test_many_at_once_lose_nothing(project):
    line = [COMMAND, "flow-hook", "post-edit", "--file", "a.py", "--memory-key"]
    running = [
        subprocess.Popen([*line, f"swarm/many/{n}"], stdout=subprocess.DEVNULL)
        for n in range(PROCESSES)
    ]

    assert [0] * PROCESSES == [process.wait(60) for process in running]
    with Swarm.open() as swarm:
        assert PROCESSES == len(swarm.records.scan("swarm/many/"))
        assert PROCESSES == len(swarm.records.scan("memory/operations/", telemetry=True))


@pytest.mark.parametrize("module", ["argparse", "typer", "rich", "pathlib", "hashlib", "random"])
def test_the_way_to_an_edit_imports_little(project, module):
    Swarm.open().close()  # making a store may import more
    program = (
        "import sys\nsys.argv = ['x', 'flow-hook', 'post-edit', '--file', 'a.py']\n"
        "from swarm_memory.doors.command import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        f"assert {module!r} not in sys.modules"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30)

    assert (0, b"") == (ran.returncode, ran.stderr)
