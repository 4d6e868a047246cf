"""Verify finds what is damaged, names it by its key, and takes nothing healthy for damage."""

import json

import pytest

from swarm_memory import Swarm
from swarm_memory.errors import CorruptValueError, DamagedError
from swarm_memory.integrity import verify_store
from swarm_memory.testing import ManualClock
from swarm_memory.testing.filled import VALUES

PAGE_BYTES = 4096
FLIP = "SET value = unhex(replace(hex(value), substr(hex(value), 9, 2), 'FE'))"


def found(swarm):
    return [(f.check, f.level, f.swarm, f.key, f.problem) for f in verify_store(swarm).findings]


def test_a_healthy_store_has_no_findings(filled):
    report = verify_store(filled)

    assert ([], {}, True) == (report.findings, report.counts, report.ok)
    assert VALUES < report.rows["records"] < report.rows["events"]
    assert report.bytes == filled.file_bytes()


def test_upkeep_leaves_a_store_healthy(path):
    clock = ManualClock()
    with Swarm.open(f"sqlite:///{path}", agent="a", clock=clock) as swarm:
        for round_ in range(3):
            for n in range(20):
                swarm.records.put(f"notes/{n}", [round_, n], ttl_s=50 + n)
                swarm.records.put(f"memory/operations/{n}", n)
            swarm.records.delete("notes/3")
            swarm.records.delete("memory/operations/4")
            clock.advance(60)
            swarm.retention.sweep()
            clock.advance(31 * 86_400)
            swarm.retention.sweep()
            assert [] == found(swarm)


def test_it_sees_one_moment_while_others_write(filled):
    written = 0

    def write(done, expected, check):
        nonlocal written
        if written == 40:  # or a check that saw them would never come to an end
            return
        filled.records.put(f"notes/{written % 600:03}", written)
        filled.records.delete(f"notes/{(written + 300) % 600:03}")
        written += 1

    report = verify_store(filled, progress=write)
    assert [] == report.findings
    assert written > 10


# --- damage, one kind at a time ---

KINDS = {
    "a value": (
        "UPDATE records " + FLIP + " WHERE key = 'notes/007'",
        ("records", "s", "notes/007", "the value of version 1 is damaged"),
    ),
    "an author": (
        "UPDATE records SET author = 'eve' WHERE key = 'notes/007'",
        ("records", "s", "notes/007", "the value of version 1 is damaged"),
    ),
    "an expiry, which hides the record": (
        "UPDATE records SET expires_ms = 1 WHERE key = 'notes/007'",
        ("records", "s", "notes/007", "the value of version 1 is damaged"),
    ),
    "a lost value": (
        "UPDATE records SET value = NULL WHERE key = 'notes/007'",
        ("events", "s", "notes/007", "version 1 has lost its value"),
    ),
    "a lost record": (
        "DELETE FROM records WHERE key = 'notes/007'",
        ("events", "s", "notes/007", "the record is missing"),
    ),
    "a lost record with history": (
        "DELETE FROM records WHERE key = 'notes/often'",
        ("history", "s", "notes/often", "the record that it belongs to is missing"),
    ),
    "a tombstone that went back": (
        "UPDATE records SET version = 1 WHERE key = 'notes/gone'",
        ("events", "s", "notes/gone", "is at version 1"),
    ),
    "an older version": (
        "UPDATE history " + FLIP + " WHERE key = 'notes/often' AND version = 11",
        ("history", "s", "notes/often", "the older version 11 is damaged"),
    ),
    "a lost link": (
        "UPDATE records SET history_id = 99999 WHERE key = 'notes/often'",
        ("records", "s", "notes/often", "its older versions are missing"),
    ),
    "a link to another key": (
        "UPDATE records SET history_id = (SELECT history_id FROM records WHERE key = 'notes/back')"
        " WHERE key = 'notes/often'",
        ("records", "s", "notes/often", "its older versions are missing"),
    ),
    "an order turned round": (
        "UPDATE history SET prev_id = (SELECT max(id) FROM history WHERE key = 'notes/often')"
        " WHERE key = 'notes/often' AND version = 12",
        ("history", "s", "notes/often", "version 12 stands before version 13"),
    ),
    "a lost event": (
        "DELETE FROM events WHERE seq = 20",
        ("events", "", "event 21", "the events after 19 are missing"),
    ),
    "a counter": (
        "UPDATE usage SET bytes = bytes + 5 WHERE scope = 'notes'",
        ("usage", "s", "notes, other", "by 0 records and 5 bytes"),
    ),
    "a folding cursor": (
        "UPDATE facts SET value = 1 WHERE name = 'folded_seq'",
        ("usage", "s", "notes, other", "the counter differs"),
    ),
    "a dictionary": (
        "UPDATE dictionaries SET bytes = zeroblob(length(bytes))",
        ("dictionaries", "s", "dictionary 1", "does not match"),
    ),
    "counts of outcomes": (
        "UPDATE arms SET successes = 7 WHERE strategy = 'x'",
        ("outcomes", "s", "parse, x", "counts differ"),
    ),
    "an outcome": (
        "UPDATE outcomes SET agents = '[' WHERE strategy = 'x'",
        ("texts", "s", "outcomes", "no JSON"),
    ),
    "a seat": (
        "UPDATE seats SET state = 'sold' WHERE name = 'held'",
        ("leases", "s", "lease held", "unknown state sold"),
    ),
    "two holders": (
        "INSERT INTO seats (swarm, name, ticket, state, holder, mode, token, owner, since_ms,"
        " expires_ms) SELECT swarm, name, 1, state, 'x', mode, token + 1, 'b', since_ms,"
        " expires_ms FROM seats WHERE name = 'held'",
        ("leases", "s", "lease held", "two hold what one may hold"),
    ),
    "a session": (
        "UPDATE sessions SET state = 'sold' WHERE session_id = 's-active'",
        ("sessions", "s", "session s-active", "unknown state sold"),
    ),
    "a session's end": (
        "UPDATE sessions SET ended_ms = NULL WHERE session_id = 's-ended'",
        ("sessions", "s", "session s-ended", "is ended, which does not fit"),
    ),
    "an agent": (
        "DELETE FROM sessions WHERE session_id = 's-ended'",
        ("sessions", "s", "session s-ended", "is missing, but its agent a1 is there"),
    ),
    "an agent that runs on": (
        "UPDATE session_agents SET ended_ms = NULL WHERE session_id = 's-ended'",
        ("sessions", "s", "session s-ended", "is over, but its agent a1 runs"),
    ),
    "what is said of a session": (
        "UPDATE sessions SET about = '{' WHERE session_id = 's-ended'",
        ("texts", "s", "sessions s-ended", "no JSON"),
    ),
    "a message": (
        "UPDATE message_runs SET state = 'lost' WHERE queue = 'topic:builds'",
        ("messages", "s", "message", "unknown state lost"),
    ),
    "a broadcast": (
        "DELETE FROM messages WHERE queue = 'everyone'",
        ("messages", "s", "message", "text is missing"),
    ),
    "a run": (
        "UPDATE message_runs SET size = 2 WHERE receipt <> ''",
        ("messages", "s", "message", "other messages in its run"),
    ),
    "a cursor of messages": (
        "UPDATE message_cursors SET all_seq = 99999",
        ("cursors", "s", "messages/agent:c", "points to 99999"),
    ),
    "a cursor": (
        "UPDATE facts SET value = 99999 WHERE name = 'cursor/a/sync'",
        ("cursors", "s", "cursor/a/sync", "points to 99999"),
    ),
    "the schema": ("DROP INDEX outcomes_by_task", ("schema", "", "outcomes_by_task", "schema")),
}


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_found_and_named(filled, damage, kind):
    sql, (check, swarm, key, problem) = KINDS[kind]
    damage(sql)
    report = verify_store(filled)

    assert not report
    assert [
        f
        for f in report.findings
        if (f.check, f.level, f.swarm) == (check, "damage", swarm)
        and f.key.startswith(key)
        and problem in f.problem
        and f.remedy
    ], report.findings


def test_a_changed_dictionary_never_changes_a_value(filled, path, damage):
    """Without a checksum of its own it would expand to other words than were written."""
    assert "planned" in filled.records.get("notes/050").value["text"]
    damage(
        "UPDATE dictionaries SET bytes = unhex(replace(hex(bytes), hex('planned'), hex('PLANNED')))"
    )
    with Swarm.open(f"sqlite:///{path}", agent="a", swarm="s") as fresh:
        with pytest.raises(CorruptValueError):
            fresh.records.get("notes/050")


def test_versions_that_nothing_leads_to_are_waste_and_no_damage(filled, damage):
    damage("UPDATE records SET history_id = NULL WHERE key = 'notes/back'")
    report = verify_store(filled)

    assert report.ok
    assert {("history", "waste", "s", "notes/back")} == {f[:4] for f in report.findings}


def test_a_wiped_page_is_found_whichever_it_is(filled, path):
    filled.maintain()
    filled.close()
    healthy = path.read_bytes()
    pages = len(healthy) // PAGE_BYTES
    unnoticed = []
    for page in range(1, pages):
        copy = path.with_name(f"{page}.db")
        copy.write_bytes(
            healthy[: page * PAGE_BYTES] + bytes(PAGE_BYTES) + healthy[(page + 1) * PAGE_BYTES :]
        )
        try:
            with Swarm.open(f"sqlite:///{copy}", agent="a", swarm="s") as swarm:
                report = verify_store(swarm)
        except DamagedError as error:
            assert "repair" in error.hint  # a page of the schema: it does not open at all
            continue
        if report.ok:
            unnoticed.append(page)
    assert pages > 50
    assert [] == unnoticed


# --- the command ---


@pytest.fixture
def call(path, capsys, monkeypatch):
    from swarm_memory.doors.cli import main

    monkeypatch.setenv("SWARM_MEMORY_URL", f"sqlite:///{path}")

    def call(*arguments):
        capsys.readouterr()
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        return exit_.value.code or 0, *capsys.readouterr()

    return call


def test_the_command_says_that_all_is_well(filled, call):
    status, out, err = call("verify")

    assert (0, "") == (status, out)
    assert "nothing is damaged" in err


def test_the_command_names_the_key_the_problem_and_what_to_do(filled, damage, call):
    damage(KINDS["a value"][0])
    status, out, err = call("verify")

    assert 6 == status
    (line,) = out.splitlines()
    check, level, swarm, key, problem, remedy = line.split("\t")
    assert ("records", "damage", "s", "notes/007") == (check, level, swarm, key)
    assert "damaged" in problem
    assert "history KEY" in remedy
    assert "1 finding" in err


def test_the_command_prints_json(filled, damage, call):
    damage(KINDS["a lost record"][0])
    status, out, err = call("verify", "--json")
    report = json.loads(out)

    assert (6, "", False) == (status, err, report["ok"])
    assert "notes/007" in {finding["key"] for finding in report["findings"]}
