"""A hook as a process: what it imports, that it never fails an agent, and that nothing is lost."""

import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path

import apsw
import pytest
from hook_replay import COMMAND, WAIT_S, counted, memory

from swarm_memory import Swarm
from swarm_memory.doors.hooks.log import BYTES_MAX, log_failure, log_path
from swarm_memory.engine.sync import FAILPOINTS

S = "3f2a9c1b-5d2e-4a61-9c07-1f0b6f1d2a01"
SAID = "The login redirects to where the user came from now, and its three tests pass."
COMMON = {"session_id": S, "cwd": "$PROJECT"}
EDIT = COMMON | {
    "hook_event_name": "PostToolUse",
    "tool_name": "Edit",
    "tool_use_id": "t1",
    "tool_input": {"file_path": "$PROJECT/src/a.py", "old_string": "a", "new_string": "b"},
    "tool_response": {"filePath": "$PROJECT/src/a.py", "success": True},
    "duration_ms": 12,
}
BASH = EDIT | {"tool_name": "Bash", "tool_use_id": "t2", "tool_input": {"command": "make test"}}
STOP = COMMON | {"hook_event_name": "Stop", "last_assistant_message": SAID}
SUB_STOP = STOP | {"hook_event_name": "SubagentStop", "agent_id": "a1", "agent_type": "Plan"}
START = COMMON | {"hook_event_name": "SessionStart", "source": "startup"}
PROMPT = COMMON | {"hook_event_name": "UserPromptSubmit", "prompt": "remember: ports are fixed"}

# What costs more than all of a hook should, and has no business in it.
TOO_DEAR = {
    "argparse", "asyncio", "contextlib", "dataclasses", "hashlib", "inspect", "logging", "numpy",
    "orjson", "pathlib", "random", "rich", "socket", "ssl", "subprocess", "tempfile", "traceback",
    "typer", "typing", "urllib", "uuid", "zstandard", "importlib.metadata",
}  # fmt: skip
IMPORTED = """
import sys
from swarm_memory.doors import command
from swarm_memory.doors.hooks import answer
answer(sys.stdin.buffer.read(), None, __import__("os").environ)
print(*sorted(sys.modules), file=sys.stderr)
"""


def imported(stage, event):
    """Return the modules that answering an event loads, in the order of their names."""
    ran = subprocess.run(
        [sys.executable, "-c", IMPORTED],
        input=stage.raw(event),
        capture_output=True,
        timeout=WAIT_S,
        env=stage.environment,
        cwd=stage.project,
        check=True,
    )
    return set(ran.stderr.decode().split())


@pytest.mark.parametrize(
    "event", [EDIT, BASH, START, STOP, PROMPT], ids=lambda e: e["hook_event_name"]
)
def test_a_hook_imports_nothing_that_is_dear(event, stage):
    stage.here(STOP)  # the daily duties, which one hook a day sees to, may cost more
    loaded = imported(stage, event)

    assert set() == loaded & TOO_DEAR
    assert [] == [name for name in loaded if name.startswith("swarm_memory.doors.cli")]
    assert [] == stage.failures()


def test_a_turn_that_takes_the_sample_imports_neither_learner_nor_tuner(stage):
    stage.here(STOP)
    with Swarm.open(stage.url) as swarm:
        taken = len(swarm.monitor.series())
        swarm.transact(
            lambda tx: tx.tx.run("fact_set", swarm="default", name="duty/monitor", value=0)
        )
    loaded = imported(stage, STOP)

    with Swarm.open(stage.url) as swarm:
        assert taken + 1 == len(swarm.monitor.series())
    assert set() == loaded & (TOO_DEAR | {"decimal", "fractions", "lzma", "shutil", "statistics"})
    assert [] == [name for name in loaded if name.startswith("swarm_memory.tuning")]


def test_a_tool_hook_imports_of_us_only_what_it_uses(stage):
    stage.here(START)
    loaded = {name for name in imported(stage, EDIT) if name.startswith("swarm_memory.")}

    unused = {"briefing", "search", "indexing", "ranking", "text", "messages", "leases", "outcomes"}
    unused |= {"retention", "conflicts", "exchange", "importers", "manager", "health"}
    unused |= {"redact", "commands"}  # an edit of a file with a plain name needs neither
    assert set() == {name.split(".")[1] for name in loaded} & unused


def test_an_edit_costs_no_regular_expressions(stage):
    stage.here(START)

    unused = {"re", "json", "enum", "weakref", "signal", "functools"}
    assert set() == imported(stage, EDIT) & unused


# --- it never stands in an agent's way -----------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"[]",
        b'"x"',
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"hook_event_name": 7}',
        b"{}",
    ],
    ids=range(9),
)
def test_input_that_is_no_event_is_logged_in_the_users_folder(raw, stage):
    ran = stage.run(raw)

    assert (0, b"", b"") == (ran.returncode, ran.stdout, ran.stderr)
    log = Path(log_path(None, stage.environment))
    assert 1 == len(log.read_text().splitlines())
    assert not os.path.exists(stage.store)


def test_a_store_that_cannot_be_opened_is_logged_beside_it(stage):
    os.makedirs(os.path.dirname(stage.store))
    Path(stage.store).write_bytes(b"this is no database, " * 500)

    for event in (START, EDIT, STOP):
        assert "" == stage.process(event)

    assert ["SessionStart", "PostToolUse", "Stop"] == [
        line.split()[1].rstrip(":") for line in stage.failures()
    ]


def test_a_folder_that_cannot_be_made_is_logged_in_the_users_folder(stage):
    Path(os.path.dirname(stage.store)).write_text("a file is in the way")

    assert "" == stage.process(START)

    assert "cannot make" in Path(log_path(None, stage.environment)).read_text()


def test_a_setting_that_is_none_is_logged(stage):
    assert "" == stage.process(START, SWARM_MEMORY_BUSY_TIMEOUT_S="soon")

    assert "ConfigError" in Path(log_path(None, stage.environment)).read_text()


def test_a_variable_that_means_nothing_prints_no_warning(stage):
    assert "" == stage.process(EDIT, SWARM_MEMORY_RECORDS="x")
    assert [] == stage.failures()


def test_a_log_that_cannot_be_written_is_no_failure(stage):
    ran = stage.run(b"{", HOME="/dev/null", XDG_STATE_HOME="/dev/null/x")

    assert (0, b"", b"") == (ran.returncode, ran.stdout, ran.stderr)


def test_without_stdin_and_without_a_reader_it_ends_with_0(stage):
    stage.here(PROMPT)
    closed, theirs = os.pipe()
    os.close(closed)
    for stdin, stdout in ((subprocess.DEVNULL, subprocess.PIPE), (subprocess.PIPE, theirs)):
        process = subprocess.Popen(
            [COMMAND, "hook"],
            stdin=stdin,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env=stage.environment,
            cwd=stage.project,
        )
        raw = stage.raw(START | {"session_id": "another"}) if stdin == subprocess.PIPE else None
        out, err = process.communicate(raw, timeout=WAIT_S)
        assert (0, b"") == (process.returncode, err)
        assert not out
    os.close(theirs)


@pytest.mark.parametrize("event", [COMMON | {"hook_event_name": "SessionEnd"}, EDIT])
def test_a_hook_gives_up_while_somebody_holds_the_store(event, stage):
    stage.process(START)
    holder = apsw.Connection(stage.store)
    holder.execute("BEGIN IMMEDIATE")

    assert "" == stage.process(event)  # while it is still held

    holder.execute("ROLLBACK")
    holder.close()
    [line] = stage.failures()
    assert event["hook_event_name"] in line
    with Swarm.open(stage.url) as swarm:
        assert "active" == swarm.sessions.get(S).state


def test_what_is_large_is_read_to_its_end(stage):
    content = "x = 'é'\n" * 500_000
    event = EDIT | {
        "tool_name": "Write",
        "tool_input": {"file_path": "$PROJECT/a", "content": content},
    }

    stage.process(event)

    [[_, value, *_]] = memory(stage)[0]
    assert len(content.encode()) < value["input_bytes"]


def test_an_answer_is_ascii_whatever_it_shows(stage):
    note = "die Schlüssel heißen 鍵"
    stage.process(COMMON | {"hook_event_name": "UserPromptSubmit", "prompt": f"remember: {note}"})

    said = stage.process(START | {"session_id": "another"}, PYTHONIOENCODING="ascii")

    assert said.isascii()
    assert note in json.loads(said)["hookSpecificOutput"]["additionalContext"]


def test_options_lead_to_the_command_line(stage):
    ran = stage.run(b"", "--help")

    assert 0 == ran.returncode
    assert b"hook" in ran.stdout


def test_the_log_is_bounded(tmp_path):
    path = str(tmp_path / "memory.db-hooks.log")
    for number in range(3000):
        log_failure(path, "Stop", ValueError(f"{number} " + "x\n" * 100))

    files = sorted(tmp_path.iterdir())
    assert 2 == len(files)
    assert sum(file.stat().st_size for file in files) < 2 * BYTES_MAX + 2000
    assert "Stop: ValueError: 2999" in Path(path).read_text().splitlines()[-1]


def test_the_log_holds_no_secrets(tmp_path):
    path = str(tmp_path / "log")

    log_failure(path, "Stop", ValueError("token ghp_9fK2mQ7vXc4LrT8bWz1YnE5sJd0HuA3gPi6O"))

    assert "ghp_" not in Path(path).read_text()


# --- nothing is lost -----------------------------------------------------------------------------


def test_of_sixteen_hooks_at_once_every_write_is_there(stage):
    stage.process(START)
    events = [EDIT | {"tool_use_id": f"t{n}", "session_id": f"s{n % 4}"} for n in range(16)]

    with ThreadPoolExecutor(16) as pool:
        said = list(pool.map(stage.process, events))

    assert [""] * 16 == said
    assert [] == stage.failures()
    assert {"ok": 16} == counted(memory(stage))["operations"]


def test_sixteen_hooks_at_once_make_one_store(stage):
    events = [STOP | {"session_id": f"s{n}"} for n in range(16)]

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(stage.process, events))

    assert [] == stage.failures()
    got = counted(memory(stage))
    assert (1, {"active": 16}) == (got["reports"], got["sessions"])


@pytest.mark.parametrize("event", [EDIT, SUB_STOP, PROMPT], ids=lambda e: e["hook_event_name"])
def test_a_hook_that_is_killed_anywhere_leaves_the_store_whole_and_comes_again(event, stage):
    stage.process(event)
    expected = memory(stage)
    died, survived = 0, set()
    for failpoint, time in product(FAILPOINTS, range(1, 10)):
        if failpoint in survived:
            continue  # it passes there less often than that
        shutil.rmtree(os.path.dirname(stage.store))
        ran = stage.run(stage.raw(event), SWARM_MEMORY_FAILPOINT=f"{failpoint}:kill:{time}")
        if ran.returncode != -9:
            assert 0 == ran.returncode
            survived.add(failpoint)
            continue
        died += 1
        stage.process(event)
        assert [] == stage.failures()
        assert expected == memory(stage)
        with Swarm.open(stage.url) as swarm:
            assert swarm.verify().ok
    assert died >= len(FAILPOINTS)
