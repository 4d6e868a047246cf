"""Hooks of claude-flow in a project of their own."""

from __future__ import annotations

import subprocess
from collections import namedtuple

import pytest
from flow_lines import COMMAND

from swarm_memory import Swarm
from swarm_memory.flow import Flow
from swarm_memory.flow.options import parse

WAIT_S = 30
Ran = namedtuple("Ran", "status out err")


@pytest.fixture
def project(tmp_path, monkeypatch):
    folder = tmp_path / "project"
    (folder / ".swarm-memory").mkdir(parents=True)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def swarm(project):
    with Swarm.open(agent="main") as swarm:
        yield swarm


@pytest.fixture
def hook(swarm, project):
    """Call a hook in this process, by its words."""

    def hook(*words, session_id=None):
        name, options = parse([str(word) for word in words])
        return Flow(swarm, session_id=session_id, folder=str(project)).run(name, options)

    return hook


@pytest.fixture
def command(project):
    """Run `swarm-memory flow-hook …` as a command."""

    def command(*words, env=None, before=()):
        ran = subprocess.run(
            [COMMAND, *before, "flow-hook", *words], capture_output=True, timeout=WAIT_S, env=env
        )
        return Ran(ran.returncode, ran.stdout.decode(), ran.stderr.decode())

    return command
