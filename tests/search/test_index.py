"""The index follows the change log, and is made anew whenever it does not fit the store."""

import apsw
import pytest
from index_content import whole

from swarm_memory import indexing
from swarm_memory.backup import restore_backup, write_backup
from swarm_memory.errors import CorruptValueError, EngineBusyError, SwarmMemoryError
from swarm_memory.integrity import verify_store
from swarm_memory.ranking import MIN_SCORE
from swarm_memory.search import CATCH_UP_ROWS
from swarm_memory.testing import Store


def keys(hits):
    return sorted(hit.record.key for hit in hits)


def found(swarm, word="redis"):
    return keys(swarm.search(word, limit=1000))


@pytest.fixture
def store(tmp_path):
    """A store in a file: what is in its index is looked at from outside."""
    store = Store(f"sqlite:///{tmp_path}/memory.db")
    yield store
    store.close()


@pytest.fixture
def step(monkeypatch):
    """Make batches of two records."""
    monkeypatch.setattr(indexing, "BATCH_ROWS", 2)


def test_what_happened_since_is_followed_in_batches(swarm, step):
    for n in range(7):
        swarm.records.put(f"notes/{n}", "redis")
    assert 7 == len(found(swarm))
    for n in range(5):
        swarm.records.put(f"notes/{n}", "redis again")
    swarm.records.delete("notes/0")
    swarm.records.put("memory/operations/x", "redis")

    assert [f"notes/{n}" for n in range(1, 7)] == found(swarm)
    assert 6 == len(whole(swarm))


def test_a_search_follows_up_so_many_rows_and_says_if_that_was_not_all(swarm, step):
    swarm.records.put_many([(f"notes/{n}", "redis") for n in range(6)])
    hits = swarm.finder.search("redis", rows_max=4)

    assert not hits.complete
    assert len(hits) < 6
    again = swarm.finder.search("redis", rows_max=4)
    assert again.complete
    assert 6 == len(again)


def test_a_search_follows_up_for_so_long_and_says_if_that_was_not_all(store, swarm, step):
    swarm.records.put_many([(f"notes/{n}", "redis") for n in range(9)])
    until = store.clock.uptime_ms
    store.clock.uptime_ms = lambda: (store.clock.advance(0.1), until())[1]  # each look takes 0.1 s
    hits = swarm.search("redis")

    assert not hits.complete
    assert 0 < len(hits) < 9


def test_the_first_search_of_a_large_store_answers_and_goes_on_with_the_next(swarm):
    many = CATCH_UP_ROWS + 500
    swarm.records.put_many([(f"notes/{n:05}", "redis") for n in range(many)])

    assert not swarm.finder.search("redis", within_s=1000).complete
    assert swarm.finder.search("redis", within_s=1000).complete
    assert many == len(whole(swarm))


def test_what_changes_while_an_index_is_made_is_in_it(swarm, step):
    swarm.records.put_many([(f"notes/{n}", "redis") for n in range(6)])
    swarm.finder.search("redis", rows_max=3)
    swarm.records.delete("notes/0")  # was scanned already
    swarm.records.put("notes/1", "postgres")
    swarm.records.put("notes/00", "redis")  # before the cursor
    swarm.records.delete("notes/5")  # behind it
    swarm.records.put("notes/9", "redis")

    assert ["notes/00", "notes/2", "notes/3", "notes/4", "notes/9"] == found(swarm)
    assert 6 == len(whole(swarm))


def test_pruned_events_make_the_index_anew(store, swarm, step):
    swarm.records.put_many([(f"notes/{n}", "redis") for n in range(3)])
    assert 3 == len(found(swarm))
    swarm.records.delete("notes/0")
    swarm.records.put("notes/5", "redis")
    swarm.records.put("notes/1", "postgres")
    store.clock.advance(swarm.config.event_retention_s + 1)
    swarm.records.put("notes/6", "redis")
    swarm.retention.sweep()

    assert swarm.events.since(0)[0].seq > 5
    assert ["notes/2", "notes/5", "notes/6"] == found(swarm)
    whole(swarm)


def test_a_restored_store_is_indexed_anew(swarm, tmp_path):
    swarm.records.put("notes/kept", "redis")
    assert ["notes/kept"] == found(swarm)
    backup = write_backup(swarm, tmp_path / "backups")
    swarm.records.delete("notes/kept")
    swarm.records.put("notes/later", "redis")
    assert ["notes/later"] == found(swarm)
    restore_backup(swarm, backup.path, replace=True)

    assert ["notes/kept"] == found(swarm)
    whole(swarm)


def test_other_terms_make_the_index_anew(swarm, monkeypatch):
    swarm.records.put("notes/1", "redis")
    swarm.search("redis")
    monkeypatch.setattr(indexing, "ANALYSER", indexing.ANALYSER + 1)
    monkeypatch.setattr(indexing, "terms_of", lambda text: (["postgr"], 1))

    assert [] == found(swarm, "redis")
    assert 1 == len(whole(swarm))


def test_a_damaged_record_is_named_and_keeps_nobody_else_out(swarm):
    for name in "abc":
        swarm.records.put(f"notes/{name}", "redis")
    db = apsw.Connection(swarm.url.removeprefix("sqlite:///"))
    db.execute("UPDATE records SET value = substr(value, 1, 3) WHERE key = 'notes/b'")
    assert ["notes/a", "notes/c"] == found(swarm)

    db.execute("UPDATE records SET value = substr(value, 1, 3) WHERE key = 'notes/c'")
    hits = swarm.search("redis")
    assert (["notes/a"], ["notes/c"]) == (keys(hits), list(hits.damaged))
    with pytest.raises(CorruptValueError):
        swarm.records.get("notes/c")


def test_a_damaged_index_is_named_by_verify_and_made_anew(swarm):
    swarm.records.put_many([(f"notes/{n}", f"redis word{n}") for n in range(50)])
    assert 50 == len(found(swarm))
    db = apsw.Connection(swarm.url.removeprefix("sqlite:///"))
    db.execute("UPDATE search_index_data SET block = zeroblob(length(block)) WHERE id > 10")
    db.close()
    assert not verify_store(swarm).ok
    with pytest.raises(SwarmMemoryError):
        swarm.search("redis")

    swarm.finder.rebuild()
    assert 50 == len(found(swarm))
    assert verify_store(swarm).ok


def test_a_whole_store_with_an_index_is_verified(swarm):
    swarm.records.put_many([(f"notes/{n}", "redis") for n in range(20)])
    swarm.search("redis")
    swarm.records.delete("notes/3")
    swarm.search("redis")

    assert [] == verify_store(swarm).findings


def test_the_upkeep_keeps_up_an_index_and_begins_none(store, swarm):
    swarm.records.put("notes/1", "redis")
    assert swarm.tick()
    assert not swarm.finder.index.is_begun()
    swarm.search("redis")
    swarm.records.put("notes/2", "redis")
    store.clock.advance(swarm.config.cleanup_interval_s)
    assert swarm.tick()

    assert ["notes/1", "notes/2"] == keys(swarm.finder.search("redis", rows_max=0))


def test_a_store_that_cannot_be_written_is_searched_as_far_as_it_is_indexed(swarm, monkeypatch):
    swarm.records.put("notes/1", "redis")
    swarm.search("redis")
    swarm.records.put("notes/2", "redis")
    blocker = apsw.Connection(swarm.url.removeprefix("sqlite:///"))
    monkeypatch.setattr(swarm._engine, "_busy_timeout_s", 0.05)
    monkeypatch.setattr(swarm._engine._pool, "_busy_timeout_s", 0.05)
    for connection in list(swarm._engine._pool._idle):
        swarm._engine._pool._idle.remove(connection)
    blocker.execute("BEGIN IMMEDIATE")
    hits = swarm.search("redis")
    with pytest.raises(EngineBusyError):
        swarm.records.put("notes/3", "redis")
    blocker.execute("ROLLBACK")

    assert (["notes/1"], False) == (keys(hits), hits.complete)
    assert ["notes/1", "notes/2"] == found(swarm)


def test_a_batch_that_comes_late_changes_nothing(swarm, step):
    swarm.records.put_many([(f"notes/{n}", "redis") for n in range(3)])
    swarm.search("redis")
    swarm.records.put("notes/1", "postgres")
    index = swarm.finder.index
    late = swarm._engine.read(lambda tx: index._next(tx, indexing.Pager()))
    entries = [index._entry(row) for row in late.rows]
    swarm.records.put("notes/1", "mysql")
    assert ["notes/1"] == found(swarm, "mysql")
    before = index.state(swarm._engine)
    swarm._engine.write(lambda tx: index._apply(tx, late, entries))

    assert before == index.state(swarm._engine)
    assert ["notes/1"] == found(swarm, "mysql")
    whole(swarm)


def test_another_epoch_makes_the_index_anew(swarm):
    swarm.records.put("notes/1", "redis")
    swarm.search("redis")
    db = apsw.Connection(swarm.url.removeprefix("sqlite:///"))
    db.execute("UPDATE records SET value = NULL")  # what no event tells
    db.execute("INSERT INTO facts VALUES ('', 'epoch', 5)")
    assert [] == found(swarm)

    assert [] == whole(swarm)


def test_a_put_writes_nothing_of_the_index(swarm):
    swarm.records.put("notes/1", "redis")
    swarm.search("redis")
    before = swarm.finder.index.state(swarm._engine)
    swarm.records.put("notes/2", "redis")
    swarm.records.put_many([("notes/3", "redis")])
    swarm.records.delete("notes/1")

    assert before[:5] == swarm.finder.index.state(swarm._engine)[:5]


def test_a_memory_is_found_by_the_names_and_paths_of_its_files(swarm):
    files = ["src/doors/gatekeeper.py", "docs/Überblick.md"]
    swarm.memories.store("sessions last an hour", key="a", files=files)
    swarm.memories.store("sessions last a day", key="b", files=["tools/run.sh"])

    for question in (
        "gatekeeper",
        "gatekeeper.py",
        "what about src/doors/gatekeeper.py?",
        "uberblick",
    ):
        (hit,) = swarm.search(question, min_score=MIN_SCORE)
        assert ("a", "sessions last an hour") == (hit.record.key, hit.snippet)


def test_a_provenance_that_names_files_in_its_own_way_is_indexed(swarm):
    for number, files in enumerate(["one", {"a": 1}, [1, None, "gatekeeper.py"], None]):
        swarm.records.put(f"a/{number}", "redis", provenance={"files": files})

    assert 4 == len(found(swarm))
    assert ["a/2"] == found(swarm, "gatekeeper")
