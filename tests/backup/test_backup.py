"""A backup is the whole store at one moment, and a restore brings all of it back."""

import json
import os
import stat
import subprocess

import apsw
import pytest
from backup_content import content, tables_of_a_backup

from swarm_memory import Swarm
from swarm_memory.backup import (
    backups_in,
    prune_backups,
    read_manifest,
    restore_backup,
    restore_new,
    verify_backup,
    write_backup,
)
from swarm_memory.backup.loading import EPOCH_LEAP
from swarm_memory.backup.manifest import check_seal
from swarm_memory.backup.tables import LEFT_OUT
from swarm_memory.errors import (
    ConflictError,
    CursorExpiredError,
    DamagedError,
    EngineUnavailableError,
    InvalidArgumentError,
    LeaseLostError,
    NotFoundError,
    StaleReceiptError,
)
from swarm_memory.integrity import verify_store
from swarm_memory.testing import ManualClock

# --- all of it ---


def test_every_table_is_in_a_backup_or_left_out_for_a_reason(swarm):
    db = apsw.Connection(swarm.url.removeprefix("sqlite:///"))
    names = {row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    db.close()

    assert names == tables_of_a_backup() | set(LEFT_OUT)


def test_a_restored_store_has_every_table_as_it_was(filled, folder, other):
    backup = write_backup(filled, folder)
    restore_backup(other, backup.path)
    before, after = content(filled), content(other)

    assert before.keys() == after.keys()
    for table in before:
        assert before[table] == after[table], table
    assert verify_store(other).ok
    assert [] == backup.damaged


def test_a_new_store_is_restored_into_a_file_of_its_own(filled, folder, tmp_path):
    backup = write_backup(filled, folder)
    restore_new(backup.path, str(tmp_path / "new" / "memory.db"))
    with Swarm.open(f"sqlite:///{tmp_path}/new/memory.db", agent="a", swarm="s") as new:
        assert content(filled) == content(new)

    assert [] == [n for n in os.listdir(tmp_path / "new") if not n.startswith("memory.db")]
    with pytest.raises(InvalidArgumentError):
        restore_new(backup.path, str(tmp_path / "new" / "memory.db"))


def test_what_is_written_after_a_restore_goes_on_like_before(filled, folder, other):
    restore_backup(other, write_backup(filled, folder).path)
    other.records.put("notes/often", "again")
    other.records.delete("notes/005")
    other.records.put("notes/back", 3, expect=other.records.get("notes/back").version)
    other.retention.sweep()
    other.retention.pack()

    assert "again" == other.records.get("notes/often").value
    assert [] == verify_store(other).findings


def test_expired_records_come_back_expired(folder, tmp_path):
    clock = ManualClock()
    with Swarm.open(f"sqlite:///{tmp_path}/one.db", clock=clock) as one:
        one.records.put("notes/1", "secret", ttl_s=1)
        clock.advance(2)
        backup = write_backup(one, folder)
    with Swarm.open(f"sqlite:///{tmp_path}/two.db", clock=clock) as two:
        restore_backup(two, backup.path)
        assert two.records.get("notes/1") is None
        assert [] == verify_store(two).findings


def test_a_backup_is_json_that_zstd_and_nobody_else_can_read(filled, folder, tmp_path):
    backup = write_backup(filled, folder)
    plain = subprocess.run(["zstd", "-dc", backup.path], capture_output=True, check=False)
    if plain.returncode:
        pytest.skip("no zstd here")
    manifest, *_, trailer = [json.loads(line) for line in plain.stdout.splitlines()]

    assert "swarm-memory-backup" == manifest["format"]
    assert backup.rows == trailer["rows"]
    assert 0o600 == stat.S_IMODE(os.stat(backup.path).st_mode)


def test_a_damaged_value_is_left_out_and_named(filled, folder, other):
    db = apsw.Connection(filled.url.removeprefix("sqlite:///"))
    db.execute("UPDATE records SET author = 'eve' WHERE key = 'notes/007'")
    db.close()
    backup = write_backup(filled, folder)
    restored = restore_backup(other, backup.path)

    assert ["s: notes/007 version 1"] == backup.damaged == restored.damaged
    assert other.records.get("notes/007") is None
    assert other.records.get("notes/008") is not None


# --- what was remembered from before a restore ---


def test_an_old_lease_holders_write_is_refused_after_a_restore(swarm, folder):
    backup = write_backup(swarm, folder)
    lease = swarm.leases.acquire("deploy", ttl_s=3600)
    swarm.records.put("notes/1", "by the holder", fence=lease)
    restore_backup(swarm, backup.path, replace=True)

    with pytest.raises(LeaseLostError):
        swarm.records.put("notes/1", "late", fence=lease)
    new = swarm.leases.acquire("deploy", ttl_s=3600)
    assert new.token > EPOCH_LEAP > lease.token
    with pytest.raises(LeaseLostError):
        swarm.records.put("notes/1", "late", fence=lease)
    with pytest.raises(LeaseLostError):
        lease.renew()
    assert swarm.records.put("notes/1", "by the new holder", fence=new)


def test_a_held_lease_is_free_in_a_copy_and_its_token_is_stale(filled, folder, other):
    lease = filled.leases.acquire("copied", ttl_s=3600)
    restore_backup(other, write_backup(filled, folder).path)

    assert other.leases.acquire("copied").token > EPOCH_LEAP
    with pytest.raises(LeaseLostError):
        other.records.put("notes/1", "late", fence=lease)


@pytest.mark.parametrize("key", ["notes/1", "notes/2", "notes/3"])
def test_versions_never_repeat(swarm, folder, key):
    swarm.records.put("notes/1", "backed up")
    backup = write_backup(swarm, folder)
    swarm.records.put("notes/1", "lost")
    swarm.records.put("notes/2", "lost")
    swarm.records.put("notes/3", "lost")
    swarm.records.delete("notes/3")
    lost = swarm.records.history(key)
    restore_backup(swarm, backup.path, replace=True)

    for record in lost:
        with pytest.raises(ConflictError):
            swarm.records.put(key, "stale", expect=record.version)
    assert swarm.records.put(key, "new").version > max(record.version for record in lost)


def test_cursors_of_before_have_expired(filled, folder):
    seen = filled.events.newest()
    backup = write_backup(filled, folder)
    filled.records.put("notes/1", "lost")
    lost = filled.events.newest()
    restore_backup(filled, backup.path, replace=True)

    for cursor in (1, seen, lost):
        with pytest.raises(CursorExpiredError):
            filled.events.since(cursor)
    assert not filled.events.changes("sync").complete
    assert filled.events.changes("sync").complete


def test_a_message_in_hand_is_ready_again_and_its_old_receipt_is_stale(swarm, folder):
    swarm.messages.send("work", topic="builds")
    (message,) = swarm.messages.claim("builds")
    restore_backup(swarm, write_backup(swarm, folder).path, replace=True)

    with pytest.raises(StaleReceiptError):
        swarm.messages.ack(message)
    (again,) = swarm.messages.claim("builds")
    assert ("work", 2) == (again.body, again.attempts)


def test_what_is_sent_after_a_restore_is_delivered(swarm, other, folder):
    for number in range(5):
        swarm.messages.send(number, topic="builds")
        swarm.messages.send(number)
    swarm.messages.ack(*swarm.messages.claim("builds"), *swarm.messages.claim())
    restore_backup(other, write_backup(swarm, folder).path)
    other.messages.send("new", topic="builds")
    other.messages.send("news")

    assert ["new"] == [message.body for message in other.messages.claim("builds")]
    assert ["news"] == [message.body for message in other.messages.claim()]


def test_a_run_of_messages_ends_at_the_moment_that_is_restored(folder, tmp_path):
    clock = ManualClock()
    with Swarm.open(f"sqlite:///{tmp_path}/one.db", clock=clock) as one:
        one.records.put("notes/1", "before")
        one.messages.send_many([1, 2], topic="t")
        moment_ms = one.read(lambda tx: tx.now_ms)
        clock.advance(10)
        one.records.put("notes/1", "after")
        one.messages.send_many([3, 4], topic="t")
        one.messages.claim("t", limit=3)
        backup = write_backup(one, folder)
    with Swarm.open(f"sqlite:///{tmp_path}/two.db", clock=clock) as two:
        restore_backup(two, backup.path, at_ms=moment_ms)
        assert [1, 2] == [message.body for message in two.messages.claim("t")]
        assert [] == verify_store(two).findings


def test_an_op_id_applies_once_across_a_restore(swarm, folder):
    first = swarm.records.put("notes/1", "value", op_id="op")
    restore_backup(swarm, write_backup(swarm, folder).path, replace=True)

    assert first == swarm.records.put("notes/1", "value", op_id="op")
    assert 1 == len(swarm.records.history("notes/1"))


def test_a_process_that_stays_reads_right_after_a_restore_under_it(filled, folder, tmp_path):
    """It knows dictionaries by number and counters by event, and both were replaced under it."""
    backup = write_backup(filled, folder)
    with Swarm.open(f"sqlite:///{tmp_path}/live.db", agent="a", swarm="s") as live:
        live.records.put_many((f"notes/{n:03}", {"other": "words", "n": n}) for n in range(600))
        live.retention.pack()
        live.records.put("notes/x", "x" * 50)
        with Swarm.open(live.url, agent="b", swarm="s") as restorer:
            restore_backup(restorer, backup.path, replace=True)
        for record in filled.records.each():
            assert record.value == live.records.get(record.key).value
        live.records.put("notes/y", {"more": "of the words that were there before" * 3})
        assert live.records.get("notes/y") is not None
        assert [] == verify_store(live).findings
        quota = live.records._writer.quota
        assert quota._known[""][0] == quota._used(live._engine, "")


def test_a_store_that_holds_anything_is_not_overwritten_unasked(filled, folder):
    backup = write_backup(filled, folder)
    before = content(filled)

    with pytest.raises(InvalidArgumentError):
        restore_backup(filled, backup.path)
    assert before == content(filled)


def test_a_restore_that_fails_changes_nothing(filled, folder):
    backup = write_backup(filled, folder)
    filled.records.put("notes/new", 1)
    before = content(filled)

    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_backup(filled, backup.path, replace=True, progress=interrupt)
    assert before == content(filled)


# --- increments ---


def test_a_chain_restores_to_what_there_was_at_its_end(filled, folder, other):
    write_backup(filled, folder)
    filled.records.put("notes/new", 1)
    filled.records.put("notes/often", "once more")
    filled.records.delete("notes/004")
    filled.messages.claim("builds")
    second = write_backup(filled, folder, incremental=True)
    filled.records.put("notes/004", "back")
    filled.outcomes.record("parse", ["a"], True, 1, strategy="y")
    third = write_backup(filled, folder, incremental=True)
    restore_backup(other, third.path)

    assert (False, False) == (second.full, third.full)
    assert second.rows["records"] == 3
    assert content(filled) == content(other)
    assert [] == verify_store(other).findings


def test_what_was_forgotten_between_increments_does_not_come_back(folder, tmp_path):
    clock = ManualClock()
    with Swarm.open(f"sqlite:///{tmp_path}/one.db", clock=clock) as one:
        one.records.put("notes/1", "secret")
        one.records.put("notes/2", "stays")
        one.records.delete("notes/1")
        write_backup(one, folder)
        clock.advance(31 * 86_400)
        one.records.put("notes/3", "new")
        one.retention.sweep()
        last = write_backup(one, folder, incremental=True)
        clock.advance(1)
        with Swarm.open(f"sqlite:///{tmp_path}/two.db", clock=clock) as two:
            restore_backup(two, last.path)
            assert [] == two.records.history("notes/1")
            assert content(one) == content(two)
    assert not last.full


def test_an_increment_without_its_parent_is_refused(filled, folder, other):
    full = write_backup(filled, folder)
    filled.records.put("notes/new", 1)
    more = write_backup(filled, folder, incremental=True)
    os.unlink(full.path)

    with pytest.raises(NotFoundError, match="not beside it"):
        restore_backup(other, more.path)


def test_a_store_with_another_past_gets_a_full_backup(filled, folder, other):
    write_backup(filled, folder)
    assert write_backup(other, folder, incremental=True).full

    restore_backup(filled, write_backup(filled, folder).path, replace=True)
    assert write_backup(filled, folder, incremental=True).full


# --- a moment ---


def test_every_moment_of_a_history_can_be_restored(swarm, folder, tmp_path):
    moments = {}
    steps = [
        lambda: swarm.records.put("notes/1", 1),
        lambda: swarm.records.put("notes/2", 1),
        lambda: swarm.records.put("notes/1", 2),
        lambda: swarm.records.delete("notes/2"),
        lambda: write_backup(swarm, folder),
        lambda: swarm.records.put("notes/2", 2),
        lambda: swarm.records.delete("notes/1"),
        lambda: write_backup(swarm, folder, incremental=True),
        lambda: swarm.records.put("notes/3", 1),
        lambda: swarm.records.put("notes/1", 3),
    ]
    for step in steps:
        step()
        moments[swarm.events.newest()] = histories(swarm)
    last = write_backup(swarm, folder, incremental=True)
    for seq, wanted in moments.items():
        path = tmp_path / f"{seq}.db"
        restored = restore_new(last.path, str(path), at=seq)
        with Swarm.open(f"sqlite:///{path}", agent="a", swarm="s") as copy:
            assert wanted == histories(copy), seq
            assert [] == verify_store(copy).findings
        assert seq == restored.seq
    assert 8 == len(moments)


def histories(swarm):
    return {
        key: [(r.version % EPOCH_LEAP, r.value, r.deleted) for r in swarm.records.history(key)]
        for key in ("notes/1", "notes/2", "notes/3")
    }


def test_a_touch_is_in_the_next_increment_and_shifts_no_moment(folder, tmp_path):
    clock = ManualClock()
    with Swarm.open(f"sqlite:///{tmp_path}/one.db", clock=clock) as one:
        one.records.put("notes/1", "first", ttl_s=100)
        second = one.records.put("notes/1", "second", ttl_s=100)
        write_backup(one, folder)
        one.records.put("notes/2", "in the increment")
        moment = one.events.newest()
        clock.advance(90)
        assert one.records.touch("notes/1", 100)
        backup = write_backup(one, folder, incremental=True)
    for name, at in (("end", None), ("before", moment)):
        path = f"{tmp_path}/{name}.db"
        restore_new(backup.path, path, at=at)
        with Swarm.open(f"sqlite:///{path}", clock=clock) as copy:
            record = copy.records.get("notes/1")
            lives_ms = record.expires_ms - clock.now_ms()
            found = (record.value, record.version % EPOCH_LEAP, lives_ms)
            assert ("second", second.version, 100_000) == found, name
            assert [] == verify_store(copy).findings


def test_a_time_is_a_moment_too(folder, tmp_path):
    clock = ManualClock()
    with Swarm.open(f"sqlite:///{tmp_path}/one.db", clock=clock) as one:
        one.records.put("notes/1", "before")
        one.outcomes.record("parse", ["a"], True, 1, strategy="x")
        one.messages.send("before", topic="t")
        clock.advance(10)
        moment_ms = one.read(lambda tx: tx.now_ms)
        clock.advance(10)
        one.records.put("notes/1", "after")
        one.outcomes.record("parse", ["a"], False, 1, strategy="x")
        one.messages.send("after", topic="t")
        backup = write_backup(one, folder)
    with Swarm.open(f"sqlite:///{tmp_path}/two.db", clock=clock) as two:
        restore_backup(two, backup.path, at_ms=moment_ms)
        assert "before" == two.records.get("notes/1").value
        assert [True] == [outcome.success for outcome in two.outcomes.recent()]
        assert ["before"] == [message.body for message in two.messages.inbox("t")]
        assert [] == verify_store(two).findings


def test_a_moment_whose_versions_are_gone_is_refused_and_not_guessed(swarm, folder, other):
    for n in range(40):
        swarm.records.put("notes/1", n)
    backup = write_backup(swarm, folder)

    with pytest.raises(NotFoundError, match="notes/1 version 3 "):
        restore_backup(other, backup.path, at=3)
    with pytest.raises(NotFoundError, match="before 99"):
        restore_backup(other, backup.path, at=99)
    assert other.records.get("notes/1") is None


# --- files ---


def test_every_flipped_byte_and_every_cut_is_found(swarm, folder):
    swarm.records.put("notes/1", "value")
    path = write_backup(swarm, folder).path
    with open(path, "rb") as file:
        octets = file.read()
    missed = []
    for place in range(len(octets)):
        for changed in (_flipped(octets, place), octets[:place]):
            with open(path, "wb") as file:
                file.write(changed)
            try:
                check_seal(path)
            except DamagedError:
                continue
            missed.append(place)
    with open(path, "wb") as file:
        file.write(octets + b"x")
    with pytest.raises(DamagedError):
        check_seal(path)
    assert [] == missed


def _flipped(octets, place):
    return octets[:place] + bytes([octets[place] ^ 1 << place % 8]) + octets[place + 1 :]


def test_a_damaged_backup_is_refused_before_anything_changes(filled, folder):
    path = write_backup(filled, folder).path
    before = content(filled)
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        octet = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([octet[0] ^ 4]))

    with pytest.raises(DamagedError):
        verify_backup(path)
    with pytest.raises(DamagedError):
        restore_backup(filled, path, replace=True)
    assert before == content(filled)


def test_verifying_a_backup_restores_it(filled, folder):
    first = write_backup(filled, folder)
    filled.records.put("notes/new", 1)
    second = write_backup(filled, folder, incremental=True)

    assert first.rows == verify_backup(first.path).rows
    assert [first.path, second.path] == verify_backup(second.path).paths


def test_a_backup_that_fails_leaves_nothing(filled, folder, tmp_path):
    def interrupt(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_backup(filled, folder, progress=interrupt)
    assert [] == os.listdir(folder)
    with pytest.raises(EngineUnavailableError):
        write_backup(filled, tmp_path / "no" / "such.zst")


def test_other_files_are_refused(filled, folder, tmp_path):
    (folder / "x.jsonl.zst").write_text("hello")

    for path in (folder / "x.jsonl.zst", tmp_path / "missing"):
        with pytest.raises(NotFoundError):
            read_manifest(str(path))
    assert [] == backups_in(str(folder))


# --- by time ---


def test_categories_are_backed_up_as_often_as_the_schema_says(folder, tmp_path):
    clock = ManualClock()
    with Swarm.open(f"sqlite:///{tmp_path}/one.db", agent="a", swarm="x", clock=clock) as one:

        def write(n):
            one.records.put("swarm-x/agent-a/state", n)  # hourly
            one.records.put("swarm-x/agent-a/decisions/1", n)  # daily
            one.records.put("neural/patterns/1", n)  # weekly
            one.records.put("swarm-x/snapshots/1", n)  # none
            clock.advance(1)

        write(1)
        weekly = one.backup_due(str(folder))
        assert one.backup_due(str(folder)) is None
        clock.advance(3600)
        write(2)
        hourly = one.backup_due(str(folder))
        clock.advance(86_400)
        write(3)
        daily = one.backup_due(str(folder))
        clock.advance(3600)
        write(4)
        last = one.backup_due(str(folder))
    covered = [b.manifest.covers for b in (weekly, hourly, daily, last)]
    assert [["hourly", "daily", "weekly"], ["hourly"], ["hourly", "daily"], ["hourly"]] == covered
    assert [True, False, False, False] == [b.full for b in (weekly, hourly, daily, last)]
    keys = ("swarm-x/agent-a/state", "swarm-x/agent-a/decisions/1", "neural/patterns/1")
    values = ((1, 1, 1), (2, 1, 1), (3, 3, 1), (4, 3, 1))
    for backup, wanted in zip((weekly, hourly, daily, last), values, strict=True):
        verify_backup(backup.path)
        path = tmp_path / f"{backup.manifest.backup_id}.db"
        restore_new(backup.path, str(path))
        with Swarm.open(f"sqlite:///{path}", agent="a", swarm="x", clock=clock) as copy:
            found = [copy.records.get(key) for key in keys]
            assert wanted == tuple(r.value for r in found)
            assert copy.records.get("swarm-x/snapshots/1") is None


def test_a_backup_that_failed_stays_due(swarm, folder):
    with pytest.raises(EngineUnavailableError):
        swarm.backup_due("/dev/null/backups")
    assert swarm.backup_due(str(folder)) is not None


def test_old_chains_go_as_a_whole_and_the_newest_stay(filled, folder):
    chains = []
    for _ in range(3):
        full = write_backup(filled, folder)
        filled.records.put("notes/new", 1)
        chains.append({full.path, write_backup(filled, folder, incremental=True).path})
    newest = write_backup(filled, folder)
    removed = prune_backups(str(folder), newest, keep=2, age_s=None)

    assert chains[0] | chains[1] == set(removed)
    assert chains[2] | {newest.path} == {found.path for found in backups_in(str(folder))}
    assert [] == prune_backups(str(folder), newest, keep=1, age_s=3600)
