"""Optimizing: estimates are near what is measured, live records stay, and time bounds it."""

import random

import apsw
import pytest

from swarm_memory import Swarm, codec
from swarm_memory.errors import InvalidArgumentError
from swarm_memory.integrity import verify_store
from swarm_memory.optimizing import DEFAULT_STEPS, Optimizer, optimizer
from swarm_memory.packing import Packing
from swarm_memory.testing import Store

COUNT = 400


@pytest.fixture
def store(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/m.db")
    yield store
    store.close()


def note(number):
    return {"task": f"task-{number * 7919 % 99991}", "note": f"as agent-{number} agreed " * 4}


def by_name(steps):
    return {step.name: step for step in steps}


def everything(swarm):
    return {r.key: r.value for r in swarm.records.each(telemetry=True)}


# --- what may go, and what may not ---


def test_what_nobody_ever_read_stays(store):
    """The original deleted every entry that had not been read yet."""
    swarm = store.open()
    swarm.records.put_many((f"x/{n}", note(n)) for n in range(COUNT))
    swarm.records.put_many(((f"x/short-{n}", note(n)) for n in range(9)), ttl_s=60)
    store.clock.advance(61)
    wanted = {f"x/{n}": note(n) for n in range(COUNT)}

    planned = by_name(swarm.optimizer.plan())["sweep"]
    swept = by_name(swarm.optimizer.apply())["sweep"]

    assert (9, 9) == (planned.evidence["expired"], swept.changed)
    assert planned.expected_bytes == swept.expected_bytes == swept.measured_bytes > 0
    assert wanted == everything(swarm)
    assert verify_store(swarm).ok


def test_a_plan_writes_nothing(store):
    swarm = store.open()
    swarm.records.put_many(((f"x/{n}", note(n)) for n in range(COUNT)), ttl_s=60)
    store.clock.advance(61)
    before = swarm._engine.version()

    assert {"sweep", "compress"} <= by_name(swarm.optimizer.plan()).keys()
    assert before == swarm._engine.version()


def test_versions_that_no_category_keeps_any_more_go(store):
    many = {"categories": {"kept": {"keys": ["x/**"], "versions_max": 8}}}
    few = {"categories": {"kept": {"keys": ["x/**"], "versions_max": 3}}}
    swarm = store.open(settings=many)
    for n in range(8):
        swarm.records.put_many((f"x/{key}", {"n": n, "text": "v" * 50}) for key in range(5))
    swarm.records.put("y/1", 1)
    swarm.records.put("y/1", 2)
    fewer = store.open(settings=few)

    planned = by_name(fewer.optimizer.plan())["history"]
    trimmed = by_name(fewer.optimizer.apply(["history"]))["history"]

    assert (25, 5) == (planned.evidence["versions"], planned.evidence["keys"])
    assert 25 == trimmed.changed
    assert planned.expected_bytes == trimmed.measured_bytes > 25 * 50
    assert [8, 7, 6] == [r.version for r in swarm.records.history("x/0")]
    assert [2, 1] == [r.version for r in swarm.records.history("y/1")]
    assert [] == fewer.optimizer.plan(["history"])
    assert verify_store(swarm).ok


# --- packing ---


def test_packing_is_measured_beside_what_was_expected(store):
    swarm = store.open()
    swarm.records.put_many((f"x/{n}", note(n)) for n in range(COUNT))
    wanted = everything(swarm)
    before = swarm.health.report().metrics["bytes"]

    planned = by_name(swarm.optimizer.plan())["compress"]
    packed = by_name(swarm.optimizer.apply())["compress"]

    dictionary = Packing(swarm._engine, swarm.context).dictionary_bytes(1)
    assert before - swarm.health.report().metrics["bytes"] - dictionary == packed.measured_bytes
    assert 0.8 < planned.expected_bytes / packed.measured_bytes < 1.2
    assert wanted == everything(swarm)
    assert "compress" not in by_name(swarm.optimizer.plan())
    assert [] == swarm.optimizer.apply(["compress"])
    assert verify_store(swarm).ok


def test_older_versions_are_packed_too(store):
    swarm = store.open()
    for round_ in range(3):
        swarm.records.put_many((f"x/{n}", note(n + round_)) for n in range(COUNT))

    packed = by_name(swarm.optimizer.apply(["compress"]))["compress"]

    assert 3 * COUNT == packed.changed
    for n in range(0, COUNT, 50):
        versions = [r.value for r in swarm.records.history(f"x/{n}")]
        assert [note(n + 2), note(n + 1), note(n)] == versions
    assert verify_store(swarm).ok


def test_values_that_many_records_share_take_twenty_bytes(store, tmp_path):
    swarm = store.open()
    plan = {"plan": [f"step {n}: {n * 7919 % 9973:x} by agent-{n % 13}" for n in range(60)]}
    swarm.records.put_many((f"x/{n}", plan if n % 2 else note(n)) for n in range(2 * COUNT))

    planned = by_name(swarm.optimizer.plan())["compress"]
    swarm.optimizer.apply(["compress"])

    assert 0.8 * COUNT <= planned.evidence["equal"] <= 1.2 * COUNT
    db = apsw.Connection(f"{tmp_path}/m.db")
    sizes = [row[0] for row in db.execute("SELECT length(value) FROM records WHERE key = 'x/1'")]
    db.close()
    assert len(codec.dumps(plan)) > 1500
    assert sizes[0] <= 30
    assert plan == swarm.records.get("x/1").value


def test_a_dictionary_that_does_not_pay_for_itself_is_not_kept(store):
    swarm = store.open()
    swarm.records.put_many((f"x/{n}", {"n": n * 7919 % 9973}) for n in range(COUNT))

    swarm.optimizer.apply(["compress"])

    assert 0 == Packing(swarm._engine, swarm.context).newest()


def test_a_large_swarm_is_sampled(store, monkeypatch):
    """What is estimated of it from a tenth is near what is measured of all."""
    swarm = store.open()
    swarm.records.put_many((f"x/{n}", note(n)) for n in range(4000))
    swarm.records.put_many(((f"x/short-{n}", note(n)) for n in range(1000)), ttl_s=60)
    swarm.as_agent("b", swarm="other").records.put_many((f"x/{n}", n) for n in range(1000))
    store.clock.advance(61)
    monkeypatch.setattr("swarm_memory.packing.WHOLE_RECORDS_MAX", 1000)
    monkeypatch.setattr("swarm_memory.optimizing.looking.WHOLE_RECORDS_MAX", 1000)

    planned = by_name(swarm.optimizer.plan())
    done = by_name(swarm.optimizer.apply())

    assert not Packing(swarm._engine, swarm.context).sample().whole
    assert 5000 == planned["sweep"].evidence["of"]
    for name, nearness in (("sweep", 0.25), ("compress", 0.35)):
        ratio = planned[name].expected_bytes / done[name].measured_bytes
        assert 1 - nearness < ratio < 1 + nearness, name
    assert 1000 == done["sweep"].changed


# --- within its time ---


def test_what_is_not_done_in_its_time_is_done_the_next_time(store, monkeypatch):
    monkeypatch.setattr("swarm_memory.packing.PACK_ROWS", 50)
    swarm = store.open()
    swarm.records.put_many((f"x/{n}", note(n)) for n in range(COUNT))

    def tick(name, rows, gain):
        store.clock.advance(1 if name == "compress" else 0)

    first = by_name(swarm.optimizer.apply(["compress"], budget_s=3.5, progress=tick))["compress"]
    second = by_name(swarm.optimizer.apply(["compress"]))["compress"]

    assert (False, True) == (first.finished, second.finished)
    assert 0 < first.changed < COUNT
    assert COUNT == first.changed + second.changed
    assert verify_store(swarm).ok


def test_after_its_time_no_step_begins(store):
    swarm = store.open()
    swarm.records.put_many(((f"x/{n}", note(n)) for n in range(COUNT)), ttl_s=60)
    store.clock.advance(61)

    done = swarm.optimizer.apply(
        budget_s=1, progress=lambda name, rows, gain: store.clock.advance(2)
    )

    assert [] == [gain.name for gain in done if gain.changed or gain.finished]
    assert COUNT == swarm.waste()[0]


@pytest.mark.parametrize("step", ["sweep", "history", "compress"])
def test_an_interrupted_step_leaves_the_store_whole(store, monkeypatch, step):
    monkeypatch.setattr("swarm_memory.packing.PACK_ROWS", 50)
    monkeypatch.setattr("swarm_memory.retention.TRIM_KEYS", 50)
    settings = {"settings": {"sweep_rows_max": 50}}
    settings["categories"] = {"kept": {"keys": ["x/**"], "versions_max": 2}}
    swarm = store.open(settings={"categories": {"kept": {"keys": ["x/**"], "versions_max": 9}}})
    for version in range(4):
        swarm.records.put_many((f"x/{n}", note(n + version)) for n in range(COUNT))
    swarm.records.put_many(((f"y/{n}", note(n)) for n in range(COUNT)), ttl_s=60)
    wanted = {f"x/{n}": note(n + 3) for n in range(COUNT)}
    store.clock.advance(61)
    fewer = store.open(settings=settings)
    seen = []

    def stop(name, rows, gain):
        seen.append(rows)
        if rows >= 100:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fewer.optimizer.apply([step], progress=stop)

    assert max(seen) < COUNT
    assert wanted == everything(swarm)
    assert verify_store(swarm).ok
    fewer.optimizer.apply()
    assert wanted == everything(swarm)
    assert [] == [a.name for a in fewer.optimizer.plan() if a.name in ("sweep", "history")]
    assert verify_store(swarm).ok


def test_others_write_between_its_transactions(store, monkeypatch):
    monkeypatch.setattr("swarm_memory.packing.PACK_ROWS", 50)
    swarm, other = store.open(), store.open("b")
    swarm.records.put_many((f"x/{n}", note(n)) for n in range(COUNT))
    written = []

    def write(name, rows, gain):
        written.append(other.records.put(f"z/{len(written)}", name))
        other.records.put("x/7", {"said": len(written)})

    swarm.optimizer.apply(progress=write)

    assert len(written) > len(DEFAULT_STEPS) + COUNT // 50 - 2
    assert {"said": len(written)} == swarm.records.get("x/7").value
    assert verify_store(swarm).ok


# --- the file ---


def test_free_space_goes_back_to_the_file_system(store, tmp_path):
    swarm = store.open()
    swarm.records.put_many(
        ((f"x/{n}", note(n) | {"more": "y" * 500}) for n in range(4000)), ttl_s=9
    )
    swarm.maintain()
    size = (tmp_path / "m.db").stat().st_size
    store.clock.advance(10)

    done = by_name(swarm.optimizer.apply())

    assert 0.4 * size > (tmp_path / "m.db").stat().st_size
    assert done["vacuum"].measured_bytes > 0.6 * size
    assert 0.8 < done["vacuum"].expected_bytes / done["vacuum"].measured_bytes < 1.2
    assert [] == swarm.optimizer.plan(["vacuum"])
    assert verify_store(swarm).ok


def test_packed_values_leave_room_in_pages_that_goes_back_too(store):
    """No page is free then, and yet most of the file is."""
    swarm = store.open()
    swarm.records.put_many((f"x/{n}", note(n) | {"more": "y" * 500}) for n in range(4000))
    swarm.maintain()
    before = swarm.file_bytes()

    swarm.retention.pack()
    (planned,) = swarm.optimizer.plan(["vacuum"])
    (done,) = swarm.optimizer.apply(["vacuum"])

    assert planned.evidence["slack_bytes"] > planned.evidence["free_bytes"]
    assert done.measured_bytes > 0.4 * before
    assert [] == swarm.optimizer.apply(["vacuum"])


def large(number):
    return random.Random(number).randbytes(8000).hex()


def test_a_large_file_gives_back_in_steps_once_it_was_written_anew(store, monkeypatch):
    monkeypatch.setattr("swarm_memory.engine.upkeep.SMALL_BYTES", 0)
    monkeypatch.setattr("swarm_memory.engine.upkeep.STEP_PAGES", 16)
    swarm = store.open()
    given = []
    for round_ in range(2):
        swarm.records.put_many(((f"x/{n}", large(n)) for n in range(400)), ttl_s=9)
        swarm.records.put_many((f"z/{n}", large(n)) for n in range(20))
        store.clock.advance(10)
        swarm.retention.sweep()
        if round_:  # to write it anew would take hours
            monkeypatch.setattr("swarm_memory.engine.upkeep.VACUUM_BYTES_PER_S", 1.0)
        given += [gain.measured_bytes for gain in swarm.optimizer.apply(["vacuum"])]

    assert [True, True] == [freed > 2_000_000 for freed in given]
    assert {f"z/{n}": large(n) for n in range(20)} == everything(swarm)
    assert verify_store(swarm).ok


def test_what_would_keep_others_waiting_for_too_long_is_left_to_be_asked_for(store, monkeypatch):
    monkeypatch.setattr("swarm_memory.engine.upkeep.SMALL_BYTES", 0)
    swarm = store.open()
    swarm.records.put_many(((f"x/{n}", large(n)) for n in range(400)), ttl_s=9)
    store.clock.advance(10)
    swarm.retention.sweep()
    used = swarm.file_bytes() - swarm._engine.usage()["free_bytes"]
    # Others wait for 30 seconds at most, and so long would this take.
    monkeypatch.setattr("swarm_memory.engine.upkeep.VACUUM_BYTES_PER_S", used / 30)

    left = by_name(swarm.optimizer.apply())["vacuum"]
    (done,) = swarm.optimizer.apply(["vacuum"])

    assert (0, False) == (left.measured_bytes, left.finished)
    assert "--only vacuum" in left.what
    assert done.finished
    assert done.measured_bytes > 2_000_000


# --- the other steps ---


def test_an_index_that_is_behind_is_brought_up_to_date(store):
    swarm = store.open()
    swarm.records.put("x/first", "words")
    assert [] == swarm.optimizer.plan(["index"])
    swarm.search("words")
    swarm.records.put_many((f"x/{n}", f"words {n}") for n in range(1500))

    (planned,) = swarm.optimizer.plan(["index"])
    (done,) = swarm.optimizer.apply(["index"])

    assert planned.evidence["events"] >= 1000
    assert done.finished
    assert [] == swarm.optimizer.plan(["index"])


def test_stale_statistics_are_refreshed(store):
    swarm = store.open()
    swarm.records.put_many((f"x/{n}", n) for n in range(1500))

    (planned,) = swarm.optimizer.plan(["statistics"])
    (done,) = swarm.optimizer.apply(["statistics"])

    assert planned.evidence["tables"] == done.changed > 0
    assert [] == swarm.optimizer.plan(["statistics"])


def test_a_step_that_is_none_is_refused(store):
    swarm = store.open()
    for only in (["swep"], [], "sweep"):
        with pytest.raises(InvalidArgumentError):
            swarm.optimizer.apply(only)
    with pytest.raises(InvalidArgumentError):
        swarm.optimizer.plan(["everything"])


def test_every_advice_names_its_command(store):
    swarm = store.open()
    swarm.records.put_many(((f"x/{n}", note(n)) for n in range(COUNT)), ttl_s=60)
    store.clock.advance(61)

    for advice in swarm.optimizer.plan():
        assert advice.command.startswith(f"swarm-memory optimize --apply --only {advice.name}")


def test_the_largest_sample_is_bounded_in_bytes(store, monkeypatch):
    monkeypatch.setattr("swarm_memory.packing.FRAMES_AT_ONCE", 10)
    swarm = store.open()
    swarm.records.put_many((f"x/{n}", [n, "v" * 1000]) for n in range(100))
    packing = Packing(swarm._engine, swarm.context)

    assert 20 == len(packing.values(packing.sample(), 15_000))


def test_optimizer_is_what_the_package_says():
    assert optimizer.Optimizer is Optimizer
    with Swarm.open("sqlite:///:memory:") as swarm:
        assert [] == swarm.optimizer.plan()
        assert [] == swarm.optimizer.apply()
