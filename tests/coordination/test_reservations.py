"""Leases on paths: overlapping patterns are in each other's way, all others are not."""

import json
import os
import subprocess
import sys
import time
from itertools import chain

import pytest
from waiters import WAIT_S, Waiter, stand

from swarm_memory import Swarm
from swarm_memory.errors import (
    DeadlockError,
    InvalidArgumentError,
    LeaseHeldError,
    LeaseLostError,
    LimitExceededError,
)
from swarm_memory.leases import PATTERNS_MAX
from swarm_memory.lines import GRACE_MS
from swarm_memory.locate import root_of
from swarm_memory.records import Records
from swarm_memory.seats import Lease

COMMAND = os.path.join(os.path.dirname(sys.executable), "swarm-memory")
PROCESSES, ROUNDS = 8, 25
PROCESS_WAIT_S = 60.0


def seats(store):
    return [(seat.name, seat.owner, seat.state) for seat in store.leases().list()]


# --- who gets in ---


@pytest.mark.parametrize("held", ["read", "write", "exclusive"])
@pytest.mark.parametrize("wanted", ["read", "write", "exclusive"])
def test_on_overlapping_patterns_only_readers_admit_each_other(store, held, wanted):
    store.leases("a").acquire("file:src/**", held)

    taken = store.leases("b").try_acquire("file:src/app.py", wanted)

    assert (held == wanted == "read") == (taken is not None)


def test_patterns_without_a_common_path_are_held_beside_each_other(store):
    names = ["file:src/*.py", "file:src/*.js", "file:docs/", "file:src/app/x.py", "file:Src/a.py"]
    leases = [store.leases(f"a{n}").acquire(name) for n, name in enumerate(names)]

    assert 5 == len(store.leases().list())
    assert all(lease.release() for lease in leases)
    assert [] == store.leases().list()


def test_only_names_that_begin_with_file_are_patterns(store):
    for number, name in enumerate(["src/**", "src/app.py", "files:src/**", "File:src/**", "file"]):
        store.leases(f"a{number}").acquire(name, wait_s=0)

    assert store.leases("b").try_acquire("file:src/**") is not None


def test_all_spellings_of_a_pattern_are_one_name(store):
    lease = store.leases("a").acquire("file:./docs/../src/")

    assert "file:src/**" == lease.name
    assert ["a"] == [seat.owner for seat in store.leases().list("file:src//**")]
    assert [] == store.leases().list("file:src/*")
    assert store.leases("b").try_acquire("file:src/**") is None


@pytest.mark.parametrize("name", ["file:", "file:../x", "file:/etc/x", "file:a/**.py"])
def test_a_bad_pattern_is_refused_and_nothing_is_held(store, name):
    for call in (store.leases().acquire, store.leases().try_acquire, store.leases().list):
        with pytest.raises(InvalidArgumentError):
            call(name)

    assert [] == store.leases().list()


def test_a_refusal_tells_what_is_held_by_whom_for_what_and_until_when(store, clock):
    store.leases("a", "s1").acquire("file:docs/**", ttl_s=10)
    store.leases("b", "s2").acquire("file:src/**", ttl_s=20, reason="rename the engine")

    with pytest.raises(LeaseHeldError) as caught:
        store.leases("c").acquire("file:src/app.py", wait_s=0)

    error = caught.value
    assert ("file:src/app.py", "file:src/**", "b/s2", "rename the engine") == (
        error.name, error.held, error.owner, error.reason,
    )  # fmt: skip
    assert clock.now_ms() + 20_000 == error.expires_ms
    for part in ("'file:src/app.py'", "b/s2", "'file:src/**'", "'rename the engine'", "until"):
        assert part in str(error)


def test_a_refusal_may_name_one_who_only_waits(store):
    store.leases("a").acquire("file:src/a.py")
    stand(store, "b", "file:src/**")

    with pytest.raises(LeaseHeldError, match=r"waited for by b, as 'file:src/\*\*'$") as caught:
        store.leases("c").acquire("file:src/b.py", wait_s=0)

    assert ("b", "file:src/**") == (caught.value.owner, caught.value.held)


def test_a_lapsed_reservation_passes_on_to_an_overlapping_one(store, clock):
    first = store.leases("a").acquire("file:src/app.py", ttl_s=1)
    clock.advance(1)

    second = store.leases("b").acquire("file:src/**", wait_s=0)

    assert first.token < second.token
    for call in (first.renew, first.release):
        with pytest.raises(LeaseLostError):
            call()
    assert second.renew().release()


def test_the_end_of_a_session_frees_its_paths_and_serves_who_waits_for_them(store, line):
    store.leases("a", "s1").acquire("file:src/a.py")
    store.leases("a", "s1").acquire("file:src/b.py")
    store.leases("a", "s2").acquire("file:docs/**")
    waiter = line.waiting("b", "file:src/**")

    assert 2 == store.leases().end_session("s1")

    assert isinstance(waiter.get(), Lease)


def test_swarms_do_not_see_each_others_paths(store):
    store.leases(swarm="s").acquire("file:**")

    assert store.leases(swarm="t").try_acquire("file:src/app.py") is not None
    assert 1 == len(store.leases(swarm="t").covering("src/app.py"))


# --- tokens ---


def test_a_later_grant_on_any_pattern_has_a_higher_token_also_after_pruning(store, clock):
    tokens = []
    for name in ["file:src/**", "file:src/a.py", "file:docs/", "file:**"]:
        with (
            store.leases("a").hold(f"{name}/x", "read") as one,
            store.leases("b").hold(name, "read") as other,
        ):
            tokens += [one.token, other.token]
        clock.advance(31)
        assert 1 == store.leases().prune()

    assert tokens == sorted(set(tokens))


def test_a_write_is_guarded_by_the_name_it_was_reserved_under(store, clock):
    records = Records(store.engine, store.context())
    lease = store.leases("a").acquire("file:src/*", ttl_s=1)
    beside = store.leases("a").acquire("file:docs/*", ttl_s=60)
    records.put("k/a", 1, fence=lease)
    records.put("k/a", 2, fence=beside)
    forged = store.leases("a").acquire("x", ttl_s=60)
    forged.name, forged.token = "file:src/*", beside.token

    with pytest.raises(LeaseLostError):
        records.put("k/a", 3, fence=forged)
    clock.advance(1)
    with pytest.raises(LeaseLostError):
        records.put("k/a", 4, fence=lease)
    assert 2 == records.get("k/a").value


# --- the line ---


def test_nobody_overtakes_one_who_waits_for_an_overlapping_pattern(store, line):
    held = store.leases("a").acquire("file:src/a.py")
    tree = line.waiting("b", "file:src/**", "write")

    assert store.leases("c").try_acquire("file:src/b.py", "read") is None, "overtook"
    assert store.leases("c").try_acquire("file:docs/x") is not None, "it is in nobody's way"
    late = line.waiting("d", "file:src/b.py")
    held.release()
    assert ("file:src/**", "b") == (tree.get().name, tree.get().owner)
    assert not late.done.is_set()
    tree.get().release()
    assert tree.get().token < late.get().token


def test_one_behind_is_served_first_if_nobody_before_it_is_in_its_way(store, line):
    store.leases("a").acquire("file:src/a.py")
    docs = store.leases("b").acquire("file:docs/a.md")
    first = line.waiting("c", "file:src/**")
    second = line.waiting("d", "file:docs/**")
    docs.release()

    assert "d" == second.get().owner
    assert not first.done.is_set()


def test_readers_of_overlapping_patterns_are_let_in_past_a_reader_that_waits(store, line):
    store.leases("a").acquire("file:src/a.py", "write")
    first = line.waiting("b", "file:src/**", "read")

    assert store.leases("c").try_acquire("file:src/b.py", "read") is not None
    assert not first.done.is_set()


def test_those_behind_one_that_gives_up_are_let_in(store, line):
    store.leases("a").acquire("file:src/a.py")
    tree = line.waiting("b", "file:src/**", wait_s=0.3)
    late = line.waiting("c", "file:src/b.py")

    assert isinstance(tree.get(), LeaseHeldError)
    assert "c" == late.get().owner


def test_a_turn_that_nobody_claims_passes_on_to_an_overlapping_pattern(store, clock, line):
    held = store.leases("a").acquire("file:src/a.py")
    stand(store, "dead", "file:src/**")
    waiter = line.waiting("b", "file:src/b.py")
    held.release()
    assert ("file:src/**", "dead", "granted") in seats(store)

    clock.advance(GRACE_MS / 1000)

    assert "b" == waiter.get().owner


# --- deadlocks ---


def test_a_ring_over_overlapping_patterns_is_refused(store, line):
    a, b = line.thread("a"), line.thread("b")
    one = a.acquire("file:src/a.py")
    b.acquire("file:docs/b.md")
    waiter = a.waiting("file:docs/**")

    refused = b.waiting("file:src/*").get()

    assert isinstance(refused, DeadlockError)
    assert ["b", "a"] == refused.cycle
    assert not waiter.done.is_set()
    assert one.release()


def test_a_ring_through_one_far_before_in_line_is_found(store, line):
    """The nearest in line is in the way of one who waits, and so is one far before it."""
    a, h = line.thread("a"), line.thread("h")
    a.acquire("y")
    h.acquire("file:src/a1.py")
    store.leases("g").acquire("file:src/b1.py")
    far = line.waiting("b", "file:src/a*")
    near = line.waiting("c", "file:src/b*")
    asks = h.waiting("y")

    refused = a.waiting("file:src/[ab]2.py").get()

    assert isinstance(refused, DeadlockError)
    assert ["a", "b", "h"] == refused.cycle
    assert not any(waiter.done.is_set() for waiter in (far, near, asks))


def test_patterns_without_a_common_path_make_no_ring(store, line):
    a, b = line.thread("a"), line.thread("b")
    one = a.acquire("file:src/a.py")
    other = b.acquire("file:docs/b.md")
    first = a.waiting("file:docs/*")
    second = b.waiting("file:test/*")

    assert "b" == second.get().owner
    other.release()
    assert "a" == first.get().owner
    assert one.release()


# --- several at once ---


def test_names_of_one_call_that_overlap_do_not_block_each_other(store):
    names = ["file:src/**", "x", "file:src/app.py", "file:./src/"]
    with store.leases("a").hold_all(names) as leases:
        assert ["file:src/**", "file:src/app.py", "x"] == [lease.name for lease in leases]
        assert 2 == len({lease.token for lease in leases[:2]})
        assert store.leases("b").try_acquire("file:src/other.py") is None
        leases[0].release()
        assert store.leases("b").try_acquire("file:src/app.py") is None
        assert store.leases("b").try_acquire("file:src/other.py") is not None
    assert [("file:src/other.py", "b", "held")] == seats(store)


def test_all_patterns_are_taken_or_none(store):
    store.leases("b").acquire("file:docs/a.md")

    with (
        pytest.raises(LeaseHeldError, match=r"file:docs/\*"),
        store.leases("a").hold_all(["x", "file:src/**", "file:docs/*"], wait_s=0),
    ):
        pass

    assert [("file:docs/a.md", "b", "held")] == seats(store)


def test_while_several_are_waited_for_none_of_them_is_kept_from_its_holders(store, line):
    blocking = store.leases("b").acquire("file:docs/a.md")

    def hold():
        names = ["file:src/**", "file:docs/*"]
        with store.leases("a").hold_all(names, wait_s=WAIT_S) as leases:
            return [lease.name for lease in leases]

    waiter = Waiter(hold)
    line.until(lambda: ("file:docs/*", "a", "waiting") in seats(store))
    assert ("file:src/**", "a", "waiting") in seats(store)
    assert store.leases("c").try_acquire("file:src/x") is None, "it overtook one who waits"
    blocking.release()

    assert ["file:docs/*", "file:src/**"] == waiter.get()
    line.until(lambda: [] == seats(store))


def test_globs_that_cross_are_held_all_without_a_ring(store, line):
    """Taken one after the other in any order of names, these two would wait for each other."""
    ours = ["file:*1", "file:b2"]
    theirs = ["file:*2", "file:b1"]
    blocking = [store.leases("c").acquire(name) for name in ("file:b1", "file:b2")]

    def hold(agent, names):
        with store.leases(agent).hold_all(names, wait_s=WAIT_S) as leases:
            return [lease.owner for lease in leases]

    waiters = [Waiter(lambda a=a, n=n: hold(a, n)) for a, n in (("a", ours), ("b", theirs))]
    line.until(lambda: 4 == sum(state == "waiting" for _, _, state in seats(store)))
    for lease in blocking:
        lease.release()

    assert [["a", "a"], ["b", "b"]] == [waiter.get() for waiter in waiters]


def test_too_many_patterns_at_once_are_refused(store):
    names = [f"file:src/{number}" for number in range(PATTERNS_MAX + 1)]

    with pytest.raises(LimitExceededError), store.leases().hold_all(names):
        pass


def test_several_patterns_are_held_all_inside_a_transaction(store):
    def write(tx):
        with store.leases("a").within(tx).hold_all(["file:a/**", "file:a/b"]) as leases:
            return [lease.name for lease in leases]

    assert ["file:a/**", "file:a/b"] == store.engine.write(write)
    assert [] == seats(store)


# --- upgrades ---


def test_an_upgrade_waits_for_the_readers_of_overlapping_patterns_only(store, line):
    lease = store.leases("a").acquire("file:src/*", "read")
    store.leases("b").acquire("file:docs/*", "read")
    other = store.leases("c").acquire("file:src/app.py", "read")
    waiter = Waiter(lambda: lease.upgrade(wait_s=WAIT_S))
    line.until(lambda: ("file:src/*", "a", "waiting") in seats(store))
    other.release()

    assert "exclusive" == waiter.get().mode
    assert lease.release()


def test_a_second_upgrader_is_refused_only_if_the_patterns_overlap(store, line):
    leases = {
        name: store.leases(agent).acquire(name, "read")
        for agent, name in (("a", "file:src/*"), ("b", "file:src/app.py"), ("c", "file:docs/*"))
    }
    reader = store.leases("d").acquire("file:docs/a.md", "read")
    first = Waiter(lambda: leases["file:src/*"].upgrade(wait_s=WAIT_S))
    line.until(lambda: ("file:src/*", "a", "waiting") in seats(store))
    other = Waiter(lambda: leases["file:docs/*"].upgrade(wait_s=WAIT_S))
    line.until(lambda: ("file:docs/*", "c", "waiting") in seats(store))

    with pytest.raises(LeaseHeldError) as caught:
        leases["file:src/app.py"].upgrade(wait_s=WAIT_S)

    assert "upgrades" in caught.value.hint
    leases["file:src/app.py"].release()
    reader.release()
    assert ["exclusive", "exclusive"] == [first.get().mode, other.get().mode]


# --- who has reserved a path ---


def test_a_path_tells_who_has_reserved_it_and_who_waits(store):
    store.leases("a").acquire("file:src/**", "read", reason="look")
    store.leases("b").acquire("file:src/app.py", "read")
    store.leases("c").acquire("file:docs/*")
    store.leases("c").acquire("src/app.py")
    stand(store, "d", "file:s*/app.py")

    found = store.leases().covering("./src/app.py")

    assert [("a", "held"), ("b", "held"), ("d", "waiting")] == [(s.owner, s.state) for s in found]
    assert ("file:src/**", "look") == (found[0].name, found[0].reason)
    assert ["a"] == [seat.owner for seat in store.leases().covering("src/other.py")]
    assert ["c"] == [seat.owner for seat in store.leases().covering("docs/")]
    assert [] == store.leases().covering("README.md")


def test_the_characters_of_a_path_mean_themselves(store):
    store.leases("a").acquire("file:src/x")
    store.leases("b").acquire("file:app/[id]/page.tsx")

    assert [] == store.leases().covering("src/*")
    assert ["b"] == [seat.owner for seat in store.leases().covering("app/[id]/page.tsx")]


@pytest.mark.parametrize("path", ["", "../x", "/etc/passwd", "a\0", None])
def test_what_is_no_path_below_the_root_is_refused(store, path):
    with pytest.raises(InvalidArgumentError):
        store.leases().covering(path)


def test_the_limit_of_a_list_counts_patterns(store):
    for name in ("file:a", "file:b", "file:c"):
        store.leases().acquire(name)

    assert ["file:a", "file:b"] == [seat.name for seat in store.leases().list(limit=2)]


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
for _ in range(int(argument)):
    chosen = choose.sample(globs, choose.choice([1, 1, 2]))
    mode = choose.choice(["read", "write", "exclusive"])
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

    said = crowd.finish(workers)

    assert [0] * PROCESSES == [each["bad"] for each in said]
    assert sum(each["edits"] for each in said) == sum(int(file.read_text()) for file in files)
    tokens = [each["tokens"] for each in said]
    every = list(chain.from_iterable(tokens))
    assert len(every) == len(set(every))
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
