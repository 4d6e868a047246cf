"""What every engine must do about what is learned from operations, from edits and from labels.

These are of services that a store has beside it and a server does not serve: the suite over HTTP
leaves them out.
"""

from __future__ import annotations

import io
import json
import os
import tempfile

from swarm_memory import forecast, labelling
from swarm_memory.exchange import export_store, import_stores
from swarm_memory.forgetting import forget
from swarm_memory.identity import agent_name
from swarm_memory.practice import PRACTICE
from swarm_memory.remembering import Remembering

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm
    from swarm_memory.testing import Check, Store

REPO = "/repo"
ERROR = "KeyError: 'token'"
OTHER = "ZeroDivisionError: division by zero"


def checks() -> list[Check]:
    """Return all checks of this module, in order."""
    return [check for name, check in globals().items() if name.startswith("check_")]


class Worker:
    """An agent of a session that edits files and runs commands, as hooks would record it."""

    def __init__(self, store: Store, session_id: str, agent_id: str | None = None) -> None:
        swarm = store.open()
        self._store = store
        self._calls = 0
        self._agent_id = agent_id
        self.session_id = session_id
        self.session = swarm.sessions.begin(session_id).short
        kind = None if agent_id is None else "coder"
        if agent_id is not None:
            swarm.sessions.agent_started(session_id, agent_id, "coder")
        name = agent_name(self.session, agent_type=kind, agent_id=agent_id)
        self.swarm: Swarm = swarm.as_agent(name, session=session_id)

    def edit(self, path: str) -> str:
        """Change a file and return the id of the step."""
        fields = {"file_path": f"{REPO}/{path}", "old_string": "a", "new_string": "b"}
        return self._keep("Edit", fields, {"success": True}, None)

    def passes(self, command: str = "pytest -q") -> str:
        """Run a command that passes."""
        return self._keep("Bash", {"command": command}, {"stdout": "", "stderr": ""}, None)

    def fails(self, error: str, command: str = "pytest -q") -> str:
        """Run a command that fails."""
        return self._keep("Bash", {"command": command}, None, f"Exit code 1\n{error}")

    def starts(self, agent_id: str) -> Worker:
        """Start a subagent and return it."""
        answer = {"status": "async_launched", "agentId": agent_id, "resolvedModel": "model-x"}
        self._keep("Agent", {"subagent_type": "coder", "prompt": "Fix it"}, answer, None)
        return Worker(self._store, self.session_id, agent_id)

    def _keep(self, tool: str, fields: Json, output: Json, error: str | None) -> str:
        self._store.clock.advance(1)
        self._calls += 1
        remembering = Remembering(self.swarm)
        done = remembering.policy(REPO, REPO).decide(
            tool, fields, output, error=error, duration_ms=900
        )
        assert done is not None
        call_id = f"{self._agent_id or 'main'}-{self._calls}"
        about: dict[str, Json] = {"worktree": REPO}
        event = "PostToolUse" if error is None else "PostToolUseFailure"
        where = {"session": self.session, "call_id": call_id, "event": event}
        assert remembering.operation(done, **where, about=about)
        return f"{self.session}/{call_id}"


def _mended(store: Store, session_id: str, error: str, path: str) -> None:
    worker = Worker(store, session_id)
    worker.edit(f"src/{session_id}.py")
    worker.fails(error)
    worker.edit(path)
    worker.passes()
    worker.swarm.practice.turn_ended(session_id, worker.session)


def _past(store: Store) -> None:
    """Let three sessions mend one failure in one way, and three another one in others."""
    for number in range(3):
        _mended(store, f"fixed{number}", ERROR, "tests/conftest.py")
        _mended(store, f"other{number}", f"{OTHER} {'x' * number}", f"src/module{number}.py")


# --- practice and hints ---


def check_what_a_session_did_comes_back_in_its_order(store: Store) -> None:
    worker, other = Worker(store, "one"), Worker(store, "other")
    done = [worker.edit("src/a.py"), worker.fails(ERROR), other.edit("src/b.py"), worker.passes()]

    steps = store.open().practice.steps()

    assert done == [step.step_id for step in steps]
    mine = store.open().practice.steps(worker.session)
    assert [done[0], done[1], done[3]] == [step.step_id for step in mine]
    assert done[2:] == [step.step_id for step in store.open().practice.steps(limit=2)]


def check_what_is_learned_twice_counts_once(store: Store) -> None:
    _past(store)
    practice = store.open().practice
    before = {r.key: r.value for r in store.open().records.each(f"{PRACTICE}/")}
    assert {"trials", "runs", "sets"} == {key.rpartition("/")[2] for key in before}

    assert 0 == practice.learn("fixed0")

    assert before == {r.key: r.value for r in store.open().records.each(f"{PRACTICE}/")}


def check_a_failure_that_recurs_is_shown_what_mended_it_once(store: Store) -> None:
    _past(store)
    worker = Worker(store, "now")
    call_id = worker.fails(ERROR).partition("/")[2]
    asked = {"tool": "Bash", "session": worker.session, "call_id": call_id}
    briefing = worker.swarm.briefing
    agent = worker.swarm.context.agent

    said = briefing.failure("now", agent, agent_id=None, **asked)

    assert "tests/conftest.py" in said
    assert "" == briefing.failure("now", agent, agent_id=None, **asked)
    # What it was shown has not come true yet, so there is no other hint for it.
    step_id = worker.fails(ERROR)
    assert worker.swarm.practice.hint("now", worker.session, step_id) is None


def check_commands_files_and_tests_that_go_together_are_known(store: Store) -> None:
    for number in range(4):
        worker = Worker(store, f"s{number}")
        worker.edit("src/login.py")
        worker.edit("tests/test_login.py")
        worker.passes("pytest -q")
        worker.swarm.practice.turn_ended(f"s{number}", worker.session)

    practice = store.open().practice

    assert ["pytest"] == [working.form.partition(" ")[0] for working in practice.working()]
    assert ["tests/test_login.py"] == practice.tests_of("src/login.py")


# --- labels ---


def _subagent(store: Store) -> Worker:
    """Let a subagent do something and end, and its session find that it was wrong."""
    main = Worker(store, "main")
    sub = main.starts("a1")
    sub.edit("src/login.py")
    store.clock.advance(1)
    main.swarm.sessions.agent_stopped("main", "a1")
    label = main.swarm.practice.agent_ended("main", main.session, "a1")
    assert "unknown" == label.status
    main.fails("AssertionError")
    return main


def check_a_subagent_is_labelled_by_a_check_after_its_work(store: Store) -> None:
    main = _subagent(store)

    labelling.turn_ended(main.swarm, "main", main.session)
    labelling.turn_ended(main.swarm, "main", main.session)

    (outcome,) = main.swarm.outcomes.recent()
    assert ("failure", "check", "coder/model-x") == (
        outcome.status,
        outcome.label_source,
        outcome.strategy,
    )
    assert 1 == main.swarm.practice.coverage()
    assert main.swarm.outcomes.rebuild()


def check_sessions_that_ended_are_labelled_once_and_all_of_them(store: Store) -> None:
    _subagent(store)
    swarm = store.open()
    several = labelling.CAUGHT_UP_MAX + 3
    for number in range(several):
        swarm.sessions.begin(f"x{number}")
    for number in range(several):
        store.clock.advance(number % 2)  # two of them in one moment
        swarm.sessions.end(f"x{number}")
    swarm.sessions.end("main")

    looked_at = []
    while count := labelling.catch_up(swarm):
        looked_at.append(count)

    assert several + 1 == sum(looked_at)
    assert len(looked_at) > 1
    assert ["failure"] == [outcome.status for outcome in swarm.outcomes.recent()]


def check_revisions_of_labels_are_exported_in_their_order(store: Store) -> None:
    outcomes = store.open().outcomes
    first = outcomes.record("parse", ["a"], None, 1.0, strategy="x", outcome_id="b")
    outcomes.relabel(first.outcome_id, False, label_source="check")
    outcomes.record("parse", ["a"], True, 1.0, strategy="y", outcome_id="a")
    outcomes.relabel(first.outcome_id, True)
    written = io.BytesIO()
    export_store(store.open(), written)
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    log = [line for line in lines if line.get("table") in ("outcomes", "relabels")]

    assert ["outcomes", "relabels", "outcomes", "relabels"] == [line["table"] for line in log]
    assert ("success", "unknown") == (log[0]["status"], log[0]["first"]["status"])
    assert log[2]["first"] is None
    assert ["unknown", "failure"] == [line["was_status"] for line in log if "was_status" in line]
    handle, path = tempfile.mkstemp(suffix=".jsonl")
    with os.fdopen(handle, "wb") as file:
        file.write(written.getvalue())
    report = import_stores(store.open(), [path])
    os.unlink(path)
    assert (0, len(log)) == (report.imported, report.unchanged)


def check_what_was_learned_from_a_session_is_forgotten_with_it(store: Store) -> None:
    _past(store)
    swarm = store.open()

    forget(swarm, "session", "fixed0")

    left = [row[0] for record in swarm.records.each(f"{PRACTICE}/") for row in record.value]
    assert left
    assert not any(step_id.startswith("fixed0/") for step_id in left)
    assert any(step_id.startswith("fixed1/") for step_id in left)


# --- the forecast ---


def check_a_file_that_others_changed_is_a_risk(store: Store) -> None:
    for session_id, paths in (("s1", ["src/a.py", "src/b.py"]), ("s2", ["src/a.py"])):
        swarm = store.open()
        who = {"session_id": session_id, "agent": f"main@{session_id}"}
        swarm.edits.edited(paths, worktree=REPO, **who)
        store.clock.advance(1)
    door = store.open()

    risks = door.forecast.risk(["src/c.py", "src/b.py", "src/a.py"], session_id="s9")

    chances = [risk.probability for risk in risks]
    assert sorted(chances) == chances
    assert {"main@s1", "main@s2"} == {agent for agent, _ in risks[2].others}
    plan = door.forecast.assign({"x": ["src/a.py"], "y": ["src/*.py"], "z": ["doc"]}, ["a", "b"])
    assert {"x", "y"} in [set(names) for names in plan.tasks.values()]


def check_a_key_that_others_wrote_is_a_risk(store: Store) -> None:
    for number in range(3):
        store.open(agent="b").records.put("notes/1", number)
        store.clock.advance(60)

    written, other = store.open(agent="a").forecast.keys(["notes/1", "notes/2"])

    assert written.probability > other.probability
    assert ("b",) == tuple(agent for agent, _ in written.others)


def check_a_forecast_is_learned_when_enough_is_new(store: Store) -> None:
    swarm = store.open()
    for number in range(forecast.STALE_TOUCHES):
        who = {"session_id": f"s{number % 3}", "agent": f"main@s{number % 3}"}
        swarm.edits.edited([f"src/{number}.py"], worktree=REPO, **who)
        assert not swarm.forecast.keep_up() or number + 1 == forecast.STALE_TOUCHES
        store.clock.advance(1)

    assert not swarm.forecast.keep_up()
    assert swarm.forecast.keep_up(600)
    assert 0 == swarm.forecast.prune()
    assert not swarm.forecast.keep_up(600)
