"""Archiving: what ended sessions left goes into a file first, and an import brings it back."""

import json
import os
import stat

import pytest

from swarm_memory.errors import EngineUnavailableError, InvalidArgumentError
from swarm_memory.exchange import import_stores
from swarm_memory.integrity import verify_store
from swarm_memory.optimizing import archive as archiving
from swarm_memory.testing import Store

DAY_S = 86_400
KEPT = 5  # records of each session


@pytest.fixture
def store(tmp_path):
    store = Store(f"sqlite:///{tmp_path}/m.db")
    yield store
    store.close()


@pytest.fixture
def swarm(store):
    """Sessions that ended, that goes on and that nobody knows, and what is of no session."""
    swarm = store.open()
    sessions = swarm.sessions
    sessions.begin("old", ttl_s=3600)
    sessions.begin("young", ttl_s=30 * DAY_S)
    sessions.begin("on", ttl_s=30 * DAY_S)
    for name in ("old", "young", "on", "unknown"):
        for n in range(KEPT):
            swarm.records.put(f"swarm-s/session-{name}/notes/{n}", {"of": name, "n": n})
    for n in (1, 2, 3):
        swarm.records.put("swarm-s/session-old/notes/0", {"version": n}, provenance={"from": n})
    swarm.records.put("swarm-s/agent-a/knowledge/1", "stays")
    swarm.records.put("notes/1", "stays")
    sessions.end("old")
    store.clock.advance(6 * DAY_S)
    sessions.end("young")
    store.clock.advance(2 * DAY_S)
    return swarm


def everything(swarm):
    return {r.key: r.value for r in swarm.records.each(telemetry=True)}


def archive(swarm, folder):
    gains = swarm.optimizer.apply(["archive"], to=str(folder))
    return gains[0] if gains else None


def of(content, *sessions):
    return {key for key in content if any(f"/session-{name}/" in key for name in sessions)}


def the_file(folder):
    (name,) = os.listdir(folder)
    return folder / name


def test_only_records_of_sessions_that_ended_long_ago_go(swarm, tmp_path):
    before = everything(swarm)

    done = archive(swarm, tmp_path / "archive")

    after = everything(swarm)
    gone = of(before, "old", "unknown")
    assert 2 * KEPT == len(gone) == done.changed
    assert {k: v for k, v in before.items() if k not in gone} == after
    assert done.finished
    assert verify_store(swarm).ok


def test_nothing_is_archived_unless_it_is_asked_for(swarm, tmp_path):
    before = everything(swarm)

    assert "archive" in [advice.name for advice in swarm.optimizer.plan()]
    swarm.optimizer.apply(to=str(tmp_path / "archive"))

    assert before == everything(swarm)
    assert not (tmp_path / "archive").exists()
    with pytest.raises(InvalidArgumentError):
        swarm.optimizer.apply(["archive"])


def test_an_import_brings_all_back_with_history_and_time_to_live(swarm, store, tmp_path):
    before = everything(swarm)
    old = "swarm-s/session-old/notes/0"
    left_ms = swarm.records.get(old).expires_ms - store.clock.now_ms()
    versions = [(r.value, r.provenance) for r in swarm.records.history(old)]
    archive(swarm, tmp_path / "archive")
    store.clock.advance(20 * DAY_S)

    report = import_stores(swarm, [the_file(tmp_path / "archive")])

    assert report.stopped is None
    back = everything(swarm)
    gone = of(before, "old", "unknown")
    assert {key: before[key] for key in gone} == {key: back[key] for key in gone}
    assert left_ms == swarm.records.get(old).expires_ms - store.clock.now_ms()
    assert versions == [(r.value, r.provenance) for r in swarm.records.history(old)]
    assert verify_store(swarm).ok
    seq = swarm.events.newest()
    import_stores(swarm, [the_file(tmp_path / "archive")])
    assert seq == swarm.events.newest()


def test_what_comes_back_has_a_version_that_never_was(swarm, store, tmp_path):
    old = "swarm-s/session-old/notes/0"
    was = swarm.records.get(old).version
    archive(swarm, tmp_path / "archive")

    import_stores(swarm, [the_file(tmp_path / "archive")])

    assert swarm.records.get(old).version > was


def test_it_comes_back_after_its_tombstone_has_gone(swarm, store, tmp_path):
    before = everything(swarm)
    archive(swarm, tmp_path / "archive")
    store.clock.advance(40 * DAY_S)
    assert swarm.retention.sweep().tombstones >= 2 * KEPT

    import_stores(swarm, [the_file(tmp_path / "archive")])

    gone = of(before, "old", "unknown")
    assert {key: before[key] for key in gone} == {
        k: v for k, v in everything(swarm).items() if k in gone
    }
    assert verify_store(swarm).ok


def test_what_was_written_since_is_left_as_it_is(swarm, tmp_path):
    old = "swarm-s/session-old/notes/1"
    archive(swarm, tmp_path / "archive")
    swarm.records.put(old, "written since")

    import_stores(swarm, [the_file(tmp_path / "archive")])

    assert "written since" == swarm.records.get(old).value


def test_a_file_that_does_not_read_back_takes_nothing(swarm, tmp_path, monkeypatch):
    before = everything(swarm)
    read_export = archiving.read_export

    def damaged(path):
        with open(path, "r+b") as file:
            content = file.read().replace(b'"of":"old","n":3', b'"of":"old","n":4')
            file.seek(0)
            file.write(content)
        return read_export(path)

    monkeypatch.setattr(archiving, "read_export", damaged)
    with pytest.raises(EngineUnavailableError):
        archive(swarm, tmp_path / "archive")

    assert before == everything(swarm)


def test_what_is_written_while_it_is_read_back_stays(swarm, store, tmp_path, monkeypatch):
    read_export, other = archiving.read_export, store.open("b")
    old = "swarm-s/session-old/notes/"

    def meanwhile(path):
        other.records.put(old + "2", "written meanwhile")
        other.records.touch(old + "3", 9 * DAY_S)
        other.sessions.begin("unknown", ttl_s=DAY_S)
        return read_export(path)

    monkeypatch.setattr(archiving, "read_export", meanwhile)
    done = archive(swarm, tmp_path / "archive")

    assert KEPT - 2 == done.changed
    assert "written meanwhile" == swarm.records.get(old + "2").value
    assert {"of": "old", "n": 3} == swarm.records.get(old + "3").value
    assert KEPT == len(of(everything(swarm), "unknown"))
    assert verify_store(swarm).ok


def test_a_record_with_a_damaged_version_stays(swarm, store, tmp_path):
    import apsw

    db = apsw.Connection(f"{tmp_path}/m.db")
    db.execute(
        "UPDATE history SET value = x'0001' WHERE key = 'swarm-s/session-old/notes/0'"
        " AND version = 2"
    )
    db.close()

    done = archive(swarm, tmp_path / "archive")

    assert 2 * KEPT - 1 == done.changed
    assert {"version": 3} == swarm.records.get("swarm-s/session-old/notes/0").value


def test_the_file_is_an_export_for_its_owners_eyes(swarm, tmp_path):
    archive(swarm, tmp_path / "archive")

    path = the_file(tmp_path / "archive")
    head = json.loads(path.read_bytes().split(b"\n")[0])
    assert ("swarm-memory-export", True) == (head["format"], head["archive"])
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


def test_an_archive_of_nothing_leaves_no_file(store, tmp_path):
    swarm = store.open()
    swarm.records.put("swarm-s/session-1/notes", 1)

    assert archive(swarm, tmp_path / "archive") is None
    assert [] == os.listdir(tmp_path / "archive")


def test_who_watches_is_told_that_it_is_gone(swarm, tmp_path):
    seq = swarm.events.newest()

    archive(swarm, tmp_path / "archive")

    events = swarm.events.since(seq)
    assert {"expire"} == {event.op for event in events}
    assert 2 * KEPT == len(events)
