"""Worktrees: where the work of agents, as it stands now, would not merge.

Each worktree's state is taken as it is on disk: what is committed, what is not, and new files that
are not ignored. Git itself then merges each two of them, three-way, without a checkout. Nothing of
the repository changes: index, refs and objects are read; what has to be written goes to a folder of
its own, which is removed. (Git renews the time of an object that it would have written again.)

A clean merge is no promise that the result works, and what git cannot merge may still be easy to
settle by hand: this says where two agents will have to.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from itertools import combinations

from swarm_memory.errors import InvalidArgumentError
from swarm_memory.lean import NamedTuple
from swarm_memory.worktrees.git import Git, GitError, text
from swarm_memory.worktrees.merging import Hunk, meetings

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm

    Agents = Callable[[str, str], tuple[str, ...]]

PAIRS_MAX, WORKTREES_MAX, CLASHES_MAX = 300, 64, 500
CALL_S, ALL_S = 20.0, 120.0
EDITORS_MAX = 1000
UNBORN = "0" * 40
OBJECTS, INDEX = "objects", "index"


class Side(NamedTuple):
    """One worktree: its branch (None: detached), and which agents are known to change the file.

    `edited` says that something in it is not committed.
    """

    worktree: str
    branch: str | None
    edited: bool
    agents: tuple[str, ...] = ()


class Clash(NamedTuple):
    """One file on which the work in two worktrees does not merge.

    `kind` is "content", "add/add", "binary", "modify/delete", "rename", "file/folder", "mode",
    "submodule" or "other"; `hunks` are the lines of each side that meet, for the first two;
    `said` is git's own sentence.
    """

    path: str
    kind: str
    left: Side
    right: Side
    hunks: tuple[Hunk, ...]
    said: str

    def to_dict(self) -> dict[str, Json]:
        """Return it as every door shows it."""
        hunks = [{"left": list(h.left), "right": list(h.right)} for h in self.hunks]
        sides = {"left": self.left._asdict(), "right": self.right._asdict()}
        for side in sides.values():
            side["agents"] = list(side["agents"])
        return {"path": self.path, "kind": self.kind, **sides, "hunks": hunks, "said": self.said}


class Report(NamedTuple):
    """What was found: clashes, how many pairs were merged, and what was not checked, with why."""

    clashes: list[Clash]
    worktrees: list[Side]
    pairs: int
    skipped: list[tuple[str, str]]

    def to_dict(self) -> dict[str, Json]:
        """Return it as every door shows it."""
        return {
            "clashes": [clash.to_dict() for clash in self.clashes],
            "worktrees": [side.worktree for side in self.worktrees],
            "pairs": self.pairs,
            "skipped": [{"what": what, "why": why} for what, why in self.skipped],
        }


class _State(NamedTuple):
    """A worktree as a commit that holds what is in it now."""

    side: Side
    folder: str
    commit: str


def check(
    folder: str,
    environment: Mapping[str, str],
    *,
    agents: Agents | None = None,
    pairs_max: int = PAIRS_MAX,
    call_s: float = CALL_S,
    all_s: float = ALL_S,
) -> Report:
    """Return where the worktrees of the repository around a folder would not merge.

    Args:
        agents: Return who changes a file (its path below the worktree) in a worktree.
        pairs_max: How many pairs are merged at most; the others are named as skipped.
        call_s, all_s: How long one call of git and how long all may take, in seconds.

    Raises:
        InvalidArgumentError: The folder is in no repository, or git is missing or older than 2.38.
    """
    git = Git(environment, timeout_s=call_s)
    git.check_version(folder)
    until_s = time.monotonic() + all_s
    skipped: list[tuple[str, str]] = []
    places = _places(git, folder, skipped)
    with tempfile.TemporaryDirectory(prefix="swarm-memory-", ignore_cleanup_errors=True) as room:
        objects = os.path.join(room, OBJECTS)
        os.makedirs(objects)
        git = git.beside(objects, _store(git, folder))
        states = []
        for number, (place, branch) in enumerate(places):
            if time.monotonic() > until_s:
                skipped.append((text(os.fsencode(place)), "the time was over"))
                continue
            inside = [other for other, _ in places if other.startswith(place.rstrip("/") + "/")]
            try:
                index = os.path.join(room, f"{INDEX}-{number}")
                states.append(_state(git, place, branch, index, inside))
            except GitError as error:
                skipped.append((text(os.fsencode(place)), str(error)))
        return _merged(git, states, skipped, agents, pairs_max, until_s)


def editors_of(swarm: Swarm) -> Agents | None:
    """Return who changes a file in a worktree; who changes others there if nobody is known.

    None where the store is kept by a server: it serves its clients no edits.
    """
    if swarm.url.startswith(("http://", "https://")):
        return None
    editors = swarm.edits.list(limit=EDITORS_MAX)

    def named(worktree: str, path: str) -> tuple[str, ...]:
        there = [e for e in editors if e.worktree == worktree]
        very = [e for e in there if e.path == path]
        return tuple(dict.fromkeys(e.agent for e in very or there))

    return named


def _merged(
    git: Git,
    states: list[_State],
    skipped: list[tuple[str, str]],
    agents: Agents | None,
    pairs_max: int,
    until_s: float,
) -> Report:
    clashes: list[Clash] = []
    pairs = 0
    for left, right in combinations(states, 2):
        if left.commit == right.commit:
            continue
        names = f"{left.side.worktree} and {right.side.worktree}"
        if pairs >= pairs_max or time.monotonic() > until_s or len(clashes) >= CLASHES_MAX:
            limit = (
                f"after {pairs} pairs" if pairs >= pairs_max else "the time or the room was over"
            )
            skipped.append((names, limit))
            continue
        pairs += 1
        # A folder that went away meanwhile has left its state with us; any other will do.
        folder = next((s.folder for s in states if os.path.isdir(s.folder)), left.folder)
        try:
            found = meetings(git, folder, left.commit, right.commit)
        except GitError as error:
            skipped.append((names, str(error)))
            continue
        for meeting in found[: CLASHES_MAX - len(clashes)]:
            sides = [_named(side, meeting.path, agents) for side in (left.side, right.side)]
            path, kind, hunks, said = meeting
            clashes.append(Clash(path, kind, sides[0], sides[1], hunks, said))
    return Report(clashes, [state.side for state in states], pairs, skipped)


def _named(side: Side, path: str, agents: Agents | None) -> Side:
    return side if agents is None else side._replace(agents=agents(side.worktree, path))


def _places(git: Git, folder: str, skipped: list[tuple[str, str]]) -> list[tuple[str, str | None]]:
    """Return folder and branch of the worktrees that are there."""
    try:
        _, output = git.run(folder, "worktree", "list", "--porcelain", "-z")
    except GitError as error:
        raise InvalidArgumentError(
            f"no git repository at {folder}: {error}", hint="run it in a project that git keeps"
        ) from None
    places: list[tuple[str, str | None]] = []
    for block in output.split(b"\0\0"):
        fields = dict(line.partition(b" ")[::2] for line in block.split(b"\0") if line)
        if b"worktree" not in fields or b"bare" in fields:
            continue
        place = os.fsdecode(fields[b"worktree"])
        branch = fields.get(b"branch")
        if not os.path.isdir(place):
            skipped.append((text(fields[b"worktree"]), "its folder is gone"))
        elif len(places) >= WORKTREES_MAX:
            skipped.append((text(fields[b"worktree"]), f"after {WORKTREES_MAX} worktrees"))
        else:
            name = None if branch is None else text(branch.removeprefix(b"refs/heads/"))
            places.append((place, name))
    return places


def _store(git: Git, folder: str) -> str:
    """Return where the repository has its objects."""
    path = git.line(folder, "rev-parse", "--git-path", "objects")
    return os.path.abspath(os.path.join(folder, path))


def _state(git: Git, place: str, branch: str | None, index: str, inside: list[str]) -> _State:
    """Return what is in a worktree now as a commit on top of what is checked out.

    Other worktrees inside of it are not part of it.
    """
    own = os.path.join(place, git.line(place, "rev-parse", "--git-path", "index"))
    if os.path.exists(own):
        shutil.copyfile(own, index)  # with it git needs to read only the files that changed
    besides = [f":(top,exclude,literal){os.path.relpath(other, place)}" for other in inside]
    # A file that cannot be read is left as it was, and the others count.
    git.run(
        place, "add", "--all", "--sparse", "--ignore-errors", "--", ":/", *besides,
        index=index, statuses=(0, 1),
    )  # fmt: skip
    tree = git.line(place, "write-tree", index=index)
    status, head = git.run(
        place, "rev-parse", "--verify", "--quiet", "HEAD^{commit}", statuses=(0, 1)
    )
    if status:
        parents, edited = [], True
    else:
        commit = os.fsdecode(head).strip()
        parents = ["-p", commit]
        edited = tree != git.line(place, "rev-parse", f"{commit}^{{tree}}")
    side = Side(text(os.fsencode(place)), branch, edited)
    if not edited:
        return _State(side, place, commit)
    made = git.line(place, "commit-tree", tree, *parents, "-m", "as it is")
    return _State(side, place, made)
