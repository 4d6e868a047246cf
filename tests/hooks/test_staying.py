"""One hook of all sessions stays and does the duties; it ends with its session, others leave."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from hook_replay import COMMAND, WAIT_S

from swarm_memory import Swarm
from swarm_memory.doors.hooks import staying
from swarm_memory.doors.hooks.event import parse
from swarm_memory.doors.hooks.place import place_of
from swarm_memory.duties import is_attended
from swarm_memory.pausing import pause
from swarm_memory.ticker import Ticker
from swarm_memory.wiring.hooks import QUIET_TICK, STAYS_S

S = "3f2a9c1b-5d2e-4a61-9c07-1f0b6f1d2a01"
COMMON = {"session_id": S, "cwd": "$PROJECT"}
START = COMMON | {"hook_event_name": "SessionStart", "source": "startup"}
STOP = COMMON | {"hook_event_name": "Stop", "last_assistant_message": "Done."}
END = COMMON | {"hook_event_name": "SessionEnd", "reason": "other"}


class Sessions:
    """Hooks that stay, each as Claude Code starts it.

    A busy machine may freeze one for seconds, so it is given minutes to be taken for dead.
    """

    def __init__(self, stage):
        self.stage = stage
        path = os.path.dirname(COMMAND) + os.pathsep + os.environ["PATH"]
        stage.environment["PATH"] = path
        stage.process(START)
        self.swarm = Swarm.open(stage.url)
        self.begun = []

    def begin(self, event=START, command=(COMMAND, "hook", "tick"), stdout=subprocess.PIPE):
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=subprocess.PIPE,
            env=self.stage.environment,
            cwd=self.stage.project,
            shell=isinstance(command, str),
        )
        self.begun.append(process)
        process.stdin.write(self.stage.raw(event))
        process.stdin.close()
        return process

    def begin_staying(self, **more):
        process = self.begin(**more)
        until(self.attended)
        return process

    def attended(self):
        return is_attended(self.swarm)

    def samples(self):
        return len(self.swarm.monitor.series())

    def close(self):
        for process in self.begun:
            if process.poll() is None:
                process.kill()
            process.wait(WAIT_S)
            for stream in (process.stdout, process.stderr):
                if stream is not None:
                    stream.close()
        self.swarm.close()


def until(true):
    over_s = time.monotonic() + WAIT_S
    while not true():
        assert time.monotonic() < over_s
        time.sleep(0.02)


def ended(process):
    """Return how a hook ended, having waited for it, and what it said."""
    status = process.wait(WAIT_S)
    said = process.stdout.read() if process.stdout and not process.stdout.closed else b""
    return status, said, process.stderr.read()


def stay_here(sessions, event, wait):
    """Stay in this process."""
    environment = sessions.stage.environment
    parsed = parse(sessions.stage.raw(event), None)
    staying.stay(parsed, place_of(parsed, environment), environment, wait)


NOTHING = (0, b"", b"")


@pytest.fixture
def sessions(stage):
    sessions = Sessions(stage)
    yield sessions
    sessions.close()


@pytest.fixture
def hasty(stage, monkeypatch):
    """Samples are due every second, and who is silent for two is dead."""
    monkeypatch.setenv("SWARM_MEMORY_MONITOR_INTERVAL_S", "1")
    stage.environment["SWARM_MEMORY_MONITOR_INTERVAL_S"] = "1"


def test_samples_are_taken_while_a_session_lasts_and_nothing_else_runs(hasty, sessions):
    process = sessions.begin_staying()

    until(lambda: sessions.samples() >= 2)

    assert None is process.poll()
    sessions.stage.process(END)
    assert NOTHING == ended(process)
    assert not sessions.attended()
    assert [] == sessions.stage.failures()


def test_of_many_sessions_one_hook_stays(sessions):
    first = sessions.begin_staying()
    others = [sessions.begin(START | {"session_id": f"s{n}"}) for n in range(3)]

    assert [NOTHING] * 3 == [ended(process) for process in others]
    assert None is first.poll()


def test_it_leaves_when_a_server_does_the_duties(hasty, sessions):
    process = sessions.begin_staying()
    ticker = Ticker(sessions.swarm)

    assert NOTHING == ended(process)

    ticker.stop()
    assert not sessions.attended()


def test_a_killed_one_is_followed_by_the_next_session(hasty, sessions):
    first = sessions.begin_staying()
    first.kill()
    first.wait(WAIT_S)
    until(lambda: not sessions.attended())

    second = sessions.begin_staying(event=START | {"session_id": S})

    taken = sessions.samples()
    until(lambda: sessions.samples() > taken)
    assert None is second.poll()


def test_after_a_killed_one_the_end_of_a_turn_takes_the_samples(hasty, sessions):
    first = sessions.begin_staying()
    until(sessions.samples)
    first.kill()
    first.wait(WAIT_S)
    taken = sessions.samples()

    def turn_takes_one():
        sessions.stage.process(STOP)
        return sessions.samples() > taken

    until(turn_takes_one)


def test_it_ends_when_nobody_reads_its_output(sessions):
    process = sessions.begin_staying()

    process.stdout.close()

    assert NOTHING == ended(process)


def test_it_ends_when_claude_code_is_killed_behind_the_shell_of_a_shared_file(sessions):
    shell = sessions.begin_staying(command=QUIET_TICK)

    shell.kill()  # its child lives on, and has the other end of this pipe
    shell.wait(WAIT_S)

    assert b"" == shell.stdout.read()  # until that ends, too
    assert not sessions.attended()


def test_it_ends_with_what_started_it_where_its_output_is_a_file(sessions):
    with open(os.devnull, "wb") as nothing:
        shell = sessions.begin_staying(command=QUIET_TICK, stdout=nothing)
    shell.send_signal(signal.SIGKILL)
    shell.wait(WAIT_S)

    assert b"" == shell.stderr.read()
    assert not sessions.attended()


def test_a_paused_store_has_no_hook_that_stays(sessions):
    process = sessions.begin_staying()

    pause(sessions.stage.store)

    assert NOTHING == ended(process)
    assert NOTHING == ended(sessions.begin())


def test_it_leaves_a_store_that_was_replaced(sessions):
    process = sessions.begin_staying()

    os.replace(sessions.stage.store, sessions.stage.store + "-old")
    Path(sessions.stage.store).write_bytes(b"")

    assert NOTHING == ended(process)
    assert [] == sessions.stage.failures()


def test_it_leaves_in_order_before_its_timeout(sessions, monkeypatch):
    now_s = [time.monotonic()]
    monkeypatch.setattr(staying.time, "monotonic", lambda: now_s[0])
    waited = []

    def wait(wait_s):
        assert sessions.attended()
        waited.append(wait_s)
        now_s[0] += STAYS_S / 4
        return True

    stay_here(sessions, START, wait)

    assert 4 == len(waited)
    assert not sessions.attended()


@pytest.mark.parametrize("source", ["clear", "resume"])
def test_who_follows_in_the_same_window_waits_for_the_one_before(sessions, source, monkeypatch):
    monkeypatch.setattr(staying, "HANDOVER_S", WAIT_S)
    first = sessions.begin_staying()
    had = []

    def wait(_):
        if first.poll() is None:
            sessions.stage.process(END)
            assert NOTHING == ended(first)
            return True
        had.append(sessions.attended())
        return False

    stay_here(sessions, START | {"session_id": "next", "source": source}, wait)

    assert [True] == had


def test_what_it_cannot_read_is_logged_and_ends_it(sessions):
    process = sessions.begin(COMMON | {"session_id": None})

    assert NOTHING == ended(process)
    [line] = sessions.stage.failures()
    assert "tick: InvalidArgumentError: no session_id" in line


def test_what_hooks_did_is_in_the_samples_of_a_swarm_that_has_only_hooks(sessions):
    edit = COMMON | {
        "hook_event_name": "PostToolUse",
        "tool_name": "Edit",
        "tool_input": {"file_path": "$PROJECT/src/a.py"},
        "tool_response": {"success": True},
    }
    sessions.swarm.monitor.take()
    for number in range(3):
        sessions.stage.process(edit | {"tool_use_id": f"t{number}"})

    sessions.begin_staying()
    until(lambda: sessions.swarm.monitor.newest().calls("hook.PostToolUse.short"))

    newest = sessions.swarm.monitor.newest()
    assert 3 == newest.calls("hook.PostToolUse.short")
    assert newest.percentile("hook.PostToolUse.short", 0.5) > 0
