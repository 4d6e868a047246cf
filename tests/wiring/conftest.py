"""A user's home and a project to wire; no test sees the settings of whoever runs it."""

import os
import subprocess

import pytest

from swarm_memory.wiring.ledger import Ledger
from swarm_memory.wiring.places import place_of


@pytest.fixture(autouse=True)
def _no_other_folders(monkeypatch):
    for name in ("CLAUDE_CONFIG_DIR", "CODEX_HOME"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A git repository, in which the test runs."""
    folder = tmp_path / "project"
    folder.mkdir()
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def place(project):
    """Where the settings lie for the user of the test in the project."""
    return place_of(str(project), os.environ)


@pytest.fixture
def ledger(place):
    """The user's ledger."""
    return Ledger(place.records)
