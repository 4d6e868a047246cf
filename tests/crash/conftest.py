"""Where the crash tests keep their files: in memory if there is such a place, for speed only."""

import os
import shutil
import tempfile

import pytest

MEMORY = "/dev/shm"


@pytest.fixture
def quick_path():
    """A folder whose syncs cost nothing; the simulator knows itself what they would do."""
    parent = MEMORY if os.access(MEMORY, os.W_OK) else None
    path = tempfile.mkdtemp(prefix="swarm-memory-crash-", dir=parent)
    yield path
    shutil.rmtree(path)
