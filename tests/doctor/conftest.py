"""Real processes at a real store: inside a write, inside a read, stopped, killed."""

import os
import signal
import subprocess
import sys

import pytest

from swarm_memory import Swarm
from swarm_memory.doctor import CHECKS, Case, examine
from swarm_memory.model import Located

WAIT_S = 20


@pytest.fixture
def path(tmp_path):
    """Where a store may lie that nobody else can see."""
    folder = tmp_path / "store"
    folder.mkdir(mode=0o700)
    return str(folder / "memory.db")


@pytest.fixture
def store(path):
    """A new store with one record in it; nobody has it open."""
    with Swarm.open(f"sqlite:///{path}") as swarm:
        swarm.records.put("notes/1", "something")
    return path


@pytest.fixture
def start():
    """Start a program that says "in" when it is where the test wants it; ended after the test."""
    running = []

    def start(program, *arguments):
        process = subprocess.Popen(
            [sys.executable, "-c", program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert "in\n" == process.stdout.readline()
        return process

    yield start
    for process in running:
        process.kill()
        process.wait(WAIT_S)
        process.stdin.close()
        process.stdout.close()


@pytest.fixture
def stop():
    """Freeze a process, and see that it is."""

    def stop(process):
        os.kill(process.pid, signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)

    return stop


@pytest.fixture
def case(path, tmp_path):
    """Make the case of a store, seen from a project's folder."""
    project = tmp_path / "project"
    project.mkdir()

    def case(store=path, *, directory=project, environment=None, clock=None, why="by a test"):
        known = {"HOME": os.environ["HOME"], "PATH": os.environ["PATH"], **(environment or {})}
        return Case(
            Located(f"sqlite:///{store}", why),
            str(store),
            directory=str(directory),
            environment=known,
            agent="main",
            swarm="default",
            clock=clock,
        )

    case.project = project
    return case


@pytest.fixture
def look(case):
    """Run some of the checks and return what they find, by severity and name."""

    def look(*names, **options):
        wanted = [check for check in CHECKS if check.name in names]
        assert len(names) == len(wanted), "there is no such check"
        return examine(case(**options), wanted)

    return look
