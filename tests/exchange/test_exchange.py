"""Import and export: nothing twice, nothing lost, and one bad row or file keeps no other out."""

import io
import json
import os
from pathlib import Path

import pytest

from swarm_memory import Swarm
from swarm_memory.errors import EngineUnavailableError
from swarm_memory.exchange import export_store, import_stores
from swarm_memory.exchange.imports import BATCH_ROWS
from swarm_memory.forgetting import forget

T_MS = 1_750_000_000_000
STORES = Path(
    os.environ.get("REAL_STORES")
    or Path(__file__).resolve().parents[3].joinpath("shared", "data", "stores")
)


@pytest.fixture
def swarm(tmp_path):
    with Swarm.open(f"sqlite:///{tmp_path}/memory.db", agent="a", swarm="s") as swarm:
        yield swarm


@pytest.fixture
def other(tmp_path):
    with Swarm.open(f"sqlite:///{tmp_path}/other.db", agent="b", swarm="s") as swarm:
        yield swarm


@pytest.fixture
def store(tmp_path):
    """Write a small foreign store of (namespace, key, value) rows."""

    def store(rows, name="memory-store.json", at_ms=T_MS):
        document = {}
        for namespace, key, value in rows:
            entry = {"key": key, "value": value, "namespace": namespace, "timestamp": at_ms}
            document.setdefault(namespace, []).append(entry)
        path = tmp_path / name
        path.write_text(json.dumps(document))
        return path

    return store


def everything(swarm):
    return list(swarm.records.each(telemetry=True))


def histories(swarm):
    return {record.key: swarm.records.history(record.key) for record in everything(swarm)}


def exported(swarm, **options):
    file = io.BytesIO()
    export_store(swarm, file, **options)
    return [json.loads(line) for line in file.getvalue().splitlines()]


def fates(report):
    return {
        name: getattr(report, name)
        for name in ("imported", "unchanged", "changed", "kept", "skipped", "unreadable")
        if getattr(report, name)
    }


# --- foreign stores ---


def test_a_store_comes_in_with_its_times_and_provenance(swarm, store):
    path = store([("arch", "plan", "first"), ("hooks:x", "run", "1")])
    report = import_stores(swarm, [path])

    assert (1, 1, 2) == (report.memories, report.telemetry, report.imported)
    assert (1, 1) == (report.imported_memories, report.imported_telemetry)
    (plan,) = swarm.records.scan("memory/imported")
    assert ("first", T_MS) == (plan.value, plan.updated_ms)
    assert ("arch", "plan") == (plan.provenance["namespace"], plan.provenance["key"])


def test_a_second_import_brings_nothing_and_says_so(swarm, store):
    path = store([("arch", str(n), n) for n in range(BATCH_ROWS + 7)])
    import_stores(swarm, [path])
    before = swarm.events.newest()
    report = import_stores(swarm, [path])

    assert {"unchanged": BATCH_ROWS + 7} == fates(report)
    assert before == swarm.events.newest()


def test_what_changed_at_its_source_is_a_new_version(swarm, store):
    import_stores(swarm, [store([("arch", "plan", "first"), ("arch", "rest", "same")])])
    report = import_stores(swarm, [store([("arch", "plan", "second"), ("arch", "rest", "same")])])

    assert {"changed": 1, "unchanged": 1} == fates(report)
    (plan,) = swarm.records.scan("memory/imported", limit=1)
    assert ("second", 2) == (plan.value, plan.version)


def test_what_was_changed_or_deleted_here_is_kept(swarm, store):
    path = store([("arch", "plan", "first"), ("arch", "rest", "gone")])
    import_stores(swarm, [path])
    plan, rest = swarm.records.scan("memory/imported")
    swarm.records.put(plan.key, "ours")
    swarm.records.delete(rest.key)
    report = import_stores(swarm, [path])

    assert {"kept": 2} == fates(report)
    assert "ours" == swarm.records.get(plan.key).value
    assert swarm.records.get(rest.key) is None


def test_a_dry_run_counts_what_an_import_does_and_writes_nothing(swarm, store):
    import_stores(swarm, [store([("arch", "plan", "first"), ("arch", "same", 1)])])
    path = store([("arch", "plan", "second"), ("arch", "same", 1), ("arch", "new", 2)])
    before = everything(swarm), swarm.events.newest()
    dry = import_stores(swarm, [path], dry_run=True)

    assert dry.dry_run
    assert before == (everything(swarm), swarm.events.newest())
    assert {"imported": 1, "changed": 1, "unchanged": 1} == fates(dry)
    assert fates(dry) == fates(import_stores(swarm, [path]))


def test_one_bad_file_keeps_no_other_out(swarm, store, tmp_path):
    good = store([("arch", "plan", "first")])
    foreign = tmp_path / "notes.txt"
    foreign.write_text("hello")
    report = import_stores(swarm, [foreign, tmp_path / "missing", good])

    assert [False, False, True] == [file.readable for file in report.files]
    assert [True, True, False] == [file.error is not None for file in report.files]
    assert 1 == report.imported


def test_a_file_named_twice_is_read_once(swarm, store, tmp_path):
    path = store([("arch", "plan", "first")])

    assert 1 == len(import_stores(swarm, [path, tmp_path, path]).files)


def test_a_value_that_is_too_large_is_skipped_and_the_batch_goes_on(tmp_path, monkeypatch, store):
    monkeypatch.setenv("SWARM_MEMORY_VALUE_BYTES_MAX", "1000")
    rows = [("arch", str(n), "x" * (2000 if n in {3, 77} else 10)) for n in range(100)]
    with Swarm.open(f"sqlite:///{tmp_path}/memory.db") as swarm:
        report = import_stores(swarm, [store(rows)])

        assert {"imported": 98, "skipped": 2} == fates(report)
        assert 98 == len(everything(swarm))
    (table,) = report.files[0].tables
    ((reason, count),) = table["skipped"].items()
    assert 2 == count
    assert "the value would reach" in reason


def test_a_full_quota_stops_and_a_repeat_goes_on(tmp_path, monkeypatch, store):
    url = f"sqlite:///{tmp_path}/memory.db"
    path = store([("arch", f"{n:03}", os.urandom(200).hex()) for n in range(200)])
    monkeypatch.setenv("SWARM_MEMORY_TOTAL_BYTES_MAX", "40000")
    with Swarm.open(url) as swarm:
        report = import_stores(swarm, [path])
        came = len(everything(swarm))
    assert "limit_exceeded" == report.stopped["error"]
    assert 0 < came == report.imported < 200

    monkeypatch.delenv("SWARM_MEMORY_TOTAL_BYTES_MAX")
    with Swarm.open(url) as swarm:
        report = import_stores(swarm, [path])
    assert {"imported": 200 - came, "unchanged": came} == fates(report)
    assert report.stopped is None


def test_an_interrupt_keeps_what_came_and_a_repeat_goes_on(swarm, store):
    path = store([("arch", f"{n:04}", n) for n in range(3 * BATCH_ROWS)])

    def interrupt(progress):
        if progress.rows >= 2 * BATCH_ROWS:
            raise KeyboardInterrupt

    report = import_stores(swarm, [path], progress=interrupt)
    assert "interrupted" == report.stopped["error"]
    assert 2 * BATCH_ROWS == report.imported == len(everything(swarm))

    report = import_stores(swarm, [path])
    assert {"imported": BATCH_ROWS, "unchanged": 2 * BATCH_ROWS} == fates(report)


def test_a_source_names_the_keys_and_tells_files_apart(swarm, store):
    one, two = store([("n", "k", 1)], "one.json"), store([("n", "k", 2)], "two.json")
    import_stores(swarm, [one], source="mine")
    assert swarm.records.get("memory/imported/mine/entries/n/k") is not None

    report = import_stores(swarm, [one, two], source="both")
    assert 2 == report.imported
    assert {"unchanged": 2} == fates(import_stores(swarm, [two, one], source="both"))


def test_a_report_is_json(swarm, store, tmp_path):
    report = import_stores(swarm, [store([("n", "k", 1)]), tmp_path / "missing"])

    assert report.to_dict() == json.loads(json.dumps(report.to_dict()))


@pytest.mark.skipif(not STORES.is_dir(), reason="no real stores here: REAL_STORES")
def test_the_real_stores_come_in_once(swarm):
    report = import_stores(swarm, [STORES])

    assert (500, 1321, 1821, 193) == (
        report.memories,
        report.telemetry,
        report.imported,
        report.unreadable,
    )
    assert 1821 == len(everything(swarm))
    again = import_stores(swarm, [STORES])
    assert {"unchanged": 1821, "unreadable": 193} == fates(again)


# --- our own exports ---


@pytest.fixture
def filled(swarm, store):
    """A swarm with every kind of row that an export has."""
    import_stores(swarm, [store([("arch", "plan", "first"), ("hooks:x", "run", "1")])])
    for value in ({"a": 1}, {"a": 2}, {"a": "ü\u2028"}):
        swarm.records.put("notes/1", value, ttl_s=3600)
    swarm.records.put("notes/gone", 1)
    swarm.records.delete("notes/gone")
    swarm.records.put("notes/1", {"a": 4}, expect=2, on_conflict="keep_both")
    choice = swarm.outcomes.recommend({"task_type": "parse"}, ["x", "y"])
    swarm.outcomes.record("parse", ["a", "b"], True, 1.5, decision=choice, context={"n": 1})
    late = swarm.outcomes.record("parse", ["a"], None, 2, strategy="x", cost=0.5)
    swarm.outcomes.record("parse", ["a"], False, 2, strategy="x", cost=0.5)
    swarm.outcomes.relabel(late.outcome_id, True, label_source="check")
    return swarm


def test_an_export_brings_back_what_there_was(filled, other, tmp_path):
    written = export_store(filled, tmp_path / "out.jsonl")
    report = import_stores(other, [tmp_path / "out.jsonl"])

    assert sum(written["rows"].values()) == report.imported
    assert histories(filled) == histories(other)
    assert filled.records.history("notes/gone") == other.records.history("notes/gone")
    assert filled.outcomes.recent() == other.outcomes.recent()
    assert filled.conflicts.list() == other.conflicts.list()
    chosen = [swarm.outcomes.recommend({"task_type": "parse"}) for swarm in (filled, other)]
    assert chosen[0].candidates == chosen[1].candidates
    assert filled.records.count() == other.records.count()


def test_versions_go_on_where_they_were(filled, other, tmp_path):
    export_store(filled, tmp_path / "out.jsonl")
    import_stores(other, [tmp_path / "out.jsonl"])

    assert 4 == other.records.put("notes/1", 0).version
    assert 3 == other.records.put("notes/gone", 0).version


def test_a_second_import_of_an_export_brings_nothing(filled, other, tmp_path):
    written = export_store(filled, tmp_path / "out.jsonl")
    import_stores(other, [tmp_path / "out.jsonl"])
    before = everything(other), other.events.newest(), other.outcomes.count()
    report = import_stores(other, [tmp_path / "out.jsonl"])

    assert {"unchanged": sum(written["rows"].values())} == fates(report)
    assert before == (everything(other), other.events.newest(), other.outcomes.count())
    assert {"unchanged": sum(written["rows"].values())} == fates(
        import_stores(filled, [tmp_path / "out.jsonl"])
    )


def test_a_later_export_brings_a_copy_forward(filled, other, tmp_path):
    export_store(filled, tmp_path / "out.jsonl")
    import_stores(other, [tmp_path / "out.jsonl"])
    filled.records.put("notes/1", "fourth")
    filled.records.put("notes/1", "fifth")
    filled.records.put("notes/gone", "back")
    export_store(filled, tmp_path / "out.jsonl")
    report = import_stores(other, [tmp_path / "out.jsonl"])

    assert 2 == report.changed
    assert histories(filled) == histories(other)


def test_a_copy_that_went_its_own_way_is_kept(filled, other, tmp_path):
    export_store(filled, tmp_path / "out.jsonl")
    import_stores(other, [tmp_path / "out.jsonl"])
    other.records.put("notes/1", "theirs")
    filled.records.put("notes/1", "ours")
    export_store(filled, tmp_path / "out.jsonl")
    report = import_stores(other, [tmp_path / "out.jsonl"])

    assert "theirs" == other.records.get("notes/1").value
    assert 1 <= report.kept
    assert 0 == report.changed


def test_versions_that_look_alike_are_not_added_again(tmp_path):
    from swarm_memory.testing import ManualClock

    clock = ManualClock()
    with Swarm.open(f"sqlite:///{tmp_path}/one.db", clock=clock) as one:
        for _ in range(3):
            one.records.put("notes/1", "same")
        export_store(one, tmp_path / "out.jsonl")
        report = import_stores(one, [tmp_path / "out.jsonl"])

        assert {"unchanged": 3} == fates(report)
        assert 3 == len(one.records.history("notes/1"))


def test_rows_go_to_the_swarm_they_come_from(filled, tmp_path):
    filled.as_agent("b", swarm="t").records.put("notes/1", "of t")
    assert ["s"] == exported(filled)[0]["swarms"]
    export_store(filled, tmp_path / "out.jsonl", all_swarms=True)
    with Swarm.open(f"sqlite:///{tmp_path}/new.db", swarm="elsewhere") as new:
        report = import_stores(new, [tmp_path / "out.jsonl"])

        assert "rows go to the swarm they come from: s, t" in report.files[0].notes
        assert "of t" == new.as_agent("b", swarm="t").records.get("notes/1").value
        assert everything(filled) == everything(new.as_agent("b", swarm="s"))
        assert [] == everything(new)


def test_what_has_expired_is_not_given_out_but_keeps_its_version(tmp_path):
    from swarm_memory.testing import ManualClock

    clock = ManualClock()
    with Swarm.open(f"sqlite:///{tmp_path}/one.db", clock=clock) as one:
        one.records.put("notes/1", "secret", ttl_s=1)
        clock.advance(2)
        lines = exported(one)
        export_store(one, tmp_path / "out.jsonl")
    assert "secret" not in json.dumps(lines)
    assert (True, 1) == (lines[1]["deleted"], lines[1]["version"])
    with Swarm.open(f"sqlite:///{tmp_path}/two.db") as two:
        import_stores(two, [tmp_path / "out.jsonl"])
        assert two.records.get("notes/1") is None
        assert 2 == two.records.put("notes/1", "new").version


def test_an_export_is_of_one_moment(swarm):
    swarm.records.put_many((f"notes/{n:04}", n) for n in range(1200))

    def write_meanwhile(rows):
        swarm.records.put("notes/9999", rows)

    lines = exported(swarm, progress=write_meanwhile)
    assert 1200 == lines[-1]["rows"]["records"]
    assert swarm.records.get("notes/9999") is not None


def test_an_export_that_fails_leaves_the_old_file_and_no_litter(swarm, tmp_path):
    swarm.records.put_many((f"notes/{n:04}", n) for n in range(600))
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "x.jsonl").write_text("before")

    def interrupt(rows):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_store(swarm, folder / "x.jsonl", progress=interrupt)
    assert ["x.jsonl"] == os.listdir(folder)
    assert "before" == (folder / "x.jsonl").read_text()
    with pytest.raises(EngineUnavailableError):
        export_store(swarm, tmp_path / "no" / "x.jsonl")


def test_an_export_has_checksums_that_hold(filled, tmp_path):
    from hashlib import sha256

    export_store(filled, tmp_path / "out.jsonl")
    _, *lines, last = (tmp_path / "out.jsonl").read_bytes().splitlines(keepends=True)
    trailer = json.loads(last)
    tables = {"records", "history", "choices", "outcomes", "relabels", "conflicts"}
    assert tables == set(trailer["rows"])
    for table, digest in trailer["sha256"].items():
        mine = [line for line in lines if json.loads(line)["table"] == table]
        assert (trailer["rows"][table], digest) == (
            len(mine),
            sha256(b"".join(mine)).hexdigest(),
        )


# --- damaged exports ---


def test_a_damaged_line_is_counted_and_the_rest_comes_in(filled, other, tmp_path):
    path = tmp_path / "out.jsonl"
    export_store(filled, path)
    lines = path.read_bytes().splitlines(keepends=True)
    place = next(
        i for i, line in enumerate(lines) if b'"notes/gone"' in line and b'"records"' in line
    )
    lines[place] = lines[place].replace(b'"version":2', b'"version":"two"')
    path.write_bytes(b"".join(lines))
    report = import_stores(other, [path])

    assert 2 == report.unreadable  # the record, and its older version with it
    assert any("checksum of records" in note for note in report.files[0].notes)
    assert other.records.get("notes/1") is not None
    assert [] == other.records.history("notes/gone")


@pytest.mark.parametrize("cut", [1, 2, 3])
def test_an_export_that_was_cut_off_says_so(filled, other, tmp_path, cut):
    path = tmp_path / "out.jsonl"
    export_store(filled, path)
    octets = path.read_bytes()
    path.write_bytes(octets[: len(octets) * cut // 4])
    report = import_stores(other, [path])

    assert any("cut off" in note for note in report.files[0].notes)
    assert report.files[0].readable
    assert set(map(str, everything(other))) <= set(map(str, everything(filled)))


@pytest.mark.parametrize(
    "line",
    [
        b"{broken",
        b"[]",
        b'{"table":"nonsense","swarm":"s"}',
        b'{"table":"records","swarm":"s","key":"../x","version":1,"author":"a","created_ms":1,"updated_ms":1,"value":1}',
        b'{"table":"records","swarm":"","key":"x","version":1,"author":"a","created_ms":1,"updated_ms":1,"value":1}',
        b'{"table":"records","swarm":"s","key":"x","version":0,"author":"a","created_ms":1,"updated_ms":1,"value":1}',
        b'{"table":"records","swarm":"s","key":"x","version":1,"author":"a","created_ms":1,"updated_ms":1}',
        b'{"table":"records","swarm":"s","key":"x","version":true,"author":"a","created_ms":1,"updated_ms":1,"value":1}',
        b'{"table":"outcomes","swarm":"s","outcome_id":"x"}',
        b'{"table":"records","swarm":"\\ud800","key":"x"}',
    ],
    ids=range(10),
)
def test_a_line_that_breaks_a_rule_is_unreadable(other, tmp_path, line):
    path = tmp_path / "out.jsonl"
    manifest = {"format": "swarm-memory-export", "version": 1, "exported_ms": 1, "swarms": ["s"]}
    path.write_bytes(json.dumps(manifest).encode() + b"\n" + line + b"\n")
    report = import_stores(other, [path])

    assert {"unreadable": 1} == fates(report)
    assert [] == everything(other)


def test_an_export_of_a_newer_version_is_refused_with_advice(other, tmp_path):
    path = tmp_path / "out.jsonl"
    manifest = {"format": "swarm-memory-export", "version": 99, "exported_ms": 1, "swarms": ["s"]}
    path.write_text(json.dumps(manifest) + "\n")
    (file,) = import_stores(other, [path]).files

    assert "version 99" in file.error
    assert not file.readable


def test_a_value_too_large_for_this_store_is_skipped(filled, tmp_path, monkeypatch):
    filled.records.put("notes/large", "x" * 5000)
    export_store(filled, tmp_path / "out.jsonl")
    monkeypatch.setenv("SWARM_MEMORY_VALUE_BYTES_MAX", "1000")
    with Swarm.open(f"sqlite:///{tmp_path}/small.db", swarm="s") as small:
        report = import_stores(small, [tmp_path / "out.jsonl"])

        assert 1 == report.skipped
        assert small.records.get("notes/large") is None
        assert len(everything(filled)) - 1 == len(everything(small))


def learned(swarm):
    """Return the model as it is stored."""
    swarm.outcomes.recommend({"task_type": "parse"}, ["x", "y"])  # has all that is logged learned
    rows = swarm._engine.all("model_parts", swarm="s", known=-1)
    return {part: bytes(state) for part, _, state in rows if part}


def revised(swarm):
    """Record outcomes whose ids have another order than they, and revise some of them."""
    outcomes = swarm.outcomes
    for number in range(12):
        ended = (True, False, None)[number % 3]
        outcomes.record(
            "parse",
            ["a"],
            ended,
            1.0 + number,
            strategy="xy"[number % 2],
            context={"n": number, "size": "big" if number % 4 else "small"},
            outcome_id=f"o{-number % 7}-{number}",
            label_source=None if ended is None else "check",
        )
        if number >= 4:
            earlier = outcomes.recent(limit=4)[-1].outcome_id
            outcomes.relabel(earlier, "partial", score=number / 20, label_source="check")
    outcomes.relabel("o0-0", False)
    outcomes.relabel("o0-0", True)
    return outcomes


def test_a_model_that_is_learned_from_an_import_is_the_same_byte_for_byte(swarm, other, tmp_path):
    outcomes = revised(swarm)
    export_store(swarm, tmp_path / "out.jsonl")

    import_stores(other, [tmp_path / "out.jsonl"])

    assert outcomes.recent() == other.outcomes.recent()
    assert list(outcomes.observations()) == list(other.outcomes.observations())
    assert learned(swarm) == learned(other)
    assert other.outcomes.rebuild()
    assert learned(swarm) == learned(other)
    assert other.verify().ok


def test_revisions_come_once_and_do_not_undo_those_that_were_made_here(swarm, other, tmp_path):
    first = revised(swarm).record("parse", ["a"], None, 1.0, strategy="x").outcome_id
    export_store(swarm, tmp_path / "one.jsonl")
    import_stores(other, [tmp_path / "one.jsonl"])
    other.outcomes.relabel(first, True)
    swarm.outcomes.relabel(first, False)
    swarm.outcomes.relabel("o1-6", True)
    export_store(swarm, tmp_path / "two.jsonl")

    for imported in (1, 0):  # that of o1-6
        assert imported == import_stores(other, [tmp_path / "two.jsonl"]).imported
        assert "success" == other.outcomes.get(first).status
        assert "success" == other.outcomes.get("o1-6").status
        assert other.outcomes.rebuild()


def test_an_outcome_whose_revisions_were_forgotten_keeps_its_label(swarm, other, tmp_path):
    made = swarm.outcomes.record("parse", ["a"], None, 1.0, strategy="x").outcome_id
    swarm.outcomes.relabel(made, False, label_source="check")
    swarm.as_agent("judge").outcomes.relabel(made, True)
    forget(swarm, "agent", "judge")
    export_store(swarm, tmp_path / "out.jsonl")

    import_stores(other, [tmp_path / "out.jsonl"])

    assert "success" == swarm.outcomes.get(made).status == other.outcomes.get(made).status


@pytest.mark.parametrize("first", [{"status": 1}, {"status": "failure"}, "failure"])
def test_an_outcome_with_a_damaged_first_label_is_unreadable(first, other, swarm, tmp_path):
    swarm.outcomes.record("parse", ["a"], True, 1.0, strategy="x")
    export_store(swarm, tmp_path / "out.jsonl")
    lines = (tmp_path / "out.jsonl").read_text().splitlines()
    row = json.loads(lines[1]) | {"first": first}
    (tmp_path / "out.jsonl").write_text("\n".join([lines[0], json.dumps(row), *lines[2:]]))

    report = import_stores(other, [tmp_path / "out.jsonl"])

    assert (0, 1) == (report.imported, report.unreadable)
