"""Repair saves what can be read, names what cannot, guesses nothing and touches nothing old."""

import hashlib
import json

import apsw
import pytest

from swarm_memory import Swarm
from swarm_memory.backup.loading import EPOCH_LEAP
from swarm_memory.errors import ConflictError, ImportSourceError, InvalidArgumentError
from swarm_memory.integrity import verify_store
from swarm_memory.repair import repair_store
from swarm_memory.testing.filled import fill

PAGE_BYTES = 4096


@pytest.fixture
def values(filled):
    """What every key of the healthy store may ever be found to hold."""
    found = {}
    for record in filled.records.each(telemetry=True):
        versions = filled.records.history(record.key)
        found[record.key] = {r.version: json.dumps(r.value) for r in versions}
    return found


@pytest.fixture
def closed(filled, values, path):
    filled.maintain()
    filled.close()
    return path


def open_store(path):
    return Swarm.open(f"sqlite:///{path}", agent="a", swarm="s")


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_healthy_store_comes_over_whole(closed, values, tmp_path):
    before = digest(closed)
    repaired = repair_store(closed, tmp_path / "new.db")

    assert [] == repaired.losses
    assert before == digest(closed)
    with open_store(tmp_path / "new.db") as new:
        for key, versions in values.items():
            history = new.records.history(key)
            assert versions == {r.version % EPOCH_LEAP: json.dumps(r.value) for r in history}, key
        assert [] == verify_store(new).findings
        assert 2 == new.outcomes.count()
        assert 1 == len(new.conflicts.list())
        assert "notes/000" == new.as_agent("b", swarm="t").records.get("notes/000").key
        assert new.leases.acquire("deploy").token > EPOCH_LEAP
        with pytest.raises(ConflictError):
            new.records.put("notes/001", "stale", expect=1)


def test_a_lost_value_is_named_and_its_older_versions_are_kept(filled, damage, path, tmp_path):
    damage("UPDATE records SET author = 'eve' WHERE key IN ('notes/often', 'notes/007')")
    filled.close()
    repaired = repair_store(path, tmp_path / "new.db")

    assert [("records", "s", "notes/007"), ("records", "s", "notes/often")] == sorted(
        loss[:3] for loss in repaired.losses
    )
    with open_store(tmp_path / "new.db") as new:
        assert new.records.get("notes/often") is None
        assert new.records.get("notes/007") is None
        assert 12 == new.records.rollback("notes/often").value["n"]
        assert [] == verify_store(new).findings


LOSSES = {
    "a record": ("DELETE FROM records WHERE key = 'notes/007'", ("records", "s", "notes/007")),
    "a record with history": (
        "DELETE FROM records WHERE key = 'notes/often'",
        ("records", "s", "notes/often"),
    ),
    "an older version": (
        "UPDATE history SET author = 'eve' WHERE key = 'notes/often' AND version = 11",
        ("history", "s", "notes/often"),
    ),
    "a dictionary": (
        "UPDATE dictionaries SET bytes = zeroblob(length(bytes))",
        ("dictionaries", "s", "dictionary 1"),
    ),
    "an outcome": ("UPDATE outcomes SET agents = '['", ("outcomes", "s", "")),
    "a session with an agent": (
        "UPDATE sessions SET about = '{' WHERE session_id = 's-active'",
        ("sessions", "s", "s-active"),
    ),
    "a type": ("UPDATE messages SET rank = 'first' WHERE type = 'hello'", ("messages", "s", "")),
}


@pytest.mark.parametrize("kind", LOSSES)
def test_a_loss_is_named_and_the_rest_is_whole(filled, damage, path, tmp_path, kind):
    sql, (table, swarm, key) = LOSSES[kind]
    damage(sql)
    filled.close()
    repaired = repair_store(path, tmp_path / "new.db")

    assert [loss for loss in repaired.losses if loss[:2] == (table, swarm) and key in loss.key]
    with open_store(tmp_path / "new.db") as new:
        assert [] == verify_store(new).findings
        assert new.records.get("swarm-s/agent-a/state") is not None


def test_messages_that_lost_their_runs_or_cursors_are_delivered(filled, damage, path, tmp_path):
    filled.messages.send_many([1, 2, 3], topic="t")
    filled.messages.claim("t", limit=2)
    filled.messages.send_many([1, 2], topic="u")
    filled.messages.claim("u")
    damage("DELETE FROM message_runs WHERE queue IN ('topic:t', 'topic:builds')")
    damage("DELETE FROM message_cursors WHERE queue = 'topic:u'")
    damage("DELETE FROM messages WHERE queue = 'topic:u' AND body = '1'")
    filled.close()
    repair_store(path, tmp_path / "new.db")
    with open_store(tmp_path / "new.db") as new:
        assert [] == verify_store(new).findings
        claimed = {topic: new.messages.claim(topic) for topic in ("t", "u", "builds")}
    assert [[1, 2, 3], [2]] == [[m.body for m in claimed[topic]] for topic in "tu"]
    assert [2, 2, 1] == [m.attempts for m in claimed["t"]]
    assert [{"on": "topic"}] == [m.body for m in claimed["builds"]]


def test_counters_links_and_seats_are_made_anew(filled, damage, path, tmp_path):
    damage("UPDATE usage SET bytes = bytes + 5")
    damage("UPDATE arms SET trials = 99")
    damage("UPDATE seats SET state = 'sold'")
    damage("UPDATE records SET history_id = NULL WHERE key = 'notes/often'")
    damage("DELETE FROM events WHERE seq = 20")
    filled.close()
    repair_store(path, tmp_path / "new.db")
    with open_store(tmp_path / "new.db") as new:
        assert [] == verify_store(new).findings
        assert 10 == len(new.records.history("notes/often"))


def test_a_store_with_a_wiped_page_is_saved_but_for_that_page(closed, values, tmp_path):
    healthy = closed.read_bytes()
    pages = len(healthy) // PAGE_BYTES
    db = apsw.Connection(str(closed))
    packing = db.execute("SELECT pageno - 1 FROM dbstat WHERE name = 'dictionaries'").fetchall()
    db.close()
    saved = []
    for page in range(2, pages, max(1, pages // 12)):
        damaged = tmp_path / f"damaged-{page}.db"
        damaged.write_bytes(
            healthy[: page * PAGE_BYTES] + bytes(PAGE_BYTES) + healthy[(page + 1) * PAGE_BYTES :]
        )
        try:
            repaired = repair_store(damaged, tmp_path / f"new-{page}.db")
        except ImportSourceError:
            continue  # a page of the schema
        with open_store(tmp_path / f"new-{page}.db") as new:
            found = {r.key: r for r in new.records.each(telemetry=True)}
            assert [] == verify_store(new).findings
        for key, record in found.items():
            assert json.dumps(record.value) in values[key].values()
        named = {loss.key for loss in repaired.losses}
        assert values.keys() <= found.keys() | named, page
        if (page,) not in packing:  # nothing that was packed with that one can be read
            saved.append(len(found))
    assert len(saved) >= 8
    assert min(saved) > len(values) * 0.8


def test_an_existing_file_and_nonsense_are_refused(closed, tmp_path):
    (tmp_path / "nonsense.db").write_bytes(b"hello" * 5000)

    with pytest.raises(InvalidArgumentError):
        repair_store(closed, closed)
    with pytest.raises(ImportSourceError):
        repair_store(tmp_path / "nonsense.db", tmp_path / "new.db")
    assert not (tmp_path / "new.db").exists()


def test_the_command_names_each_loss(path, tmp_path, capsys, damage):
    from swarm_memory.doors.cli import main

    with open_store(path) as swarm:
        fill(swarm)
    damage("UPDATE records SET author = 'eve' WHERE key = 'notes/007'")
    with pytest.raises(SystemExit) as exit_:
        main(["repair", "--url", f"sqlite:///{path}", "--to", str(tmp_path / "new.db")])
    out, err = capsys.readouterr()

    assert 6 == exit_.value.code
    assert "records\ts\tnotes/007\tthe value of version 1 is damaged\n" == out
    assert "1 lost" in err
