"""A trial of a hook as it is configured: real events through the real command.

It goes to a store of its own that is deleted afterwards: nothing of it is ever seen by an agent.
"""

from __future__ import annotations

import json
import os

from swarm_memory.lean import NamedTuple
from swarm_memory.wiring import hooks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

WAIT_S_MAX = 20.0
SESSION = "00000000-0000-4000-8000-000000000000"


class Trial(NamedTuple):
    """How a trial went: whether it `works`, what was run, what is to be said, how long one took."""

    works: bool
    command: str
    shown: str
    slowest_ms: int


class _Failed(Exception):
    """The trial showed something that is not right."""


def fire(handler: dict[str, Any], environment: Mapping[str, str], directory: str) -> Trial:
    """Return how a handler of a settings file answers a session with one tool call.

    Starts the command four times: three events, and one question for what was recorded. Each may
    take 20 s.
    """
    import tempfile

    command = handler["command"] if "args" not in handler else " ".join(hooks.words(handler))
    slowest = 0.0
    with tempfile.TemporaryDirectory(prefix="swarm-memory-trial-") as folder:
        url = f"sqlite:///{os.path.join(folder, 'memory.db')}"
        known = {**environment, "SWARM_MEMORY_URL": url, "SWARM_MEMORY_RECORD": "metadata"}
        try:
            for event in _events(directory):
                slowest = max(slowest, _one(handler, event, known, directory))
            _recorded(url, known, directory)
        except _Failed as problem:
            shown = f"{problem}{_logged(folder)}"
            return Trial(False, command, shown, round(slowest * 1000))
    return Trial(True, command, "three events were answered and recorded", round(slowest * 1000))


def _events(directory: str) -> list[dict[str, Any]]:
    common = {"session_id": SESSION, "cwd": directory, "transcript_path": ""}
    call = {"tool_name": "Bash", "tool_input": {"command": "true"}, "tool_use_id": "toolu_trial"}
    answer = {"tool_response": {"stdout": "", "stderr": ""}, "duration_ms": 1}
    return [
        {**common, "hook_event_name": "SessionStart", "source": "startup"},
        {**common, "hook_event_name": "PostToolUse", **call, **answer},
        {**common, "hook_event_name": "SessionEnd", "reason": "other"},
    ]


def _one(
    handler: dict[str, Any], event: dict[str, Any], environment: dict[str, str], directory: str
) -> float:
    """Run one event; return how many seconds it took."""
    import time

    began = time.monotonic()
    status, out, err = _run(
        _command(handler, environment), json.dumps(event), environment, directory
    )
    name = event["hook_event_name"]
    if status != 0:
        raise _Failed(f"{name}: exit status {status}: {_first_line(err or out)}")
    if err:
        raise _Failed(f"{name}: something on stderr: {_first_line(err)}")
    if out and not _is_object(out):
        raise _Failed(f"{name}: something other than a JSON object: {_first_line(out)}")
    return time.monotonic() - began


def _recorded(url: str, environment: dict[str, str], directory: str) -> None:
    question = ["--url", url, "ls", "--telemetry", "--json"]
    program = _found(hooks.COMMAND, environment)
    status, out, err = _run([program, *question], "", environment, directory)
    if status != 0:
        raise _Failed(f"what was recorded cannot be read: {_first_line(err)}")
    if not json.loads(out):
        raise _Failed("the events were answered, but the tool call was not recorded")


def _logged(folder: str) -> str:
    """Return what the hook wrote into its log beside the store, which nobody else will see."""
    for name in sorted(os.listdir(folder)):
        if name.endswith(".log"):
            with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                return f"; its log says: {_first_line(file.read())}"
    return ""


def _command(handler: dict[str, Any], environment: dict[str, str]) -> list[str] | str:
    if "args" not in handler:
        return str(handler["command"])
    return [_found(handler["command"], environment), *handler["args"]]


def _found(command: str, environment: dict[str, str]) -> str:
    import shutil

    path = shutil.which(command, path=environment.get("PATH"))
    if path is None:
        raise _Failed(f"{command} is not on PATH")
    return path


def _run(
    command: list[str] | str, text: str, environment: dict[str, str], directory: str
) -> tuple[int, str, str]:
    import subprocess

    try:
        ran = subprocess.run(
            command,
            input=text.encode(),
            capture_output=True,
            env=environment,
            cwd=directory,
            shell=isinstance(command, str),
            timeout=WAIT_S_MAX,
        )
    except subprocess.TimeoutExpired as late:
        raise _Failed(f"no answer within {WAIT_S_MAX:g} s") from late
    except OSError as error:
        raise _Failed(f"it cannot be started: {error.strerror}") from error
    return ran.returncode, ran.stdout.decode(errors="replace"), ran.stderr.decode(errors="replace")


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False


def _first_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[0][:200] if lines else "(nothing)"
