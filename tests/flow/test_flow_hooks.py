"""Each hook really does what its name says."""

import json

import pytest

from swarm_memory import InvalidArgumentError, Swarm
from swarm_memory.flow import HOOKS, NOT_DONE, Flow

# Every hook of both lines with the options that its callers give, and what claude-flow exits with.
LINES = [
    "pre-task --description Build --auto-spawn-agents false --task-id t-1",
    "post-task --task-id t-1 --analyze-performance true --generate-insights true",
    "pre-edit --file src/a.py --operation edit --auto-assign-agents true --load-context true",
    "post-edit --file src/a.py --memory-key swarm/a/step --format true --update-memory true",
    "pre-command --command ls --validate-safety true --prepare-resources true",
    "pre-bash --command ls --cwd .",
    "post-command --command ls --track-metrics true --store-results true",
    "post-bash --command ls --exit-code 0 --output x --duration 4",
    "post-search --query words --result-count 3 --type general",
    "mcp-initialized --server claude-flow --session-id s-1",
    "agent-spawned --name coder-1 --type coder --swarm-id default",
    "task-orchestrated --task-id t-2 --strategy parallel --priority high",
    "session-start --session-id s-1",
    "session-restore --session-id latest --load-memory true",
    "session-end --generate-summary true --persist-state true --export-metrics true",
    "notify --message done --level success --swarm-status active",
    "notification -m done -l info --broadcast --memory-store",
    "route -t words -K 3",
    "metrics --period 24h",
    "teammate-idle -t mate-1 --team-name team",
    "task-completed -i t-3 -s true",
    "no-such-hook --x y",
]


def test_every_line_of_both_versions_is_answered(hook):
    answers = [(line.split()[0], hook(*line.split())) for line in LINES]

    assert [] == [(name, answer.lines) for name, answer in answers if answer.status != 0]


def operations(swarm):
    return [r.value for r in swarm.records.scan("memory/operations/", telemetry=True)]


# --- tasks ---


def test_pre_task_begins_the_task_and_recommends_a_strategy(hook, swarm):
    answer = hook("pre-task", "--description", "Build it", "--task-id", "t-1")

    assert answer.data["recommendation"]["strategy"] in ("balanced", "parallel", "sequential")
    assert "started" == answer.data["task"]["status"]
    assert "t-1" == swarm.records.get("swarm-default/agent-main/state").value["task_id"]


def test_a_task_without_an_id_gets_one_of_its_own(hook):
    ids = {hook("pre-task", "--description", "x").data["task"]["task_id"] for _ in range(3)}

    assert 3 == len(ids)


@pytest.mark.parametrize(
    ("said", "status", "won"), [("true", "completed", 1), ("false", "failed", 0)]
)
def test_a_failure_is_a_failure(hook, swarm, said, status, won):
    chosen = hook("pre-task", "--task-id", "t-1").data["recommendation"]

    answer = hook("post-task", "--task-id", "t-1", "--success", said)

    assert (status, True) == (answer.data["task"]["status"], answer.data["learned"])
    (outcome,) = swarm.outcomes.recent()
    assert (bool(won), chosen["strategy"]) == (outcome.success, outcome.strategy)
    assert chosen["choice_id"] == outcome.choice_id
    assert {"tasks": 1, "succeeded": won} == {
        name: answer.data["performance"][name] for name in ("tasks", "succeeded")
    }


def test_a_success_that_nobody_stated_is_unknown(hook, swarm):
    hook("pre-task", "--task-id", "t-1")

    answer = hook("post-task", "--task-id", "t-1", "--analyze-performance", "true")

    assert ("ended", False) == (answer.data["task"]["status"], answer.data["learned"])
    assert "say --success true or false" in answer.lines[-1]
    (outcome,) = swarm.outcomes.recent()
    assert ("unknown", None, "unknown") == (outcome.status, outcome.reward, outcome.label_source)


def test_a_task_ends_once(hook, swarm):
    hook("pre-task", "--task-id", "t-1")
    hook("post-task", "--task-id", "t-1", "--success", "false")

    again = hook("post-task", "--task-id", "t-1", "--success", "true")

    assert "failed" == again.data["task"]["status"]
    assert [False] == [outcome.success for outcome in swarm.outcomes.recent()]


def test_a_task_can_be_begun_anew_after_its_end_and_counts_again(hook, swarm):
    for said in ("false", "true"):
        hook("pre-task", "--task-id", "t-1")
        hook("post-task", "--task-id", "t-1", "--success", said, "--duration", "1500")

    assert 2 == swarm.outcomes.count()
    assert [1.5, 1.5] == [outcome.duration_s for outcome in swarm.outcomes.recent()]


def test_a_duration_that_nobody_knows_is_not_made_up(hook, swarm):
    answer = hook("post-task", "--task-id", "never-began", "--success", "true")

    assert (None, False) == (answer.data["task"]["duration_s"], answer.data["learned"])
    assert "say --duration" in answer.lines[-1]
    assert 0 == swarm.outcomes.count()


def test_another_strategy_than_recommended_does_not_count_for_the_choice(hook, swarm):
    chosen = hook("pre-task", "--task-id", "t-1").data["recommendation"]
    other = next(c["strategy"] for c in chosen["candidates"] if c["strategy"] != chosen["strategy"])
    hook("task-orchestrated", "--task-id", "t-1", "--strategy", other)
    hook("post-task", "--task-id", "t-1", "--success", "true")

    (outcome,) = swarm.outcomes.recent()
    assert (other, None) == (outcome.strategy, outcome.propensity)


def test_post_task_without_a_name_means_the_task_that_was_begun_last(hook, swarm):
    hook("pre-task", "--task-id", "t-1")

    answer = hook("post-task", "--success", "false")

    assert ("t-1", "failed") == (answer.data["task"]["task_id"], answer.data["task"]["status"])
    assert {} == hook("post-task", "--success", "true").data
    assert 1 == swarm.outcomes.count()


def test_a_success_that_is_neither_true_nor_false_writes_nothing(hook, swarm):
    hook("pre-task", "--task-id", "t-1")

    with pytest.raises(InvalidArgumentError):
        hook("post-task", "--task-id", "t-1", "--success", "perhaps")

    assert 0 == swarm.outcomes.count()


# --- edits and commands ---


def test_post_edit_records_the_operation_and_keeps_it_under_its_key(hook, swarm, project):
    answer = hook("post-edit", "--file", f"{project}/src/a.py", "--memory-key", "swarm/a/step")

    kept = swarm.records.get("swarm/a/step").value
    assert ("src/a.py", "edit", "ok") == (kept["path"], kept["operation"], kept["exit"])
    assert ["src/a.py"] == [value["path"] for value in operations(swarm)]
    assert "swarm/a/step" == answer.data["key"]


@pytest.mark.parametrize("key", ["with space/x", "/slash", "a//b", "ü", "../x"])
def test_a_key_that_is_none_is_made_one(hook, swarm, key):
    answer = hook("post-edit", "--file", "a.py", "--memory-key", key)

    assert swarm.records.get(answer.data["key"]) is not None


def test_a_bare_memory_key_names_the_file(hook):
    assert "edits/a.py" == hook("post-edit", "--file", "src/a.py", "--memory-key").data["key"]


def test_a_file_on_the_deny_list_leaves_no_name(hook, swarm):
    hook("post-edit", "--file", "conf/.env", "--memory-key", "swarm/a/env")

    everything = json.dumps([r.value for r in swarm.records.each(telemetry=True)])
    assert ".env" not in everything


def test_a_command_that_failed_is_recorded_as_failed(hook, swarm):
    hook("post-command", "--command", "pytest -q", "--exit-code", "1")
    hook("post-command", "--command", "ls", "-s", "false")
    hook("post-command", "--command", "ls", "--exit-code", "0")

    assert ["failed", "failed", "ok"] == [value["exit"] for value in operations(swarm)]


def test_arguments_and_outputs_of_commands_are_not_kept(hook, swarm):
    hook("post-command", "--command", "curl -H token:hunter2xyz", "--output", "the output")

    everything = json.dumps([r.value for r in swarm.records.each(telemetry=True)])
    assert "hunter2xyz" not in everything
    assert "the output" not in everything


def test_pre_edit_names_who_else_is_at_the_file(hook, swarm):
    hook("session-start", "--session-id", "s-1", session_id="s-1")
    hook("post-edit", "--file", "a.py", session_id="s-1")

    assert 1 == len(hook("pre-edit", "--file", "a.py", session_id="s-2").data["others"])
    assert [] == hook("pre-edit", "--file", "a.py", session_id="s-1").data["others"]


# --- what is said, sessions ---


def test_a_notification_is_kept_as_a_decision_and_sent_where_it_is_asked(hook, swarm):
    hook("notify", "--message", "use apsw", "--level", "warn", "--channel", "news")

    (record,) = swarm.records.scan("swarm-default/agent-main/decisions/")
    assert ("use apsw", "warning") == (
        record.value["decision_data"],
        record.value["context"]["level"],
    )
    (message,) = swarm.messages.claim(topic="news")
    assert "use apsw" == message.body["text"]


def test_a_secret_in_a_notification_is_not_kept(hook, swarm):
    hook("notify", "--message", "password=hunter2-Xyz!9 is set")

    (record,) = swarm.records.scan("swarm-default/agent-main/decisions/")
    assert "hunter2" not in json.dumps(record.value)


def test_no_session_is_invented(hook, swarm):
    assert 1 == hook("session-restore", "--session-id", "latest").status
    assert 1 == hook("session-restore", "--session-id", "no-such").status
    assert 1 == hook("session-end").status
    assert [] == swarm.sessions.list()


def test_a_session_ends_with_what_was_done_in_it(hook, swarm):
    hook("session-start", "--session-id", "s-1")
    hook("post-edit", "--file", "a.py", session_id="s-1")
    hook("post-command", "--command", "make", "-e", "2", session_id="s-1")

    answer = hook("session-end", session_id="s-1")

    assert {"operations": 2, "edits": 1, "commands": 1, "failed": 1} == {
        name: answer.data["summary"][name] for name in ("operations", "edits", "commands", "failed")
    }
    assert "ended" == swarm.sessions.get("s-1").state
    assert answer.data["summary"] == swarm.records.get(answer.data["key"]).value


def test_the_latest_session_is_restored(hook, swarm):
    hook("session-start", "--session-id", "s-1")
    hook("session-end", session_id="s-1")

    answer = hook("session-restore", "--session-id", "latest")

    assert "s-1" == answer.data["session"]["session_id"]
    assert "active" == swarm.sessions.get("s-1").state


@pytest.mark.parametrize("name", sorted(NOT_DONE))
def test_what_is_not_done_is_refused_in_words(hook, name):
    answer = hook(name, "--model", "m", "--accuracy", "0.99")

    assert (1, 1) == (answer.status, len(answer.lines))
    assert name not in HOOKS


def test_what_is_not_recorded_is_said(project, monkeypatch):
    monkeypatch.setenv("SWARM_MEMORY_RECORD", "off")
    with Swarm.open() as swarm:
        flow = Flow(swarm, session_id=None, folder=str(project))

        answer = flow.run("post-edit", {"file": "a.py"})

        assert "record is off" in answer.lines[0]
        assert [] == operations(swarm)
