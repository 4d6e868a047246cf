"""A session or an agent that is forgotten is nowhere, and others keep what is theirs."""

import apsw
import pytest
from traces import places_of

from swarm_memory import Swarm
from swarm_memory.backup import restore_backup, verify_backup, write_backup
from swarm_memory.backup.loading import EPOCH_LEAP
from swarm_memory.forgetting import forget
from swarm_memory.forgetting.tables import HOLD_NOTHING, OWN_WAY, TABLES
from swarm_memory.integrity import verify_store

SESSION = "0191f3aa-77aa-7bbb-8ccc-123456789abc"


@pytest.fixture
def mixed(swarm):
    """Two agents write the same keys in turn: `worker-77` in a session, and `a`."""
    begun = swarm.sessions.begin(SESSION, about={"branch": "main"})
    theirs = swarm.as_agent("worker-77", session=SESSION)
    named = swarm.as_agent(f"explore:a1@{begun.short}")
    swarm.sessions.agent_started(SESSION, "a1", "explore")
    swarm.records.put("notes/both", "mine first")
    theirs.records.put("notes/both", "theirs then")
    swarm.records.put("notes/both", "mine last")
    swarm.records.put("notes/under", "mine below")
    theirs.records.put("notes/under", "theirs on top")
    theirs.records.put("notes/theirs", "only theirs", op_id="op-7")
    theirs.records.put("swarm-s/agent-worker-77/state", {"status": "active"})
    theirs.records.put("memory/operations/t1", {"tool": "Bash"})
    theirs.messages.send({"text": "from them"}, to="a")
    swarm.messages.send({"text": "to them"}, to="worker-77")
    swarm.messages.send({"text": "to all"})
    theirs.messages.claim(limit=1)
    theirs.outcomes.record("parse", ["worker-77"], True, 1, strategy="x")
    swarm.outcomes.record("parse", ["a"], False, 1, strategy="x")
    theirs.leases.acquire("deploy", ttl_s=600)
    theirs.events.changes("sync")
    named.records.put("notes/named", "by a subagent")
    return swarm


def values(swarm):
    return {r.key: r.value for r in swarm.records.each(telemetry=True)}


def test_a_session_goes_and_others_keep_their_versions(mixed, folder, tmp_path):
    write_backup(mixed, folder)
    last = write_backup(mixed, folder, incremental=True)
    short = mixed.sessions.get(SESSION).short

    done = forget(mixed, "session", short)

    assert [] == done.left
    assert {"notes/both": "mine last"} == values(mixed)
    history = mixed.records.history("notes/both")
    assert [(3, "mine last"), (2, None), (1, "mine first")] == [
        (r.version, r.value) for r in history
    ]
    assert [(2, None), (1, "mine below")] == [
        (r.version, r.value) for r in mixed.records.history("notes/under")
    ]
    for text in (SESSION, f"@{short}", "theirs then", "only theirs", "by a subagent"):
        assert [] == places_of(tmp_path, text), text
    assert [] == verify_store(mixed).findings
    verify_backup(last.path)


def test_an_agent_goes_with_its_name(mixed, folder, tmp_path):
    write_backup(mixed, folder)

    done = forget(mixed, "agent", "worker-77")

    assert [] == done.left
    assert {"notes/both", "notes/named"} == set(values(mixed))
    assert [] == places_of(tmp_path, "worker-77")
    assert [] == verify_store(mixed).findings
    assert 1 == mixed.outcomes.count()
    mixed.leases.acquire("deploy", ttl_s=1).release()


def test_what_the_parts_of_a_chain_lost_does_not_take_others_versions_along(
    mixed, folder, tmp_path
):
    full = write_backup(mixed, folder)
    mixed.records.put("notes/new", 1)
    write_backup(mixed, folder, incremental=True)
    mixed.records.put("notes/under", "mine again")
    last = write_backup(mixed, folder, incremental=True)
    forget(mixed, "session", SESSION)

    for backup, wanted in ((full, None), (last, "mine again")):
        path = tmp_path / f"{backup.manifest.backup_id}.db"
        with Swarm.open(f"sqlite:///{path}", agent="a", swarm="s") as other:
            restore_backup(other, backup.path)
            history = other.records.history("notes/under")
            assert (1, "mine below") == (history[-1].version % EPOCH_LEAP, history[-1].value)
            found = other.records.get("notes/under")
            assert wanted == (found and found.value)
            assert [] == verify_store(other).findings
        verify_backup(backup.path)


def test_moments_of_a_rewritten_backup_can_be_restored(mixed, folder, tmp_path):
    seqs = [mixed.events.newest()]
    mixed.records.put("notes/both", "mine at last")
    backup = write_backup(mixed, folder)
    forget(mixed, "session", SESSION)

    with Swarm.open(f"sqlite:///{tmp_path}/then.db", agent="a", swarm="s") as other:
        restore_backup(other, backup.path, at=seqs[0])

        assert "mine last" == other.records.get("notes/both").value


def test_every_table_is_looked_into(swarm):
    db = apsw.Connection(swarm.url.removeprefix("sqlite:///"))
    names = {row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    db.close()

    derived = {name for name in names if name.startswith("search_")}
    assert names - derived == {t.name for t in TABLES} | set(OWN_WAY) | set(HOLD_NOTHING)


def test_an_active_session_is_ended_first(mixed):
    forget(mixed, "session", SESSION)

    assert [] == mixed.sessions.list()
    assert [] == [s for s in mixed.leases.list() if s.state == "held"]


def test_of_another_swarm_nothing_goes(mixed):
    other = mixed.as_agent("worker-77", swarm="t")
    other.records.put("notes/1", "stays")

    forget(mixed, "agent", "worker-77")

    assert "stays" == other.records.get("notes/1").value
