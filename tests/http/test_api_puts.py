"""Writes that come at once are written together, and each has its own answer."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from swarm_memory import Swarm, errors
from swarm_memory.doors.http.api import puts
from swarm_memory.testing.served import Server


@pytest.fixture
def batches(monkeypatch):
    """How many writes each transaction of several had."""
    seen = []
    write = puts._write_within

    def counted(batch, tx):
        seen.append(len(batch))
        return write(batch, tx)

    monkeypatch.setattr(puts, "_write_within", counted)
    return seen


def at_once(doors, call):
    with ThreadPoolExecutor(len(doors)) as pool:
        return list(pool.map(call, range(len(doors)), doors))


def test_each_has_its_own_version_author_and_event(opened, batches):
    doors = [opened(f"agent-{n}") for n in range(8)]

    def write(number, door):
        return [door.records.put(f"k/{number}", step) for step in range(20)]

    for number, written in enumerate(at_once(doors, write)):
        assert list(range(1, 21)) == [record.version for record in written]
        assert {f"agent-{number}"} == {record.author for record in written}
    assert 160 == len(doors[0].events.since(0))
    assert batches and max(batches) > 1


def test_of_writers_that_compare_one_wins_and_the_others_are_told(opened, batches):
    doors = [opened(f"agent-{n}") for n in range(8)]
    doors[0].records.put("count", 0)

    def count(_, door):
        lost = 0
        for _ in range(10):
            while True:
                seen = door.records.get("count")
                try:
                    door.records.put("count", seen.value + 1, expect=seen.version)
                    break
                except errors.ConflictError as error:
                    assert seen.version == error.expected < error.actual
                    lost += 1
        return lost

    assert sum(at_once(doors, count)) > 0
    assert (80, 81) == doors[0].records.get("count")[1:3]


def test_one_that_goes_over_a_quota_takes_nobody_with_it(tmp_path, batches):
    config = tmp_path / "settings.json"
    config.write_text('{"settings": {"agent_bytes_max": 4096}}')
    url = f"sqlite:///{tmp_path}/memory.db"
    server = Server(lambda: Swarm.open(url, config_path=str(config)))
    doors = [Swarm.open(server.url, swarm="s", agent=f"a{n}") for n in range(6)]

    def write(number, door):
        done = 0
        for step in range(12):
            try:
                door.records.put(f"swarm-s/agent-a{number}/knowledge/{step}", "v" * 100 * number)
                done += 1
            except errors.LimitExceededError as error:
                assert (4096, True) == (error.limit, error.actual > 4096)
        return done

    done = at_once(doors, write)
    kept = [len(doors[0].records.scan(f"swarm-s/agent-a{n}/knowledge")) for n in range(6)]
    for door in doors:
        door.close()
    server.close()

    assert done == kept
    assert 12 == done[0] > done[5] > 0


def test_whoever_asks_again_with_his_key_is_answered_as_before(opened):
    doors = [opened("one") for _ in range(8)]

    def write(number, door):
        return [door.records.put("k", 1, op_id=f"op-{step}") for step in range(10)]

    answers = at_once(doors, write)

    assert all(answer == answers[0] for answer in answers)
    assert 10 == doors[0].records.get("k").version


def test_a_store_that_is_busy_tells_all_of_them(tmp_path, monkeypatch, opened):
    door = opened()
    door.records.put("k", 1)

    class Busy:
        def __init__(self):
            self.calls = 0

        def transact(self, fn):
            self.calls += 1
            raise errors.AmbiguousCommitError("planted")

    busy = Busy()
    batch = [puts._One(busy, {"key": "k", "value": n}) for n in range(3)]
    puts._write(batch)

    assert 1 == busy.calls
    assert ["ambiguous_commit"] * 3 == [one.error.code for one in batch]
