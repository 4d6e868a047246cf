"""backup, restore and verify on the command line."""

import json
import os

import pytest

from swarm_memory import Swarm
from swarm_memory.doors.cli import main


@pytest.fixture
def call(capsys, monkeypatch):
    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        return exit_.value.code or 0, *capsys.readouterr()

    return call


def test_a_backup_lies_beside_its_store_and_comes_back(filled, tmp_path, call):
    status, out, _ = call("backup", "--url", filled.url)
    path = out.strip()
    new = f"sqlite:///{tmp_path}/new.db"

    assert (0, str(tmp_path / "backups")) == (status, os.path.dirname(path))
    assert 0 == call("verify", path)[0]
    assert 0 == call("restore", path, "--url", new)[0]
    with Swarm.open(new, swarm="s") as copy:
        assert filled.records.get("notes/050").value == copy.records.get("notes/050").value


def test_restoring_over_something_needs_to_be_said(filled, folder, call):
    path = call("backup", folder, "--url", filled.url)[1].strip()
    filled.records.put("notes/new", 1)
    refused = call("restore", path, "--url", filled.url)
    done = call("restore", path, "--url", filled.url, "--replace", "--json")

    assert (2, 0) == (refused[0], done[0])
    assert "--replace" in refused[2] or "replace" in refused[2]
    assert 1 == json.loads(done[1])["epoch"]
    assert filled.records.get("notes/new") is None


def test_a_moment_is_an_event_or_a_time(filled, folder, tmp_path, call):
    seq = filled.events.newest()
    filled.records.put("notes/new", 1)
    path = call("backup", folder, "--url", filled.url)[1].strip()

    for at, status in ((seq, 0), ("2001-01-01", 1), ("yesterday", 2)):
        assert (
            status == call("restore", path, "--at", at, "--url", f"sqlite:///{tmp_path}/{at}.db")[0]
        )
    with Swarm.open(f"sqlite:///{tmp_path}/{seq}.db", swarm="s") as copy:
        assert copy.records.get("notes/new") is None


def test_due_backups_are_made_once_and_old_ones_go(filled, folder, call):
    first = call("backup", folder, "--due", "--url", filled.url)
    again = call("backup", folder, "--due", "--url", filled.url, "--json")
    call("backup", folder, "--url", filled.url, "--keep", "1")

    assert (0, 0, "null\n") == (first[0], again[0], again[1])
    assert 1 == len(os.listdir(folder))


def test_a_damaged_backup_has_its_exit_status(filled, folder, call):
    path = call("backup", folder, "--url", filled.url)[1].strip()
    with open(path, "ab") as file:
        file.write(b"x")

    assert 6 == call("verify", path)[0]
    assert 6 == call("restore", path, "--url", filled.url, "--replace")[0]
    assert 1 == call("verify", folder / "missing")[0]
