"""Every example runs as it is and says what it should."""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
SAYS = {
    "langgraph_agents.py": "counted {'n': 3} at ['team/count', 'team/notes/migration', ",
    "pydantic_ai_conversation.py": "fork has 2 messages, pump-17 has 4",
    "anthropic_memory.py": "2 fitter The gasket is a DN50.",
    "openai_session.py": "the model was given 4 items",
    "claude_sessions.py": "1 session: 'Where does the pump leak?' with 3 entries",
    "crewai_memory.py": "/crew/kitchen recalls ['High tide is at noon']",
    "google_adk.py": "ada is told: ['I only drink green tea', 'the tea room shuts at six']\n"
    "bob is told: ['the tea room shuts at six']",
    "shared_counter.py": "400 of 400",
    "telemetry.py": "upsert_memory notes/tea (1 record)\nsearch_memory  (1 record)\n",
    "work_queue.py": "2 failed: ValueError: not a picture",
}
NEEDS = {
    "crewai_memory.py": "crewai",
    "google_adk.py": "google.adk",
    "telemetry.py": "opentelemetry.sdk",
}
WARNS = {"crewai_memory.py"}  # of what CrewAI does itself while it is imported


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda p: p.name)
def test_an_example_runs(example, tmp_path):
    if example.name in NEEDS:
        pytest.importorskip(NEEDS[example.name], reason="its framework is not installed")
    strict = [] if example.name in WARNS else ["-W", "error"]
    run = subprocess.run(
        [sys.executable, *strict, str(example)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=tmp_path,
    )

    assert (0, "") == (run.returncode, run.stderr)
    assert SAYS[example.name] in run.stdout
