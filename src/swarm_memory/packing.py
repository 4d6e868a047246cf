"""Packing: values that are stored less tightly than they could be, and the dictionary for it.

A dictionary is trained on a sample of the swarm's values, and holds whole those that many records
share: such a record then takes about 20 bytes. It is kept only if it saves a tenth of what values
take that it was not trained on, its own bytes counted.
"""

from __future__ import annotations

import json
from functools import partial
from zlib import crc32

from swarm_memory import codec
from swarm_memory.errors import CorruptValueError, InvalidValueError
from swarm_memory.lean import NamedTuple
from swarm_memory.rows import meaning, seal_dictionary

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarm_memory.context import Context
    from swarm_memory.engine import Reader, Row, Tx
    from swarm_memory.model import Json

    Over = Callable[[], bool]
    Tell = Callable[[int], object]

SAMPLE_VALUES_MAX = 4000
SAMPLE_BYTES_MAX = 16 * 1024 * 1024
WHOLE_RECORDS_MAX = 20_000  # of a swarm: so many are looked at one by one
PICKS_MAX = 40_000  # rows that are looked at to find a sample of a swarm among others
FRAMES_AT_ONCE = 100
SIZES = (4 * 1024, 8 * 1024, 16 * 1024, 32 * 1024)  # of what is trained
SIZES_TRIED = 3
DICTIONARY_SHARE = 0.25  # of what values take that a dictionary may have
DICTIONARY_GAIN = 0.9  # what values take with a new one, itself counted, against the old one
EQUAL_MIN = 3  # equal values of a sample that speak for more
EQUAL_BYTES_MIN = 48
EQUAL_BYTES_MAX = 48 * 1024  # of equal values in a dictionary
REFERENCE_BYTES = 20  # of a value that stands whole in the dictionary
PACK_ROWS = 500
SCALE_MIN = 1.0


class Sampled(NamedTuple):
    """Some records of a swarm that has `records`: key, expires_ms, history_id, bytes of the
    stored value, its first three, and bytes of the key of each. `whole` if they are all.
    """

    records: int
    rows: list[Row]
    whole: bool

    @property
    def scale(self) -> float:
        """How many records one of the sample stands for."""
        return max(SCALE_MIN, self.records / len(self.rows)) if self.rows else SCALE_MIN


class _Table(NamedTuple):
    """What a walk over a table asks for, from where, and by which column it goes on."""

    statement: str
    before_all: Json
    place: int


class Value(NamedTuple):
    """A value of a sample: how many bytes are stored, how they begin, and its JSON."""

    size: int
    head: bytes
    plain: bytes


class Trial(NamedTuple):
    """What packing would make of all values, seen on half of a sample.

    `size` is what to train, None if no new dictionary pays. `stored` bytes there are; packing them
    saves `gain`, a new dictionary's own bytes counted. `equal` values have several equal ones.
    """

    number: int
    size: int | None
    stored: int
    gain: int
    equal: int


class Packed(NamedTuple):
    """What packing did: the dictionary's number (0 none), records rewritten, bytes saved.

    `versions` are older versions rewritten, `versions_saved_bytes` what that saved; `finished`
    is False if its time was over before the end.
    """

    dictionary: int
    records: int
    saved_bytes: int
    versions: int = 0
    versions_saved_bytes: int = 0
    finished: bool = True


def never() -> bool:
    """Say that there is time."""
    return False


def _quiet(done: int) -> None:
    """Tell nobody."""


class Packing:
    """Samples, trains and packs the values of one swarm."""

    def __init__(self, db: Reader, context: Context) -> None:
        self._db = db
        self._context = context
        self._packer = context.compressor.at_level(codec.PACK_LEVEL)

    # --- samples ---

    def sample(self, values_max: int = SAMPLE_VALUES_MAX) -> Sampled:
        """Return some records by chance; of a large table only those are touched."""
        swarm = self._context.swarm
        row = self._db.one("records_counted_in", swarm=swarm)
        records = int(row[0]) if row else 0
        if records <= WHOLE_RECORDS_MAX:
            rows = self._db.all("record_sample", swarm=swarm, limit=values_max)
            return Sampled(records, rows, len(rows) >= records)
        total = self._db.one("records_counted")
        others = max(1.0, (int(total[0]) if total else 0) / records)
        rows = self._db.all(
            "record_pick",
            swarm=swarm,
            picks=min(PICKS_MAX, round(2 * values_max * others)),
            share=min(1.0, 4 * values_max / records),
            limit=values_max,
        )
        return Sampled(records, list({row[0]: row for row in rows}.values()), False)

    def values(self, sampled: Sampled, bytes_max: int = SAMPLE_BYTES_MAX) -> list[Value]:
        """Return the values of a sample, as far as a dictionary is for such."""
        found: list[Value] = []
        size = 0
        keys = [row[0] for row in sampled.rows if row[3] <= codec.DICTIONARY_VALUE_BYTES_MAX]
        for first in range(0, len(keys), FRAMES_AT_ONCE):
            asked = json.dumps(keys[first : first + FRAMES_AT_ONCE])
            rows = self._db.all("record_frames", swarm=self._context.swarm, keys=asked)
            # In the order of the sample: neighbours in a table were written together.
            for _, frame in sorted(rows, key=lambda row: crc32(row[0].encode())):
                plain = self._plain(frame)
                if plain and len(plain) <= codec.DICTIONARY_VALUE_BYTES_MAX:
                    found.append(Value(len(frame), frame[:3], plain))
                    size += len(plain)
            if size >= bytes_max:
                break
        return found

    def _plain(self, frame: bytes) -> bytes | None:
        try:
            return self._context.compressor.expand(frame[0], frame[1:-4])
        except (ValueError, CorruptValueError):
            return None  # damaged: `verify` reports it, it only does not serve as a sample

    # --- the dictionary ---

    def newest(self) -> int:
        """Return the number of the newest dictionary, 0 for none."""
        row = self._db.one("dictionary_newest", swarm=self._context.swarm)
        return int(row[0]) if row else 0

    def dictionary_bytes(self, number: int) -> int:
        """Return how many bytes a dictionary takes, 0 if there is none."""
        row = self._db.one("dictionary_get", swarm=self._context.swarm, number=number)
        return len(row[0]) if row else 0

    def try_out(self, values: list[Value], records: int, *, sizes_max: int = SIZES_TRIED) -> Trial:
        """Train on half of a sample and see what that makes of the other half.

        Args:
            records: How many there are in all.
            sizes_max: How many sizes of a dictionary are tried.
        """
        train, test = [value.plain for value in values[::2]], values[1::2]
        self._packer.forget_current()
        number = self._packer.current()
        scale = max(SCALE_MIN, records / max(1, len(test)))
        copies = max(SCALE_MIN, records / max(1, len(train)))
        before = scale * sum(_packed_sizes(self._packer, test))
        equal = equal_values(train, copies)
        tried: list[tuple[float, int, bytes]] = []
        for size in _sizes(before)[-sizes_max:] if test else ():
            try:
                trained = codec.train_dictionary(train, size, equal)
            except InvalidValueError:
                continue  # too uniform or too small to learn from: plain values stay plain
            after = scale * sum(_packed_sizes(_trial_packer(trained), test)) + len(trained)
            tried.append((after, size, trained))
        stored = round(scale * sum(value.size for value in test))
        alike = round(copies * sum(_shared(train).values()))
        if not tried or min(tried)[0] > DICTIONARY_GAIN * before:
            left = [value for value in test if value.head != packed_head(number)]
            return Trial(number, None, stored, round(scale * _gain(self._packer, left)), alike)
        _, best, trained = min(tried)
        gain = round(scale * _gain(_trial_packer(trained), test)) - len(trained)
        return Trial(number, best, stored, gain, alike)

    def train(self, values_min: int) -> int:
        """Train a dictionary if that pays; return the number of the newest, 0 if there is none.

        Args:
            values_min: Values that a sample must have.
        """
        sampled = self.sample()
        values = self.values(sampled)
        if len(values) < values_min:
            self._packer.forget_current()
            return self._packer.current()
        trial = self.try_out(values, sampled.records)
        if trial.size is None:
            return trial.number
        plains = [value.plain for value in values]
        equal = equal_values(plains, max(SCALE_MIN, sampled.records / len(plains)))
        return self._keep(trial.number + 1, codec.train_dictionary(plains, trial.size, equal))

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
        self._packer.forget_current()
        return number

    # --- packing ---

    def pack(self, *, over: Over = never, tell: Tell = _quiet) -> Packed:
        """Pack anew what gets a tenth smaller by it, in transactions of `PACK_ROWS` rows.

        Args:
            over: Asked before each whether its time is over; what is left is found next time.
            tell: Told after each how many rows were looked at.
        """
        self._packer.forget_current()
        number, seen = self._packer.current(), 0
        done = Packed(number, 0, 0)
        for table in (_Table("record_pack_next", "", 0), _Table("history_pack_next", 0, 9)):
            after = table.before_all
            while rows := [] if over() else self._next(table.statement, after, number):
                after = rows[-1][table.place]
                seen += len(rows)
                tighter = [t for t in map(self._tighter, rows) if t is not None]
                if tighter:
                    store = partial(_store, tighter, table.place == 0)
                    count, saved = self._db.write(store, durability="relaxed")
                    done = _added(done, table.place == 0, count, saved)
                tell(seen)
            if over():
                return done._replace(finished=False)
        return done

    def _next(self, statement: str, after: Json, number: int) -> list[Row]:
        return self._db.all(
            statement,
            swarm=self._context.swarm,
            after=after,
            limit=PACK_ROWS,
            least=codec.COMPRESS_BYTES_MIN + codec.FRAME_BYTES,
            packed=packed_head(number),
        )

    def _tighter(self, row: Row) -> dict[str, Json] | None:
        key, version, frame = row[0], row[1], row[8]
        said = meaning(self._context.swarm, *row[:8])
        try:
            format_, body = codec.unseal(frame, said)
            encoded = self._context.compressor.expand(format_, body)
        except ValueError:
            return None  # damaged: rewriting it would give it a valid checksum
        packed = codec.seal(*self._packer.compress(encoded, eager=True), said)
        if len(packed) >= codec.WORTH_RATIO * len(frame):
            return None
        return {
            "swarm": self._context.swarm,
            "key": key,
            "version": version,
            "value": packed,
            "expires_ms": row[6],
            "more": row[9:],
            "saved": len(frame) - len(packed),
        }


def packed_head(number: int) -> bytes:
    """Return how a value begins that is packed with a dictionary; of none, how none does."""
    if not number:
        return b"\xff\xff\xff"
    return bytes([codec.ZSTD_DICTIONARY]) + number.to_bytes(2, "big")


def _store(tighter: list[dict[str, Json]], current: bool, tx: Tx) -> tuple[int, int]:
    """Write packed versions, the `current` ones or older ones; return how many, and the gain."""
    count = saved = 0
    for packed in tighter:
        where = {name: value for name, value in packed.items() if name != "more"}
        if not current:
            written = tx.run("history_repack", id=packed["more"][0], **where)
        elif written := tx.run("record_repack", **where):
            counted = dict(zip(("scope", "category", "telemetry"), packed["more"], strict=True))
            tx.run("usage_add", swarm=packed["swarm"], **counted, records=0, bytes=-packed["saved"])
        if written:
            count, saved = count + 1, saved + packed["saved"]
    return count, saved


def _added(done: Packed, current: bool, count: int, saved: int) -> Packed:
    if current:
        return done._replace(records=done.records + count, saved_bytes=done.saved_bytes + saved)
    return done._replace(
        versions=done.versions + count, versions_saved_bytes=done.versions_saved_bytes + saved
    )


def _shared(plains: Sequence[bytes]) -> dict[bytes, int]:
    """Return the values that come again and again, with how often."""
    counts: dict[bytes, int] = {}
    for plain in plains:
        if len(plain) >= EQUAL_BYTES_MIN:
            counts[plain] = counts.get(plain, 0) + 1
    return {plain: count for plain, count in counts.items() if count >= EQUAL_MIN}


def equal_values(plains: Sequence[bytes], copies: float) -> list[bytes]:
    """Return the values that a dictionary should hold whole, what saves most last.

    Args:
        copies: How many stored values one of the sample stands for.
    """
    alone = codec.Compressor(lambda _: b"", lambda: 0, 2**31)
    worth: list[tuple[float, bytes]] = []
    for plain, count in _shared(plains).items():
        without = len(alone.compress(plain, eager=True)[1])
        saved = copies * count * (without - REFERENCE_BYTES)
        if saved > len(plain):
            worth.append((saved, plain))
    chosen: list[bytes] = []
    left = EQUAL_BYTES_MAX
    for _, plain in sorted(worth, reverse=True):
        if len(plain) <= left:
            chosen.append(plain)
            left -= len(plain)
    return chosen[::-1]


def _sizes(stored: float) -> Sequence[int]:
    """Return the sizes worth trying for values that take `stored` bytes."""
    fitting = [size for size in SIZES if size <= max(SIZES[0], DICTIONARY_SHARE * stored)]
    return fitting[-SIZES_TRIED:]


def _trial_packer(trained: bytes) -> codec.Compressor:
    return codec.Compressor(lambda _: trained, lambda: 1, 2**31, codec.PACK_LEVEL)


def _packed_sizes(packer: codec.Compressor, values: Sequence[Value]) -> list[int]:
    return [
        codec.FRAME_BYTES + len(packer.compress(value.plain, eager=True)[1]) for value in values
    ]


def _gain(packer: codec.Compressor, values: Sequence[Value]) -> int:
    """Return what packing these saves, where it is worth rewriting them."""
    sizes = _packed_sizes(packer, values)
    pairs = [(value.size, size) for value, size in zip(values, sizes, strict=True)]
    return sum(stored - size for stored, size in pairs if size < codec.WORTH_RATIO * stored)
