"""Which store is meant: real git repositories, worktrees, submodules, and no git at all."""

import subprocess

import pytest

from swarm_memory.locate import branch_of, locate, prepare, project_folder

GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "protocol.file.allow=always"]


def git(folder, *arguments):
    subprocess.run([*GIT, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    git(folder, "init", "-q")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    (folder / "src" / "deep").mkdir(parents=True)
    return folder


def found(directory, **environment):
    return locate(None, str(directory), {"HOME": "/home/nobody", **environment}, "linux")


def store_of(folder):
    return f"sqlite:///{folder}/.swarm-memory/memory.db"


def test_the_argument_wins(repository):
    assert "sqlite:///x.db" == locate("sqlite:///x.db", str(repository), {}).url


def test_the_variable_comes_next(repository):
    located = found(repository, SWARM_MEMORY_URL="sqlite:///y.db")

    assert "sqlite:///y.db" == located.url
    assert "SWARM_MEMORY_URL" in located.why


def test_every_folder_of_a_repository_means_one_store(repository):
    assert store_of(repository) == found(repository).url
    assert store_of(repository) == found(repository / "src" / "deep").url


def test_a_worktree_shares_its_repositorys_store(repository, tmp_path):
    git(repository, "worktree", "add", "-q", str(tmp_path / "elsewhere" / "tree"))

    assert store_of(repository) == found(tmp_path / "elsewhere" / "tree").url


def test_worktrees_of_a_bare_repository_meet_inside_it(repository, tmp_path):
    git(tmp_path, "clone", "-q", "--bare", str(repository), "bare.git")
    git(tmp_path / "bare.git", "worktree", "add", "-q", str(tmp_path / "one"))
    git(tmp_path / "bare.git", "worktree", "add", "-q", str(tmp_path / "two"))

    assert store_of(tmp_path / "bare.git") == found(tmp_path / "one").url
    assert found(tmp_path / "one").url == found(tmp_path / "two").url


def test_a_submodule_is_a_project_of_its_own(repository, tmp_path):
    outer = tmp_path / "outer"
    outer.mkdir()
    git(outer, "init", "-q")
    git(outer, "submodule", "add", "-q", str(repository), "inner")

    assert store_of(outer / "inner") == found(outer / "inner").url
    assert store_of(outer) == found(outer).url


def test_outside_git_the_nearest_store_above_is_meant(tmp_path):
    (tmp_path / ".swarm-memory").mkdir()
    (tmp_path / "a" / "b").mkdir(parents=True)

    assert store_of(tmp_path) == found(tmp_path / "a" / "b").url


def test_without_a_project_it_is_the_users_store(tmp_path):
    assert "sqlite:////home/nobody/.local/share/swarm-memory/memory.db" == found(tmp_path).url
    assert (
        f"sqlite:///{tmp_path}/swarm-memory/memory.db"
        == found(tmp_path, XDG_DATA_HOME=str(tmp_path)).url
    )


@pytest.mark.parametrize(
    ("platform", "part"),
    [("darwin", "Library/Application Support/swarm-memory"), ("win32", "AppData")],
)
def test_other_systems_keep_data_in_their_own_place(tmp_path, platform, part):
    located = locate(None, str(tmp_path), {"HOME": "/home/nobody"}, platform)

    assert part in located.url


def test_locating_creates_nothing(repository, tmp_path):
    before = sorted(tmp_path.rglob("*"))

    found(repository)
    found(tmp_path)

    assert before == sorted(tmp_path.rglob("*"))


def test_a_project_store_is_private_and_never_committed(repository):
    prepare(found(repository))

    folder = repository / ".swarm-memory"
    assert "*\n" == (folder / ".gitignore").read_text()
    assert 0o700 == folder.stat().st_mode & 0o777
    status = subprocess.run(
        [*GIT, "status", "--porcelain"], cwd=repository, capture_output=True, check=True
    )
    assert b"" == status.stdout


def test_init_makes_its_folder_at_the_projects_root(repository, tmp_path):
    assert str(repository / ".swarm-memory") == project_folder(str(repository / "src"))
    assert str(tmp_path / ".swarm-memory") == project_folder(str(tmp_path))


def test_a_named_file_gets_no_folder_made_for_it(tmp_path):
    prepare(locate(f"sqlite:///{tmp_path}/none/x.db", str(tmp_path), {}))

    assert [] == list(tmp_path.iterdir())


def test_the_branch_of_a_checkout_and_of_its_worktree_are_read(repository, tmp_path):
    git(repository, "checkout", "-q", "-b", "feature/one")
    git(repository, "worktree", "add", "-q", "-b", "two", str(tmp_path / "tree"))

    assert "feature/one" == branch_of(str(repository))
    assert "two" == branch_of(str(tmp_path / "tree"))


def test_what_is_on_no_branch_has_none(repository, tmp_path):
    git(repository, "checkout", "-q", "--detach")

    assert branch_of(str(repository)) is None
    assert branch_of(str(tmp_path)) is None
