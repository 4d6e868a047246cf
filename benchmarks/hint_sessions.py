"""Sessions for the replay of hints: transcripts and event streams as they are, or generated ones.

A session is a list of hook events in order. Generated ones are of projects in which some failures
have one fix, others have a new one every time, some come and go, some change their fix half-way,
and one file is edited with everything. Agents in them never see a hint. The first failure of a
task says under `known_fix` what mends it, if that is always the same: for the measuring only.
"""

from __future__ import annotations

import json
import random
from datetime import datetime
from pathlib import Path

CONSISTENT, VARYING, FLAKY, INSTALL, ABSENT, DRIFTING = (
    "consistent", "varying", "flaky", "install", "absent", "drifting"
)  # fmt: skip
# How often each kind of failure happens: nearly half of all have no fix that could be known.
KINDS = {CONSISTENT: 5, VARYING: 8, FLAKY: 2, INSTALL: 2, ABSENT: 1, DRIFTING: 2}
NAMES = ["auth", "cart", "mail", "user", "order", "price", "stock", "login", "token", "cache"]
NAMES += ["query", "router", "model", "store"]
FOCUS_SESSIONS = 5  # in a row in which one file is what the work is about
ERRORS = {
    CONSISTENT: "{0}Error: the {0} is not configured",
    VARYING: "AssertionError: assert {1} == {2}",
    FLAKY: "ConnectionError: {0} refused the connection",
    INSTALL: "ModuleNotFoundError: No module named '{0}lib'",
    ABSENT: "bash: pytest: command not found",
    DRIFTING: "{0}Warning: the schema of {0} is out of date",
}


# --- recorded sessions ---------------------------------------------------------------------------


def recorded(path: Path) -> list[dict]:
    """Return the events of one file: a stream of hook events, or a transcript of Claude Code."""
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue  # written when the session was cut off
        if isinstance(line, dict):
            lines.append(line)
    streamed = [line.get("event", line) for line in lines]
    streamed = [e for e in streamed if isinstance(e, dict) and "hook_event_name" in e]
    return streamed or _of_transcript(lines, path.stem)


def _of_transcript(lines: list[dict], name: str) -> list[dict]:
    """Return the events that hooks would have got while a transcript was written."""
    events, calls, began = [], {}, False
    session = next((line["sessionId"] for line in lines if line.get("sessionId")), name)
    for line in lines:
        if line.get("type") not in ("user", "assistant") or line.get("isMeta"):
            continue
        common = {"session_id": session, "cwd": line.get("cwd") or "/"}
        if line.get("isSidechain") and line.get("agentId"):
            common |= {"agent_id": line["agentId"], "agent_type": "agent"}
        content = (line.get("message") or {}).get("content")
        if not began:
            events.append(common | {"hook_event_name": "SessionStart", "source": "startup"})
            began = True
        if isinstance(content, str) and line["type"] == "user" and not line.get("isSidechain"):
            events.append(common | {"hook_event_name": "Stop"})
            events.append(common | {"hook_event_name": "UserPromptSubmit", "prompt": content})
        for part in content if isinstance(content, list) else ():
            if isinstance(part, dict) and part.get("type") == "tool_use":
                calls[part.get("id")] = (part, _ms(line))
            elif isinstance(part, dict) and part.get("type") == "tool_result":
                events += _result(common, part, calls, line)
    if events:
        events += [events[-1] | {"hook_event_name": n} for n in ("Stop", "SessionEnd")]
    return [e for n, e in enumerate(events) if n > 1 or e["hook_event_name"] != "Stop"]


def _result(common: dict, part: dict, calls: dict, line: dict) -> list[dict]:
    call, at_ms = calls.pop(part.get("tool_use_id"), (None, None))
    if call is None:
        return []
    event = common | {
        "tool_name": call.get("name"),
        "tool_input": call.get("input"),
        "tool_use_id": call["id"],
    }
    now_ms = _ms(line)
    if at_ms is not None and now_ms is not None:
        event["duration_ms"] = max(0, now_ms - at_ms)
    answer = line.get("toolUseResult")
    if part.get("is_error"):
        text = _text(part.get("content")).removeprefix("Error: ")
        return [event | {"hook_event_name": "PostToolUseFailure", "error": text}]
    if not isinstance(answer, dict):
        answer = {"stdout": _text(part.get("content"))}
    return [event | {"hook_event_name": "PostToolUse", "tool_response": answer}]


def _text(content: object) -> str:
    if isinstance(content, list):
        return "\n".join(p.get("text", "") for p in content if isinstance(p, dict))
    return content if isinstance(content, str) else ""


def _ms(line: dict) -> int | None:
    try:
        return round(1000 * datetime.fromisoformat(line["timestamp"]).timestamp())
    except (KeyError, TypeError, ValueError):
        return None


# --- generated sessions --------------------------------------------------------------------------


class Project:
    """A project with its failures: what each looks like, and what makes it go away."""

    def __init__(self, seed: int) -> None:
        self.pick = pick = random.Random(seed)
        self.test = pick.choice(["pytest", "pytest -q", "npm test", "./dev test", "cargo test"])
        self.names = pick.sample(NAMES, 10)
        self.files = [f"src/{name}.py" for name in self.names]
        self.files += [f"src/{a}/{b}.py" for a in self.names[:3] for b in self.names[3:8]]
        self.hot = pick.choice(["CHANGELOG.md", "src/__init__.py", "src/app.py"])
        self.focus = self.files[0]  # of the sessions that go on
        self.failures = []
        for kind, share in KINDS.items():
            for _ in range(max(1, share // 2)):
                name = pick.choice(self.names)
                fix = pick.choice(["tests/conftest.py", "config/settings.toml", "src/schema.py",
                                   f"config/{name}.yaml", f"tests/{name}/fixtures.py"])  # fmt: skip
                other = pick.choice(self.files)
                self.failures.append((kind, name, (fix, other)))

    def session(self, number: int, count: int) -> list[dict]:
        """Return the events of one session, of `count` that there are."""
        if number % FOCUS_SESSIONS == 0:
            self.focus = self.pick.choice(self.files)
        return _Session(self, f"session-{number}", number / count).events()


class _Session:
    def __init__(self, project: Project, name: str, part: float) -> None:
        self.project, self.pick, self.part = project, project.pick, part
        self.common = {"session_id": name, "cwd": "$PROJECT"}
        self.found: list[dict] = []

    def events(self) -> list[dict]:
        self._say("SessionStart", source="startup")
        for _ in range(self.pick.randint(2, 4)):
            mended = self._task()
            self._say("Stop")
            if not mended:
                break  # a failure does not go away by itself
        self._say("SessionEnd", reason="other")
        return self.found

    def _task(self) -> bool:
        """Do one task; tell whether the tests passed in the end."""
        project, pick = self.project, self.pick
        for path in [project.focus, *pick.sample(project.files, pick.randint(0, 2))]:
            self._edit(path)
        if pick.random() < 0.7:
            self._edit(project.hot)
        if pick.random() < 0.25:
            self._run(project.test, None)
            return True
        kinds = [kind for kind, *_ in project.failures]
        weights = [KINDS[kind] / kinds.count(kind) for kind in kinds]
        kind, name, fixes = pick.choices(project.failures, weights)[0]
        numbers = pick.randint(0, 9), pick.randint(10, 99)
        error = ERRORS[kind].format(name.title() if kind != INSTALL else name, *numbers)
        test = "pytest" if kind == ABSENT else project.test
        self._run(test, error)
        if kind not in (VARYING, FLAKY):
            self.found[-1]["known_fix"] = self._known(kind, fixes)
        if pick.random() < 0.35:  # an attempt that does not help
            self._noise()
            self._edit(pick.choice(project.files))
            self._run(test, error)
        if pick.random() < 0.1:
            return False  # given up
        self._mend(kind, test, fixes)
        return True

    def _known(self, kind: str, fixes: tuple[str, str]) -> tuple[str, list[str]]:
        """Return what nearly always mends this kind of failure, as a hint would name it."""
        if kind == ABSENT:
            return "instead", ["uv run pytest"]
        if kind == INSTALL:
            return "changed", ["npm install" if "npm" in self.project.test else "pip install"]
        return "changed", [self._fix_now(kind, fixes)]

    def _fix_now(self, kind: str, fixes: tuple[str, str]) -> str:
        return fixes[1] if kind == DRIFTING and self.part > 0.5 else fixes[0]

    def _mend(self, kind: str, test: str, fixes: tuple[str, str]) -> None:
        project, pick = self.project, self.pick
        self._noise()
        fix = self._fix_now(kind, fixes)
        if kind == VARYING or pick.random() < 0.1:  # now and then it was something else
            fix = pick.choice([project.focus, pick.choice(project.files)])
        if kind == INSTALL and pick.random() < 0.9:
            command = "npm install" if "npm" in test else "pip install -r requirements.txt"
            self._run(command, None, check=False)
        elif kind == ABSENT and pick.random() < 0.9:
            test = "uv run pytest"
        elif kind != FLAKY or pick.random() < 0.2:
            for path in pick.sample(project.files, pick.randint(0, 2)):
                self._edit(path)
            self._edit(fix)
        if pick.random() < 0.4:
            self._edit(project.hot)
        self._run(test, None)

    def _noise(self) -> None:
        for _ in range(self.pick.randint(0, 3)):
            path = self.pick.choice(self.project.files)
            if self.pick.random() < 0.5:
                self._used("Read", {"file_path": f"$PROJECT/{path}"}, {"type": "text"})
            else:
                command = self.pick.choice([f"grep -n def {path}", "git status", "ls src"])
                self._run(command, None, check=False)

    def _edit(self, path: str) -> None:
        text = {"old_string": "a", "new_string": str(self.pick.random())}
        self._used("Edit", {"file_path": f"$PROJECT/{path}"} | text, {"success": True})

    def _run(self, command: str, error: str | None, *, check: bool = True) -> None:
        piped = check and self.pick.random() < 0.3 and "pytest" in command and error != "absent"
        if check and self.pick.random() < 0.3:
            command = f"cd $PROJECT && {command}"
        summary = "==== 9 passed in 1.20s ====" if error is None else "=== 1 failed in 1.31s ==="
        if piped and "not found" not in (error or ""):
            output = {"stdout": f"{error or ''}\n{summary}", "stderr": "", "interrupted": False}
            self._used("Bash", {"command": f"{command} 2>&1 | tail -20"}, output)
        elif error is None:
            output = {"stdout": summary if check else "", "stderr": "", "interrupted": False}
            self._used("Bash", {"command": command}, output)
        else:
            self._used("Bash", {"command": command}, error=f"Exit code 1\n{error}\n")

    def _used(self, tool: str, given: dict, answer: object = None, error: str | None = None):
        name = "PostToolUse" if error is None else "PostToolUseFailure"
        said = {"tool_response": answer} if error is None else {"error": error}
        what = {"tool_name": tool, "tool_input": given, "duration_ms": self.pick.randint(5, 9000)}
        self._say(name, tool_use_id=f"toolu_{len(self.found)}", **what, **said)

    def _say(self, name: str, **fields: object) -> None:
        self.found.append(self.common | {"hook_event_name": name} | fields)
