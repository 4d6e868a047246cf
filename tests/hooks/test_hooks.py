"""What each event does: who acts, what is kept, what is said."""

import json
import os
import time

import pytest
from hook_replay import memory

from swarm_memory import Swarm
from swarm_memory.doors.hooks import respond
from swarm_memory.doors.hooks.event import parse
from swarm_memory.doors.hooks.place import place_of
from swarm_memory.pausing import pause, resume

A = "3f2a9c1b-5d2e-4a61-9c07-1f0b6f1d2a01"
B = "b81d04e7-0c3f-4f0e-8a55-92d1c7e4aa02"
SAID = "The login redirects to where the user came from now, and its three tests pass."


def event(hook_event_name, session=A, cwd="$PROJECT", **fields):
    return {"hook_event_name": hook_event_name, "session_id": session, "cwd": cwd, **fields}


def used(tool, call_id, session=A, cwd="$PROJECT", name="PostToolUse", more=None, **tool_input):
    fields = {"tool_name": tool, "tool_use_id": call_id, "tool_input": tool_input}
    return event(name, session, cwd, **fields, **(more or {}))


def text_of(said):
    return json.loads(said)["hookSpecificOutput"].get("additionalContext", "") if said else ""


@pytest.fixture
def swarm(stage):
    stage.here(event("SessionStart", source="startup"))
    with Swarm.open(stage.url) as swarm:
        yield swarm


def operations(swarm):
    return list(swarm.records.each("memory/operations"))


# --- who acts ------------------------------------------------------------------------------------


def test_a_session_begins_with_its_first_event_and_goes_on_with_the_others(stage):
    stage.here(used("Read", "t1", file_path="$PROJECT/a"))

    with Swarm.open(stage.url) as swarm:
        [session] = swarm.sessions.list()
        began = session.began_ms
        stage.here(event("SessionStart", source="resume"))
        [session] = swarm.sessions.list()
    assert (A, "active", began) == (session.session_id, session.state, session.began_ms)
    assert "resume" == session.about["source"]


def test_the_checkout_and_its_branch_are_known_of_a_session(stage, swarm):
    stage.here(event("SessionStart", B, "$TREE", source="startup"))

    about = swarm.sessions.get(B).about
    assert (stage.names["$TREE"], "topic") == (about["worktree"], about["branch"])


def test_two_sessions_share_no_agent(stage, swarm):
    for session in (A, B):
        stage.here(used("Bash", "t1", session, command="make"))
        sub = {"agent_id": "a1", "agent_type": "Explore"}
        stage.here(used("Bash", "t2", session, more=sub, command="make"))

    authors = {record.author for record in operations(swarm)}
    assert {f"main@{A[:8]}", f"Explore:a1@{A[:8]}"} <= authors
    assert 4 == len(authors)
    assert 1 == len(swarm.sessions.agents(A)) == len(swarm.sessions.agents(B))


def test_a_subagent_that_starts_twice_counts_once_and_ends(stage, swarm):
    start = event("SubagentStart", agent_id="a1", agent_type="Plan")
    stage.here(start)
    stage.here(start)
    [agent] = swarm.sessions.agents(A)
    assert agent.ended_ms is None

    stage.here(event("SubagentStop", agent_id="a1", agent_type="Plan"))
    stage.here(event("SubagentStop", agent_id="a1", agent_type="Plan"))

    [agent] = swarm.sessions.agents(A)
    assert agent.ended_ms is not None


def test_the_stop_of_a_subagent_never_starts_it(stage, swarm):
    stage.here(event("SubagentStop", agent_id="a1", agent_type="Plan"))

    assert [] == swarm.sessions.agents(A)


def test_a_subagent_without_a_type_has_a_name(stage, swarm):
    stage.here(used("Bash", "t1", more={"agent_id": "a1"}, command="make"))

    [record] = operations(swarm)
    assert f"agent:a1@{A[:8]}" == record.author


def test_a_teammate_acts_in_its_own_name(stage, swarm):
    fields = {"task_id": "1", "task_subject": "Write the tests", "teammate_name": "tester"}
    stage.here(event("TaskCompleted", **fields))

    [task] = swarm.records.each("memory/tasks")
    assert ("Write the tests", f"tester@{A[:8]}") == (task.value, task.author)


def test_a_session_ends_with_all_that_it_holds(stage, swarm):
    stage.here(used("Edit", "t1", file_path="$PROJECT/a.py"))
    stage.here(event("SubagentStart", agent_id="a1", agent_type="Plan"))

    stage.here(event("SessionEnd", reason="logout"))

    session = swarm.sessions.get(A)
    assert ("ended", "logout") == (session.state, session.reason)
    assert [] == swarm.edits.list()
    assert session.held.agents == 0


def test_the_end_of_an_unknown_session_begins_none(stage, swarm):
    stage.here(event("SessionEnd", B, reason="other"))

    assert [A] == [session.session_id for session in swarm.sessions.list()]
    assert [] == stage.failures()


def test_an_event_without_a_session_is_logged(stage, swarm):
    assert "" == stage.here({"hook_event_name": "Stop", "cwd": "$PROJECT"})

    [line] = stage.failures()
    assert "Stop: InvalidArgumentError: no session_id" in line


# --- what is kept --------------------------------------------------------------------------------


def test_an_operation_has_its_checkout_branch_and_event(stage, swarm):
    stage.here(used("Edit", "t1", file_path="$TREE/src/a.py"))

    [record] = operations(swarm)
    assert ("src/a.py", "ok") == (record.value["path"], record.value["exit"])
    assert A == record.session
    tree = {"worktree": stage.names["$TREE"], "branch": "topic", "event": "PostToolUse"}
    assert tree == record.provenance


def test_an_edit_is_noted_for_the_checkout_that_the_file_lies_in(stage, swarm):
    stage.here(used("Edit", "t1", file_path="$INNER/a.py"))
    stage.here(used("Write", "t2", file_path="$PROJECT/b.py"))

    places = {(edit.path, edit.worktree) for edit in swarm.edits.list()}
    assert {("a.py", stage.names["$INNER"]), ("b.py", stage.names["$PROJECT"])} == places


@pytest.mark.parametrize("path", ["$PROJECT/.env", "$PROJECT/deploy/id_rsa"])
def test_nobody_is_told_who_changes_a_file_of_which_nothing_is_kept(path, stage, swarm):
    stage.here(used("Write", "t1", file_path=path, content="x"))

    assert [] == swarm.edits.list()
    assert "[denied path]" == operations(swarm)[0].value["path"]


def test_what_failed_is_no_edit(stage, swarm):
    failure = {"error": "String to replace not found in file.", "is_interrupt": False}
    stage.here(
        used("Edit", "t1", name="PostToolUseFailure", more=failure, file_path="$PROJECT/a.py")
    )

    assert [] == swarm.edits.list()
    assert "failed" == operations(swarm)[0].value["exit"]


def test_a_failure_that_says_nothing_is_a_failure(stage, swarm):
    stage.here(used("Bash", "t1", name="PostToolUseFailure", command="make"))

    assert "failed" == operations(swarm)[0].value["exit"]


@pytest.mark.parametrize("ending", ["Stop", "commit"])
def test_files_are_free_when_the_agent_stops_or_commits(ending, stage, swarm):
    stage.here(used("Edit", "t1", file_path="$PROJECT/a.py"))
    assert 1 == len(swarm.edits.list())

    if ending == "Stop":
        stage.here(event("Stop", last_assistant_message=SAID))
    else:
        stage.here(used("Bash", "t2", command="git add -A && git commit -m 'x'"))

    assert [] == swarm.edits.list()


def test_a_commit_that_failed_frees_nothing(stage, swarm):
    stage.here(used("Edit", "t1", file_path="$PROJECT/a.py"))
    failure = {"error": "Exit code 1\nnothing to commit"}
    stage.here(used("Bash", "t2", name="PostToolUseFailure", more=failure, command="git commit"))

    assert 1 == len(swarm.edits.list())


def test_a_report_has_provenance(stage, swarm):
    fields = {"agent_id": "a1", "agent_type": "Plan", "last_assistant_message": SAID}
    stage.here(event("SubagentStop", cwd="$TREE", **fields))

    [report] = swarm.records.each("memory/reports")
    assert (SAID, f"Plan:a1@{A[:8]}", A) == (report.value, report.author, report.session)
    assert {
        "kind": "report",
        "event": "SubagentStop",
        "agent_id": "a1",
        "worktree": stage.names["$TREE"],
        "branch": "topic",
    } == report.provenance


def test_a_call_to_our_own_server_is_announced(stage, swarm):
    sub = {"agent_id": "a1", "agent_type": "Plan"}
    stage.here(used("mcp__swarm-memory__store", "t1", name="PreToolUse", more=sub, value="x"))
    stage.here(used("mcp__other__store", "t2", name="PreToolUse", more=sub, value="x"))

    caller = swarm.callers.of("t1")
    assert (f"Plan:a1@{A[:8]}", A) == tuple(caller)
    assert swarm.callers.of("t2") is None


def test_with_recording_off_nothing_is_kept_of_what_an_agent_does(stage, monkeypatch):
    monkeypatch.setenv("SWARM_MEMORY_RECORD", "off")
    stage.here(used("Edit", "t1", file_path="$PROJECT/a.py"))
    stage.here(event("Stop", last_assistant_message=SAID))
    stage.here(event("UserPromptSubmit", prompt="remember: ports are in ports.md"))

    with Swarm.open(stage.url) as swarm:
        assert ["ports are in ports.md"] == [r.value for r in swarm.records.each(telemetry=True)]
        assert [] == swarm.edits.list()
    assert [] == stage.failures()


# --- what is said --------------------------------------------------------------------------------


def test_an_agent_is_warned_of_a_file_that_another_session_changes(stage, swarm):
    stage.here(used("Edit", "t1", file_path="$PROJECT/a.py"))

    said = stage.here(used("Edit", "t1", B, name="PreToolUse", file_path="$PROJECT/a.py"))

    assert "a.py" in text_of(said)
    assert "" == stage.here(used("Edit", "t2", B, name="PreToolUse", file_path="$PROJECT/b.py"))
    assert "" == stage.here(used("Edit", "t3", name="PreToolUse", file_path="$PROJECT/a.py"))


def ran(stage, session, path, *, ago_s, **more):
    """A command of 50 ms ended just now; `path` was written so long ago."""
    written = time.time() - ago_s
    os.utime(stage.project / path, (written, written))
    more = {"duration_ms": 50} | more
    return stage.here(used("Bash", f"{path}{ago_s}", session, more=more, command="make"))


def test_what_a_command_wrote_that_another_is_changing_is_told_to_both(stage, swarm):
    for name in ("mine", "theirs"):
        (stage.project / name).write_text("x")
        stage.here(used("Edit", name, B if name == "theirs" else A, file_path=f"$PROJECT/{name}"))

    assert "" == ran(stage, A, "mine", ago_s=-1)
    assert "" == ran(stage, A, "theirs", ago_s=60)
    assert "" == ran(stage, A, "theirs", ago_s=-2, duration_ms=None)
    assert "theirs is being changed by main@b81d04e7" in text_of(ran(stage, A, "theirs", ago_s=-3))
    warned = text_of(
        stage.here(used("Edit", "t9", B, name="PreToolUse", file_path="$PROJECT/theirs"))
    )
    assert "theirs is being changed by main@3f2a9c1b" in warned
    assert "with Bash" in warned


def test_a_warning_denies_only_where_that_was_chosen(stage, monkeypatch):
    monkeypatch.setenv("SWARM_MEMORY_WARN_EDITS", "deny")
    stage.here(used("Edit", "t1", file_path="$PROJECT/a.py"))

    said = stage.here(used("Edit", "t1", B, name="PreToolUse", file_path="$PROJECT/a.py"))

    output = json.loads(said)["hookSpecificOutput"]
    assert "deny" == output["permissionDecision"]
    assert "a.py" in output["permissionDecisionReason"]


def test_nothing_is_shown_where_that_was_chosen_and_all_is_kept(stage, swarm):
    stage.here(event("UserPromptSubmit", prompt="remember: ports are in ports.md"))
    stage.environment["SWARM_MEMORY_INJECT"] = "off"

    for each in (
        event("SessionStart", B, source="startup"),
        event("UserPromptSubmit", B, prompt="Which ports are in ports.md?"),
        event("SubagentStart", B, agent_id="a1", agent_type="ports"),
        used("Edit", "t1", B, file_path="$PROJECT/a.py"),
        used("Edit", "t2", name="PreToolUse", file_path="$PROJECT/a.py"),
    ):
        assert "" == stage.here(each)

    assert 1 == len(operations(swarm))
    stage.environment["SWARM_MEMORY_INJECT"] = "on"
    assert "ports.md" in text_of(stage.here(event("SessionStart", B, source="startup")))


def test_while_a_store_is_paused_nothing_is_shown_and_nothing_kept(stage, swarm):
    stage.here(used("Edit", "t1", file_path="$PROJECT/a.py"))
    before = memory(stage)
    pause(stage.store)

    for each in (
        event("SessionStart", B, source="startup"),
        event("UserPromptSubmit", prompt="remember: nothing"),
        used("Edit", "t2", B, name="PreToolUse", file_path="$PROJECT/a.py"),
        used("Edit", "t2", B, file_path="$PROJECT/a.py"),
        event("Stop", last_assistant_message=SAID),
        event("SessionEnd", reason="other"),
    ):
        assert "" == stage.here(each)

    assert before == memory(stage)
    resume(stage.store)
    stage.here(event("Stop", last_assistant_message=SAID))
    assert before != memory(stage)


@pytest.mark.parametrize(
    "name",
    ["Stop", "SubagentStop", "PostToolUse", "PostCompact", "WorktreeCreate", "Notification", "X"],
)
def test_no_context_is_given_to_an_event_that_cannot_have_one(name, stage, swarm):
    """A context at Stop would make the agent go on; whatever WorktreeCreate prints is a path."""
    stage.here(event("UserPromptSubmit", B, prompt="remember: ports are in ports.md"))
    fields = {"agent_id": "a1", "agent_type": "x", "name": "w", "compact_summary": SAID}
    said = event(name, **fields, last_assistant_message=SAID, tool_name="Bash", tool_use_id="t")

    assert "" == stage.here(said)
    assert [] == stage.failures()


def test_after_a_compaction_an_agent_is_told_again(stage, swarm):
    stage.here(event("UserPromptSubmit", B, prompt="remember: ports are in ports.md"))
    start = event("SessionStart", source="resume")
    assert "ports.md" in text_of(stage.here(start))
    assert "ports.md" not in text_of(stage.here(start))

    stage.here(event("PostCompact", trigger="auto", compact_summary="short"))

    assert "ports.md" in text_of(stage.here(start))


# --- where ---------------------------------------------------------------------------------------


def test_the_project_is_that_in_which_the_session_started(stage, another_stage):
    elsewhere = str(another_stage.project)
    stage.here(event("SessionStart", cwd=elsewhere, source="startup"))

    with Swarm.open(stage.url) as swarm:
        assert elsewhere == swarm.sessions.get(A).about["worktree"]


def test_without_a_variable_the_events_folder_tells_the_project(stage):
    del stage.environment["CLAUDE_PROJECT_DIR"]
    stage.here(event("SessionStart", cwd="$TREE", source="startup"))

    with Swarm.open(stage.url) as swarm:
        assert [A] == [session.session_id for session in swarm.sessions.list()]


def test_a_file_of_another_project_is_outside(stage, another_stage, swarm):
    stage.here(used("Edit", "t1", file_path=f"{another_stage.project}/a.py"))

    [record] = operations(swarm)
    assert "[outside]/a.py" == record.value["path"]
    assert str(stage.project) == record.provenance["worktree"]


def test_the_argument_names_an_event_that_does_not_say_what_it_is(stage, swarm):
    fields = event("", prompt="remember: ports are in ports.md")
    del fields["hook_event_name"]
    named = parse(stage.raw(fields), "UserPromptSubmit")

    respond(swarm, named, place_of(named, stage.environment))

    assert 1 == len(list(swarm.records.each("memory/notes")))
    said = parse(stage.raw(event("Stop")), "UserPromptSubmit")
    assert "Stop" == said.name
