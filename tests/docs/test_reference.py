"""The reference names everything that there is."""

import subprocess
import sys
from pathlib import Path

import pytest

from swarm_memory import errors
from swarm_memory.config import Category, load_config

DOCS = Path(__file__).resolve().parents[2] / "docs"
REFERENCE = (DOCS / "reference.md").read_text()


@pytest.mark.parametrize("name", load_config().settings)
def test_every_setting_is_explained(name):
    assert f"`{name}`" in REFERENCE


@pytest.mark.parametrize("category", [c.name for c in load_config().categories])
def test_every_category_is_explained(category):
    assert category in REFERENCE


@pytest.mark.parametrize("field", [f for f in Category._fields if f != "name"])
def test_every_field_of_a_category_is_explained(field):
    assert f"`{field}`" in REFERENCE


@pytest.mark.parametrize("code", [c for c in errors.EXIT_STATUS if c != "error"])
def test_every_error_code_is_explained_with_its_exit_status(code):
    assert any(
        f"`{code}`" in line and line.rstrip().endswith(f"| {errors.EXIT_STATUS[code]} |")
        for line in REFERENCE.splitlines()
    )


def test_every_error_class_has_a_code_of_its_own():
    classes = [c for c in vars(errors).values() if isinstance(c, type) and issubclass(c, Exception)]
    assert sorted(errors.EXIT_STATUS) == sorted(c.code for c in classes)


def test_every_proof_that_the_guarantees_name_exists():
    text = (DOCS / "guarantees.md").read_text()
    named = {part for part in text.split("`") if part.startswith("tests/")}
    assert named
    assert [path for path in named if not (DOCS.parent / path).exists()] == []


def test_the_cli_reference_is_what_the_command_line_says():
    tool = DOCS.parent / "tools" / "reference_cli.py"
    run = subprocess.run([sys.executable, str(tool), "--check"], capture_output=True, text=True)

    assert (0, "") == (run.returncode, run.stderr), "run ./dev docs"
