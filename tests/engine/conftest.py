"""A store, what it syncs, and another process that holds its locks."""

import os
import subprocess
import sys

import pytest
from syncing import HOLD, WAIT_S, Slow, put

from swarm_memory.engine import open_engine, sync


@pytest.fixture
def path(tmp_path):
    return str(tmp_path / "memory.db")


@pytest.fixture
def engine(path):
    engine = open_engine(f"sqlite:///{path}")
    yield engine
    engine.close()


@pytest.fixture
def syncs(engine, monkeypatch):
    """What is synced after a first write, in order, as inodes."""
    engine.write(put, durability="relaxed")
    seen = []

    def datasync(descriptor):
        os.fdatasync(descriptor)
        seen.append(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(sync, "datasync", datasync)
    return seen


@pytest.fixture
def hold(path):
    """Another process that holds locks of the mark and does not move until it is let go."""
    running = []

    def hold(*places):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, path, *map(str, places)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        running.append(process)
        assert "held\n" == process.stdout.readline()
        return process

    yield hold
    for process in running:
        process.kill()
        process.communicate()


@pytest.fixture
def slow(engine, monkeypatch):
    engine.write(put)
    slow = Slow()
    monkeypatch.setattr(sync, "datasync", slow)
    monkeypatch.setattr(sync, "LEAD_S", 2 * WAIT_S)
    return slow
