"""A hook of Claude Code, one process for each event: alone, and sixteen at once

Each is the command, as it is installed, with an event on stdin, as Claude Code starts it;
`python -c ''` is a bare start of the same interpreter. The store is there and holds a session, as
it does at every event but the first. A writing hook is PostToolUse of an edit: it renews the
session, records the operation and notes who changes the file. claude-flow's hook after an edit
does the like: from npm, or where CLAUDE_FLOW says.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import claude_flow
from subjects import at_most, ratio, timed, told
from swarm_memory import Swarm

# As current pip, pipx and uv write it; pip before 25.2 imports `re` there, for 12 million
# instructions of 112.
COMMAND = f"""#!{sys.executable}
import sys
from swarm_memory.doors.command import main
if __name__ == "__main__":
    sys.argv[0] = sys.argv[0].removesuffix(".exe")
    sys.exit(main())
"""
ROUNDS = 41
CROWD = 16
FLOW_ROUNDS = 9
CROWDS = 8


class Hooks:
    """Events of one session in a project of its own."""

    def __init__(self, folder: str) -> None:
        self.folder = folder
        self.count = 0
        os.makedirs(f"{folder}/.git")
        with open(f"{folder}/.git/HEAD", "w", encoding="ascii") as file:
            file.write("ref: refs/heads/main\n")
        self.command = Path(folder, "swarm-memory")
        self.command.write_text(COMMAND)
        self.command.chmod(0o755)
        self.environment = os.environ | {"CLAUDE_PROJECT_DIR": folder}
        # Code is compiled once, and not at each start.
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)
        self.run("SessionStart", source="startup")
        self.run("Stop")

    def raw(self, name: str, **fields: object) -> bytes:
        self.count += 1
        event = {"session_id": "3f2a9c1b-5d2e-4a61", "cwd": self.folder, "hook_event_name": name}
        return json.dumps(event | fields).encode()

    def edit(self, name: str = "PostToolUse") -> bytes:
        path = f"{self.folder}/src/app{self.count}.py"
        return self.raw(
            name,
            tool_name="Edit",
            tool_use_id=f"toolu_{self.count}",
            tool_input={"file_path": path, "old_string": "a", "new_string": "b"},
            tool_response={"filePath": path, "success": True},
            duration_ms=7,
        )

    def start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [self.command, "hook"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=self.environment,
        )

    def run(self, name: str, **fields: object) -> None:
        self.answer(self.raw(name, **fields))

    def answer(self, raw: bytes) -> None:
        process = self.start()
        process.communicate(raw)
        assert process.returncode == 0

    def bare(self) -> None:
        subprocess.run(
            [sys.executable, "-c", ""],
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            env=self.environment,
        )

    def operations(self) -> int:
        url = f"sqlite:///{self.folder}/.swarm-memory/memory.db"
        with Swarm.open(url) as swarm:
            return len(list(swarm.records.each("memory/operations")))


def run() -> list[dict[str, object]]:
    folder = tempfile.mkdtemp(prefix="bench-hooks-")
    try:
        hooks = Hooks(folder)
        return [*_alone(hooks), _crowd(hooks), *_theirs(hooks)]
    finally:
        shutil.rmtree(folder)


def _alone(hooks: Hooks) -> list[dict[str, object]]:
    before = hooks.operations()
    rows = [
        {
            "bare": timed(hooks.bare),
            "writes": timed(lambda: hooks.answer(hooks.edit())),
            "reads": timed(lambda: hooks.answer(hooks.edit("PreToolUse"))),
        }
        for _ in range(ROUNDS)
    ]
    assert hooks.operations() == before + ROUNDS
    bare, writes = (1000 * statistics.median(row[n] for row in rows) for n in ("bare", "writes"))
    return [
        at_most(
            "hook that writes, against python -c ''",
            ratio(rows, "writes", "bare"),
            2.5,
            f"{writes:.0f} against {bare:.0f} ms",
        ),
        told(
            "hook that has nothing to say, against python -c ''",
            f"{ratio(rows, 'reads', 'bare'):.2f} ×",
        ),
    ]


def _theirs(hooks: Hooks) -> list[dict[str, object]]:
    what = "hook that writes, against claude-flow's hooks post-edit"
    with tempfile.TemporaryDirectory(prefix="bench-flow-", ignore_cleanup_errors=True) as folder:
        command = claude_flow.command(folder)
        if command is None:
            return [told(what, "not measured", f"no npm for {claude_flow.PACKAGE}, or no registry")]
        arguments = [command, "hooks", "post-edit", "--file", "src/app.py", "--success", "true"]

        def flow() -> None:
            subprocess.run(arguments, check=True, cwd=folder, capture_output=True)

        flow()  # makes its store
        rows = [
            {"ours": timed(lambda: hooks.answer(hooks.edit())), "flow": timed(flow)}
            for _ in range(FLOW_ROUNDS)
        ]
    theirs = 1000 * statistics.median(row["flow"] for row in rows)
    return [at_most(what, ratio(rows, "ours", "flow"), 1 / 20, f"{theirs:.0f} ms")]


def _crowd(hooks: Hooks) -> dict[str, object]:
    before = hooks.operations()
    alone, spent = [], []
    for _ in range(CROWDS):
        alone.append(timed(lambda: hooks.answer(hooks.edit())))
        events = [hooks.edit() for _ in range(CROWD)]
        began, processes = [], []
        for raw in events:
            began.append(time.perf_counter())
            process = hooks.start()
            process.stdin.write(raw)
            process.stdin.close()
            processes.append(process)
        waiting = set(range(CROWD))
        while waiting:
            for each in list(waiting):
                if processes[each].poll() is not None:
                    waiting.remove(each)
                    spent.append(time.perf_counter() - began[each])
            time.sleep(0.0005)
        for process in processes:
            process.stdout.close()
            assert process.returncode == 0
    assert hooks.operations() == before + CROWDS * (CROWD + 1)
    p99 = statistics.quantiles(spent, n=100)[98]
    return at_most(
        "16 hooks at once: p99, against one alone",
        p99 / statistics.median(alone),
        8,
        f"on {os.cpu_count()} cores, between which they share the work; every write is there",
    )
