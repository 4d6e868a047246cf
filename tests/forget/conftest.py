"""Stores to forget in."""

from __future__ import annotations

import pytest

from swarm_memory import Swarm
from swarm_memory.testing.filled import fill


@pytest.fixture
def swarm(tmp_path):
    with Swarm.open(f"sqlite:///{tmp_path}/memory.db", agent="a", swarm="s") as swarm:
        yield swarm


@pytest.fixture
def filled(swarm):
    fill(swarm)
    return swarm


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "backups"
    path.mkdir()
    return path
