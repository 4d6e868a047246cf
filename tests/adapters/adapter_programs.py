"""Processes of a test: all have opened their store before the first goes on, none outlives it."""

import subprocess
import sys
from contextlib import contextmanager

WAIT_S = 240


@contextmanager
def started(program, *parties):
    """Start a process for each tuple of arguments; all are ready for `go` inside the block."""
    running = []
    try:
        for arguments in parties:
            command = [sys.executable, "-c", program, *map(str, arguments)]
            running.append(
                subprocess.Popen(
                    command,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    text=True,
                )
            )
        ready(running)
        yield running
    finally:
        for process in running:
            process.kill()
            process.communicate()


def ready(running):
    """Wait until every process says that it is."""
    for process in running:
        line = process.stdout.readline()
        assert "ready\n" == line, line or process.stderr.read()


def go(running):
    """Let all go on at the same moment."""
    for process in running:
        process.stdin.write("go\n")
        process.stdin.flush()


def ended(running):
    """Return what each process said after it was ready; nothing went wrong in any."""
    outcomes = [process.communicate(timeout=WAIT_S) for process in running]
    wrong = "\n".join(stderr for _, stderr in outcomes if stderr)
    assert not wrong, wrong
    return [stdout for stdout, _ in outcomes]
