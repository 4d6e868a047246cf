"""Doctor sees what lies around: other stores of the project, foreign ones, files that were left."""

import os
import subprocess
import sys
import tempfile
from contextlib import contextmanager

import apsw
import pytest

from swarm_memory import Swarm
from swarm_memory.exchange import import_stores
from swarm_memory.locate import locate

CLAUDE_FLOW = """
CREATE TABLE memory_entries (
  id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL, value TEXT NOT NULL,
  namespace TEXT NOT NULL DEFAULT 'default', metadata TEXT,
  created_at INTEGER DEFAULT (strftime('%s','now')),
  updated_at INTEGER DEFAULT (strftime('%s','now')),
  accessed_at INTEGER DEFAULT (strftime('%s','now')),
  access_count INTEGER DEFAULT 0, ttl INTEGER, expires_at INTEGER, UNIQUE(key, namespace));
INSERT INTO memory_entries (key, value) VALUES ('plan', 'theirs');
"""
HOUR_S = 3600


def severities(findings):
    return [finding.severity for finding in findings]


def make_store(folder):
    """Make a store in a folder of its own and return its path."""
    path = folder / ".swarm-memory" / "memory.db"
    path.parent.mkdir(mode=0o700)
    Swarm.open(str(path)).close()
    return str(path)


def git(*arguments, cwd):
    settings = ("-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main")
    subprocess.run(["git", *settings, *arguments], cwd=cwd, check=True, capture_output=True)


_recording = []


def _record(event, arguments):
    if event == "open" and _recording:
        _recording[-1].append(str(arguments[0]))


sys.addaudithook(_record)


@contextmanager
def recorded_opens():
    """Collect the paths that Python code opens meanwhile."""
    _recording.append([])
    try:
        yield _recording[-1]
    finally:
        _recording.pop()


@pytest.fixture
def repository(case):
    git("init", cwd=case.project)
    git("commit", "--allow-empty", "-m", "first", cwd=case.project)
    return case.project


def test_one_store_for_the_project_is_in_order(look, repository):
    store = make_store(repository)

    assert ["ok"] == severities(look("second-stores", store=store))


def test_a_store_between_here_and_the_projects_is_a_warning(look, repository):
    store = make_store(repository)
    part = repository / "part"
    part.mkdir()
    other = make_store(part)

    (found,) = look("second-stores", store=store, directory=part)

    assert "warning" == found.severity
    assert found.evidence.startswith(other)
    assert "export" in found.advice


def test_a_store_in_a_worktree_is_a_warning_from_everywhere(look, repository, tmp_path):
    store = make_store(repository)
    git("worktree", "add", str(tmp_path / "tree"), cwd=repository)
    other = make_store(tmp_path / "tree")

    for directory in (repository, tmp_path / "tree"):
        (found,) = look("second-stores", store=store, directory=directory)

        assert "warning" == found.severity
        assert found.evidence.startswith(other)


def test_a_store_named_by_a_variable_shadows_the_projects(look, repository, store):
    shadowed = make_store(repository)
    environment = {"SWARM_MEMORY_URL": f"sqlite:///{store}"}
    why = locate(None, str(repository), environment).why

    (found,) = look("second-stores", store=store, environment=environment, why=why)

    assert "warning" == found.severity
    assert found.evidence.startswith(shadowed)
    assert "SWARM_MEMORY_URL" in found.evidence


def test_a_store_above_the_project_is_a_note(look, repository, tmp_path):
    store = make_store(repository)
    make_store(tmp_path)

    assert ["note"] == severities(look("second-stores", store=store))


# --- foreign stores ---


@pytest.fixture
def foreign(case):
    """A store of claude-flow in the project."""
    path = case.project / ".swarm" / "memory.db"
    path.parent.mkdir()
    db = apsw.Connection(str(path))
    db.execute(CLAUDE_FLOW)
    db.close()
    return str(path)


def test_without_memory_of_others_it_is_in_order(look, store):
    assert ["ok"] == severities(look("foreign-stores"))


def test_memory_of_claude_flow_is_a_note_with_the_command(look, store, foreign):
    (found,) = look("foreign-stores")

    assert ("note", foreign) == (found.severity, found.evidence)
    assert f"swarm-memory import {foreign} --dry-run" in found.advice


def test_memory_that_was_imported_is_in_order(look, store, foreign):
    with Swarm.open(store) as swarm:
        import_stores(swarm, [foreign])

    assert ["ok", "ok"] == severities(look("store", "foreign-stores"))


def test_looking_for_foreign_stores_opens_none_of_ours(look, case):
    folder = case.project / "memory"
    folder.mkdir()
    store = str(folder / "memory.db")
    with Swarm.open(store) as swarm:

        def look_meanwhile(tx):
            tx.records.put("notes/1", "mine")
            with recorded_opens() as opened:
                return look("foreign-stores", store=store), opened

        found, opened = swarm.transact(look_meanwhile)

    assert ["ok"] == severities(found)
    assert [] == [path for path in opened if path.startswith(store)]


# --- files that were left ---


def aged(path, age_s):
    stamp = os.stat(path).st_mtime - age_s
    os.utime(path, (stamp, stamp))


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path, monkeypatch):
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))


def test_an_unfinished_export_is_a_note_once_nobody_writes_it(look, store):
    part = os.path.join(os.path.dirname(store), ".memory.jsonl.abc.part")
    with open(part, "w") as file:
        file.write("{")
    assert ["ok"] == severities(look("left-files"))
    aged(part, 2 * HOUR_S)

    (found,) = look("left-files")

    assert ("note", part) == (found.severity, found.evidence)


@pytest.mark.parametrize("kind", ["import", "verify"])
def test_a_copy_that_a_killed_call_left_is_a_note(look, store, kind):
    copy = os.path.join(tempfile.gettempdir(), f"swarm-memory-{kind}-xyz")
    os.mkdir(copy)
    aged(copy, 2 * HOUR_S)

    (found,) = look("left-files")

    assert ("note", f"rm -r {copy}") == (found.severity, found.advice)
