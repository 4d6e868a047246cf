"""The switch that keeps hooks from showing and recording anything."""

import pytest

from swarm_memory.errors import EngineUnavailableError
from swarm_memory.pausing import is_paused, pause, resume


def test_a_store_is_paused_until_it_is_resumed(tmp_path):
    store = str(tmp_path / "memory.db")

    assert not is_paused(store)
    assert pause(store)
    assert is_paused(store)
    assert resume(store)
    assert not is_paused(store)


def test_pausing_and_resuming_twice_changes_nothing(tmp_path):
    store = str(tmp_path / "memory.db")

    assert pause(store)
    assert not pause(store)
    assert is_paused(store)
    assert resume(store)
    assert not resume(store)


def test_another_store_in_the_same_folder_goes_on(tmp_path):
    pause(str(tmp_path / "memory.db"))

    assert not is_paused(str(tmp_path / "other.db"))


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(EngineUnavailableError, match="missing"):
        pause(str(tmp_path / "missing" / "memory.db"))
