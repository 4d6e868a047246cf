"""A move that is killed at any step leaves the swarm one home, and is taken up by the same call."""

import pytest

from swarm_memory import Swarm
from swarm_memory.engine import open_engine
from swarm_memory.integrity import verify_store
from swarm_memory.moving import move_swarm
from swarm_memory.testing.filled import fill

BEFORE = ("move-begun", "move-copied", "move-applied")
AFTER = ("move-fenced", "move-routed")
WAYS = [("file", "file", step) for step in (*BEFORE, *AFTER)]
WAYS += [("postgresql", "postgresql", step) for step in ("move-applied", "move-fenced")]


@pytest.mark.parametrize(("source", "target", "step"), WAYS)
@pytest.mark.parametrize("works", [True, False], ids=["agents work on", "nobody comes by"])
def test_a_killed_move_leaves_one_home_and_is_taken_up(
    source, target, step, works, store_url, routes, worker
):
    source, target = store_url(source, "one"), store_url(target, "two")
    url = routes(source)
    with Swarm.open(source, agent="a", swarm="s") as swarm:
        fill(swarm)
    agent = Swarm.open(url, agent="a", swarm="s")
    killed = worker("move", url, "s", target, f"{step}:kill")
    assert [] == killed.end()
    assert (-9, "") == (killed.status, killed.errors)

    decided = step in AFTER
    if works:  # who comes by finishes what was decided
        assert 1 == agent.records.put("notes/after", 1).version
    homes = [state is None for state in (_home(source), _home(target))]
    assert [not decided, decided and works] == homes
    moved = move_swarm(url, "s", target)

    assert decided == moved.resumed
    assert ("gone", None) == (_home(source), _home(target))
    assert 1 + works == agent.records.put("notes/after", 2).version
    assert [2, 1][: 1 + works] == [r.value for r in agent.records.history("notes/after")]
    assert 15 == len(agent.records.history("notes/often")) + 5
    assert [] == verify_store(agent).findings
    assert move_swarm(url, "s", target).resumed
    agent.close()


def _home(url):
    """Return what a store says of the swarm; None if it lives there."""
    store = open_engine(url)
    row = store.one("moved_get", swarm="s")
    store.close()
    return None if row is None else row[0]
