"""Retention: what has expired goes, a bounded bit at a time, by one process of many."""

from __future__ import annotations

import json

from swarm_memory.checks import check_name, check_number
from swarm_memory.config import RETENTION_S_MAX
from swarm_memory.lean import NamedTuple
from swarm_memory.packing import Packed, Packing, never
from swarm_memory.quota import Quota

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.context import Context
    from swarm_memory.engine import Reader, Row, Tx
    from swarm_memory.packing import Over, Tell

NAME_BYTES_MAX = 255
TRIM_KEYS = 500


class Swept(NamedTuple):
    """How many expired records, aged tombstones, old events and op results were removed.

    `bytes` is what the records took, `finished` False if its time was over before the end.
    """

    expired: int
    tombstones: int
    events: int
    ops: int
    bytes: int = 0
    finished: bool = True


class Trimmed(NamedTuple):
    """How many older versions were removed that no category keeps, and their bytes.

    `finished` is False if its time was over before the end.
    """

    versions: int
    bytes: int
    finished: bool = True


class Retention:
    """Sweeps and packs the records of one swarm."""

    def __init__(self, db: Reader, context: Context) -> None:
        self._db = db
        self._context = context

    def due(self, name: str, interval_s: float) -> bool:
        """Tell whether this process is the one that does the duty `name` now.

        Of many processes one is told yes per interval; the claim is one atomic statement.
        """
        check_name("duty", name, NAME_BYTES_MAX)
        check_number("interval_s", interval_s, 0, RETENTION_S_MAX, "seconds")

        def claim(tx: Tx) -> bool:
            row = tx.one(
                "fact_claim",
                swarm=self._context.swarm,
                name=f"duty/{name}",
                value=tx.now_ms,
                before=tx.now_ms - round(interval_s * 1000),
            )
            return row is not None

        return self._db.write(claim, durability="relaxed")

    def sweep(self) -> Swept:
        """Remove what has expired or aged, in transactions of at most `sweep_rows_max` rows."""
        return self.sweep_while()

    def sweep_while(self, *, over: Over = never, tell: Tell | None = None) -> Swept:
        """Sweep as long as there is time, from the first key on.

        Args:
            over: Asked before each transaction whether its time is over.
            tell: Told after each how many rows were looked at.
        """
        config, swarm = self._context.config, self._context.swarm
        now_ms = self._db.now_ms
        tombstone_ms = now_ms - round(config.tombstone_retention_s * 1000)
        expired = tombstones = size = seen = 0
        after = ""
        while not over():
            bound = self._db.one("record_nth", swarm=swarm, after=after, rows=config.sweep_rows_max)
            if bound is None or bound[0] is None:
                return Swept(expired, tombstones, *self._prune(now_ms), size)
            rows = self._db.all(
                "record_expired",
                swarm=swarm,
                after=after,
                upto=bound[0],
                now_ms=now_ms,
                tombstone_ms=tombstone_ms,
            )
            if rows:
                buried, dropped, freed = self._remove(rows)
                expired, tombstones, size = expired + buried, tombstones + dropped, size + freed
            after, seen = bound[0], seen + bound[1]
            if tell is not None:
                tell(seen)
        return Swept(expired, tombstones, 0, 0, size, finished=False)

    def _remove(self, rows: list[Row]) -> tuple[int, int, int]:
        quota = Quota(self._context)

        def remove(tx: Tx) -> tuple[int, int, int]:
            buried = dropped = size = 0
            for row in rows:
                if row[5] is None:
                    dropped += self._drop_tombstone(tx, row[0], row[1])
                elif quota.expire(tx, row):
                    buried, size = buried + 1, size + row[5] + len(row[0])
            return buried, dropped, size

        return self._db.write(remove, durability="relaxed")

    def _drop_tombstone(self, tx: Tx, key: str, version: int) -> int:
        swarm = self._context.swarm
        if not tx.run("tombstone_mark", swarm=swarm, key=key, version=version):
            return 0
        tx.run("history_trim", swarm=swarm, key=key, keep=0)
        tx.run("tombstone_drop", swarm=swarm, key=key)
        # Versions must not repeat, so new keys of this swarm start above every forgotten one.
        tx.run("fact_raise", swarm=swarm, name="version_floor", value=version)
        return 1

    def _prune(self, now_ms: int) -> tuple[int, int]:
        config, swarm = self._context.config, self._context.swarm

        def prune(tx: Tx) -> tuple[int, int]:
            span = tx.one("event_span")
            if span and span[1]:
                Quota(self._context).fold(tx, span[1])
            events = tx.run(
                "event_prune",
                at_ms=now_ms - round(config.event_retention_s * 1000),
                rows=config.sweep_rows_max,
            )
            ops = tx.run(
                "op_prune", swarm=swarm, at_ms=now_ms - round(config.op_id_retention_s * 1000)
            )
            return events, ops

        return self._db.write(prune, durability="relaxed")

    # --- older versions ---

    def beyond(self, keys: list[str]) -> dict[str, tuple[int, int]]:
        """Return by key how many older versions no category keeps, and their bytes."""
        if not keys:
            return {}
        config, found = self._context.config, dict[str, tuple[int, int]]()
        least = min(category.versions_max for category in config.categories)
        rows = self._db.all(
            "history_below", swarm=self._context.swarm, keys=json.dumps(keys), depth=least
        )
        for key, depth, size in rows:
            if depth >= config.category_of(key).versions_max:
                count, sizes = found.get(key, (0, 0))
                found[key] = (count + 1, sizes + size)
        return found

    def trim(self, *, over: Over = never, tell: Tell | None = None) -> Trimmed:
        """Remove the versions beyond the last ones that their categories keep.

        A put does so for its key now and then; what is left are keys that nobody writes any more,
        after a category was told to keep fewer. Transactions of `TRIM_KEYS` keys.

        Args:
            over: Asked before each transaction whether its time is over.
            tell: Told after each how many keys were looked at.
        """
        after, versions, size, seen = "", 0, 0, 0
        while not over():
            where = {"swarm": self._context.swarm, "after": after}
            keys = [row[0] for row in self._db.all("history_keys", limit=TRIM_KEYS, **where)]
            if not keys:
                return Trimmed(versions, size)
            after, seen = keys[-1], seen + len(keys)
            found = self.beyond(keys)
            if found:
                removed, freed = self._trim(found)
                versions, size = versions + removed, size + freed
            if tell is not None:
                tell(seen)
        return Trimmed(versions, size, finished=False)

    def _trim(self, found: dict[str, tuple[int, int]]) -> tuple[int, int]:
        config, swarm = self._context.config, self._context.swarm

        def trim(tx: Tx) -> tuple[int, int]:
            versions = size = 0
            for key, (_, sizes) in found.items():
                keep = config.category_of(key).versions_max - 1
                removed = tx.run("history_trim", swarm=swarm, key=key, keep=keep)
                # Somebody may have trimmed it since it was looked at.
                versions, size = versions + removed, size + (sizes if removed else 0)
            return versions, size

        return self._db.write(trim, durability="relaxed")

    # --- packing ---

    def train(self) -> int:
        """Train a dictionary on this swarm's values; return its number, 0 if there is none.

        It is kept only if it beats the one in use on values that it was not trained on.
        """
        return Packing(self._db, self._context).train(self._context.config.dictionary_values_min)

    def pack(self) -> Packed:
        """Train if that pays, then compress what is stored less tightly than it could be."""
        packing = Packing(self._db, self._context)
        packing.train(self._context.config.dictionary_values_min)
        return packing.pack()
