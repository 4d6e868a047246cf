"""Recordings of whole sessions, and two ways to replay them into a store.

A recording is one JSON object a line. The first says what it is about and what is to be remembered
of it. Each other line has an `event` as Claude Code gives it on stdin, and may have

- `together`: events with the same number that follow each other arrive at the same time;
- `says`: texts that the answer contains; `silent`: the answer is empty;
- `killed`: the hook dies in the middle of this one.

$PROJECT is the main checkout, $TREE a worktree beside it, $INNER one inside it, $HOME the user's.
"""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path

from swarm_memory import Swarm
from swarm_memory.doors.hooks import answer

FOLDER = Path(__file__).parent / "recordings"
DEVELOPED = sorted(FOLDER.glob("*.jsonl"))
HELD_OUT = sorted((FOLDER / "held_out").glob("*.jsonl"))
COMMAND = str(Path(sys.executable).with_name("swarm-memory"))
WAIT_S = 60
GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@t"]


class Stage:
    """A project with two worktrees, in which hooks are run as processes or in this one."""

    def __init__(self, folder):
        self.folder = folder
        self.project = folder / "project"
        self.names = {
            "$PROJECT": str(self.project),
            "$TREE": str(folder / "tree"),
            "$INNER": str(self.project / ".claude" / "worktrees" / "fix"),
            "$HOME": str(folder / "home"),
        }
        self.project.mkdir(parents=True)
        git = [*GIT, "-C", str(self.project)]
        for arguments in (
            ("init", "-q", "-b", "trunk"),
            ("commit", "-q", "--allow-empty", "-m", "first"),
            ("worktree", "add", "-q", "-b", "topic", self.names["$TREE"]),
            ("worktree", "add", "-q", "-b", "fix", self.names["$INNER"]),
        ):
            subprocess.run([*git, *arguments], check=True, capture_output=True)
        self.environment = {
            **{name: value for name, value in os.environ.items() if "CLAUDE" not in name},
            "HOME": self.names["$HOME"],
            "CLAUDE_PROJECT_DIR": str(self.project),
        }
        self.store = str(self.project / ".swarm-memory" / "memory.db")
        self.url = f"sqlite:///{self.store}"

    def raw(self, event):
        """Return an event as it stands on stdin."""
        text = json.dumps(event)
        for name, path in self.names.items():
            text = text.replace(name, path)
        return text.encode()

    def here(self, event):
        """Answer an event in this process."""
        return answer(self.raw(event), None, self.environment)

    def process(self, event, *arguments, cwd=None, **environment):
        """Answer an event in a process of its own; it succeeds and stderr is empty."""
        ran = self.run(self.raw(event), *arguments, cwd=cwd, **environment)
        assert (0, b"") == (ran.returncode, ran.stderr)
        return ran.stdout.decode()

    def run(self, raw, *arguments, cwd=None, **environment):
        """Run a hook, whatever comes of it."""
        return subprocess.run(
            [COMMAND, "hook", *arguments],
            input=raw,
            capture_output=True,
            timeout=WAIT_S,
            cwd=cwd or self.project,
            env={**self.environment, **environment},
        )

    def failures(self):
        """Return what hooks have logged."""
        log = Path(self.store + "-hooks.log")
        return log.read_text().splitlines() if log.exists() else []


def recorded(path):
    """Return the head of a recording and its lines."""
    head, *lines = [json.loads(line) for line in path.read_text().splitlines()]
    return head, lines


def replay(stage, lines, *, processes):
    """Feed the events of a recording in order, and check what is said to each."""
    for together, group in groupby(lines, key=lambda line: line.get("together")):
        group = list(group)
        if together is not None and processes:
            with ThreadPoolExecutor(len(group)) as pool:
                answers = list(pool.map(lambda line: stage.process(line["event"]), group))
        else:
            answers = [_answered(stage, line, processes) for line in group]
        for line, said in zip(group, answers, strict=True):
            check_answer(line, said)


def _answered(stage, line, processes):
    if not line.get("killed"):
        return stage.process(line["event"]) if processes else stage.here(line["event"])
    if processes:
        ran = stage.run(stage.raw(line["event"]), SWARM_MEMORY_FAILPOINT="begun:kill")
        assert -9 == ran.returncode
    return ""


def check_answer(line, said):
    """An answer is nothing, or one JSON object as the contract has it."""
    event = line["event"]["hook_event_name"]
    text = ""
    if said:
        output = json.loads(said)
        assert ["hookSpecificOutput"] == list(output)
        specific = output["hookSpecificOutput"]
        assert event == specific.pop("hookEventName")
        assert ["additionalContext"] == list(specific)
        text = specific["additionalContext"]
        assert text
    for part in line.get("says", ()):
        assert part in text, (line, text)
    if line.get("silent"):
        assert text == "", line


def memory(stage):
    """Return all that a store remembers, without times and places that differ by the run."""
    with Swarm.open(stage.url) as swarm:
        records = [
            # An event without an id is named after its own text, which has the stage in it.
            [re.sub("-[0-9a-f]{32}$", "", r.key), r.value, r.author, r.session, r.provenance]
            for r in swarm.records.each(telemetry=True)
            if not r.key.startswith("memory/practice/")  # see `learned`
        ]
        sessions = [
            [one.session_id, one.short, one.state, one.about, _agents(swarm, one)]
            for one in sorted(swarm.sessions.list())
        ]
        # Not how often: who tells of an edit twice is heard twice.
        edits = sorted([e.path, e.worktree, e.agent] for e in swarm.edits.list())
    records.sort(key=json.dumps)
    text = json.dumps([records, sessions, edits])
    return json.loads(text.replace(str(stage.folder), "$STAGE"))


def learned(stage):
    """Return what was learned from operations, by log, without times."""
    with Swarm.open(stage.url) as swarm:
        logs = swarm.records.each("memory/practice/", telemetry=True)
        return {
            log.key: sorted([re.sub("-[0-9a-f]{32}$", "", row[0]), *row[2:5]] for row in log.value)
            for log in logs
        }


def _agents(swarm, session):
    agents = swarm.sessions.agents(session.session_id)
    return sorted([one.name, one.agent_id, one.agent_type, one.ended_ms is None] for one in agents)


def counted(remembered):
    """Return what is remembered in numbers, in the form of a recording's `expect`."""
    records, sessions, _ = remembered
    values = [value for key, value, *_ in records if "/operations/" in key]
    kinds = Counter(key.split("/")[1] for key, *_ in records if "/operations/" not in key)
    counts = {
        "operations": dict(Counter(value["exit"] for value in values if "exit" in value)),
        "happenings": sum("exit" not in value for value in values),
        "sessions": dict(Counter(state for _, _, state, *_ in sessions)),
        "agents": sum(len(agents) for *_, agents in sessions),
    }
    return counts | {kind: kinds[kind] for kind in ("notes", "reports", "summaries", "tasks")}
