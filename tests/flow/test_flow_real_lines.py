"""What real users' hooks were called with goes through ours, and what was done is there."""

from collections import Counter

import pytest
from flow_lines import STORES, lines_of

from swarm_memory.integrity import verify_store

pytestmark = pytest.mark.skipif(
    not STORES.is_dir(),
    reason="no real stores here: set REAL_STORES to a directory of them",
)
LINES_MAX = 150  # of each store
RECORDING = ("post-edit", "post-bash")


@pytest.mark.parametrize(
    "name", ["v2-plain", "v2-extra-tables", "v2-malformed", "v27-reasoningbank"]
)
def test_every_line_is_answered_and_what_was_done_is_recorded(hook, swarm, name):
    lines = list(lines_of(STORES / name, LINES_MAX))
    assert lines

    answers = [(words, hook(*words)) for words in lines]

    refused = [words for words, answer in answers if answer.status != 0]
    assert [] == refused
    counts = Counter(words[0] for words in lines)
    recorded = swarm.records.scan("memory/operations/", telemetry=True)
    assert sum(counts[hook_] for hook_ in RECORDING) == len(recorded)
    said = swarm.records.scan("swarm-default/agent-main/decisions/notification/")
    assert counts["notify"] == len(said)
    assert verify_store(swarm).ok
