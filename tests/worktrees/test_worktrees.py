"""What git says of the work in several worktrees, and that asking changes nothing."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from swarm_memory.errors import InvalidArgumentError
from swarm_memory.worktrees import check
from swarm_memory.worktrees.git import Git
from swarm_memory.worktrees.merging import Hunk, Span

TEN = "".join(f"line {n}\n" for n in range(1, 11))


class Project:
    """A repository with worktrees beside it."""

    def __init__(self, folder):
        self.folder = folder
        self.main = folder / "main"
        self.main.mkdir()
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "GIT_CONFIG_NOSYSTEM": "1",
        }
        self.git(self.main, "init", "-q", "-b", "main")
        self.git(self.main, "config", "user.name", "somebody")
        self.git(self.main, "config", "user.email", "somebody@example.com")

    def git(self, place, *arguments):
        done = subprocess.run(
            ["git", *arguments], cwd=place, env=self.environment, capture_output=True, check=True
        )
        return done.stdout

    def commit(self, place, **files):
        for name, content in files.items():
            self.write(place, name.replace("__", "."), content)
        self.git(place, "add", "-A")
        self.git(place, "commit", "-q", "--allow-empty", "-m", "work")

    def write(self, place, name, content):
        path = Path(place) / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def worktree(self, name, *options):
        place = self.folder / name
        options = options or ("-b", name)
        self.git(self.main, "worktree", "add", "-q", *options, str(place))
        return place

    def check(self, place=None, **options):
        return check(str(place or self.main), self.environment, **options)


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path)


@pytest.fixture
def pair(project):
    """Return a project with ten lines in a.txt, and two worktrees of it."""
    project.commit(project.main, a__txt=TEN)
    return project, project.worktree("left"), project.worktree("right")


def changed(number, to):
    return TEN.replace(f"line {number}\n", f"{to}\n")


def only(report):
    assert 1 == len(report.clashes), report
    return report.clashes[0]


def everything(folder):
    """Return a digest of all files, and when each was written; objects may be renewed."""
    return {
        str(path): (
            hashlib.sha256(path.read_bytes()).hexdigest(),
            0 if "objects" in path.parts else path.stat().st_mtime_ns,
        )
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def test_uncommitted_edits_of_the_same_line_clash_and_name_branch_and_lines(pair):
    project, left, right = pair
    project.write(left, "a.txt", changed(4, "mine"))
    project.write(right, "a.txt", changed(4, "yours\nand more"))

    clash = only(project.check())

    assert ("a.txt", "content") == (clash.path, clash.kind)
    assert ("left", "right") == (clash.left.branch, clash.right.branch)
    assert (Hunk(Span(4, 4), Span(4, 5)),) == clash.hunks
    assert clash.left.edited
    assert clash.right.edited


def test_lines_are_those_of_each_side_when_other_edits_moved_them(pair):
    project, left, right = pair
    project.commit(left, a__txt="new\nnew\n" + changed(8, "mine"))
    project.write(right, "a.txt", changed(8, "yours"))

    clash = only(project.check())

    assert (Hunk(Span(10, 10), Span(8, 8)),) == clash.hunks
    assert (False, True) == (clash.left.edited, clash.right.edited)


def test_edits_of_distant_lines_merge(pair):
    project, left, right = pair
    project.write(left, "a.txt", changed(1, "mine"))
    project.write(right, "a.txt", changed(10, "yours"))

    report = project.check()

    assert [] == report.clashes
    assert 3 == report.pairs


def test_the_same_edit_on_both_sides_is_no_clash(pair):
    project, left, right = pair
    for place in (left, right):
        project.write(place, "a.txt", changed(4, "ours"))

    assert [] == project.check().clashes


def test_new_files_of_one_name_clash_and_ignored_ones_do_not(pair):
    project, left, right = pair
    for place, said in ((left, "mine"), (right, "yours")):
        project.write(place, "new.txt", said)
        project.write(place, "skip.log", said)
    project.write(project.main / ".git" / "info", "exclude", "*.log\n")

    clash = only(project.check())

    assert ("new.txt", "add/add") == (clash.path, clash.kind)
    assert (Hunk(Span(1, 1), Span(1, 1)),) == clash.hunks


def test_a_removed_file_clashes_with_an_edited_one(pair):
    project, left, right = pair
    (left / "a.txt").unlink()
    project.write(right, "a.txt", changed(4, "yours"))

    clash = only(project.check())

    assert ("a.txt", "modify/delete", ()) == (clash.path, clash.kind, clash.hunks)


def test_a_file_renamed_in_two_ways_is_a_rename(pair):
    project, left, right = pair
    (left / "a.txt").rename(left / "b.txt")
    (right / "a.txt").rename(right / "c.txt")

    kinds = {clash.kind for clash in project.check().clashes}

    assert {"rename"} == kinds


def test_binary_files_clash_without_lines(project):
    project.commit(project.main, a__bin=bytes(range(256)))
    left, right = project.worktree("left"), project.worktree("right")
    project.write(left, "a.bin", b"\0mine")
    project.write(right, "a.bin", b"\0yours")

    clash = only(project.check())

    assert ("a.bin", "binary", ()) == (clash.path, clash.kind, clash.hunks)


def test_names_with_spaces_line_ends_and_signs_are_whole(project):
    names = ["with space.txt", "line\nend.txt", "ünï—中.txt", '"quoted".txt', "-dash.txt"]
    for name in names:
        project.write(project.main, name, TEN)
    project.commit(project.main)
    left, right = project.worktree("a b: c", "-b", "left"), project.worktree("right")
    for name in names:
        project.write(left, name, changed(4, "mine"))
        project.write(right, name, changed(4, "yours"))

    report = project.check()

    assert sorted(names) == sorted(clash.path for clash in report.clashes)
    assert {"content"} == {clash.kind for clash in report.clashes}


def test_detached_heads_count_and_have_no_branch(project):
    project.commit(project.main, a__txt=TEN)
    left = project.worktree("left", "--detach")
    project.write(left, "a.txt", changed(4, "mine"))
    project.write(project.main, "a.txt", changed(4, "yours"))

    clash = only(project.check())

    assert {None, "main"} == {clash.left.branch, clash.right.branch}


def test_unrelated_histories_are_named_and_the_rest_is_checked(pair):
    project, left, right = pair
    other = project.worktree("other", "--detach")
    project.git(other, "checkout", "-q", "--orphan", "other")
    project.commit(other, b__txt="alone\n")
    project.write(left, "a.txt", changed(4, "mine"))
    project.write(right, "a.txt", changed(4, "yours"))

    report = project.check()

    assert "a.txt" == only(report).path
    assert 3 == len(report.skipped)
    assert all("unrelated histories" in why for _, why in report.skipped)


def test_a_worktree_that_vanished_is_named(pair):
    project, left, _ = pair
    for path in (left / "a.txt", left / ".git"):
        path.unlink()
    left.rmdir()

    report = project.check()

    assert [(str(left), "its folder is gone")] == report.skipped
    assert 2 == len(report.worktrees)


def test_a_worktree_inside_of_another_is_no_part_of_it(project):
    project.commit(project.main, a__txt=TEN)
    inner = project.main / ".trees" / "inner"
    project.git(project.main, "worktree", "add", "-q", "-b", "inner", str(inner))
    project.write(inner, "a.txt", changed(4, "mine"))

    report = project.check()

    assert [] == report.clashes
    assert {str(project.main): False, str(inner): True} == {
        side.worktree: side.edited for side in report.worktrees
    }


def test_files_outside_of_a_sparse_checkout_are_not_taken_for_removed(project):
    project.commit(project.main, **{"in/a__txt": TEN, "out/b__txt": TEN})
    sparse, right = project.worktree("sparse"), project.worktree("right")
    project.git(sparse, "sparse-checkout", "set", "in")
    assert not (sparse / "out").exists()
    project.write(right, "out/b.txt", changed(4, "yours"))
    project.write(sparse, "in/a.txt", changed(4, "mine"))
    project.write(right, "in/a.txt", changed(4, "yours"))

    assert "in/a.txt" == only(project.check()).path


def test_a_new_file_outside_of_a_sparse_checkout_counts(project):
    project.commit(project.main, **{"in/a__txt": TEN, "out/b__txt": TEN})
    sparse, right = project.worktree("sparse"), project.worktree("right")
    project.git(sparse, "sparse-checkout", "set", "in")
    project.write(sparse, "other/new.txt", "mine\n")
    project.write(right, "other/new.txt", "yours\n")

    assert ("other/new.txt", "add/add") == only(project.check())[:2]


def test_submodules_at_two_commits_clash_as_such(project, tmp_path):
    library = tmp_path / "library"
    library.mkdir()
    project.git(library, "init", "-q", "-b", "main")
    for name in ("user.name", "user.email"):
        project.git(library, "config", name, "somebody")
    project.commit(library, x__txt="1\n")
    project.git(
        project.main, "-c", "protocol.file.allow=always", "submodule", "add", "-q",
        str(library), "lib",
    )  # fmt: skip
    project.commit(project.main)
    sides = project.worktree("left"), project.worktree("right")
    for place in sides:
        project.git(
            place, "-c", "protocol.file.allow=always", "submodule", "update", "-q", "--init"
        )
        project.git(place / "lib", "config", "user.name", "somebody")
        project.git(place / "lib", "config", "user.email", "somebody@example.com")
        project.commit(place / "lib", x__txt=f"{place.name}\n")

    clash = only(project.check())

    assert ("lib", "submodule") == (clash.path, clash.kind)


def test_a_repository_without_a_commit_is_no_error(project):
    project.write(project.main, "a.txt", TEN)

    report = project.check()

    assert [] == report.clashes
    assert [] == report.skipped


def test_nothing_of_the_repository_changes(pair):
    project, left, right = pair
    project.write(left, "a.txt", changed(4, "mine"))
    project.git(left, "add", "a.txt")
    project.write(left, "b.txt", "not added\n")
    project.write(right, "a.txt", changed(4, "yours"))
    hook = project.main / ".git" / "hooks" / "post-index-change"
    project.write(hook.parent, hook.name, f"#!/bin/sh\ntouch {project.folder}/ran\n")
    hook.chmod(0o755)
    before = everything(project.folder)

    assert "a.txt" == only(project.check()).path

    assert before == everything(project.folder)


def test_variables_that_point_git_elsewhere_are_not_followed(pair, tmp_path):
    project, left, right = pair
    project.write(left, "a.txt", changed(4, "mine"))
    project.write(right, "a.txt", changed(4, "yours"))
    project.environment |= {"GIT_DIR": str(tmp_path / "no"), "GIT_INDEX_FILE": str(tmp_path / "i")}

    assert "a.txt" == only(project.check()).path
    assert not (tmp_path / "i").exists()


def test_agents_are_asked_for_by_worktree_and_path(pair):
    project, left, right = pair
    project.write(left, "a.txt", changed(4, "mine"))
    project.write(right, "a.txt", changed(4, "yours"))
    known = {(str(left), "a.txt"): ("agent-1",), (str(right), "a.txt"): ("agent-2", "agent-3")}

    clash = only(project.check(agents=lambda place, path: known[place, path]))

    assert (("agent-1",), ("agent-2", "agent-3")) == (clash.left.agents, clash.right.agents)
    assert ["agent-2", "agent-3"] == clash.to_dict()["right"]["agents"]


def test_pairs_above_the_limit_are_named_as_skipped(pair):
    project, left, right = pair
    project.write(left, "a.txt", changed(4, "mine"))
    project.write(right, "a.txt", changed(4, "yours"))

    report = project.check(pairs_max=1)

    assert 1 == report.pairs
    assert 2 == len(report.skipped)


def test_a_folder_without_a_repository_is_refused(tmp_path):
    with pytest.raises(InvalidArgumentError, match="no git repository"):
        check(str(tmp_path), {"PATH": os.environ["PATH"], "GIT_CEILING_DIRECTORIES": "/"})


@pytest.mark.parametrize(("version", "refused"), [("2.37.9", True), ("2.38.0", False)])
def test_a_git_that_is_too_old_is_refused_with_what_is_needed(tmp_path, version, refused):
    program = tmp_path / "git"
    program.write_text(f"#!/bin/sh\necho git version {version}\n")
    program.chmod(0o755)
    git = Git({"PATH": f"{tmp_path}:/usr/bin:/bin"}, timeout_s=5)

    if not refused:
        git.check_version(str(tmp_path))
        return
    with pytest.raises(InvalidArgumentError) as error:
        git.check_version(str(tmp_path))
    assert "2.38" in error.value.hint
