"""Whole sessions are remembered as they were, however their events arrive.

The recordings under `held_out/` are for acceptance: nothing was made to fit them, and no other test
reads them.
"""

import os
from pathlib import Path

import pytest
from hook_replay import DEVELOPED, HELD_OUT, counted, learned, memory, recorded, replay

RECORDINGS = [*DEVELOPED, *HELD_OUT]


def ids(path):
    return path.stem


@pytest.mark.parametrize("path", RECORDINGS, ids=ids)
def test_a_recording_is_remembered_as_it_was(path, stage):
    head, lines = recorded(path)

    replay(stage, lines, processes=False)

    assert [] == stage.failures()
    expected = dict(head["expect"])
    absent = expected.pop("absent", [])
    got = counted(memory(stage))
    assert expected == {name: got[name] for name in expected}
    assert [] == [text for text in absent if _is_anywhere(text, stage)]


@pytest.mark.parametrize("path", RECORDINGS, ids=ids)
def test_processes_remember_what_one_process_does(path, stage, another_stage):
    _, lines = recorded(path)

    replay(stage, lines, processes=True)
    replay(another_stage, lines, processes=False)

    assert [] == stage.failures()
    assert memory(another_stage) == memory(stage)


@pytest.mark.parametrize("path", RECORDINGS, ids=ids)
def test_a_second_copy_of_each_hook_changes_nothing(path, stage, another_stage):
    _, lines = recorded(path)
    plain = [{"event": line["event"]} for line in lines]
    twice = [each for line in plain for each in (line, line)]

    replay(stage, plain, processes=False)
    replay(another_stage, twice, processes=False)

    assert memory(stage) == memory(another_stage)
    assert learned(stage) == learned(another_stage)


def _is_anywhere(text, stage):
    folder = Path(os.path.dirname(stage.store))
    return any(text.encode() in file.read_bytes() for file in folder.iterdir())
