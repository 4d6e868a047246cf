"""The demo is a real swarm: real processes, a real kill, and checks that can fail."""

import os
from collections import Counter

import pytest

from swarm_memory import InvalidArgumentError, Swarm
from swarm_memory.demo import coordinator, lines, run, strategies
from swarm_memory.demo.survey import FILE_BYTES_MAX, survey, tasks_of

TASKS_PER_PYTHON_FILE = 3


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "tree"
    (root / "deep" / "er").mkdir(parents=True)
    for number in range(12):
        (root / f"module{number}.py").write_text(
            f'"""Text with def inside.\n\ndef fooled(): ...\n"""\n\nimport os, sys\n\n'
            f"def one():\n    from json import loads\n    return loads\n\n\nclass C{number}:\n"
            "    async def two(self): ...\n"
        )
    (root / "broken.py").write_text("def half(:\n  'unfinished")
    (root / "bad encoding.py").write_bytes(b"x = '\xff\xfe'\n")
    (root / "README.md").write_text("# Read me\n")
    (root / "data.json").write_text('{"a": [1, 2]}')
    (root / "script").write_text("#!/bin/sh\necho hello\n")
    (root / "picture.png").write_bytes(b"\x89PNG\0\0\0")
    (root / "deep" / "er" / "[id].tsx").write_text("export const x = 1\n")
    (root / "empty.txt").write_text("")
    (root / "huge.bin").write_bytes(b"x" * (FILE_BYTES_MAX + 1))
    (root / "deep" / "loop").symlink_to(root)
    os.write(os.open(os.fsencode(root) + b"/\xff odd name", os.O_CREAT | os.O_WRONLY), b"odd")
    return root


def test_a_swarm_studies_a_tree_and_nothing_is_lost_or_done_twice(tree, tmp_path):
    url = f"sqlite:///{tmp_path}/demo.db"

    report = run(str(tree), url=url)

    assert [] == [invariant for invariant in report.invariants if not invariant.held]
    assert report.ok
    assert report.tasks == sum(report.agents.values())
    assert "agent-1" == report.victim
    assert report.taken_over
    assert "the killed agent's task was finished" in {i.name for i in report.invariants}
    assert 20 == report.learned["files"]
    assert 12 == report.learned["languages"]["python"]
    assert {"too large": 1, "not named in UTF-8": 1} == report.skipped
    with Swarm.open(url, swarm=report.swarm) as swarm:
        assert report.tasks == swarm.outcomes.count()


def test_the_summary_is_short_and_names_the_commands(tree):
    report = run(str(tree))

    text = lines(report)
    assert len(text) <= 40
    assert any("killed half-way" in line for line in text)
    assert any(f"--url {report.url}" in line for line in text)
    assert report.to_dict()["ok"] is True


def test_a_warning_of_an_agent_is_no_broken_promise(tmp_path, monkeypatch):
    monkeypatch.setenv("SWARM_MEMORY_NONSENSE", "1")
    (tmp_path / "a.py").write_text("x = 1\n")

    with pytest.warns(UserWarning, match="NONSENSE"):
        assert run(str(tmp_path)).ok


def test_an_empty_tree_is_studied_in_no_time(tmp_path):
    report = run(str(tmp_path))

    assert report.ok
    assert (0, None) == (report.tasks, report.victim)


def test_a_missing_tree_is_a_clear_error(tmp_path):
    with pytest.raises(InvalidArgumentError, match="no folder"):
        run(str(tmp_path / "none"))


def test_a_task_done_twice_or_lost_is_noticed(tree, tmp_path):
    url = f"sqlite:///{tmp_path}/demo.db"
    url, swarm, survey_, tasks = coordinator.prepare(str(tree), url)
    seen = coordinator.conduct(url, swarm, survey_.root, tasks, 2, None)
    with Swarm.open(url, agent="vandal", swarm=swarm) as door:
        base = f"swarm-{swarm}/global/demo/results"
        first, second = (f"{base}/{tasks[i].task_id}" for i in (0, 1))
        door.records.put(first, door.records.get(first).value)
        door.records.delete(second)

    held = {i.name: i.held for i in coordinator.check(url, swarm, tasks, seen)[0]}

    assert not held["no task was done twice"]
    assert not held["nothing acknowledged is lost"]
    assert not held["every task has a result"]
    assert held["every task has one outcome"]


def test_the_survey_keeps_within_bounds_and_follows_no_links(tree):
    found = survey(str(tree))

    assert len(found.files) == len(set(found.files))
    assert not any("loop" in path for path in found.files)
    assert not any("huge" in path for path in found.files)
    kinds = Counter(task.kind for task in tasks_of(found.files))
    assert 14 == kinds["definitions"] == kinds["imports"]


PYTHON = b'''"""A text.

def in_text(): ...
"""
import os, sys
from . import near
from ..far import away

def one():
    import json
    return [x for x in json.loads("[]")]

class Two:
    async def three(self):
        return lambda: 4
'''


def test_the_strategies_differ_and_the_check_is_right():
    assert 3 == strategies.definitions_in_symbol_table("x.py", PYTHON)
    assert 3 == strategies.definitions_by_tree("x.py", PYTHON)
    assert 3 == strategies.definitions_by_tokens("x.py", PYTHON)
    assert 4 == strategies.definitions_by_pattern("x.py", PYTHON)

    truth = strategies.imports_in_code("x.py", PYTHON)
    assert sorted(["os", "sys", ".", "..far", "json"]) == truth
    assert truth == strategies.imports_by_tree("x.py", PYTHON)
    assert truth != strategies.imports_by_pattern("x.py", PYTHON)


@pytest.mark.parametrize(
    ("name", "content", "language"),
    [
        ("a.py", b"x = 1", "python"),
        ("a.py", b"x = = 1", "text"),
        ("a.json", b"{", "text"),
        ("tool", b"#!/usr/bin/env python3\n", "python"),
        ("tool", b"#!/bin/sh\n", "shell"),
        ("a.png", b"\x89PNG\0", "binary"),
        ("LICENSE", b"MIT", "text"),
    ],
)
def test_languages_are_told_by_their_parsers(name, content, language):
    assert language == strategies.language_that_parses(name, content)


def test_a_file_that_no_compiler_takes_gives_no_truth():
    assert strategies.definitions_in_symbol_table("x.py", b"def (") is None
    assert strategies.imports_in_code("x.py", b"\xff\xfe") is None
