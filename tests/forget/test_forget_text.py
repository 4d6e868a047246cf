"""A text that is forgotten is in none of the store's files, and the store is whole."""

import pytest
from traces import SECRET, places_of

from swarm_memory import InvalidArgumentError, Put, Swarm
from swarm_memory.backup import restore_backup, verify_backup, write_backup
from swarm_memory.forgetting import forget
from swarm_memory.integrity import verify_store


def plant(swarm):
    """Write the secret in every place that takes a text."""
    records = swarm.records
    records.put("plans/launch", {"deep": [{"er": SECRET}]})
    records.put("plans/launch", {"deep": "harmless"})
    records.put("plans/old", "first")
    records.put("plans/old", SECRET)
    records.put("plans/gone", SECRET)
    records.delete("plans/gone")
    records.put("plans/about", 1, provenance={"said": SECRET})
    records.put("plans/once", {"text": SECRET}, op_id="op-9")
    records.put("plans/json", '{"inner": ' + f'"{SECRET[:30]}"' + "}")
    records.put("memory/operations/x", {"command": SECRET})
    records.put_many(
        [Put(f"plans/many-{n}", {"n": n, "text": f"{SECRET} {n}"}) for n in range(300)]
    )
    records.put("plans/met", {"v": 1})
    records.put("plans/met", {"v": 2})
    records.put("plans/met", {"v": SECRET}, expect=1, on_conflict="keep_both")
    swarm.messages.send({"text": SECRET}, to="b")
    swarm.messages.send({"text": "plain"}, to="b")
    swarm.messages.send({"text": SECRET}, topic="builds")
    swarm.messages.send({"text": SECRET})
    swarm.sessions.begin("s-1", about={"branch": SECRET})
    swarm.outcomes.record("parse", ["a"], True, 1, strategy="x", context={"why": SECRET})
    swarm.outcomes.recommend({"task_type": "parse", "why": SECRET}, ["x", "y"])
    swarm.leases.acquire("work", ttl_s=60).release()
    swarm.as_agent("b", swarm="t").records.put("notes/secret", SECRET)
    swarm.retention.pack()
    swarm.search("launch code")


def test_a_text_leaves_every_file_and_the_store_is_whole(filled, folder, tmp_path):
    write_backup(filled, folder)
    plant(filled)
    write_backup(filled, folder, incremental=True)
    full = write_backup(filled, folder)
    filled.records.put("plans/after", f"again {SECRET}")
    last = write_backup(filled, folder, incremental=True)
    assert places_of(tmp_path, SECRET)

    done = forget(filled, "text", SECRET)

    assert [] == done.left
    assert [] == places_of(tmp_path, SECRET)
    report = verify_store(filled)
    assert ([], True) == (report.findings, report.ok)
    for backup in (full, last):
        verify_backup(backup.path)
    assert "harmless" == filled.records.get("plans/launch").value["deep"]
    assert filled.records.get("plans/old") is None
    assert ["first"] == [r.value for r in filled.records.history("plans/old") if not r.deleted]
    assert {"text": "plain"} in [m.body for m in filled.as_agent("b").messages.claim(limit=10)]


def test_a_restored_backup_has_what_was_not_forgotten(filled, folder, tmp_path):
    plant(filled)
    write_backup(filled, folder)
    filled.records.put("notes/new", "later")
    last = write_backup(filled, folder, incremental=True)
    forget(filled, "text", SECRET)
    kept = {r.key: r.value for r in filled.records.each(telemetry=True)}

    with Swarm.open(f"sqlite:///{tmp_path}/restored.db", agent="a", swarm="s") as other:
        restore_backup(other, last.path)

        assert kept == {r.key: r.value for r in other.records.each(telemetry=True)}
        assert ["first"] == [r.value for r in other.records.history("plans/old") if not r.deleted]


def test_increments_go_on_after_something_was_forgotten(filled, folder, tmp_path):
    plant(filled)
    write_backup(filled, folder)
    forget(filled, "text", SECRET)
    filled.records.put("notes/new", "later")

    last = write_backup(filled, folder, incremental=True)

    assert not last.full
    verify_backup(last.path)
    with Swarm.open(f"sqlite:///{tmp_path}/restored.db", agent="a", swarm="s") as other:
        restore_backup(other, last.path)
        assert "later" == other.records.get("notes/new").value
        assert ["first"] == [r.value for r in other.records.history("plans/old") if not r.deleted]


def test_a_dry_run_counts_and_changes_nothing(filled, folder, tmp_path):
    plant(filled)
    write_backup(filled, folder)
    before = places_of(tmp_path, SECRET)

    done = forget(filled, "text", SECRET, dry_run=True)

    assert (before, True) == (places_of(tmp_path, SECRET), done.dry_run)
    assert 1 == len(done.backups)
    assert {"records", "telemetry", "older versions", "messages"} <= set(done.removed)
    assert done.removed == forget(filled, "text", SECRET).removed


def test_the_change_log_says_that_and_not_what(filled):
    plant(filled)
    forget(filled, "text", SECRET)

    last = filled._engine.all("backup_events", after_a=-1, limit=10_000)[-1]

    assert ("s", "forget", 0, "forget", "a") == last[1:6]


def test_versions_of_a_forgotten_key_do_not_come_again(swarm):
    for text in ("one", "two", SECRET):
        swarm.records.put(f"plans/{SECRET[4:10]}", text)

    forget(swarm, "text", SECRET[4:10])

    assert 4 == swarm.records.put("plans/other", 1).version


def test_a_key_that_holds_the_text_goes(swarm, tmp_path):
    swarm.records.put("plans/tango-4711/x", 1)
    swarm.records.put("plans/other", 1)

    forget(swarm, "text", "tango-4711")

    assert ["plans/other"] == [r.key for r in swarm.records.each()]
    assert [] == places_of(tmp_path, "tango-4711")
    assert verify_store(swarm).ok


@pytest.mark.parametrize("text", ["", "abc", "forget", "orge"])
def test_what_would_be_everywhere_is_refused(swarm, text):
    with pytest.raises(InvalidArgumentError):
        forget(swarm, "text", text)


def test_the_words_of_a_text_leave_the_index(swarm, tmp_path):
    swarm.records.put("plans/x", "the quokkaword is secret")
    swarm.records.put("plans/y", "something else")
    swarm.search("secret")
    swarm.records.delete("plans/x")
    swarm.search("secret")
    swarm.records.put("plans/z", "the quokkaword is secret")

    forget(swarm, "text", "the quokkaword is secret")

    assert [] == places_of(tmp_path, "quokkaword")
    assert ["plans/y"] == [hit.record.key for hit in swarm.search("something")]


def test_a_run_of_messages_in_somebodys_hands_loses_only_what_is_forgotten(swarm):
    for text in ("one", SECRET, "two", SECRET, "three", SECRET):
        swarm.messages.send({"text": text}, to="b")
    in_hand = swarm.as_agent("b").messages.claim(limit=6, visible_after_s=600)
    assert 6 == len(in_hand)

    forget(swarm, "text", SECRET)

    assert [] == verify_store(swarm).findings
    assert 3 == swarm.as_agent("b").messages.counts().claimed


def test_a_moment_before_what_was_dropped_can_be_restored(swarm, folder, tmp_path):
    swarm.records.put("notes/1", "then")
    swarm.records.put("forget", "a key of this name is a key like any other")
    seq = swarm.events.newest()
    swarm.records.put("plans/late", SECRET)
    swarm.records.put("plans/late", SECRET)
    swarm.records.put("plans/late", SECRET)
    swarm.records.put("notes/1", "now")
    last = write_backup(swarm, folder)
    forget(swarm, "text", SECRET, folders=[str(folder)])

    with Swarm.open(f"sqlite:///{tmp_path}/then.db", agent="a", swarm="s") as other:
        restore_backup(other, last.path, at=seq)

        assert "then" == other.records.get("notes/1").value
        assert ["forget", "notes/1"] == [r.key for r in other.records.each()]


def test_lines_of_the_hooks_log_go_too(swarm, tmp_path):
    log = tmp_path / "memory.db-hooks.log"
    log.write_text(f"one\nfailed: {SECRET}\nthree\n")

    done = forget(swarm, "text", SECRET)

    assert ("one\nthree\n", 1) == (log.read_text(), done.removed["lines of logs"])
