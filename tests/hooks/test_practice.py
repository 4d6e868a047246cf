"""What hooks learn from what agents do, and show: with real events, through the door."""

import json
import subprocess
import sys
import time

import pytest
from hook_replay import Stage

from swarm_memory import Swarm, labelling
from swarm_memory.forgetting import forget
from swarm_memory.wording import tokens

COMMANDS = 60  # tokens


class Agent:
    """One session of an agent in a stage: it edits, runs commands and stops."""

    def __init__(self, stage, session, cwd="$PROJECT", **sub):
        self.stage = stage
        self.session = session
        self.cwd = cwd
        self.sub = sub
        self.calls = 0

    def event(self, name, **fields):
        common = {"hook_event_name": name, "session_id": self.session, "cwd": self.cwd}
        said = self.stage.here(common | self.sub | fields)
        text = json.loads(said)["hookSpecificOutput"]["additionalContext"] if said else ""
        assert [] == self.stage.failures()
        return text

    def used(self, name, tool, tool_input, **fields):
        self.calls += 1
        call_id = f"c{self.calls}-{self.session}-{self.sub.get('agent_id', '')}"
        where = {"tool_name": tool, "tool_use_id": call_id, "tool_input": tool_input}
        return self.event(name, **where, **fields)

    def edit(self, path, tool="Edit"):
        path = f"{self.cwd}/{path}"
        content = {"file_path": path, "old_string": "a", "new_string": f"b{self.calls}"}
        return self.used("PostToolUse", tool, content, tool_response={"success": True})

    def passes(self, command, stdout="", ms=1000):
        answer = {"stdout": stdout, "stderr": "", "interrupted": False}
        return self.used(
            "PostToolUse", "Bash", {"command": command}, tool_response=answer, duration_ms=ms
        )

    def fails(self, command, error):
        return self.used(
            "PostToolUseFailure",
            "Bash",
            {"command": command},
            error=f"Exit code 1\n{error}",
            is_interrupt=False,
            duration_ms=900,
        )

    def stops(self):
        return self.event("Stop")


TOKEN = "KeyError: 'token'"
OTHER = "ZeroDivisionError: division by zero"


def mended(stage, session, error, path, command="pytest -q"):
    """A session in which a failure is mended by an edit of a file, among others."""
    agent = Agent(stage, session)
    agent.edit(f"src/{session}.py")
    said = agent.fails(command, error)
    agent.edit(f"docs/{session}.md")
    agent.edit(path)
    agent.passes(command, ms=40_000)
    agent.stops()
    return said


def past(stage, error=TOKEN, times=3):
    """Sessions in which one failure has one fix, and others have others."""
    for n in range(times):
        mended(stage, f"fixed{n}", error, "tests/conftest.py")
        mended(stage, f"other{n}", f"{OTHER} {'x' * n}", f"src/module{n}.py")


@pytest.fixture(scope="module")
def taught(tmp_path_factory):
    """A project with a past, for sessions that only fail."""
    stage = Stage(tmp_path_factory.mktemp("taught") / "stage")
    past(stage)
    return stage


@pytest.fixture
def swarm(stage):
    Agent(stage, "first").event("SessionStart", source="startup")
    with Swarm.open(stage.url) as swarm:
        yield swarm


# --- hints --------------------------------------------------------------------------------------


def test_a_failure_that_recurs_shows_what_made_it_go_away(taught):
    said = Agent(taught, "a_failure_that_r").fails("pytest -q", TOKEN)

    assert (
        "Last 3 times `pytest` failed like this here, editing `tests/conftest.py` fixed it" in said
    )
    assert tokens(said) <= COMMANDS


def test_two_times_are_not_enough(stage, swarm):
    past(stage, times=2)

    assert "" == Agent(stage, "now").fails("pytest -q", TOKEN)


def test_another_failure_shows_nothing(taught):
    assert "" == Agent(taught, "another_failure").fails(
        "pytest -q", "ValueError: too many values to unpack"
    )


def test_a_file_that_is_changed_every_time_is_no_fix(stage, swarm):
    for n in range(4):
        mended(stage, f"a{n}", TOKEN, "CHANGELOG.md")
        mended(stage, f"b{n}", OTHER, "CHANGELOG.md")

    assert "" == Agent(stage, "now").fails("pytest -q", TOKEN)


def test_what_was_tried_in_vain_is_not_shown(taught):
    agent = Agent(taught, "what_was_tried")
    agent.event("SessionStart", source="clear")
    agent.fails("pytest -q", TOKEN)
    agent.event("PostCompact", trigger="auto", compact_summary="")
    agent.edit("tests/conftest.py")

    assert "" == agent.fails("pytest -q", TOKEN)


def test_a_hint_is_shown_once_in_a_context(taught):
    agent = Agent(taught, "a_hint_is_shown_")

    assert agent.fails("pytest -q", TOKEN)
    assert "" == agent.fails("pytest -q", TOKEN)


def test_where_nothing_is_shown_there_are_no_hints(taught, monkeypatch):
    monkeypatch.setitem(taught.environment, "SWARM_MEMORY_INJECT", "off")

    assert "" == Agent(taught, "where_nothing_is").fails("pytest -q", TOKEN)


def test_a_failure_that_a_pipe_hides_is_one(taught):
    summary = f"E   {TOKEN}\n=========== 1 failed, 3 passed in 0.31s ==========="

    said = Agent(taught, "a_failure_that_a").passes("pytest -q 2>&1 | tail -5", summary)

    assert "`tests/conftest.py`" in said


def test_a_hidden_exit_status_is_no_success(stage, swarm):
    for n in range(3):
        agent = Agent(stage, f"s{n}")
        agent.fails("pytest -q", TOKEN)
        agent.edit("tests/conftest.py")
        agent.passes("pytest -q | head -3", "collecting ...")
        agent.stops()

    assert "" == Agent(stage, "now").fails("pytest -q", TOKEN)


def test_a_command_that_is_not_there_shows_what_worked_instead(stage, swarm):
    past(stage)
    for n in range(3):
        agent = Agent(stage, f"absent{n}")
        agent.fails("pytest", "bash: pytest: command not found")
        agent.passes("uv run pytest", "3 passed in 0.20s")
        agent.stops()

    said = Agent(stage, "now").fails("pytest", "bash: pytest: command not found")

    assert '"uv run pytest" worked instead' in said


def test_a_failure_that_comes_and_goes_says_so(stage, swarm):
    past(stage, TOKEN)
    for n in range(4):
        agent = Agent(stage, f"flaky{n}")
        agent.fails("npm test", "Error: connect ECONNREFUSED <n>")
        agent.passes("npm test")
        agent.stops()

    said = Agent(stage, "now").fails("npm test", "Error: connect ECONNREFUSED <n>")

    assert "passed when run again unchanged" in said


def test_a_failing_hook_reads_nothing_where_nothing_was_learned(stage, swarm):
    agent = Agent(stage, "now")
    agent.fails("pytest", TOKEN)

    assert None is swarm.records.get("memory/practice/trials")


# --- commands that work here ----------------------------------------------------------------------


def test_a_subagent_is_told_which_commands_work_here(stage, swarm):
    for n in range(10):
        agent = Agent(stage, f"s{n}")
        agent.passes("./dev test", ms=40_000) if n else agent.fails("./dev test", TOKEN)
        agent.passes("ruff check", ms=1200)
        agent.stops()

    said = Agent(stage, "now").event("SubagentStart", agent_id="a1", agent_type="Plan")

    [line] = [line for line in said.splitlines() if "worked here" in line]
    assert 'test "./dev test" (40 s, 9/10 passed)' in line
    assert 'lint "ruff check" (1 s, 10/10 passed)' in line
    assert tokens(line) <= COMMANDS


def test_a_command_that_never_passed_is_not_told(stage, swarm):
    for n in range(5):
        agent = Agent(stage, f"s{n}")
        agent.fails("make test", "make: *** No rule to make target")
        agent.stops()

    assert "" == Agent(stage, "now").event("SubagentStart", agent_id="a1", agent_type="Plan")


def test_what_is_learned_twice_counts_once(stage, swarm):
    agent = Agent(stage, "s")
    agent.passes("./dev test")
    for _ in range(3):
        agent.stops()

    assert 1 == len(swarm.records.get("memory/practice/runs").value)
    assert 1 == swarm.records.get("memory/practice/runs").version


def test_files_that_change_together_and_tests_of_a_file_are_known(stage, swarm):
    for n in range(5):
        agent = Agent(stage, f"s{n}")
        agent.edit("src/login.py")
        agent.edit("tests/test_login.py")
        agent.passes("pytest")
        agent.edit(f"src/other{n}.py")
        agent.edit(f"src/more{n}.py")
        agent.passes("pytest")
        agent.stops()

    assert ["tests/test_login.py"] == [t.path for t in swarm.practice.together("src/login.py")]
    assert ["tests/test_login.py"] == swarm.practice.tests_of("src/login.py")


# --- agents and labels ----------------------------------------------------------------------------


def started(stage, agent_id, model="model-x"):
    main = Agent(stage, "s")
    main.calls = 100
    fields = {"subagent_type": "coder", "description": "Fix the login", "prompt": "secret words"}
    answer = {
        "status": "async_launched",
        "agentId": agent_id,
        "resolvedModel": model,
        "description": "Fix the login",
        "prompt": "secret words",
    }
    main.used("PostToolUse", "Agent", fields, tool_response=answer)
    sub = Agent(stage, "s", agent_id=agent_id, agent_type="coder")
    sub.event("SubagentStart")
    return main, sub


def test_a_background_agent_is_linked_to_its_end(stage, swarm):
    _, sub = started(stage, "a1")
    sub.edit("src/login.py")
    sub.passes("pytest")
    sub.event("SubagentStop")

    [runs] = swarm.practice.agents()
    assert ("coder", "model-x", "fix", 1, 1, 1) == runs[:6]
    assert runs.seconds is not None


def test_to_have_stopped_is_no_success(stage, swarm):
    _, sub = started(stage, "a1")
    sub.edit("src/login.py")
    sub.event("SubagentStop")

    assert "unknown" == swarm.practice.label("s", "a1").status
    assert 0 == swarm.practice.agents()[0].labelled


def test_a_check_after_the_work_labels_it_later(stage, swarm):
    main, sub = started(stage, "a1")
    sub.edit("src/login.py")
    sub.event("SubagentStop")
    time.sleep(0.002)

    main.fails("pytest -q", "AssertionError")

    label = swarm.practice.label("s", "a1")
    assert ("failure", 0.0, "check") == label[:3]
    assert 0 == swarm.practice.coverage()
    main.stops()
    assert (1, 0) == (swarm.practice.agents()[0].labelled, swarm.practice.agents()[0].succeeded)
    assert 1 == swarm.practice.coverage()


def test_what_is_learned_belongs_to_no_session(stage, swarm):
    past(stage, times=1)

    logs = list(swarm.records.each("memory/practice/"))
    assert [("practice", None)] * 3 == [(log.author, log.session) for log in logs]
    assert swarm.verify().ok


def test_what_was_learned_from_a_session_is_forgotten_with_it(stage, swarm):
    main, sub = started(stage, "a1")
    sub.edit("src/login.py")
    main.fails("pytest -q", TOKEN)
    main.edit("tests/test_login.py")
    main.edit("src/login.py")
    main.passes("pytest -q")
    sub.event("SubagentStop")
    main.stops()
    mended(stage, "kept", OTHER, "src/module.py")
    logs = {r.key: r.value for r in swarm.records.each("memory/practice/")}
    assert 4 == len(logs)

    done = forget(swarm, "session", "s")

    assert [] == done.left
    left = {r.key: r.value for r in swarm.records.each("memory/practice/")}
    assert {
        key: rows for key, log in logs.items() if (rows := [r for r in log if "s" != r[0][:1]])
    } == left
    assert {"trials", "runs", "sets"} == {key.rpartition("/")[2] for key in left}
    assert swarm.verify().ok


def test_a_user_who_says_that_it_is_wrong_labels_it(stage, swarm):
    agent = Agent(stage, "s")
    agent.edit("src/login.py")
    agent.event("UserPromptSubmit", prompt="No, that is wrong: the form keeps losing the name")

    label = swarm.practice.label("s")
    assert ("failure", "reverted") == (label.status, label.label_source)
    kept = [r.value for r in swarm.records.each("memory/operations") if "says" in r.value]
    assert [{"event": "UserPromptSubmit", "says": "correction"}] == kept


def test_a_task_has_a_label(stage, swarm):
    agent = Agent(stage, "s")
    agent.event("TaskCreated", task_id="1", task_subject="Mend the login")
    agent.edit("src/login.py")
    agent.passes("pytest")
    agent.event("TaskCompleted", task_id="1", task_subject="Mend the login")

    assert "success" == swarm.practice.task_label("s", "1")[0].status


def test_nothing_of_a_prompt_or_an_argument_is_learned(stage, swarm):
    _, sub = started(stage, "a1")
    sub.fails("pytest -q --password hunter2-Pa55", "ValueError: 'secret words'")
    sub.edit("src/login.py")
    sub.passes("pytest -q --password hunter2-Pa55")
    sub.event("SubagentStop")

    text = json.dumps([r.value for r in swarm.records.each("memory/", telemetry=True)])
    assert "secret words" not in text
    assert "hunter2" not in text


# --- outcomes of what agents did ------------------------------------------------------------------


def test_a_subagent_becomes_an_outcome_when_the_turn_is_over(stage, swarm):
    main, sub = started(stage, "a1")
    sub.edit("src/login.py")
    main.stops()
    assert [] == swarm.outcomes.recent()  # it still runs, in the background

    sub.passes("pytest")
    sub.event("SubagentStop")
    main.stops()
    main.stops()

    (outcome,) = swarm.outcomes.recent()
    assert ("success", "check", "coder/model-x", "fix") == (
        outcome.status, outcome.label_source, outcome.strategy, outcome.task_type,
    )  # fmt: skip


def test_an_outcome_that_nobody_labelled_is_labelled_by_a_later_check(stage, swarm):
    main, sub = started(stage, "a1")
    sub.edit("src/login.py")
    sub.event("SubagentStop")
    main.stops()
    (before,) = swarm.outcomes.recent()
    assert ("unknown", None) == (before.status, before.reward)
    time.sleep(0.002)

    main.fails("pytest -q", "AssertionError")
    main.stops()

    (after,) = swarm.outcomes.recent()
    assert ("failure", "check", before.outcome_id) == (
        after.status, after.label_source, after.outcome_id,
    )  # fmt: skip
    assert swarm.outcomes.rebuild()


def interrupted(stage):
    """A session whose agent worked and checked in vain, and whose turn never ended."""
    main, sub = started(stage, "a1")
    sub.edit("src/login.py")
    sub.event("SubagentStop")
    time.sleep(0.002)
    main.fails("pytest -q", "AssertionError")
    return main


def test_an_interrupted_turn_is_labelled_by_another_session_once_its_own_has_ended(stage, swarm):
    interrupted(stage).event("SessionEnd", reason="prompt_input_exit")
    assert [] == swarm.outcomes.recent()

    Agent(stage, "other").stops()

    (outcome,) = swarm.outcomes.recent()
    assert ("failure", "check", "coder/model-x") == (
        outcome.status, outcome.label_source, outcome.strategy,
    )  # fmt: skip
    assert 1 == swarm.practice.coverage()
    assert 1 == len(swarm.records.get("memory/practice/runs").value)
    forget(swarm, "session", "s")
    assert [] == swarm.outcomes.recent()


def test_an_interrupted_turn_is_labelled_by_the_next_one_that_ends(stage, swarm):
    main = interrupted(stage)
    Agent(stage, "other").stops()
    assert [] == swarm.outcomes.recent()  # it may still go on

    main.event("UserPromptSubmit", prompt="Go on")
    main.stops()

    assert ["failure"] == [outcome.status for outcome in swarm.outcomes.recent()]


def test_the_daily_duties_label_interrupted_turns_too(stage, swarm, monkeypatch):
    interrupted(stage).event("SessionEnd", reason="other")
    monkeypatch.setattr(type(swarm.retention), "due", lambda *_: True)

    swarm.tick()

    assert ["failure"] == [outcome.status for outcome in swarm.outcomes.recent()]


def test_sessions_that_ended_are_looked_at_once_and_all_of_them(stage, swarm, monkeypatch):
    monkeypatch.setattr(labelling, "CAUGHT_UP_MAX", 2)
    for number in range(5):
        Agent(stage, f"s{number}").event("SessionStart", source="startup")
        swarm.sessions.end(f"s{number}")

    looked_at = []
    while count := labelling.catch_up(swarm):
        looked_at.append(count)

    assert 5 == sum(looked_at)
    assert 0 == labelling.catch_up(swarm)


def test_the_end_of_a_turn_or_of_a_subagent_has_the_forecast_learned(stage, swarm):
    for end in ("Stop", "SubagentStop"):
        known = swarm._engine.one("forecast_get", swarm="default", window_ms=1_800_000)
        rows = [
            {
                "swarm": "default", "session_id": f"x{n % 3}", "agent_id": "", "agent": "x",
                "path": f"{end}{n}.py", "now_ms": swarm._engine.now_ms + n, "since_ms": 0,
            }
            for n in range(100)
        ]  # fmt: skip
        swarm._engine.write(lambda tx, rows=rows: tx.many("touch_add", rows))

        agent = Agent(stage, "s", **({} if end == "Stop" else {"agent_id": "a1"}))
        agent.used("PreToolUse", "Edit", {"file_path": f"{agent.cwd}/src/a.py"})
        # No hook that an agent waits for learns.
        assert known == swarm._engine.one("forecast_get", swarm="default", window_ms=1_800_000)
        agent.event(end)
        assert known != swarm._engine.one("forecast_get", swarm="default", window_ms=1_800_000)


def test_a_completed_task_is_an_outcome_and_no_success_by_that(stage, swarm):
    agent = Agent(stage, "s")
    for number, tested in (("1", True), ("2", False)):
        agent.event("TaskCreated", task_id=number, task_subject="Mend the login")
        agent.edit(f"src/login{number}.py")
        if tested:
            agent.passes("pytest")
        agent.event("TaskCompleted", task_id=number, task_subject="Mend the login")
        time.sleep(0.002)

    second, first = swarm.outcomes.recent("task")
    assert ("success", "check") == (first.status, first.label_source)
    assert ("unknown", "unknown") == (second.status, second.label_source)


def test_a_hook_that_records_an_outcome_does_not_load_numpy(stage, swarm):
    Agent(stage, "s").event("SessionStart", source="startup")
    program = (
        "import sys\n"
        "from swarm_memory import Swarm\n"
        "from swarm_memory.labelling import completed\n"
        f"with Swarm.open({stage.url!r}) as swarm:\n"
        "    completed(swarm, 's', 's', '1', 'main:coder#a1@s')\n"
        "    assert 1 == swarm.outcomes.count()\n"
        "assert 'numpy' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
