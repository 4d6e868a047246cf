"""Runs the demo: writes the tasks, starts the agents, and kills one that holds a task."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time

from swarm_memory import InvalidArgumentError, SwarmMemoryError, SwarmMemoryManager
from swarm_memory.demo.survey import Survey, survey, tasks_of
from swarm_memory.demo.worker import Order
from swarm_memory.lean import NamedTuple, suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import IO, Any

    from swarm_memory.demo.survey import Task

DEADLINE_S = 120.0
ERROR_BYTES_SHOWN = 500
BATCH = 1000
SWARM = "demo"
HOLD_AT_MAX = 5
LASTING_S_MAX = DEADLINE_S / 2
# -P: the agents run in the folder that they study, and must not import what lies there.
COMMAND = (sys.executable, "-P", "-m", "swarm_memory.demo.worker")


class Killed(NamedTuple):
    """The agent that was killed, the task it held then, and its lease's token."""

    name: str
    task: str
    token: int | None


class Run(NamedTuple):
    """What was seen from outside: per kind of word what the agents said, and who was killed."""

    said: dict[str, list[str]]
    killed: Killed | None
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
        for start in range(0, len(tasks), BATCH):
            manager.swarm.records.put_many(
                [(f"{base}/{t.task_id}", t._asdict()) for t in tasks[start : start + BATCH]]
            )
    return url, swarm, tree, tasks


class Agents:
    """The agent processes, and what they say; leaving ends them all."""

    def __init__(self, orders: list[Order]) -> None:
        self.heard: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self.processes: dict[str, subprocess.Popen[str]] = {}
        self._orders = orders
        self._errors: dict[str, IO[bytes]] = {}
        self._listeners: list[threading.Thread] = []

    def _start(self, order: Order) -> None:
        # A file takes what a pipe that nobody reads would block on.
        errors = self._errors[order.name] = tempfile.TemporaryFile()  # noqa: SIM115
        process = subprocess.Popen(
            COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        self.processes[order.name] = process
        listener = threading.Thread(target=self._listen, args=(order.name, process), daemon=True)
        listener.start()
        self._listeners.append(listener)
        self._write(order.name, json.dumps(order._asdict()))

    def _listen(self, name: str, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            if line.endswith("\n"):  # a killed one may leave half a line
                self.heard.put((name, json.loads(line)))
        self.heard.put((name, {"ended": True}))

    def _write(self, name: str, line: str) -> None:
        stdin = self.processes[name].stdin
        assert stdin is not None
        with suppress(BrokenPipeError):  # it has ended already, and `errors` will say how
            stdin.write(line + "\n")
            stdin.flush()

    def go(self, *names: str) -> None:
        """Let agents begin."""
        for name in names:
            self._write(name, "go")

    def kill(self, name: str) -> None:
        """End an agent without warning, and wait until it has ended."""
        self.processes[name].kill()
        self.processes[name].wait()

    def errors(self, killed: str | None) -> list[str]:
        """Return how agents failed that were not killed; all have to have ended."""
        found = []
        for name, process in self.processes.items():
            if process.wait() and name != killed:
                file = self._errors[name]
                file.seek(max(0, file.seek(0, os.SEEK_END) - ERROR_BYTES_SHOWN))
                text = file.read().decode("utf-8", "replace").strip()
                found.append(f"{name} ended with {process.returncode}: {text}")
        return found

    def __enter__(self) -> Agents:
        try:
            for order in self._orders:
                self._start(order)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for process in self.processes.values():
            process.kill()
        for process in self.processes.values():
            process.wait()
        for listener in self._listeners:
            listener.join()
        for process in self.processes.values():
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    with suppress(BrokenPipeError):  # what it was still to read is of no use
                        pipe.close()
        for file in self._errors.values():
            file.close()


def conduct(
    url: str,
    swarm: str,
    root: str,
    tasks: list[Task],
    count: int,
    progress: Callable[[int, int], object] | None = None,
    *,
    seed: int | None = None,
    careless: bool = False,
    lasting_s: float = 0.0,
) -> Run:
    """Run `count` agents until all but the killed one have ended.

    The first agent begins alone and stops inside a task that it has claimed; then the others
    begin, and half-way through the work the first is killed, if the store says that it holds it.
    With `careless` agents nobody is killed. They take about `lasting_s` seconds at least, 60 at
    most.
    """
    hold_at = max(1, min(HOLD_AT_MAX, len(tasks) // (2 * count))) if tasks else 0
    pace_s = min(lasting_s, LASTING_S_MAX) * max(1, count - 1) / max(1, len(tasks))
    orders = [
        Order(url, swarm, f"agent-{n}", root, hold_at if n == 1 else 0, seed, careless, pace_s)
        for n in range(1, count + 1)
    ]
    began = time.monotonic()
    with (
        SwarmMemoryManager("coordinator", swarm, url=url) as manager,
        Agents(orders) as agents,
    ):
        stage = _Stage(manager, agents, len(tasks), progress)
        if careless:
            agents.go(*agents.processes)
        stage.play(began + DEADLINE_S)
        killed = stage.killed
        errors = agents.errors(killed.name if killed else None)
    return Run(stage.said, killed, time.monotonic() - began, errors)


class _Stage:
    """What has happened so far, and what is to be done about the next word."""

    def __init__(
        self,
        manager: SwarmMemoryManager,
        agents: Agents,
        total: int,
        progress: Callable[[int, int], object] | None,
    ) -> None:
        self.said: dict[str, list[str]] = {"acknowledged": [], "merged": [], "sent": []}
        self.killed: Killed | None = None
        self._manager = manager
        self._agents = agents
        self._total = total
        self._progress = progress
        self._first, *self._others = agents.processes
        self._waiting = set(agents.processes)
        self._held: str | None = None
        self._done = 0

    def play(self, deadline: float) -> None:
        """Follow the agents until all have ended."""
        self._agents.go(self._first)
        while self._waiting:
            try:
                left_s = max(0.0, deadline - time.monotonic())
                name, fact = self._agents.heard.get(timeout=left_s)
            except queue.Empty:
                raise SwarmMemoryError(
                    f"the demo did not finish within {DEADLINE_S:.0f} s: {sorted(self._waiting)}"
                ) from None
            self._hear(name, fact)
            half_way = 2 * self._done >= self._total or self._waiting == {self._first}
            if self._held is not None and half_way and self.killed is None:
                self._kill(self._held)

    def _hear(self, name: str, fact: dict[str, Any]) -> None:
        for kind, words in self.said.items():
            words += [fact[kind]] if kind in fact else []
        if "/results/" in fact.get("acknowledged", ""):
            self._done += 1
            if self._progress is not None:
                self._progress(self._done, self._total)
        self._held = fact.get("holding", self._held)
        if "ended" in fact:
            self._waiting.discard(name)
        if name == self._first and ("holding" in fact or "ended" in fact):
            self._held = None if "ended" in fact else self._held
            self._agents.go(*self._others)
            self._others = []

    def _kill(self, task: str) -> None:
        """Kill the first agent, if it is the one that holds the task by the store's word."""
        for seat in self._manager.swarm.leases.list(f"demo:{task}"):
            if (seat.state, seat.owner) == ("held", self._first):
                self._agents.kill(self._first)
                self.killed = Killed(self._first, task, seat.token)
                return
        self._held = None  # it has lost it and will say so, and then hold the next one
