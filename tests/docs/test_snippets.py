"""What README and docs show is run: Python blocks whole, console blocks command by command.

A line of shown output must occur in the real one; `…` stands for anything. Commands of `./dev` are
not run here: CI runs them as they are.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(python|console)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(kind):
    return [
        pytest.param(text, id=f"{page.name}-{number}")
        for page in PAGES
        for number, (found, text) in enumerate(BLOCK.findall(page.read_text()))
        if found == kind and "./dev" not in text
    ]


@pytest.fixture
def environment(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".swarm-memory").mkdir()
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "HOME": str(tmp_path)}


@pytest.mark.parametrize("program", blocks("python"))
def test_a_python_block_runs(program, environment):
    strict = ["-W", "error"]
    if "crewai" in program:  # which has an environment of its own, and warns of itself
        pytest.importorskip("crewai", reason="CrewAI is not installed")
        strict = []
    run = subprocess.run(
        [sys.executable, *strict, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (0, "") == (run.returncode, run.stderr)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_console_blocks_of_a_page_show_what_happens(page, environment):
    """They run in one directory, one after the other, as a reader would type them."""
    found = BLOCK.findall(page.read_text())
    transcript = "".join(text for kind, text in found if kind == "console" and "./dev" not in text)
    for part in re.split(r"^\$ ", transcript, flags=re.MULTILINE)[1:]:
        command, *shown = part.rstrip("\n").split("\n")
        run = subprocess.run(
            command, shell=True, env=environment, capture_output=True, text=True, timeout=60
        )
        assert run.returncode == 0, f"{command}: {run.stderr}"
        for line in filter(None, shown):
            pattern = ".*".join(map(re.escape, line.split("…")))
            assert re.search(f"^{pattern}$", run.stdout, re.MULTILINE), f"{command}: {run.stdout}"


def test_there_are_blocks_to_run():
    assert len(blocks("python")) >= 2
    assert len(blocks("console")) >= 5
