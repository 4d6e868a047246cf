"""`swarm-memory tuning` says what was adjusted, and takes it back."""

import json
import sys

import pytest

from swarm_memory import Swarm
from swarm_memory.config import load_config
from swarm_memory.doors.cli import main
from swarm_memory.tuned import CACHE, PREFIX, SWARM
from swarm_memory.tuning.measure import MIB

DEFAULT = load_config().cache_bytes_max


@pytest.fixture
def call(tmp_path, monkeypatch, capsys):
    url = f"sqlite:///{tmp_path}/memory.db"
    monkeypatch.setenv("SWARM_MEMORY_URL", url)
    with Swarm.open(url) as swarm:  # a change as the tuner makes it
        tuner = swarm.tuner
        made = tuner._change(CACHE, DEFAULT, 24 * MIB, "better", None, 6)

        def write(tx):
            tx.tx.run("fact_set", swarm=SWARM, name=PREFIX + CACHE, value=24 * MIB)
            tuner._log(tx, made)

        swarm.as_agent("tuning", swarm=SWARM).transact(write)

    def call(*words, status=0):
        monkeypatch.setattr(sys, "argv", ["swarm-memory"])
        with pytest.raises(SystemExit) as exit_:
            main(["tuning", *words, "--json"])
        assert status == (exit_.value.code or 0)
        out = capsys.readouterr().out
        return json.loads(out) if out else None

    return call


def test_list_says_what_is_tuned_and_what_the_default_is(call):
    shown = [
        tuple(knob[name] for name in ("parameter", "value", "default", "source"))
        for knob in call()["parameters"]
    ]
    assert [
        (CACHE, 24 * MIB, DEFAULT, "tuned"),
        ("sweep_interval_s", 3600, 86_400, "tuned"),
    ] == shown


def test_undo_takes_the_change_back_and_is_in_the_history(call):
    (undone,) = call("undo")
    assert (24 * MIB, DEFAULT) == (undone["before"], undone["after"])
    assert ["undone", "better"] == [change["reason"] for change in call("history")]
    assert "default" == call()["parameters"][0]["source"]


def test_off_and_on_are_one_switch(call):
    assert {False} == {call("off")["on"], call()["on"]}
    assert DEFAULT == call()["parameters"][0]["value"]
    assert 24 * MIB == call("on")["parameters"][0]["value"]


def test_an_unknown_action_is_refused(call):
    call("retune", status=2)
