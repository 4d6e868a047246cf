"""What processes counted that end early is in the next sample, once, whoever dies meanwhile."""

import json
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from swarm_memory import Swarm, spool
from swarm_memory.errors import ConflictError
from swarm_memory.meter import SPOOL, SPOOL_BYTES_MAX, bucket_of


@pytest.fixture
def spooled(tmp_path):
    """The file that is appended to."""
    return Path(f"{tmp_path}/memory.db{SPOOL}")


def passes_by(store, puts=1):
    """Open the store as a command does, put, and go."""
    with Swarm.open(store.url, swarm="s") as swarm:
        for n in range(puts):
            swarm.records.put(f"x/{n}", n)


def rows(swarm):
    return {(verb, bucket): n for verb, bucket, n in swarm._engine.all("meter_list", swarm="s")}


def calls(swarm, verb="put.short"):
    return sum(n for (named, _), n in rows(swarm).items() if named == verb)


def line(*counted, swarm="s"):
    return f"\n{json.dumps([swarm, [list(one) for one in counted]])}\n".encode()


def test_calls_of_short_processes_are_in_the_next_sample(store):
    swarm = store.open()
    for puts in (2, 3):
        passes_by(store, puts)

    assert swarm.tick()

    sample = swarm.monitor.newest()
    assert 5 == sample.calls("put.short")
    assert sample.percentile("put.short", 0.5) > 0
    assert 0 == sample.calls("put")  # of a process that stays a call takes as long as it takes


def test_what_failed_in_a_short_process_is_counted_as_such(store):
    swarm = store.open()
    with Swarm.open(store.url, swarm="s") as other:
        other.records.put("a", 1)
        with pytest.raises(ConflictError):
            other.records.put("a", 2, expect=7)

    swarm.tick()

    assert {"put.short!conflict": 1} == dict(swarm.monitor.newest().errors)


def test_the_spool_is_for_its_owner_only_and_goes_when_it_is_folded(store, spooled):
    swarm = store.open()
    passes_by(store)
    assert 0o600 == stat.S_IMODE(spooled.stat().st_mode)

    swarm.context.meter.fold()

    assert [] == [p for p in spooled.parent.iterdir() if SPOOL in p.name]


def test_a_file_whose_folder_died_before_it_was_deleted_is_counted_once(store, spooled):
    swarm = store.open()
    passes_by(store, 3)
    aside = Path(f"{spooled}-1000")
    spooled.rename(aside)
    content = aside.read_bytes()
    swarm.context.meter.fold()
    assert 3 == calls(swarm)

    aside.write_bytes(content)  # as it is after a crash between the commit and the deletion
    swarm.context.meter.fold()

    assert 3 == calls(swarm)
    assert not aside.exists()


def test_a_file_whose_folder_died_before_the_commit_is_counted(store, spooled):
    swarm = store.open()
    passes_by(store, 3)
    spooled.rename(f"{spooled}-1000")
    passes_by(store, 2)

    swarm.context.meter.fold()

    assert 5 == calls(swarm)


def test_of_many_that_fold_at_once_each_line_is_counted_once(store):
    swarm = store.open()
    for _ in range(8):
        passes_by(store)
    doors = [store.open() for _ in range(4)]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda door: door.context.meter.fold(), doors))

    assert 8 == calls(swarm)


def test_lines_that_are_none_are_left_out_and_their_neighbours_counted(store, spooled):
    swarm = store.open()
    bucket = bucket_of(1000)
    good = line(("put", bucket, 1))
    torn = line(("put", bucket, 1))[:-7]
    odd = [line(("put", -1, 1)), line(("put", bucket, 2**50)), line(("put", bucket, True))]
    odd += [line(("", bucket, 1)), line(("put", bucket, 1), swarm=""), b"\n[1]\n", b"\n{}\n"]
    spooled.write_bytes(good + torn + good + b"\xff\0" * 50 + b"".join(odd) + good)

    swarm.context.meter.fold()

    assert {("put.short", bucket): 3} == rows(swarm)


def test_the_spool_is_bounded(store, spooled):
    store.open()
    spooled.write_bytes(b"x" * SPOOL_BYTES_MAX)

    passes_by(store)

    assert SPOOL_BYTES_MAX == spooled.stat().st_size


def test_lines_of_several_swarms_go_to_theirs(store):
    swarm = store.open()
    with Swarm.open(store.url, swarm="other") as other:
        other.records.put("a", 1)
    passes_by(store)

    swarm.tick()

    assert 1 == swarm.monitor.newest().calls("put.short")
    assert 1 == store.open(swarm="other").monitor.take().sample.calls("put.short")


def test_what_is_in_no_file_has_no_spool():
    with Swarm.open("sqlite:///:memory:") as swarm:
        swarm.records.put("a", 1)
        swarm.context.meter.fold()


def test_a_store_whose_folder_is_gone_is_closed_all_the_same(store, spooled):
    swarm = Swarm.open(store.url, swarm="s")
    swarm.records.put("a", 1)
    folder = spooled.parent
    os.rename(folder, f"{folder}-gone")

    swarm.close()

    assert not spooled.exists()
    os.rename(f"{folder}-gone", folder)


def test_a_verb_is_named_as_one_of_a_short_process():
    assert "put.short" == spool.named("put", 40)
    assert "put.short!conflict" == spool.named("put!conflict", 0)
    assert "cache.hit" == spool.named("cache.hit", 0)
