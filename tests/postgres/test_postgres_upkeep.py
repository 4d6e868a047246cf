"""Backup, restore, verify and forget on PostgreSQL, and the way from one engine to the other."""

import psycopg
import pytest

from swarm_memory import Swarm
from swarm_memory.backup import restore_backup, verify_backup, write_backup
from swarm_memory.backup.loading import EPOCH_LEAP
from swarm_memory.errors import InvalidArgumentError
from swarm_memory.forgetting import forget
from swarm_memory.integrity import verify_store
from swarm_memory.testing.filled import fill


@pytest.fixture
def swarm(postgres_url):
    with Swarm.open(postgres_url, agent="a", swarm="s") as swarm:
        yield swarm


@pytest.fixture
def file(tmp_path):
    with Swarm.open(f"sqlite:///{tmp_path}/memory.db", agent="a", swarm="s") as swarm:
        yield swarm


def content(swarm):
    """Return what a store says, as it must be again after a restore into another one."""
    names = [row[0] for row in swarm._engine.all("export_swarms")]
    told = {}
    for name in names:
        mine = swarm.as_agent("a", swarm=name)
        for record in mine.records.each(telemetry=True):
            told[name, record.key] = [
                (r.version % EPOCH_LEAP, r.value, r.provenance, r.author, r.updated_ms)
                for r in mine.records.history(record.key)
            ]
        told[name, "usage"] = [
            row[:2] + row[3:4] for row in mine._engine.all("usage_list", swarm=name)
        ]
        told[name, "outcomes"] = sorted(o.outcome_id for o in mine.outcomes.recent(limit=1000))
        told[name, "conflicts"] = sorted(c.conflict_id for c in mine.conflicts.list())
        told[name, "dead"] = sorted(m.message_id for m in mine.messages.dead())
    return told


@pytest.mark.parametrize("way", ["from file to server", "from server to file", "on the server"])
def test_a_backup_of_one_engine_is_restored_into_the_other(way, swarm, file, postgres, tmp_path):
    first, second = {
        "from file to server": (file, swarm),
        "from server to file": (swarm, file),
        "on the server": (swarm, None),
    }[way]
    fill(first)
    backup = write_backup(first, tmp_path / "b.jsonl.zst")
    if second is None:
        second = Swarm.open(postgres.url("restored"), agent="a", swarm="s")
    with second:
        restore_backup(second, backup.path)
        before, after = content(first), content(second)
        second.records.put("notes/after", 1)
        second.messages.send(1, topic="after")
        report = verify_store(second)

    assert before == after
    assert [] == report.findings
    verify_backup(backup.path)


def test_a_whole_store_is_verified(swarm):
    fill(swarm)
    swarm.search("text")

    report = verify_store(swarm)

    assert ([], True) == (report.findings, report.ok)
    assert report.rows["records"] >= 600


@pytest.mark.parametrize(
    ("damage", "check"),
    [
        ("UPDATE records SET value = '\\x00ff' WHERE key = 'notes/001'", "records"),
        ("DELETE FROM records WHERE key = 'notes/001'", "events"),
        ("UPDATE usage SET bytes = bytes + 1", "usage"),
        ("UPDATE outcomes SET agents = 'no JSON'", "texts"),
        ("ALTER TABLE records ALTER COLUMN author DROP NOT NULL", "schema"),
        ("DROP INDEX outcomes_by_task", "schema"),
    ],
)
def test_what_was_changed_behind_its_back_is_found(swarm, postgres, damage, check):
    fill(swarm)
    schema = swarm._engine._address.namespace
    with psycopg.connect(postgres.url(schema), autocommit=True) as db:
        db.execute(damage)

    report = verify_store(swarm)

    assert not report.ok
    assert check in {finding.check for finding in report.findings}


def test_what_is_forgotten_is_in_no_table_and_no_given_backup(swarm, postgres, tmp_path):
    fill(swarm)
    for n in range(3):
        swarm.records.put("notes/secret", {"n": n, "text": "hunter2 is the password"})
    swarm.messages.send({"text": "hunter2"}, topic="t")
    swarm.search("password")
    (tmp_path / "backups").mkdir()
    write_backup(swarm, tmp_path / "backups")

    report = forget(swarm, "text", "hunter2", folders=[str(tmp_path / "backups")])

    assert (3, 1) == (sum(report.removed.values()) - 1, report.removed["messages"])
    assert verify_store(swarm).ok
    schema = swarm._engine._address.namespace
    with psycopg.connect(postgres.url(schema), autocommit=True) as db:
        tables = db.execute("SELECT tablename FROM pg_tables WHERE schemaname = %s", (schema,))
        for (table,) in tables.fetchall():
            rows = db.execute(f"SELECT t::text FROM {table} AS t").fetchall()  # noqa: S608
            assert not [row for row in rows if "hunter2" in row[0]], table


def test_a_store_without_a_folder_asks_where_its_backups_go(swarm):
    from swarm_memory.backup import backup_folder

    with pytest.raises(InvalidArgumentError) as caught:
        backup_folder(swarm)

    assert "swarm-memory backup FOLDER" in caught.value.hint
