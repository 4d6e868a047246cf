"""What all tests share: no test touches the user's store or reads the user's settings."""

import os

import pytest

pytest.register_assert_rewrite("swarm_memory.testing")


@pytest.fixture(autouse=True)
def _own_home(tmp_path_factory, monkeypatch):
    for name in list(os.environ):
        if name.startswith("SWARM_MEMORY_"):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_DATA_HOME", str(home / "data"))
