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
        ("adapters.langgraph", "langgraph", "langgraph"),
        ("adapters.langgraph_items", "langgraph", "langgraph"),
        ("adapters.langgraph_checkpoint", "langchain_core", "langgraph"),
        ("adapters.claude_sdk", "claude_agent_sdk", "claude-sdk"),
        ("adapters.openai_agents", "agents", "openai-agents"),
        ("adapters.anthropic_memory", "anthropic", "anthropic"),
        ("adapters.pydantic_ai", "pydantic_ai", "pydantic-ai"),
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


def test_the_room_itself_imports_no_framework():
    seen = "import sys, swarm_memory.adapters; print([m for m in sys.modules if 'lang' in m])"
    run = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True)

    assert "[]\n" == run.stdout


def test_crewais_locks_need_nothing_of_crewai():
    seen = (
        "import sys, swarm_memory.adapters.crewai_locks;"
        "print([m for m in sys.modules if m.partition('.')[0] in ('crewai', 'pydantic')])"
    )
    run = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True)

    assert ("[]\n", "") == (run.stdout, run.stderr)
