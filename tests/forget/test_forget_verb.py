"""The verb: it asks, says what it does, and its exit status tells whether something is left."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from swarm_memory import Swarm

COMMAND = str(Path(sys.executable).with_name("swarm-memory"))
SECRET = "the launch code is 4711"


@pytest.fixture
def call(tmp_path, monkeypatch):
    monkeypatch.setenv("SWARM_MEMORY_URL", f"sqlite:///{tmp_path}/memory.db")
    with Swarm.open(agent="worker-77") as swarm:
        swarm.records.put("plans/1", SECRET)

    def call(*words, stdin=""):
        return subprocess.run(
            [COMMAND, "forget", *words], input=stdin, capture_output=True, text=True, timeout=60
        )

    return call


def keys():
    with Swarm.open() as swarm:
        return [record.key for record in swarm.records.each()]


def test_without_yes_it_only_shows(call):
    ran = call("--text", SECRET)

    assert (0, "removed\trecords\t1\n") == (ran.returncode, ran.stdout)
    assert "nothing was removed yet: --yes does it" in ran.stderr
    assert ["plans/1"] == keys()


def test_with_yes_it_is_gone_and_the_text_is_not_repeated(call):
    ran = call("--text", "-", "--yes", "--json", stdin=SECRET + "\n")

    assert 0 == ran.returncode
    done = json.loads(ran.stdout)
    assert ({"records": 1}, False, []) == (done["removed"], done["dry_run"], done["left"])
    assert SECRET not in ran.stdout + ran.stderr
    assert [] == keys()


def test_an_agent_is_named_by_the_option_and_never_by_the_environment(call, monkeypatch):
    monkeypatch.setenv("SWARM_MEMORY_AGENT", "worker-77")
    assert 2 == call("--yes").returncode
    assert ["plans/1"] == keys()

    assert 0 == call("--agent", "worker-77", "--yes").returncode
    assert [] == keys()


@pytest.mark.parametrize("words", [(), ("--text", "abcd", "--session", "s"), ("--text", "abc")])
def test_what_is_not_clear_is_refused(call, words):
    assert 2 == call(*words, "--yes").returncode
