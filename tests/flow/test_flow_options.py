"""The arguments of both lines of claude-flow mean what their callers mean."""

import pytest

from swarm_memory import InvalidArgumentError
from swarm_memory.flow.options import asked, number, parse, success, text


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("pre-task --description Build --auto-spawn-agents false", {"description": "Build"}),
        ("pre-task --taskId t-1 --agentId a-1", {"task-id": "t-1", "agent-id": "a-1"}),
        ("pre-task -i t-1 -d Build -a", {"task-id": "t-1", "auto-spawn": True}),
        ("post-edit --file a.py --memory-key", {"file": "a.py", "memory-key": True}),
        ("post-edit --memory-key --file=a.py", {"file": "a.py", "memory-key": True}),
        ("post-edit -f a.py -m swarm/a/step", {"file": "a.py", "memory-key": "swarm/a/step"}),
        ("post-command -c ls -e 2 -d 40", {"command": "ls", "exit-code": "2", "duration": "40"}),
        ("post-command --command -la --exit-code 1", {"command": "-la", "exit-code": "1"}),
        ("post-bash --command --verbose", {"command": True, "verbose": True}),
        ("notify -m done -l warn -c builds", {"message": "done", "channel": "builds"}),
        ("session-end -s --export-metrics true", {"save-state": True, "export-metrics": "true"}),
        ("pre-task stray words --unknown x --description Y", {"description": "Y"}),
    ],
)
def test_a_line_is_understood(line, wanted):
    _, options = parse(line.split())

    assert wanted.items() <= options.items()


@pytest.mark.parametrize(
    ("line", "hook"),
    [("pre-bash", "pre-command"), ("post-bash", "post-command"), ("notification", "notify")],
)
def test_a_hook_has_one_name(line, hook):
    assert hook == parse([line])[0]


def test_no_words_are_no_hook():
    assert ("", {}) == parse([])


@pytest.mark.parametrize(
    ("words", "wanted"),
    [([], None), (["--success"], True), (["-s", "false"], False), (["--success", "FAILED"], False)],
)
def test_success_is_what_is_said_and_nothing_else(words, wanted):
    assert wanted is success(parse(["post-task", *words])[1])


def test_a_success_that_is_neither_is_refused():
    with pytest.raises(InvalidArgumentError):
        success({"success": "perhaps"})


def test_values_are_read_leniently():
    assert None is number({"duration": "unknown"}, "duration")
    assert None is number({"duration": "-1"}, "duration")
    assert 12.5 == number({"duration": "12.5"}, "duration")
    assert None is text({"file": True}, "file")
    assert not asked({"format": "false"}, "format")
