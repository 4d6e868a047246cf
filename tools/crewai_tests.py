"""Run the tests of CrewAI's adapter, in `.venv-crewai` beside the environment of all others.

CrewAI wants version 1 of mcp and an older pydantic, so it cannot be installed where the server is.
The first call makes the environment, of 1.2 GB; arguments go to pytest.
"""

import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv-crewai"
PYTHON = FOLDER / "bin" / "python"
PINS = ROOT / "tools" / "crewai_requirements.txt"
TESTS = [
    "tests/adapters/test_crewai.py",
    "tests/adapters/test_crewai_locks.py",
    "tests/adapters/test_together.py",
    "tests/docs/test_examples.py::test_an_example_runs[crewai_memory.py]",
    "tests/docs/test_snippets.py::test_a_python_block_runs[frameworks.md-7]",
]


def install() -> None:
    """Make the environment, unless it is there and nothing that it depends on has changed."""
    stamp = FOLDER / "installed"
    wanted = (ROOT / "pyproject.toml").read_text() + PINS.read_text()
    if stamp.exists() and stamp.read_text() == wanted:
        return
    venv.create(FOLDER, with_pip=True)
    # All that is needed is in PINS, so nothing has to be resolved; that alone takes minutes.
    install = [str(PYTHON), "-m", "pip", "install", "--quiet", "--no-deps"]
    subprocess.run([*install, "--requirement", str(PINS), "--editable", str(ROOT)], check=True)
    stamp.write_text(wanted)


def main(arguments: list[str]) -> NoReturn:
    install()
    os.chdir(ROOT)
    # In this process's place, so that whoever ends this one ends the tests.
    os.execv(PYTHON, [str(PYTHON), "-m", "pytest", *(arguments or TESTS)])


if __name__ == "__main__":
    main(sys.argv[1:])
