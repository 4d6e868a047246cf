"""Who has not installed a framework is told what to install."""

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
    importlib.import_module(f"swarm_memory.adapters.{sys.argv[1]}")
except ImportError as error:
    print(error)
"""


@pytest.mark.parametrize(
    "adapter, framework, extra",
    [
        ("langgraph", "langgraph", "langgraph"),
        ("langgraph_items", "langgraph", "langgraph"),
        ("langgraph_checkpoint", "langchain_core", "langgraph"),
    ],
)
def test_without_its_framework_an_adapter_names_its_extra(adapter, framework, extra):
    run = subprocess.run(
        [sys.executable, "-c", WITHOUT, adapter, framework], capture_output=True, text=True
    )

    assert (0, "") == (run.returncode, run.stderr)
    assert f"; pip install 'swarm-memory[{extra}]'\n" in run.stdout
    assert f"No module named '{framework}" in run.stdout


def test_the_room_itself_imports_no_framework():
    seen = "import sys, swarm_memory.adapters; print([m for m in sys.modules if 'lang' in m])"
    run = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True)

    assert "[]\n" == run.stdout
