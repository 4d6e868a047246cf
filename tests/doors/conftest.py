"""Ways to run the command line: in this process for breadth, as a command for the contract."""

import io
import json
import os
import pty
import select
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest

from swarm_memory.doors.cli import main

COMMAND = str(Path(sys.executable).with_name("swarm-memory"))
WAIT_S = 20

Ran = namedtuple("Ran", "status out err")


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A directory with a store of its own, in which the test runs."""
    folder = tmp_path / "project"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("SWARM_MEMORY_URL", f"sqlite:///{folder}/memory.db")
    return folder


@pytest.fixture
def call(project, capsys, monkeypatch):
    """Run a command line in this process."""

    def call(*arguments, stdin=b""):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        return Ran(exit_.value.code or 0, *capsys.readouterr())

    return call


@pytest.fixture
def call_json(call):
    """Run a command line with --json and return what it printed."""

    def call_json(*arguments, **options):
        ran = call(*arguments, "--json", **options)
        assert (0, "") == (ran.status, ran.err)
        return json.loads(ran.out)

    return call_json


@pytest.fixture
def command(project):
    """Run the installed command in a process of its own."""

    def command(*arguments, stdin=b"", **options):
        ran = subprocess.run(
            [COMMAND, *map(str, arguments)],
            input=stdin,
            capture_output=True,
            timeout=WAIT_S,
            **options,
        )
        return Ran(ran.returncode, ran.stdout.decode(), ran.stderr.decode())

    command.path = COMMAND
    return command


@pytest.fixture
def on_terminal(project):
    """Run the installed command with a terminal as its input and output; return what it shows."""

    def on_terminal(*arguments):
        ours, theirs = pty.openpty()
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120"}
        process = subprocess.Popen(
            [COMMAND, *map(str, arguments)],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
        )
        os.close(theirs)
        shown = b""
        while select.select([ours], [], [], WAIT_S)[0]:
            try:
                part = os.read(ours, 65536)
            except OSError:  # how Linux says that the other side is closed
                break
            if not part:
                break
            shown += part
        os.close(ours)
        return Ran(process.wait(WAIT_S), shown.decode(), "")

    return on_terminal
