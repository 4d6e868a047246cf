"""What the tuner sets reaches the cache at once, and what is measured tells hits from misses."""

import pytest

from swarm_memory import Swarm
from swarm_memory.config import load_config
from swarm_memory.meter import HIT_US, HITS, MISSES

READS = 300


@pytest.fixture
def swarm(tmp_path):
    with Swarm.open(f"sqlite:///{tmp_path}/memory.db", agent="a", swarm="s") as swarm:
        swarm.records.put_many([(f"x/{number}", "v" * 500) for number in range(20)])
        yield swarm


def read_all(swarm, times=3):
    for _ in range(times):
        for number in range(20):
            swarm.records.get(f"x/{number}")


def test_a_smaller_cache_gives_room_back_at_once(swarm):
    read_all(swarm)
    assert 20 == len(swarm._cache._entries)
    swarm._cache.bytes_max = swarm._cache._bytes // 2

    assert 0 < len(swarm._cache._entries) <= 10
    assert swarm._cache._bytes <= swarm._cache.bytes_max


def test_a_cache_of_nothing_keeps_nothing_and_still_counts(swarm):
    read_all(swarm)
    swarm._cache.bytes_max = 0
    hits, misses = swarm._cache.hits, swarm._cache.misses
    read_all(swarm)

    assert (hits, misses + 60, {}, 0) == (
        swarm._cache.hits, swarm._cache.misses, swarm._cache._entries, swarm._cache._bytes,
    )  # fmt: skip


def test_a_sample_says_what_the_hits_took(swarm):
    read_all(swarm, times=READS // 20)
    counts = swarm.monitor.take().sample.counts

    assert READS == counts[HITS] + counts[MISSES]
    assert 0 < counts[HIT_US] < 1_000_000


def test_a_configuration_knows_what_a_person_has_set(tmp_path):
    path = tmp_path / "settings.json"
    path.write_text('{"settings": {"warn_ratio": 0.5}}')
    config = load_config(str(path), {"SWARM_MEMORY_CACHE_BYTES_MAX": "0", "SWARM_MEMORY_URL": "x"})

    assert {"warn_ratio", "cache_bytes_max"} == config.given
    assert frozenset() == load_config().given
