"""What becomes a memory, and how often."""

import pytest

from swarm_memory import Swarm
from swarm_memory.remembering import (
    NOTE,
    NOTES_MAX,
    REPORT,
    SUMMARY,
    TASK,
    Remembering,
    notes_of,
    trimmed,
    words,
)
from swarm_memory.testing import ManualClock

SAID = "The tests of the parser failed because the grammar had two rules of one name."


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def swarm(tmp_path, clock):
    with Swarm.open(f"sqlite:///{tmp_path}/memory.db", agent="a", clock=clock) as swarm:
        yield swarm


@pytest.fixture
def remembering(swarm):
    return Remembering(swarm)


def texts(swarm):
    return [record.value for record in swarm.records.each("memory/")]


def test_what_is_said_again_is_kept_once_by_who_said_it_first(swarm, remembering):
    key = remembering.memory(REPORT, SAID, {"event": "Stop"})
    again = Remembering(swarm.as_agent("b")).memory(REPORT, f"  {SAID}\n", {"event": "Stop"})

    assert key == again
    record = swarm.records.get(key)
    assert (SAID, "a", 1) == (record.value, record.author, record.version)
    assert {"kind": "report", "event": "Stop"} == record.provenance


def test_what_is_said_again_late_lives_on(swarm, remembering, clock):
    key = remembering.memory(REPORT, SAID, {"event": "Stop"})
    first = swarm.records.get(key)
    clock.advance(0.6 * (first.expires_ms - first.updated_ms) / 1000)

    remembering.memory(REPORT, SAID, {"event": "Stop"})

    assert swarm.records.get(key).expires_ms > first.expires_ms


def test_what_says_nothing_is_not_kept(swarm, remembering):
    for kind, text in (
        (REPORT, "Done."),
        (REPORT, "All tests pass now."),
        (TASK, "Fix"),
        (NOTE, ""),
    ):
        assert remembering.memory(kind, text, {}) is None

    assert [] == texts(swarm)


def test_text_without_spaces_has_words(remembering):
    assert words("修复了登录页面的重定向问题，现在所有测试都通过了。请合并这个分支。") >= 10
    assert 3 == words("three short words")


def test_secrets_are_redacted_before_a_text_is_cut(swarm, remembering):
    secret = "ghp_9fK2mQ7vXc4LrT8bWz1YnE5sJd0HuA3gPi6O"
    # The limit lies within the secret, and no space is near at which the text would be cut.
    text = "word " * 180 + "/abc" * 272 + "/" + secret

    remembering.memory(REPORT, text, {})

    [kept] = texts(swarm)
    assert "ghp_" not in kept


def test_a_long_text_is_cut_between_words():
    assert "one two…" == trimmed("one two three", 10)
    assert "one two" == trimmed("one two", 10)
    assert "x" * 9 + "…" == trimmed("x" * 50, 10)


def test_a_summary_may_be_longer_than_a_report(swarm, remembering):
    remembering.memory(SUMMARY, "word " * 5000, {})
    remembering.memory(REPORT, "word " * 5000, {})

    assert [2000, 4000] == [len(text) // 100 * 100 + 100 for text in texts(swarm)]


@pytest.mark.parametrize(
    ("prompt", "notes"),
    [
        ("remember: a b", ["a b"]),
        ("Do it.\n\n  REMEMBER: a\nb\n\nc", ["a\nb"]),
        ("- remember: a\n- remember: b", ["a", "b"]),
        ("> remember: quoted", ["quoted"]),
        ("Do you remember: no?", []),
        ("Fix it. Remember: a b", ["a b"]),
        ("node.remember: a b", []),
        ("remember:", []),
        ("remember:\nthe next line", ["the next line"]),
        ("remember this", []),
        ("", []),
    ],
)
def test_a_prompt_asks_to_remember_what_stands_in_the_paragraph(prompt, notes):
    assert notes == notes_of(prompt)


def test_one_prompt_gives_a_bounded_number_of_notes():
    assert NOTES_MAX == len(notes_of("remember: x\n" * 100))


def test_with_recording_off_only_what_was_asked_for_is_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("SWARM_MEMORY_RECORD", "off")
    with Swarm.open(f"sqlite:///{tmp_path}/memory.db") as swarm:
        remembering = Remembering(swarm)
        assert remembering.memory(REPORT, SAID, {}) is None
        assert not remembering.happening({}, session="s", event="Notification", event_id="1")
        assert remembering.memory(NOTE, "the port is 8080", {}) is not None

        assert ["the port is 8080"] == texts(swarm)
        assert [] == list(swarm.records.each("memory/operations", telemetry=True))


def operation(remembering, tool="Bash", **ended):
    return remembering.policy("/p", "/p").decide(tool, {"command": "make"}, **ended)


def keep(remembering, done, event, call_id="t1", session="s"):
    return remembering.operation(done, session=session, call_id=call_id, event=event, about={})


def test_a_call_is_kept_once(swarm, remembering):
    done = operation(remembering)

    assert keep(remembering, done, "PostToolUse")
    assert not keep(remembering, done, "PostToolUse")
    assert keep(remembering, done, "PostToolUse", session="s2")
    assert 2 == len(list(swarm.records.each("memory/operations")))


def test_a_batch_never_replaces_and_is_replaced(swarm, remembering):
    failed = operation(remembering, error="Exit code 2")

    assert keep(remembering, operation(remembering), "PostToolBatch")
    assert keep(remembering, failed, "PostToolUseFailure")
    assert not keep(remembering, operation(remembering), "PostToolBatch")
    assert "failed" == swarm.records.get("memory/operations/s/t1").value["exit"]


def test_operations_are_telemetry(swarm, remembering):
    keep(remembering, operation(remembering), "PostToolUse")

    assert [] == list(swarm.records.each())
    record = swarm.records.get("memory/operations/s/t1")
    assert record.expires_ms is not None


def test_a_call_may_be_called_anything(swarm, remembering):
    for call_id in ("a/b", "..", "x" * 5000, "é", "a b"):
        assert keep(remembering, operation(remembering), "PostToolUse", call_id=call_id)

    assert 5 == len(list(swarm.records.each("memory/operations")))
