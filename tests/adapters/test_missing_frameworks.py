"""Who has not installed what an adapter or telemetry needs is told what to install."""

import subprocess
import sys

import pytest

WITHOUT = """
import importlib, sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == sys.argv[2]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Missing())
try:
    importlib.import_module(f"swarm_memory.{sys.argv[1]}")
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("module", "framework", "extra"),
    [
        ("adapters.google_adk", "google", "google-adk"),
        ("adapters.crewai", "crewai", "crewai"),
        ("telemetry", "opentelemetry", "otel"),
    ],
)
def test_a_module_names_its_extra(module, framework, extra):
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT, module, framework], capture_output=True, text=True
    )

    assert (0, "") == (run.returncode, run.stderr)
    assert run.stdout.startswith(f"No module named '{framework}")
    assert run.stdout.endswith(f"; pip install 'swarm-memory[{extra}]'\n")


def test_crewais_locks_need_nothing_of_crewai():
    seen = (
        "import sys, swarm_memory.adapters.crewai_locks;"
        "print([m for m in sys.modules if m.partition('.')[0] in ('crewai', 'pydantic')])"
    )
    run = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True)

    assert ("[]\n", "") == (run.stdout, run.stderr)
