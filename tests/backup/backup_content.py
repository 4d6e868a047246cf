"""What two stores have in common if one was restored from the other."""

from __future__ import annotations

import apsw

from swarm_memory.backup.loading import EPOCH_LEAP
from swarm_memory.backup.tables import EVENTS, OTHERS

# Facts are those of another epoch, what is in the others is compared through what is made of it.
UNLIKE = {"usage", "seats", "migrations", "facts", "dictionaries", "models"}
SHIFTED = {"version", "base_version", "their_version", "seq"}
# Where rows lie, how values are packed, who has a message in hand.
LEFT_OUT = {"id", "prev_id", "history_id", "value", "bytes", "records", "receipt", "consumer"}


def content(swarm):
    """Return every table of a store as it must be again after a restore."""
    db = apsw.Connection(swarm.url.removeprefix("sqlite:///"))
    tables = {}
    names = [r[0] for r in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
    for name in sorted(n for n in names if n not in UNLIKE and not n.startswith("sqlite_")):
        columns = [row[1] for row in db.execute(f"PRAGMA table_info({name})")]
        found = db.execute(f"SELECT * FROM {name}")  # noqa: S608 (a name of the schema)
        rows = [_comparable(name, dict(zip(columns, row, strict=True))) for row in found]
        tables[name] = sorted((r for r in rows if r.get("op") != "restore"), key=repr)
    db.close()
    for name in sorted({r["swarm"] for r in tables["records"]}):
        mine = swarm.as_agent("a", swarm=name)
        for record in mine.records.each(telemetry=True):
            tables[name, record.key] = [
                (r.version % EPOCH_LEAP, r.value, r.provenance)
                for r in mine.records.history(record.key)
            ]
    tables["usage"] = [row[:2] + row[3:4] for row in swarm._engine.all("usage_list", swarm="s")]
    return tables


def _comparable(table, row):
    shown = {k: v for k, v in row.items() if k not in LEFT_OUT}
    for name in SHIFTED & shown.keys():
        shown[name] %= EPOCH_LEAP
    if table == "message_runs":  # in somebody's hands before, due after
        claimed = row["receipt"] != ""
        shown["visible_ms"] = 0 if claimed else shown["visible_ms"]
        shown["reason"] = "the store was restored" if claimed else shown["reason"]
        shown.pop("session")
    if table == "sessions":  # active before, over after
        active = row["state"] == "active"
        shown["state"] = "lapsed" if active else row["state"]
        shown["reason"] = "the store was restored" if active else row["reason"]
        shown["ended_ms"] = row["touched_ms"] if active else row["ended_ms"]
        for name in ("process", "boot_id", "expires_ms"):
            shown.pop(name)
    if table == "session_agents":
        shown.pop("ended_ms")
    if table == "message_cursors":
        shown = {"swarm": row["swarm"], "queue": row["queue"]}
    if "value" in row:
        shown["live"] = row["value"] is not None
    return shown


def tables_of_a_backup():
    return {table.name for table in OTHERS} | {EVENTS.name, "records", "history"}
