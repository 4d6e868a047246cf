"""The hook that asks a model: chosen, allowed by the contract, and gone again."""

import json
import os
from pathlib import Path

from swarm_memory.wiring import claude, removal
from swarm_memory.wiring.plan import apply, take_out


def asked(place):
    document = json.loads(Path(place.user_settings).read_text())
    stop = [handler for group in document["hooks"]["Stop"] for handler in group["hooks"]]
    return [handler for handler in stop if handler["type"] == "prompt"]


def test_a_model_is_asked_only_where_that_was_chosen(place, ledger):
    os.makedirs(os.path.dirname(place.user_settings), exist_ok=True)
    Path(place.user_settings).write_text('{"theme": "dark"}\n')
    apply(ledger, claude.plan(ledger, place))
    assert [] == asked(place)

    apply(ledger, claude.plan(ledger, place, extract=True))
    [handler] = asked(place)
    assert {"type", "prompt", "timeout"} == set(handler)
    assert 1 == handler["prompt"].count("$ARGUMENTS")
    assert "stop_hook_active" in handler["prompt"]  # else an agent would never end

    apply(ledger, claude.plan(ledger, place))
    assert [] == asked(place)


def test_it_goes_with_the_rest(place, ledger):
    os.makedirs(os.path.dirname(place.user_settings), exist_ok=True)
    Path(place.user_settings).write_text('{"theme": "dark"}\n')
    apply(ledger, claude.plan(ledger, place, extract=True))
    take_out(ledger, removal.plan(ledger, place))

    assert '{"theme": "dark"}\n' == Path(place.user_settings).read_text()
