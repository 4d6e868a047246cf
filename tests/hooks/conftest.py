"""A project with worktrees, for hooks to run in."""

import pytest
from hook_replay import Stage


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path / "stage")


@pytest.fixture
def another_stage(tmp_path):
    return Stage(tmp_path / "other")  # as long a name: what is kept counts the bytes of paths
