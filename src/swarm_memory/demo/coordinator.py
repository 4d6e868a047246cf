"""Runs the demo: writes the tasks, starts the agents, kills one, and checks what the store says."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter, namedtuple

from swarm_memory import SwarmMemoryManager
from swarm_memory.demo.strategies import NOTABLE, is_notable
from swarm_memory.demo.survey import Survey, survey, tasks_of
from swarm_memory.errors import InvalidArgumentError, SwarmMemoryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from swarm_memory.demo.survey import Task
    from swarm_memory.letters import Message
    from swarm_memory.model import Record

DEADLINE_S = 120.0
SWARM = "demo"


class Invariant(namedtuple("Invariant", "name held detail")):
    """A promise, whether it held, and what was seen."""

    __slots__ = ()
    name: str
    held: bool
    detail: str


class Run(namedtuple("Run", "said victim held_task seconds errors")):
    """What the coordinator heard from outside: per kind of word what was said, who was killed."""

    __slots__ = ()
    said: dict[str, list[str]]
    victim: str | None
    held_task: str | None
    seconds: float
    errors: list[str]


def own_sources() -> str:
    """Return the folder of this package, which the demo studies when nothing else is named."""
    return os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def prepare(path: str | None, url: str | None) -> tuple[str, str, Survey, list[Task]]:
    """Return (url, swarm, survey, tasks), with the tasks written into the store."""
    root = os.path.abspath(path or own_sources())
    if not os.path.isdir(root):
        raise InvalidArgumentError(f"{root} is no folder", hint="name a source tree")
    if url is None:
        folder = tempfile.mkdtemp(prefix="swarm-memory-demo-")
        url = f"sqlite:///{os.path.join(folder, 'memory.db')}"
    swarm = f"{SWARM}-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    tree = survey(root)
    tasks = tasks_of(tree.files)
    with SwarmMemoryManager("coordinator", swarm, url=url) as manager:
        base = f"swarm-{swarm}/global/demo/tasks"
        for start in range(0, len(tasks), 1000):
            manager.swarm.records.put_many(
                [(f"{base}/{t.task_id}", t._asdict()) for t in tasks[start : start + 1000]]
            )
    return url, swarm, tree, tasks


class Agents:
    """The agent processes, and what they say; leaving ends them all."""

    def __init__(self, url: str, swarm: str, root: str, count: int, hold_at: int) -> None:
        self.heard: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self._listeners: list[threading.Thread] = []
        for number in range(1, count + 1):
            name = f"agent-{number}"
            holds = str(hold_at if number == 1 else 0)
            command = [sys.executable, "-m", "swarm_memory.demo.worker", url, swarm, name, root]
            process = subprocess.Popen(
                [*command, holds],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            self.processes[name] = process
            listener = threading.Thread(target=self._listen, args=(name, process), daemon=True)
            listener.start()
            self._listeners.append(listener)

    def _listen(self, name: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.endswith("\n"):  # a killed one may leave half a line
                self.heard.put((name, json.loads(line)))
        self.heard.put((name, {"ended": True}))

    def go(self, name: str) -> None:
        """Let an agent begin."""
        stdin = self.processes[name].stdin
        assert stdin is not None
        stdin.write("go\n")
        stdin.flush()

    def kill(self, name: str) -> None:
        """End an agent without warning."""
        self.processes[name].kill()

    def __enter__(self) -> Agents:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()
        for listener in self._listeners:
            listener.join()
        for process in self.processes.values():
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()


def conduct(
    url: str,
    swarm: str,
    root: str,
    tasks: list[Task],
    count: int,
    progress: Callable[[int, int], object] | None,
) -> Run:
    """Run the agents until all but the killed one have ended.

    The first agent begins alone and stops inside a task that it has claimed; then the others
    begin, and half-way through the work the first is killed.
    """
    said: dict[str, list[str]] = {"acknowledged": [], "merged": [], "sent": []}
    held = None
    killed = False
    done = 0
    began = time.monotonic()
    hold_at = max(1, min(5, len(tasks) // (2 * count))) if tasks else 0
    with Agents(url, swarm, root, count, hold_at) as agents:
        first, *others = agents.processes
        waiting = set(agents.processes)
        agents.go(first)
        while waiting:
            name, fact = _next_word(agents, began + DEADLINE_S, waiting)
            for kind, words in said.items():
                words += [fact[kind]] if kind in fact else []
            if "/results/" in fact.get("acknowledged", ""):
                done += 1
                if progress is not None:
                    progress(done, len(tasks))
            held = fact.get("holding", held)
            if name == first and ("holding" in fact or ("ended" in fact and not killed)):
                for other in others:
                    agents.go(other)
                others = []
            if "ended" in fact:
                waiting.discard(name)
            half_way = done >= len(tasks) // 2 or waiting == {first}
            if held is not None and not killed and half_way:
                agents.kill(first)
                killed = True
        errors = _errors(agents, first if killed else None)
    seconds = time.monotonic() - began
    return Run(said, first if killed else None, held, seconds, errors)


def _next_word(agents: Agents, deadline: float, waiting: set[str]) -> tuple[str, dict[str, Any]]:
    try:
        return agents.heard.get(timeout=max(0.0, deadline - time.monotonic()))
    except queue.Empty:
        raise SwarmMemoryError(
            f"the demo did not finish within {DEADLINE_S:.0f} s: {sorted(waiting)}"
        ) from None


def _errors(agents: Agents, victim: str | None) -> list[str]:
    errors = []
    for name, process in agents.processes.items():
        assert process.stderr is not None
        text = process.stderr.read().strip()
        process.wait()
        if name != victim and process.returncode:
            errors.append(f"{name} ended with {process.returncode}: {text[-500:]}")
    return errors


def check(url: str, swarm: str, tasks: list[Task], run: Run) -> tuple[list[Invariant], Facts]:
    """Read the store anew and hold it against what was seen from outside."""
    with SwarmMemoryManager("coordinator", swarm, url=url) as manager:
        records = manager.swarm.records
        base = f"swarm-{swarm}/global/demo"
        results = {r.key: r for r in records.each(f"{base}/results/")}
        known = {r.key for r in records.each(f"swarm-{swarm}/")}
        outcomes = manager.swarm.outcomes.recent(limit=len(tasks) + 1)
        held = [seat for seat in manager.swarm.leases.list() if seat.name.startswith("demo:")]
        merged = records.get(f"{base}/languages")
        heard = [m.body["path"] for m in _heard(manager)]
        facts = Facts(
            list(results.values()),
            outcomes,
            manager.get_learning_insights(),
            manager.get_memory_health_report(),
        )
    wanted = {f"{base}/results/{task.task_id}" for task in tasks}
    twice = [key for key, record in results.items() if record.version != 1]
    acknowledged = Counter(run.said["acknowledged"])
    lost = [key for key in acknowledged if key not in known]
    doubled = [key for key, times in acknowledged.items() if times > 1]
    unmerged = set(run.said["merged"]) - set(merged.value if merged else {})
    held_key = f"{base}/results/{run.held_task}"
    heir = results[held_key].author if held_key in results else None
    invariants = [
        Invariant("every task has a result", wanted == set(results), _of(results, wanted)),
        Invariant("no task was done twice", not twice and not doubled, f"{len(twice)} twice"),
        Invariant("nothing acknowledged is lost", not lost, f"{len(acknowledged)} acknowledged"),
        Invariant(
            "every task has one outcome",
            sorted(o.outcome_id for o in outcomes) == sorted(f"demo:{t.task_id}" for t in tasks),
            f"{len(outcomes)} outcomes",
        ),
        Invariant("nothing merged is lost", not unmerged, f"{len(run.said['merged'])} merged"),
        Invariant(
            "every message arrived once",
            sorted(heard) == sorted(_notable(results)) and set(run.said["sent"]) <= set(heard),
            f"{len(heard)} of {len(_notable(results))}",
        ),
        Invariant("no lease is left", not held, f"{len(held)} left"),
        Invariant("every agent ended well", not run.errors, "; ".join(run.errors) or "all did"),
    ]
    if run.held_task is not None:
        passed_on = run.victim is not None and heir not in {None, run.victim}
        detail = f"{run.victim} was killed holding {run.held_task}, {heir} finished it"
        invariants.append(Invariant("the killed agent's task was finished", passed_on, detail))
    return invariants, facts


def _heard(manager: SwarmMemoryManager) -> list[Message]:
    """Return all messages about notable findings, acknowledged."""
    heard: list[Message] = []
    while messages := manager.swarm.messages.claim(NOTABLE, limit=100):
        manager.swarm.messages.ack(*messages)
        heard += messages
    return heard


def _notable(results: dict[str, Record]) -> list[str]:
    values = [record.value for record in results.values()]
    return [v["path"] for v in values if is_notable(v["kind"], v["finding"])]


def _of(results: dict[str, Record], wanted: set[str]) -> str:
    return f"{len(results.keys() & wanted)} of {len(wanted)}"


class Facts(namedtuple("Facts", "results outcomes insights health")):
    """What the store says after the run."""

    __slots__ = ()
