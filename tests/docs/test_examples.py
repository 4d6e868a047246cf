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
    "shared_counter.py": "400 of 400",
    "work_queue.py": "2 failed: ValueError: not a picture",
}


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda p: p.name)
def test_an_example_runs(example):
    run = subprocess.run(
        [sys.executable, "-W", "error", str(example)], capture_output=True, text=True, timeout=60
    )

    assert (0, "") == (run.returncode, run.stderr)
    assert SAYS[example.name] in run.stdout
