"""What the demo's agents do with a file: the strategies differ, the checks are right, all ends."""

import signal
import time
from collections import Counter

import pytest

from swarm_memory.demo import strategies, survey, text, worker

PYTHON = b'''"""A text.

def in_text(): ...
import fooled
"""
import os, sys
from . import near
from ..far import away

def one():
    import json  # TODO: why here
    return [x for x in json.loads("# no comment")]

class Two:
    async def three(self):
        return lambda: 4
'''
SCRIPT = b"""// class Fooled {}
const a = "/* class Also */", b = `
class Nor {}`
export class One { method() { return function named() {} } } /* TODO
over lines */
function two() {} // end
"""


def test_definitions_differ_by_strategy_and_the_check_is_right():
    assert 3 == strategies.definitions_in_symbol_table("x.py", PYTHON)
    assert 3 == strategies.definitions_by_tree("x.py", PYTHON)
    assert 3 == strategies.definitions_by_tokens("x.py", PYTHON)
    assert 4 == strategies.definitions_by_pattern("x.py", PYTHON)
    assert 3 == strategies.definitions_at_margin("x.py", PYTHON)  # one wrong, one missed


def test_imports_differ_by_strategy_and_the_check_is_right():
    truth = strategies.imports_in_code("x.py", PYTHON)

    assert sorted(["os", "sys", ".", "..far", "json"]) == truth
    assert truth == strategies.imports_by_tree("x.py", PYTHON)
    assert sorted([*truth, "fooled"]) == strategies.imports_by_pattern("x.py", PYTHON)
    assert ["fooled", "os"] == strategies.imports_at_margin("x.py", PYTHON)


def test_comments_differ_by_strategy_and_the_check_is_right():
    truth = {"comments": 1, "notes": 1}

    assert truth == text.comments_in_tokens("x.py", PYTHON)
    assert truth == text.comments_outside_strings("x.py", PYTHON)
    assert {"comments": 2, "notes": 1} == text.comments_by_mark("x.py", PYTHON)
    assert {"comments": 0, "notes": 0} == text.comments_by_margin("x.py", PYTHON)


def test_comments_and_declarations_of_other_languages_are_told():
    truth = {"comments": 4, "notes": 1}

    assert truth == text.comments_in_tokens("x.js", SCRIPT)
    assert truth == text.comments_outside_strings("x.js", SCRIPT)
    assert {"comments": 5, "notes": 1} == text.comments_by_mark("x.js", SCRIPT)
    assert 3 == text.declarations_in_tokens("x.js", SCRIPT)
    assert 3 == text.declarations_outside_strings("x.js", SCRIPT)
    assert 6 == text.declarations_by_pattern("x.js", SCRIPT)
    assert 2 == text.declarations_at_margin("x.js", SCRIPT)


@pytest.mark.parametrize(
    ("name", "content", "language"),
    [
        ("a.py", b"x = 1", "python"),
        ("a.py", b"x = = 1", "text"),
        ("a.json", b"{", "text"),
        ("tool", b"#!/usr/bin/env python3\n", "python"),
        ("tool", b"#!/bin/sh\n", "shell"),
        ("a.png", b"\x89PNG\0", "binary"),
        ("a.sql", b"SELECT 1", "sql"),
        ("a.sql", b"nothing of the kind", "text"),
        ("LICENSE", b"MIT", "text"),
    ],
)
def test_languages_are_told_by_parsers_and_evidence(name, content, language):
    assert language == strategies.language_that_parses(name, content)


def test_a_file_that_no_compiler_takes_gives_no_truth():
    nested = b"x = " + b"-" * 100_000 + b"1\n"

    assert strategies.definitions_in_symbol_table("x.py", b"def (") is None
    assert strategies.imports_in_code("x.py", b"\xff\xfe") is None
    assert strategies.imports_in_code("x.py", nested) is None
    assert "text" == strategies.language_that_parses("x.py", nested)


@pytest.mark.parametrize(
    "unit", ["\n", " ", '"', "'", "`", '\\"', "/*", '"""', "<!--", " import a"]
)
@pytest.mark.parametrize("kind", strategies.TASKS)
def test_no_pattern_takes_quadratic_time(kind, unit):
    """At 100 kB what is quadratic takes minutes; Python's own tokenizer is, and is cut off."""
    content = (unit * 100_000)[:100_000].encode()
    found, _ = strategies.TASKS[kind]
    name = "x.js" if kind == "declarations" else "x.py"
    own = [f for strategy, f in found.items() if strategy not in {"tokens", "tree"}]

    for strategy in own:
        _, seconds = worker._attempt(strategy, name, content)
        assert seconds < worker.STUDY_S


def test_a_strategy_that_takes_too_long_has_failed(monkeypatch):
    monkeypatch.setattr(worker, "STUDY_S", 0.01)
    before = signal.getsignal(signal.SIGALRM)

    def endless(name, content):
        while True:
            pass

    found, _ = worker._attempt(endless, "x", b"")

    assert {"failed": "TooSlow"} == found
    assert before == signal.getsignal(signal.SIGALRM)
    assert (0.0, 0.0) == signal.getitimer(signal.ITIMER_REAL)


# --- the survey keeps within bounds ---


def test_the_survey_follows_no_links_and_takes_only_files(tmp_path):
    (tmp_path / "a.py").write_text("x = 1\n")
    (tmp_path / "loop").symlink_to(tmp_path)
    (tmp_path / "link.py").symlink_to(tmp_path / "a.py")

    found = survey.survey(str(tmp_path))

    assert (["a.py"], 1, {}, True) == (found.files, found.seen, found.skipped, found.complete)
    kinds = Counter(task.kind for task in survey.tasks_of(found.files))
    assert Counter(["language", "comments", "definitions", "imports"]) == kinds


def test_of_a_large_tree_a_sample_is_studied_and_that_is_said(tmp_path, monkeypatch):
    for number in range(40):
        (tmp_path / f"{number:02}.md").write_text("x" * 10)
    monkeypatch.setattr(survey, "FILES_MAX", 20)
    monkeypatch.setattr(survey, "BYTES_MAX", 100)

    found = survey.survey(str(tmp_path))

    assert 10 == len(found.files)
    assert {survey.BEYOND: 30} == found.skipped


def test_the_walk_ends_at_its_limit(tmp_path, monkeypatch):
    for number in range(5):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "a.md").write_text("x")
    monkeypatch.setattr(survey, "FILES_SEEN_MAX", 3)
    few = survey.survey(str(tmp_path))
    monkeypatch.setattr(survey, "FILES_SEEN_MAX", 100)
    monkeypatch.setattr(survey, "FOLDERS_SEEN_MAX", 3)
    shallow = survey.survey(str(tmp_path))

    assert (3, False) == (few.seen, few.complete)
    assert (2, False) == (shallow.seen, shallow.complete)


def test_a_lease_is_renewed_only_when_it_is_due(monkeypatch):
    class Counted:
        renewed = 0

        def renew(self):
            self.renewed += 1

    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    lease = Counted()
    keeper = worker._Keeper(lease)

    keeper.keep()
    assert 0 == lease.renewed
    now[0] = 2 * worker.RENEW_S
    keeper.keep()
    keeper.keep()
    assert 1 == lease.renewed
