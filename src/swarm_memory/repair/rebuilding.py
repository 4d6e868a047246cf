"""Repairing: what can be read of a damaged store, written into a new one; the old is not touched.

Values that match their checksum come over with their versions; what does not is named by its key
and never guessed. A key whose current value is lost keeps its older versions behind a tombstone,
so that somebody can look at them and roll back. Counters are counted anew, leases are free, and
the new store begins an epoch as after a restore.
"""

from __future__ import annotations

import os
from pathlib import Path

from swarm_memory.backup.loading import Before, Loader, leap
from swarm_memory.backup.restoring import new_store
from swarm_memory.backup.tables import DICTIONARIES, EVENTS, HISTORY, RECORDS
from swarm_memory.importers.sqlite_copy import private_copy
from swarm_memory.integrity.checks import NEWS_OPS
from swarm_memory.key import scope_of
from swarm_memory.lean import NamedTuple
from swarm_memory.quota import TELEMETRY_SCOPE
from swarm_memory.repair.salvaging import Loss, Remains

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.config import Config
    from swarm_memory.engine import Tx
    from swarm_memory.model import Json

    Key = tuple[str, str]

REPAIR_AUTHOR = "repair"


class Repaired(NamedTuple):
    """What a repair saved, by table, and every loss that it knows of."""

    path: str
    rows: dict[str, int]
    losses: list[Loss]

    def to_dict(self) -> dict[str, Json]:
        """Return the result as every door shows it."""
        return self._asdict() | {"losses": [loss._asdict() for loss in self.losses]}


def repair_store(path: str | os.PathLike[str], to: str) -> Repaired:
    """Write what can be read of the SQLite store at `path` into a new one at `to`.

    The store is copied first and only the copy is opened. No process may be writing to it, and
    this one may not have it open. The new file appears when all of it is there.

    Raises:
        ImportSourceError: It cannot be copied, or nothing of it makes sense.
        InvalidArgumentError: There is a file at `to` already.
    """
    with new_store(to) as swarm, private_copy(Path(path)) as copy:
        remains = Remains(copy, swarm.config.value_bytes_max)
        try:
            rows = swarm.transact(
                lambda transaction: _Repair(transaction.tx, swarm.config, remains).run()
            )
        finally:
            remains.close()
    return Repaired(os.path.abspath(os.path.expanduser(to)), rows, remains.losses)


class _Repair:
    """One repair, within the transaction that fills the new store."""

    def __init__(self, tx: Tx, config: Config, remains: Remains) -> None:
        remains.losses.clear()  # a transaction may run again
        self._tx = tx
        self._config = config
        self._remains = remains
        self._older: dict[Key, list[dict[str, Json]]] = {}
        self._current: dict[Key, int] = {}  # its version, also of what is lost
        self._swarms: set[str] = set()

    def run(self) -> dict[str, int]:
        events = self._remains.events()
        tokens = self._tokens()
        facts = [row for table, row in self._remains.others() if table == "facts"]
        self._read_history()
        records, lost = self._read_records(events)
        highest = [row["version"] for row in records] + [row["version"] for row in events]
        highest += [row["value"] for row in facts if row["name"].endswith("_floor")]
        highest += [tokens, *(row["seq"] for row in events)]
        first = leap(max(highest, default=0))
        loader = Loader(
            self._tx, self._config, Before(self._tx), versions=first, seqs=first, dense=True
        )
        loader.begin_file(full=True)
        self._load(loader, records, events, lost)
        epoch = max((row["value"] for row in facts if row["name"] == "epoch"), default=0) + 1
        number = int.from_bytes(os.urandom(6), "big")
        loader.finish(oldest=0, tokens=first, epoch=epoch, swarms=self._swarms, store=number)
        return loader.rows

    def _tokens(self) -> int:
        tokens = [0]
        for row in self._remains.rows("seats", 3):
            tokens += [row["token"] or 0, row["drawn"] or 0]
            self._swarms.add(row["swarm"])
        return max(tokens)

    def _read_history(self) -> None:
        for _ in self._remains.dictionaries():
            pass  # the values below are packed with them
        for row, intact in self._remains.versions(HISTORY):
            if intact:
                self._older.setdefault((row["swarm"], row["key"]), []).append(row)
            else:
                self._lose(HISTORY, row, f"the older version {row['version']} is damaged")

    def _read_records(
        self, events: list[dict[str, Json]]
    ) -> tuple[list[dict[str, Json]], list[dict[str, Json]]]:
        """Return the records to write, and those of them whose value is lost."""
        found: dict[Key, dict[str, Json]] = {}
        lost: dict[Key, dict[str, Json]] = {}
        for row, intact in self._remains.versions(RECORDS):
            where = (row["swarm"], row["key"])
            if not intact:
                self._lose(RECORDS, row, f"the value of version {row['version']} is damaged")
                lost.setdefault(where, row | {"provenance": None, "expires_ms": None})
            elif where not in found or found[where]["version"] < row["version"]:
                found[where] = row
        newest = {(row["swarm"], row["key"]): row for row in events}
        for where, event in newest.items():
            gone = event["op"] not in NEWS_OPS
            if where in found or where in lost or (gone and where not in self._older):
                continue
            lost[where] = self._tombstone(where, event["version"], event["at_ms"])
            if not gone:
                self._lose(RECORDS, lost[where], f"version {event['version']} is missing")
        for where, versions in self._older.items():
            if where not in found and where not in lost:
                last = max(versions, key=lambda row: int(row["version"]))
                lost[where] = self._tombstone(where, last["version"] + 1, last["updated_ms"])
                self._lose(RECORDS, lost[where], "the record is missing, older versions are there")
        only_lost = [row for where, row in lost.items() if where not in found]
        return [*found.values(), *only_lost], only_lost

    def _tombstone(self, where: Key, version: int, at_ms: int) -> dict[str, Json]:
        swarm, key = where
        category = self._config.category_of(key)
        return {
            "swarm": swarm,
            "key": key,
            "version": version,
            "author": REPAIR_AUTHOR,
            "session": None,
            "created_ms": at_ms,
            "updated_ms": at_ms,
            "expires_ms": None,
            "provenance": None,
            "scope": TELEMETRY_SCOPE if category.telemetry else scope_of(key),
            "category": category.name,
            "telemetry": int(category.telemetry),
        }

    def _lose(self, table: str, row: dict[str, Json], problem: str) -> None:
        self._remains.losses.append(Loss(table, row["swarm"], row["key"], problem))

    # --- writing ---

    def _load(
        self,
        loader: Loader,
        records: list[dict[str, Json]],
        events: list[dict[str, Json]],
        lost: list[dict[str, Json]],
    ) -> None:
        before = len(self._remains.losses)
        for row in self._remains.dictionaries():
            loader.add(DICTIONARIES.name, row)
        for table, row in self._remains.others():
            loader.add(table, row)
            self._swarms.add(row["swarm"])
        del self._remains.losses[before:]  # they were read, and their losses named, before
        self._tx.run("restore_arms")
        for row in sorted(records, key=lambda row: (row["swarm"], row["key"])):
            where = (row["swarm"], row["key"])
            older = sorted(self._older.get(where, []), key=lambda row: int(row["version"]))
            for number, version in enumerate(older):
                later = older[number + 1]["version"] if number + 1 < len(older) else row["version"]
                if version["version"] < later:
                    loader.add(HISTORY, version)
            loader.add(RECORDS, row)
            self._swarms.add(row["swarm"])
        self._log(loader, records, events, lost)

    def _log(
        self,
        loader: Loader,
        records: list[dict[str, Json]],
        events: list[dict[str, Json]],
        lost: list[dict[str, Json]],
    ) -> None:
        """Write the change log, and at its end what it lacks to agree with the records."""
        said: dict[Key, dict[str, Json]] = {}
        for event in events:
            loader.add(EVENTS.name, event)
            said[event["swarm"], event["key"]] = event
        gone = {(row["swarm"], row["key"]) for row in lost}
        for row in records:
            event = said.get((row["swarm"], row["key"]), {})
            op = "put" if "value" in row else "delete"
            expired = op == "delete" and event.get("op") == "expire"
            known = (event.get("version"), event.get("op"))
            same_value = op == "put" and known[1] in NEWS_OPS
            agrees = known[0] == row["version"] and (known[1] == op or expired or same_value)
            if not agrees or (row["swarm"], row["key"]) in gone:
                names = ("swarm", "key", "version", "scope", "category", "telemetry")
                about = {name: row[name] for name in names}
                at = {"seq": 0, "op": op, "author": row["author"], "at_ms": row["updated_ms"]}
                loader.add(EVENTS.name, about | at)
