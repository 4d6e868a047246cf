"""Doctor reads a store in any state without changing it: schema, damage, clock, leftovers."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import apsw
import pytest
from doctor_processes import IN_A_READ, IN_A_WRITE

from swarm_memory import Swarm
from swarm_memory.clock import SystemClock
from swarm_memory.doctor import exit_status
from swarm_memory.engine import migrate
from swarm_memory.engine.inspection import Inspection

INSIDE = ("damage", "limits", "clock", "leases", "sessions", "dead-letters")


class ShiftedClock(SystemClock):
    """This machine's clocks, `ahead_ms` ahead."""

    def __init__(self, ahead_ms, boot_id=None):
        self.ahead_ms = ahead_ms
        self.boot = boot_id

    def now_ms(self):
        return super().now_ms() + self.ahead_ms

    def uptime_ms(self):
        return super().uptime_ms() + self.ahead_ms

    def boot_id(self):
        return super().boot_id() if self.boot is None else self.boot


SYNC_FAILS = """
import sys
from swarm_memory import Swarm
from swarm_memory.engine import sync
from swarm_memory.errors import AmbiguousCommitError
def fail(descriptor):
    raise OSError(5, "Input/output error")
with Swarm.open(sys.argv[1], agent="writer") as swarm:
    sync.datasync = fail
    try:
        swarm.records.put("notes/1", "is it durable?")
    except AmbiguousCommitError:
        print("ambiguous")
"""


def severities(findings):
    return [finding.severity for finding in findings]


def facts(folder):
    """Return every file of a folder with what it holds; the log's index is memory, no content."""
    return {
        name: hashlib.sha256(Path(folder, name).read_bytes()).hexdigest()
        for name in os.listdir(folder)
        if not name.endswith("-shm")
    }


def closed_for_good(path):
    """Bring all of a store into its database file, as a last user without our settings would."""
    db = apsw.Connection(path)
    db.pragma("user_version")  # a connection that has read nothing does not know of a log
    db.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    db.close()
    for side in ("-wal", "-shm", "-mark"):
        if os.path.exists(path + side):
            os.unlink(path + side)


def test_a_failed_sync_is_an_error_until_somebody_has_opened_the_store_anew(store, look):
    assert ["ok"] == severities(look("syncs"))
    told = subprocess.run([sys.executable, "-c", SYNC_FAILS, store], capture_output=True, text=True)
    assert ("ambiguous\n", "") == (told.stdout, told.stderr)

    (found,) = look("syncs")

    assert "error" == found.severity
    Swarm.open(store).close()
    assert ["ok"] == severities(look("syncs"))


def test_a_store_with_a_log_is_read_and_nothing_changes(store, look):
    before = facts(os.path.dirname(store))

    found = look("store", *INSIDE)

    assert ["ok"] * (1 + len(INSIDE)) == severities(found)
    assert before == facts(os.path.dirname(store))


def test_beside_a_store_without_a_log_no_file_is_made(store, look):
    closed_for_good(store)
    # What the processes before have counted lies there, too.
    there = {"memory.db", "memory.db-calls"}
    assert there == set(os.listdir(os.path.dirname(store)))

    found = look("store", *INSIDE)

    assert ["ok"] * (1 + len(INSIDE)) == severities(found)
    assert there == set(os.listdir(os.path.dirname(store)))


def test_a_store_that_is_not_there_is_a_note_and_is_not_made(path, look):
    (found,) = look("store", *INSIDE)

    assert ("note", "swarm-memory init") == (found.severity, found.advice)
    assert [] == os.listdir(os.path.dirname(path))


def test_a_store_is_read_while_its_writer_is_frozen(store, look, start, stop):
    stop(start(IN_A_WRITE, store))

    assert ["ok"] * (1 + len(INSIDE)) == severities(look("store", *INSIDE))


def test_a_writer_that_comes_while_the_file_is_read_is_noticed(store):
    closed_for_good(store)
    inspection = Inspection(store)
    assert (True, False) == (inspection.untouched, inspection.overtaken)
    with Swarm.open(store) as swarm:
        swarm.records.put("notes/2", "meanwhile")

    assert inspection.overtaken
    inspection.reopen()
    assert (False, False) == (inspection.untouched, inspection.overtaken)
    assert [] == inspection.damage()
    inspection.close()


def test_a_look_that_takes_too_long_is_ended_and_said(store, monkeypatch, look):
    from swarm_memory.engine import inspection

    with Swarm.open(store) as swarm:
        swarm.records.put_many([(f"notes/{n}", n) for n in range(2000)])
    monkeypatch.setattr(inspection, "LOOK_S_MAX", -1.0)

    inside = Inspection(store)
    assert inside.damage() is None
    inside.close()


@pytest.mark.parametrize(
    ("content", "status"),
    [(b"\0" * 8192, 6), (b"no database, whatever its name says" * 100, 6)],
)
def test_a_file_with_a_torn_header_is_damage(path, look, content, status):
    with open(path, "wb") as file:
        file.write(content)

    (found,) = look("store", *INSIDE)

    assert ("damage", "error") == (found.check, found.severity)
    assert status == exit_status([found])


def test_a_torn_page_is_damage(store, look):
    with Swarm.open(store) as swarm:
        swarm.records.put_many([(f"notes/{n}", "x" * 100) for n in range(2000)])
    closed_for_good(store)
    size = os.stat(store).st_size
    with open(store, "r+b") as file:
        file.seek(size // 2 // 4096 * 4096)
        file.write(b"\xff" * 4096)

    found = look("store", "damage")

    assert ["ok", "error"] == severities(found)
    assert 6 == exit_status(found)


def test_a_newer_store_is_an_error_that_says_so(store, look):
    db = apsw.Connection(store)
    db.pragma("user_version", migrate.newest() + 1)
    db.close()

    (found,) = look("store", *INSIDE)

    assert "error" == found.severity
    assert f"schema {migrate.newest() + 1}" in found.evidence
    assert "update swarm-memory" in found.advice
    assert 1 == exit_status([found])


def test_an_older_store_is_a_note(path, look):
    db = apsw.Connection(path)
    db.pragma("journal_mode", "WAL")
    number, name, sql = migrate.available()[0]
    db.execute(migrate._RECORDS)
    db.execute(sql)
    checksum = hashlib.sha256(sql.encode()).hexdigest()
    db.execute("INSERT INTO migrations VALUES (?, ?, ?, 0)", (number, name, checksum))
    db.pragma("application_id", migrate.APPLICATION_ID)
    db.pragma("user_version", number)
    db.close()

    (found,) = look("store", *INSIDE)

    assert "note" == found.severity
    assert "schema 1" in found.evidence


def test_a_store_with_another_history_is_an_error(store, look):
    db = apsw.Connection(store)
    db.execute("UPDATE migrations SET checksum = 'other' WHERE number = 1")
    db.close()

    (found,) = look("store", *INSIDE)

    assert "error" == found.severity
    assert "migration 1" in found.evidence


def test_a_database_of_somebody_else_is_an_error(path, look):
    db = apsw.Connection(path)
    db.execute("CREATE TABLE theirs (x)")
    db.close()

    (found,) = look("store")

    assert ("error", "store") == (found.severity, found.check)
    assert "no swarm-memory store" in found.evidence


def test_a_switched_journal_mode_is_a_warning(store, look):
    db = apsw.Connection(store)
    db.pragma("journal_mode", "DELETE")
    db.close()

    (found,) = look("store")

    assert "warning" == found.severity
    assert "journal_mode = WAL" in found.advice


# --- limits ---


def test_a_swarm_near_its_limit_is_named(store, look):
    with Swarm.open(store, agent="a", swarm="full") as swarm:
        swarm.records.put("notes/1", os.urandom(39_000).hex())

    found = look("store", "limits", environment={"SWARM_MEMORY_TOTAL_BYTES_MAX": "40000"})

    assert ["ok", "error"] == severities(found)
    assert "swarm full" in found[1].means


# --- clock ---


def test_a_clock_behind_the_newest_record_is_a_warning(store, look):
    found = look("store", "clock", clock=ShiftedClock(-3_600_000))

    assert ["ok", "warning"] == severities(found)
    assert found[1].evidence.startswith("3,")


def test_a_clock_that_was_set_back_between_two_writes_is_a_note(store, look):
    for ahead_ms in (7_200_000, 0):
        with Swarm.open(store, clock=ShiftedClock(ahead_ms)) as swarm:
            swarm.records.put("notes/2", ahead_ms)

    found = look("store", "clock", clock=ShiftedClock(8_000_000))

    assert ["ok", "note"] == severities(found)
    assert "by 7," in found[1].evidence


def test_a_system_that_does_not_tell_its_starts_apart_is_a_note(store, look):
    found = look("store", "clock", clock=ShiftedClock(0, boot_id=0))

    assert ["ok", "note"] == severities(found)
    assert "no boot id" == found[1].evidence


# --- leftovers ---


def test_leases_and_messages_of_a_dead_session_are_noted(store, look):
    with Swarm.open(store, agent="gone", session="s-1") as swarm:
        swarm.leases.acquire("deploy", ttl_s=60)
        swarm.messages.send("work", topic="jobs")
        swarm.messages.claim(topic="jobs")

    held = look("store", "leases")
    later = look("store", "leases", clock=ShiftedClock(86_400_000))

    assert ["ok", "ok"] == severities(held)
    assert ["ok", "note", "note", "note"] == severities(later)
    assert "deploy of gone" in later[1].evidence
    assert "1 of gone" in later[2].evidence
    assert "s-1" == later[3].evidence


def test_leases_from_before_the_machines_start_are_noted(store, look):
    with Swarm.open(store, agent="gone") as swarm:
        swarm.leases.acquire("deploy", ttl_s=60)
    other = SystemClock().boot_id() + 1

    found = look("store", "leases", clock=ShiftedClock(0, boot_id=other))

    assert ["ok", "note"] == severities(found)


def test_sessions_that_are_over_and_not_ended_are_noted(store, look):
    began = "from swarm_memory import Swarm; import os, sys\n"
    began += "s = Swarm.open(sys.argv[1], session='killed', session_ttl_s=3600); os._exit(0)"
    with Swarm.open(store, agent="gone", session="s-1", session_ttl_s=60) as swarm:
        swarm.sessions.begin("s-2", ttl_s=60)
        swarm.sessions.begin("s-3", ttl_s=86_500)
        alive = look("store", "sessions")
        subprocess.run([sys.executable, "-c", began, store], check=True)
        killed = look("store", "sessions")
        later = look("store", "sessions", clock=ShiftedClock(86_400_000))

    assert ["ok", "ok"] == severities(alive)
    assert ["ok", "note"] == severities(killed)
    assert "killed of main in default: its process ended" == killed[1].evidence
    assert "s-2 of gone in default: not renewed" in later[1].evidence
    assert "s-3" not in later[1].evidence
    assert "session list" in later[1].advice


def test_dead_letters_are_a_warning(store, look):
    with Swarm.open(store, agent="worker") as swarm:
        swarm.messages.send("poison", to="worker", attempts_max=1)
        (message,) = swarm.messages.claim()
        swarm.messages.nack(message, reason="it fails")

    found = look("store", "dead-letters")

    assert ["ok", "warning"] == severities(found)
    assert "1 in default" in found[1].evidence


def test_a_reader_of_another_process_is_not_disturbed(store, look, start):
    reader = start(IN_A_READ, store)

    look("store", *INSIDE)
    reader.stdin.write("\n")
    reader.stdin.flush()

    assert 0 == reader.wait(20)


def test_importing_the_package_does_not_open_anything():
    ran = subprocess.run(
        [sys.executable, "-c", "import swarm_memory.doctor, sys; print('rich' in sys.modules)"],
        capture_output=True,
        text=True,
    )

    assert ("False\n", "") == (ran.stdout, ran.stderr)
