"""Retention: what has expired goes, a bounded bit at a time, by one process of many."""

from __future__ import annotations

from functools import partial

from swarm_memory import codec
from swarm_memory.checks import check_name, check_number
from swarm_memory.config import RETENTION_S_MAX
from swarm_memory.errors import InvalidValueError
from swarm_memory.lean import NamedTuple
from swarm_memory.quota import Quota
from swarm_memory.rows import meaning, seal_dictionary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.context import Context
    from swarm_memory.engine import Reader, Row, Tx
    from swarm_memory.model import Json

SAMPLE_VALUES_MAX = 4000
DICTIONARY_GAIN = 0.9  # a new dictionary must beat the old one by this on values it has not seen
PACK_ROWS = 500
NAME_BYTES_MAX = 255


class Swept(NamedTuple):
    """How many expired records, aged tombstones, old events and op results were removed."""

    expired: int
    tombstones: int
    events: int
    ops: int


class Packed(NamedTuple):
    """What packing did: the dictionary's number (0 none), records rewritten, bytes saved."""

    dictionary: int
    records: int
    saved_bytes: int


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
        config, swarm = self._context.config, self._context.swarm
        now_ms = self._db.now_ms
        tombstone_ms = now_ms - round(config.tombstone_retention_s * 1000)
        expired = tombstones = 0
        after = ""
        while True:
            bound = self._db.one("record_nth", swarm=swarm, after=after, rows=config.sweep_rows_max)
            if bound is None or bound[0] is None:
                break
            rows = self._db.all(
                "record_expired",
                swarm=swarm,
                after=after,
                upto=bound[0],
                now_ms=now_ms,
                tombstone_ms=tombstone_ms,
            )
            if rows:
                buried, dropped = self._remove(rows)
                expired, tombstones = expired + buried, tombstones + dropped
            after = bound[0]
        return Swept(expired, tombstones, *self._prune(now_ms))

    def _remove(self, rows: list[Row]) -> tuple[int, int]:
        quota = Quota(self._context)

        def remove(tx: Tx) -> tuple[int, int]:
            buried = dropped = 0
            for row in rows:
                if row[5] is None:
                    dropped += self._drop_tombstone(tx, row[0], row[1])
                else:
                    buried += quota.expire(tx, row)
            return buried, dropped

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

    # --- packing ---

    def train(self) -> int:
        """Train a dictionary on this swarm's values; return its number, 0 if there is none.

        It is kept only if it beats the one in use on values that it was not trained on.
        """
        samples = self._samples()
        if len(samples) < self._context.config.dictionary_values_min:
            return 0
        train, test = samples[::2], samples[1::2]
        newest = self._db.one("dictionary_newest", swarm=self._context.swarm)
        number = int(newest[0]) if newest else 0
        try:
            trained = codec.train_dictionary(train)
        except InvalidValueError:
            return number  # too uniform or too small to learn from: plain values stay plain
        before = sum(len(self._context.compressor.compress(s, eager=True)[1]) for s in test)
        trial = codec.Compressor(lambda _: trained, lambda: 1, 2**31)
        after = sum(len(trial.compress(s, eager=True)[1]) for s in test)
        if after > DICTIONARY_GAIN * before:
            return number
        return self._keep(number + 1, trained)

    def _keep(self, number: int, trained: bytes) -> int:
        self._db.write(
            lambda tx: tx.run(
                "dictionary_put",
                swarm=self._context.swarm,
                number=number,
                created_ms=tx.now_ms,
                bytes=seal_dictionary(self._context.swarm, number, trained),
            )
        )
        self._context.compressor.forget_current()
        return number

    def _samples(self) -> list[bytes]:
        rows = self._db.all("record_sample", swarm=self._context.swarm, limit=SAMPLE_VALUES_MAX)
        samples = (self._plain(row[-1]) for row in rows)
        return [s for s in samples if s and len(s) <= codec.DICTIONARY_VALUE_BYTES_MAX]

    def _plain(self, frame: bytes) -> bytes | None:
        try:
            return self._context.compressor.expand(frame[0], frame[1:-4])
        except ValueError:
            return None  # damaged: `verify` reports it, it only does not serve as a sample

    def pack(self) -> Packed:
        """Train if that pays, then compress what is stored less tightly than it could be."""
        number = self.train()
        saved = count = 0
        after = ""
        while True:
            rows = self._db.all(
                "record_pack_next", swarm=self._context.swarm, after=after, limit=PACK_ROWS
            )
            if not rows:
                return Packed(number, count, saved)
            after = rows[-1][0]
            tighter = [t for t in map(self._tighter, rows) if t is not None]
            if tighter:
                store = partial(self._store, tighter)
                packed, bytes_saved = self._db.write(store, durability="relaxed")
                count, saved = count + packed, saved + bytes_saved

    def _tighter(self, row: Row) -> dict[str, Json] | None:
        key, version, frame = row[0], row[1], row[8]
        said = meaning(self._context.swarm, *row[:8])
        try:
            format_, body = codec.unseal(frame, said)
            encoded = self._context.compressor.expand(format_, body)
        except ValueError:
            return None  # damaged: rewriting it would give it a valid checksum
        packed = codec.seal(*self._context.compressor.compress(encoded, eager=True), said)
        if len(packed) >= codec.WORTH_RATIO * len(frame):
            return None
        return {
            "swarm": self._context.swarm,
            "key": key,
            "version": version,
            "value": packed,
            "expires_ms": row[6],
            "scope": row[9],
            "category": row[10],
            "telemetry": row[11],
            "saved": len(frame) - len(packed),
        }

    def _store(self, tighter: list[dict[str, Json]], tx: Tx) -> tuple[int, int]:
        count = saved = 0
        for packed in tighter:
            names = ("swarm", "key", "version", "value", "expires_ms")
            where = {name: packed[name] for name in names}
            if tx.run("record_repack", **where, saved=packed["saved"]):
                counted = {n: packed[n] for n in ("swarm", "scope", "category", "telemetry")}
                tx.run("usage_add", **counted, records=0, bytes=-packed["saved"])
                count, saved = count + 1, saved + packed["saved"]
        return count, saved
