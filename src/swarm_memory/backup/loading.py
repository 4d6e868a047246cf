"""Putting rows of backups into a store, within one transaction.

A store that was restored goes on in a new epoch. Whatever only grows (versions, tokens of leases,
numbers of events) leaps to the next multiple of 2^32, so that nothing that anybody remembers from
before is ever valid by accident: a stale `expect` conflicts, an old lease's write is refused, an
old cursor has expired.
"""

from __future__ import annotations

import base64
from functools import partial

from swarm_memory import codec
from swarm_memory.backup.tables import (
    CONFLICTS,
    DICTIONARIES,
    EVENTS,
    FACTS,
    FORGOTTEN,
    HISTORY,
    OTHERS,
    RECORDS,
    TOMBSTONES,
)
from swarm_memory.backup.writing import load_dictionary
from swarm_memory.codec import Compressor
from swarm_memory.errors import DamagedError
from swarm_memory.rows import meaning, seal_dictionary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.config import Config
    from swarm_memory.engine import Row, Tx
    from swarm_memory.model import Json

EPOCH_LEAP = 2**32
CLEAR = (
    "restore_clear_records",
    "restore_clear_history",
    "restore_clear_events",
    "restore_clear_usage",
    "restore_clear_facts",
    "restore_clear_ops",
    "restore_clear_choices",
    "restore_clear_outcomes",
    "restore_clear_relabels",
    "restore_clear_arms",
    "restore_clear_models",
    "restore_clear_conflicts",
    "restore_clear_messages",
    "restore_clear_message_runs",
    "restore_clear_message_cursors",
    "restore_clear_sessions",
    "restore_clear_session_agents",
    "restore_clear_seats",
)
# What a chain replaces as a whole with each of its files.
CLEAR_OTHERS = tuple(
    s for s in CLEAR if s.rpartition("clear_")[2] in {"models", *(t.name for t in OTHERS)}
)
RESTORE = "restore"  # the op of the events that a restore adds
FORGET = "forget"  # of those that were emptied, which are about no key
# A touch only lets a version live longer, so going back to before it changes nothing of that.
UNVERSIONED_OPS = {"expire", "touch", RESTORE, FORGET}
_BY_NAME = {table.name: table for table in OTHERS}
_VERSIONED = ("base_version", "their_version")


def leap(highest: int) -> int:
    """Return the first number of the epoch after the one that `highest` belongs to."""
    return (highest // EPOCH_LEAP + 1) * EPOCH_LEAP


class Before:
    """What the store was before, as far as it must not come again."""

    def __init__(self, tx: Tx) -> None:
        state = tx.one("backup_state") or (0,) * 5
        self.newest, self.versions, self.tokens = int(state[1]), int(state[3]), int(state[4])
        self.swarms = {str(row[0]) for row in tx.all("backup_swarms")}
        self.usage = {row[:3]: row[3:] for row in tx.all("restore_usage_before")}
        dictionaries = tx.one("restore_dictionary_newest")
        self.dictionaries = int(dictionaries[0]) if dictionaries else 0
        epoch = tx.one("fact_get", swarm="", name="epoch")
        self.epoch = int(epoch[0]) if epoch else 0


class Loader:
    """Writes the rows of one chain of backups, and at the end makes the store whole.

    Args:
        versions: What is added to every version.
        seqs: What is added to the number of every event.
        at: The last event that counts; None for all.
        dense: Number events by their order here: a chain of some categories has holes.
    """

    def __init__(
        self,
        tx: Tx,
        config: Config,
        before: Before,
        *,
        versions: int,
        seqs: int,
        at: int | None = None,
        dense: bool = False,
    ) -> None:
        self._tx = tx
        self._config = config
        self._before = before
        self._versions = versions
        self._seqs = seqs
        self._at = at
        self._dense = dense
        self._older: list[dict[str, Json]] = []
        self._compressors: dict[str, Compressor] = {}
        self._tombstones: set[tuple[str, str]] | None = None
        self._last_seq = seqs
        self.later: dict[tuple[str, str], tuple[int, str]] = {}
        self.rows: dict[str, int] = {}

    def begin_file(self, full: bool) -> None:
        """Make room for the next file of the chain."""
        for statement in CLEAR if full else CLEAR_OTHERS:
            self._tx.run(statement)
        self._tombstones = None if full else set()

    def add(self, table: str, row: dict[str, Json]) -> None:
        """Write one row."""
        self.rows[table] = self.rows.get(table, 0) + 1
        if table == HISTORY:
            self._older.append(row)
        elif table == RECORDS:
            self._record(row)
        elif table == EVENTS.name:
            self._event(row)
        elif table == FORGOTTEN:
            self._forget(row["swarm"], row["key"])
        elif table == TOMBSTONES and self._tombstones is not None:
            self._tombstones.add((row["swarm"], row["key"]))
        elif table in _BY_NAME:
            self._other(table, row)
        else:
            raise DamagedError(
                f"a row of an unknown table {table!r}", hint="update swarm-memory and try again"
            )

    def end_file(self) -> None:
        """Forget what is no more after this file although no event says so."""
        if self._tombstones is None:
            return
        where: dict[str, Json] = {"after_a": "", "after_b": ""}
        while rows := self._tx.all("backup_tombstones", **where, limit=1000):
            for swarm, key in rows:
                if (swarm, key) not in self._tombstones:
                    self._forget(swarm, key)
            where = dict(zip(where, rows[-1], strict=True))

    # --- rows ---

    def _record(self, row: dict[str, Json]) -> None:
        swarm, key = row["swarm"], row["key"]
        self._tx.run("history_trim", swarm=swarm, key=key, keep=0)
        history_id = None
        older = [o for o in self._older if (o["swarm"], o["key"]) == (swarm, key)]
        self._older.clear()
        for version in older:
            stored = self._tx.one("history_load", prev_id=history_id, **self._sealed(version))
            history_id = stored[0] if stored else None
        said = {name: row[name] for name in ("scope", "category", "telemetry")}
        self._tx.run("record_put", history_id=history_id, **said, **self._sealed(row))

    def _sealed(self, row: dict[str, Json]) -> dict[str, Json]:
        """Return the columns of a version with its number in this epoch and its value sealed."""
        columns: dict[str, Json] = {
            "swarm": row["swarm"],
            "key": row["key"],
            "version": row["version"] + self._versions,
            "author": row["author"],
            "session": row["session"],
            "created_ms": row["created_ms"],
            "updated_ms": row["updated_ms"],
            "expires_ms": row["expires_ms"],
            "provenance": row["provenance"],
        }
        if "value" not in row:
            return columns | {"value": None}
        packed = self._compressor(row["swarm"]).compress(codec.dumps(row["value"]), eager=True)
        return columns | {"value": codec.seal(*packed, meaning(*columns.values()))}

    def _compressor(self, swarm: str) -> Compressor:
        if swarm not in self._compressors:
            newest = self._tx.one("dictionary_newest", swarm=swarm)
            number = int(newest[0]) if newest else 0
            load = partial(load_dictionary, self._tx, swarm)
            made = Compressor(load, lambda: number, self._config.value_bytes_max)
            self._compressors[swarm] = made
        return self._compressors[swarm]

    def _event(self, row: dict[str, Json]) -> None:
        if self._at is not None and row["seq"] > self._at:
            if row["op"] not in UNVERSIONED_OPS:
                where = (row["swarm"], row["key"])
                self.later.setdefault(where, (row["version"] + self._versions, row["op"]))
            return
        seq = self._last_seq + 1 if self._dense else row["seq"] + self._seqs
        moved = {"seq": seq, "version": row["version"] + self._versions, "records": 0, "bytes": 0}
        self._tx.run("restore_event", **(row | moved))
        self._last_seq = max(self._last_seq, seq)

    def _other(self, table: str, row: dict[str, Json]) -> None:
        if table == DICTIONARIES.name:
            # Numbers that live processes know must go on meaning what they meant.
            row["number"] += self._before.dictionaries
            plain = base64.b64decode(row["bytes"])
            row["bytes"] = seal_dictionary(row["swarm"], row["number"], plain)
        elif table == CONFLICTS.name:
            for name in _VERSIONED:
                row[name] += self._versions if row[name] else 0
        self._tx.run(_BY_NAME[table].restore, **row)

    def _forget(self, swarm: str, key: str) -> None:
        self._tx.run("history_trim", swarm=swarm, key=key, keep=0)
        self._tx.run("restore_drop_record", swarm=swarm, key=key)

    # --- the end ---

    def finish(self, *, oldest: int, tokens: int, epoch: int, swarms: set[str], store: int) -> None:
        """Count what is counted, raise what only grows, and begin the epoch.

        `oldest` is the first event that the store had at the end of the chain.
        """
        tx = self._tx
        if not self._dense:
            tx.run("restore_prune_events", seq=oldest + self._seqs)
        tx.run("restore_clear_usage")
        tx.run("restore_usage")
        self._move_counters()
        for swarm in sorted(swarms | self._before.swarms):
            if swarm:
                tx.run("fact_raise", swarm=swarm, name="version_floor", value=self._versions)
                tx.run("fact_raise", swarm=swarm, name="lease_token_floor", value=tokens)
        for name, value in (("epoch", epoch), ("store_id", store), ("folded_seq", self._last_seq)):
            tx.run(FACTS.restore, swarm="", name=name, value=value)

    def _move_counters(self) -> None:
        """Say how each counter moved: processes that are running add events to what they know."""
        after = {row[:3]: row[3:] for row in self._tx.all("restore_usage_before")}
        none = (0, 0, 0)
        self._add_event(("", "", ""), none)
        for where in sorted(after.keys() | self._before.usage.keys()):
            new, old = after.get(where, none), self._before.usage.get(where, none)
            moved = (max(new[0], old[0]), new[1] - old[1], new[2] - old[2])
            if moved[1:] != (0, 0):
                self._add_event(where, moved)

    def _add_event(self, where: Row, moved: Row) -> None:
        swarm, scope, category = where
        self._last_seq += 1
        self._tx.run(
            "restore_event",
            seq=self._last_seq,
            swarm=swarm,
            key=RESTORE,
            version=0,
            op=RESTORE,
            author="",
            at_ms=self._tx.now_ms,
            scope=scope,
            category=category,
            telemetry=moved[0],
            records=moved[1],
            bytes=moved[2],
        )
