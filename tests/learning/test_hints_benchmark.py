"""The replay of hints: what it holds against them, and what nobody could do better."""

import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import learning_hints

    yield learning_hints
    for name in ("learning_hints", "hint_sessions"):
        sys.modules.pop(name, None)


def test_sessions_say_what_mends_a_failure_and_the_hooks_never_see_it(bench):
    ((root, sessions),) = bench.generated(range(1), sessions=3)
    told = [event for events in sessions for event in events if "known_fix" in event]
    said = []

    class Overheard(bench.Replay):
        def say(self, event):
            said.append(event)
            return super().say(event)

    replay, counts = Overheard(root), bench.Counter()
    try:
        for events in sessions:
            bench.replayed(replay, events, counts)
    finally:
        replay.close()

    assert 0 < len(told) == sum(n for what, n in counts.items() if what.startswith("known fix"))
    assert sum(map(len, sessions)) == len(said)
    assert [] == [event for event in said if "known_fix" in event]


def test_who_knows_a_fix_is_judged_like_a_hint(bench):
    fails = {"hook_event_name": "PostToolUseFailure", "tool_name": "Bash"}
    fails |= {"tool_input": {"command": "pytest"}, "error": "Exit code 1\nTokenError: none"}
    passes = {"hook_event_name": "PostToolUse", "tool_name": "Bash"}
    passes |= {"tool_input": {"command": "pytest"}, "tool_response": {"stdout": "1 passed in 1s"}}
    edit = {"hook_event_name": "PostToolUse", "tool_name": "Edit"}
    edit |= {"tool_input": {"file_path": "/p/conf.py"}, "tool_response": {}}

    assert "right" == bench.judged(("changed", ["conf.py"]), "pytest", [edit, passes], "/p")
    assert "wrong" == bench.judged(("changed", ["else.py"]), "pytest", [edit, passes], "/p")
    assert "unknown" == bench.judged(("changed", ["conf.py"]), "pytest", [edit, fails], "/p")
