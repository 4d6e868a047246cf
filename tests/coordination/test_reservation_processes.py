"""Leases on paths at the command line and between processes that edit real files."""

import json
import os
import subprocess
import sys
import time
from itertools import chain

import pytest

from swarm_memory import Swarm
from swarm_memory.locate import root_of

COMMAND = os.path.join(os.path.dirname(sys.executable), "swarm-memory")
PROCESSES, ROUNDS = 8, 25
PROCESS_WAIT_S = 60.0


# --- the command line ---


@pytest.fixture
def project(tmp_path):
    """A repository with a folder in it, as git leaves it."""
    root = tmp_path / "project"
    (root / ".git").mkdir(parents=True)
    (root / "src" / "deep").mkdir(parents=True)
    (root / "docs").mkdir()
    return root


def cli(folder, *arguments, agent="a"):
    environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "SWARM_MEMORY_AGENT": agent}
    return subprocess.run(
        [COMMAND, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


@pytest.mark.parametrize(
    ("folder", "typed", "name"),
    [
        (".", "file:src/**", "file:src/**"),
        ("src", "file:*.py", "file:src/*.py"),
        ("src/deep", "file:../app.py", "file:src/app.py"),
        ("src", "file:deep", "file:src/deep/**"),  # a folder that is there is meant as a tree
        ("src", "file:.", "file:src/**"),
        (".", "file:.", "file:**"),
        ("src", "deploy", "deploy"),
    ],
)
def test_what_is_typed_in_a_folder_is_reserved_from_the_root(project, folder, typed, name):
    inner = [COMMAND, "locks", "--json"]
    run = cli(project / folder, "lock", typed, "--reason", "why", "--", *inner)

    assert (0, "") == (run.returncode, run.stderr)
    assert [(name, "held", "why")] == [
        (seat["name"], seat["state"], seat["reason"]) for seat in json.loads(run.stdout)
    ]


def test_a_path_is_called_the_same_in_a_worktree_and_outside_git(project, tmp_path):
    worktree, plain = tmp_path / "worktree", tmp_path / "plain"
    inside = plain / "inside"
    for folder in (worktree / "src", plain / ".swarm-memory", plain / "src", inside / ".git"):
        folder.mkdir(parents=True)
    (worktree / ".git").write_text(f"gitdir: {project}/.git/worktrees/w\n")

    for root in (project, worktree, plain, inside):
        assert str(root) == root_of(str(root / "src"))
    assert str(tmp_path) == root_of(str(tmp_path))


def test_an_absolute_path_is_accepted_inside_the_root_and_refused_outside(project):
    inside = cli(project, "lock", f"file:{project}/src/a.py", "--", COMMAND, "locks")
    outside = cli(project, "lock", "file:/etc/passwd", "--", "true")

    assert inside.stdout.startswith("file:src/a.py\theld\t")
    assert (2, True) == (outside.returncode, str(project) in outside.stderr)


def test_the_command_line_tells_who_has_reserved_a_path(project):
    with Swarm.open(f"sqlite:///{project}/.swarm-memory/memory.db", agent="b",
                    swarm="default") as swarm:  # fmt: skip
        swarm.leases.acquire("file:src/**", reason="rename")
        swarm.leases.acquire("file:docs/**")

        asked = cli(project / "src", "locks", "--path", "app.py")
        listed = cli(project / "src", "locks", "file:../docs")
        refused = cli(project / "src", "lock", "file:app.py", "--wait-s", "0", "--", "true")

    columns = [line.split("\t") for line in asked.stdout.splitlines()]
    assert [["file:src/**", "held", "exclusive", "b", "rename"]] == [
        [*each[:4], each[7]] for each in columns
    ]
    assert listed.stdout.startswith("file:docs/**\theld")
    assert 4 == refused.returncode
    for part in ("file:src/app.py", "held by b", "file:src/**", "rename"):
        assert part in refused.stderr


# --- between processes ---

PRELUDE = """
import json, os, random, sys, time
from pathlib import Path
from swarm_memory import Swarm
url, agent, folder, argument = sys.argv[1:5]
leases = Swarm.open(url, agent=agent, swarm="s", durability="relaxed").leases
def say(value):
    print(json.dumps(value), flush=True)
def go():
    sys.stdin.readline()
"""

# The detector knows nothing of patterns: it asks the file system which files a glob stands for.
EDIT = """
go()
choose = random.Random(agent)
globs = ["a/*", "b/*", "*/x", "a/[xy]", "b/y", "**/*", "?/z", "a/x"]
root, inside = Path(folder, "tree"), Path(folder, "inside")
bad = edits = 0
tokens = []
for number in range(int(argument)):
    chosen = choose.sample(globs, choose.choice([1, 1, 2]))
    mode = choose.choice(["read", "write", "exclusive"])
    if number == int(argument) // 2:
        # All meet once: each waits in one line for everything.
        chosen, mode = ["**/*"], "exclusive"
        say("half")
        go()
    with leases.hold_all([f"file:{glob}" for glob in chosen], mode, wait_s=60) as held:
        tokens += [lease.token for lease in held]
        files = sorted({f for glob in chosen for f in root.glob(glob) if f.is_file()})
        marks = []
        for file in files:
            name = "-".join(file.relative_to(root).parts)
            marks.append(inside / f"{name}.{'r' if mode == 'read' else 'w'}.{agent}")
            marks[-1].touch()
            others = {m.suffixes[0] for m in inside.glob(f"{name}.*") if m != marks[-1]}
            bad += bool(others - {".r"} if mode == "read" else others)
        if mode != "read":
            numbers = [int(file.read_text()) for file in files]
            time.sleep(0.001)
            for file, number in zip(files, numbers):
                file.write_text(str(number + 1))
            edits += len(files)
        for mark in marks:
            mark.unlink()
say({"bad": bad, "edits": edits, "tokens": tokens})
"""

WAIT = """
go()
with leases.hold(argument, wait_s=60, ttl_s=20) as lease:
    say({"agent": agent, "token": lease.token, "at": time.time()})
"""

HOLD = """
lease = leases.acquire(argument, ttl_s=1.0, wait_s=60)
say(lease.token)
go()
"""


class Crowd:
    """Processes that must not outlive the test."""

    def __init__(self, folder):
        self.folder, self.running = folder, []
        self.url = f"sqlite:///{folder}/memory.db"
        self.swarm = Swarm.open(self.url, agent="test", swarm="s")

    def start(self, program, agent, argument):
        words = [self.url, agent, str(self.folder), str(argument)]
        self.running.append(
            subprocess.Popen(
                [sys.executable, "-c", PRELUDE + program, *words],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            )
        )  # fmt: skip
        return self.running[-1]

    def go(self, process):
        process.stdin.write("go\n")
        process.stdin.flush()

    def finish(self, processes):
        """Return what each process said last."""
        said = []
        for process in processes:
            stdout, stderr = process.communicate(timeout=120)
            assert "" == stderr
            said.append(json.loads(stdout.splitlines()[-1]))
        return said

    def until_waiting(self, count):
        end = time.monotonic() + PROCESS_WAIT_S
        while count != sum(seat.state == "waiting" for seat in self.swarm.leases.list()):
            assert time.monotonic() < end, "it did not happen in time"
            time.sleep(0.005)


@pytest.fixture
def crowd(tmp_path):
    crowd = Crowd(tmp_path)
    yield crowd
    for process in crowd.running:
        process.kill()
        process.communicate()
    crowd.swarm.close()


def test_no_two_processes_edit_a_file_at_once_and_no_edit_is_lost(crowd, tmp_path):
    (tmp_path / "inside").mkdir()
    files = [tmp_path / "tree" / folder / name for folder in "ab" for name in "xyz"]
    for file in files:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("0")
    workers = [crowd.start(EDIT, f"p{number}", ROUNDS) for number in range(PROCESSES)]
    for worker in workers:
        crowd.go(worker)
    for worker in workers:
        assert "half" == json.loads(worker.stdout.readline())
    gate = crowd.swarm.leases.acquire("file:**", ttl_s=300)
    for worker in workers:
        crowd.go(worker)
    crowd.until_waiting(PROCESSES)
    gate.release()

    said = crowd.finish(workers)

    assert [0] * PROCESSES == [each["bad"] for each in said]
    assert sum(each["edits"] for each in said) == sum(int(file.read_text()) for file in files)
    tokens = [each["tokens"] for each in said]
    every = list(chain.from_iterable(tokens))
    assert len(every) == len(set(every))
    # Whatever the machine does: who stood last in the line has others' tokens before its own there,
    # and whoever asked again had to go behind all who stood in it.
    assert all(each[-1] - each[0] >= len(each) for each in tokens), "nothing was contended"
    assert [] == crowd.swarm.leases.list()


def test_processes_that_want_overlapping_paths_are_served_in_the_order_they_came(crowd):
    held = crowd.swarm.leases.acquire("file:src/a/x", ttl_s=300)
    names = ["file:src/**", "file:src/a/*", "file:**/x", "file:src/a/x", "file:src/?/x"]
    waiters = []
    for number, name in enumerate(names):
        waiters.append(crowd.start(WAIT, f"p{number}", name))
        crowd.go(waiters[-1])
        crowd.until_waiting(number + 1)
    held.release()

    said = sorted(crowd.finish(waiters), key=lambda each: each["token"])

    assert [f"p{number}" for number in range(len(names))] == [each["agent"] for each in said]
    assert [each["at"] for each in said] == sorted(each["at"] for each in said)


def test_a_killed_holder_holds_up_only_what_overlaps_and_only_for_its_time(crowd):
    holder = crowd.start(HOLD, "doomed", "file:src/**")
    token = json.loads(holder.stdout.readline())
    holder.kill()

    with crowd.swarm.leases.hold("file:docs/**", wait_s=0):
        with crowd.swarm.leases.hold("file:src/app.py", wait_s=PROCESS_WAIT_S) as lease:
            assert token < lease.token
        assert ["file:docs/**"] == [seat.name for seat in crowd.swarm.leases.list()]
