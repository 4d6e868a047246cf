"""A sweep and a packing that meet: the counters say what is there."""

import pytest

from swarm_memory.packing import Packing
from swarm_memory.retention import Retention
from swarm_memory.testing import Store

COUNT = 400


@pytest.fixture
def store(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/m.db")
    yield store
    store.close()


def test_what_is_repacked_between_a_sweeps_look_and_its_write_goes_at_the_next(store, monkeypatch):
    swarm, other = store.open(), store.open()
    for number in range(COUNT):
        value = {
            "task": f"task-{number}",
            "status": "done",
            "note": "as agreed with everybody " * 4,
        }
        swarm.records.put(f"x/{number}", value, ttl_s=60)
    store.clock.advance(61)
    remove, packed = Retention._remove, []

    def pack_first(self, rows):
        packed.append(other.retention.pack().records)
        return remove(self, rows)

    monkeypatch.setattr(Retention, "_remove", pack_first)
    first = swarm.retention.sweep().expired
    second = swarm.retention.sweep().expired

    assert packed[0] > 0
    assert (COUNT - packed[0], packed[0]) == (first, second)
    assert [] == swarm.verify().findings


def test_what_is_touched_between_a_packings_look_and_its_write_stays_whole(store, monkeypatch):
    swarm, other = store.open(), store.open()
    values = {f"x/{number}": {"note": f"task {number} as agreed " * 20} for number in range(COUNT)}
    swarm.records.put_many(values.items(), ttl_s=60)
    tighter, seen = Packing._tighter, []

    def touch_meanwhile(self, row):
        packed = tighter(self, row)
        seen.append(packed is not None)
        assert row[0] != "x/1" or other.records.touch("x/1", 600)
        return packed

    monkeypatch.setattr(Packing, "_tighter", touch_meanwhile)
    packed = swarm.retention.pack().records

    assert sum(seen) == packed + 1
    assert values == {record.key: record.value for record in other.records.each("x")}
    assert [] == swarm.verify().findings
