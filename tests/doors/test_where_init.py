"""Which store the command line finds and makes: in real git repositories and outside of them."""

import os
import subprocess

import pytest

GIT = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-c", "protocol.file.allow=always"]


def git(folder, *arguments):
    subprocess.run([*GIT, *arguments], cwd=folder, check=True, capture_output=True)


def repository_at(folder):
    folder.mkdir(parents=True)
    git(folder, "init", "-q")
    git(folder, "commit", "-q", "--allow-empty", "-m", "first")
    return folder


@pytest.fixture
def repository(tmp_path):
    return repository_at(tmp_path / "repository")


@pytest.fixture
def at(call_json, monkeypatch):
    """Run a verb with --json in another directory, without a named store."""
    monkeypatch.delenv("SWARM_MEMORY_URL")

    def at(folder, *arguments):
        monkeypatch.chdir(folder)
        return call_json(*arguments)

    return at


def url_of(folder):
    return f"sqlite:///{folder}/.swarm-memory/memory.db"


def test_where_names_the_users_store_outside_any_project(at, tmp_path):
    folder = tmp_path / "nowhere"
    folder.mkdir()
    facts = at(folder, "where")

    assert f"sqlite:///{os.environ['XDG_DATA_HOME']}/swarm-memory/memory.db" == facts["url"]
    assert "the user's own store" in facts["why"]
    assert (False, None, "shared") == (facts["exists"], facts["bytes"], facts["sync"])
    assert not os.path.exists(os.environ["XDG_DATA_HOME"])


def test_where_makes_nothing_in_a_repository(at, repository):
    facts = at(repository, "where")

    assert url_of(repository) == facts["url"]
    assert str(repository) in facts["why"]
    assert [".git"] == os.listdir(repository)


def test_init_makes_one_store_that_git_does_not_see(at, repository):
    assert {"url": url_of(repository), "created": True} == _without_path(at(repository, "init"))
    assert {"url": url_of(repository), "created": False} == _without_path(at(repository, "init"))
    status = subprocess.run(
        [*GIT, "status", "--porcelain"], cwd=repository, capture_output=True, check=True
    )
    assert b"" == status.stdout
    assert 0o700 == (repository / ".swarm-memory").stat().st_mode & 0o777
    assert at(repository, "where")["bytes"] > 0


def _without_path(facts):
    return {name: facts[name] for name in ("url", "created")}


def test_a_changed_directory_makes_no_second_store(at, repository):
    deep = repository / "src" / "deep"
    deep.mkdir(parents=True)

    assert url_of(repository) == at(deep, "init")["url"]
    at(deep, "put", "notes/1", "1")
    assert 1 == at(repository, "get", "notes/1")["value"]
    assert [] == os.listdir(deep)


def test_a_worktree_shares_its_repositorys_store(at, repository, tmp_path):
    git(repository, "worktree", "add", "-q", str(tmp_path / "tree"))
    at(tmp_path / "tree", "put", "notes/1", "1")

    assert 1 == at(repository, "get", "notes/1")["value"]
    assert url_of(repository) == at(tmp_path / "tree", "init")["url"]
    assert [".git"] == os.listdir(tmp_path / "tree")


def test_a_submodule_is_a_project_of_its_own(at, repository, tmp_path):
    inner = repository_at(tmp_path / "inner")
    git(repository, "submodule", "add", "-q", str(inner), "part")

    assert url_of(repository / "part") == at(repository / "part", "init")["url"]
    assert url_of(repository) == at(repository, "where")["url"]


def test_outside_git_init_makes_the_directory_a_project(at, tmp_path):
    folder = tmp_path / "plain"
    (folder / "deep").mkdir(parents=True)

    assert url_of(folder) == at(folder, "init")["url"]
    assert url_of(folder) == at(folder / "deep", "init")["url"]
    assert "nearest .swarm-memory" in at(folder / "deep", "where")["why"]


def test_a_named_store_wins(at, repository, tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/named.db"
    assert ("named by the caller", url) == _why(at(repository, "where", "--url", url))
    monkeypatch.setenv("SWARM_MEMORY_URL", url)
    assert ("named by SWARM_MEMORY_URL", url) == _why(at(repository, "where"))
    assert url == at(repository, "init")["url"]
    assert [".git"] == os.listdir(repository)


def _why(facts):
    return facts["why"], facts["url"]


def test_init_tells_a_pipe_what_it_did(call, monkeypatch, repository):
    monkeypatch.delenv("SWARM_MEMORY_URL")
    monkeypatch.chdir(repository)

    assert f"{url_of(repository)}\tcreated\n" == call("init").out
    assert f"{url_of(repository)}\texists\n" == call("init").out
    facts = dict(line.split("\t") for line in call("where").out.splitlines())
    assert "true" == facts["exists"]
