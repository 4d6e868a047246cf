"""Values on disk: strict JSON inside a small frame that knows its own checksum.

A frame is `format (1 byte) · body · CRC-32 (4 bytes)`. The checksum covers all before it and
what the row says about it (swarm, key, version, times, author), so a value never turns up under
another key or version. Formats: plain JSON, zstd, zstd with one of the store's dictionaries (the
body then begins with the dictionary's number, 2 bytes), gzip.

A process that only passes by (a hook) must not pay for imports it does not need, so the first
values go through `lean_json` uncompressed; a process that stays switches to zstd, and to orjson
when that has become worth its import.
"""

from __future__ import annotations

import sys
from zlib import crc32

from swarm_memory import lean_json
from swarm_memory.errors import InvalidValueError, LimitExceededError
from swarm_memory.locks import local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarm_memory.model import Json

DEPTH_MAX = 64
INT_MIN, INT_MAX = -(2**63), 2**64 - 1
PLAIN, ZSTD, ZSTD_DICTIONARY, GZIP = 0, 1, 2, 3
FRAME_BYTES = 5  # what a frame adds to its body
RESIDUE = 0x2144DF1C  # the CRC-32 of any data followed by its own CRC-32

COLD_CALLS = 32  # values before a process counts as one that stays
# To import orjson takes 25 ms, and then saves 3 µs for each 256 bytes or less: a hook that looks at
# 300 operations would pay it and be done.
LEAN_PIECES = 4000
PIECE_BITS = 8
COMPRESS_BYTES_MIN = 64  # shorter ones gain nothing
LARGE_BYTES = 4096  # worth compressing without a dictionary
DICTIONARY_BYTES = 16 * 1024
DICTIONARY_VALUE_BYTES_MAX = 64 * 1024  # longer values gain nothing from a dictionary
LEVEL = 3
# Of what is packed once and read often: 5 to 10 % smaller, at half to a tenth of the speed, and
# read as fast.
PACK_LEVEL = 12
WORTH_RATIO = 0.9

_INFINITY = float("inf")


# --- JSON -------------------------------------------------------------------------------------


def check_value(value: Json, depth_max: int = DEPTH_MAX) -> None:
    """Check that `value` is JSON which comes back unchanged.

    Tuples count as arrays. Refused: NaN and infinities, integers beyond 64 bits, keys that are
    not str, other types, nesting deeper than `depth_max`, lone surrogates (found by `encode`).

    Raises:
        InvalidValueError: Naming what is wrong.
    """
    kind = type(value)
    if kind is dict:
        if depth_max <= 0:
            raise InvalidValueError("the value is nested too deeply")
        for name, item in value.items():
            if type(name) is not str and not isinstance(name, str):
                raise InvalidValueError(f"the key {name!r:.60} is no str but {type(name).__name__}")
            if type(item) is not str:
                check_value(item, depth_max - 1)
    elif kind is list or kind is tuple:
        if depth_max <= 0:
            raise InvalidValueError("the value is nested too deeply")
        for item in value:
            if type(item) is not str:
                check_value(item, depth_max - 1)
    elif kind is int:
        if not INT_MIN <= value <= INT_MAX:
            raise InvalidValueError("an integer does not fit in 64 bits: store it as a string")
    elif kind is float:
        if value != value or value in (_INFINITY, -_INFINITY):
            raise InvalidValueError(f"{value} is no JSON number: store null or a string")
    elif not (kind is str or kind is bool or value is None):
        _check_subclass(value, depth_max)


def _check_subclass(value: Json, depth_max: int) -> None:
    for base in (str, dict, list, int):
        if isinstance(value, base):
            convert: Callable[[Json], Json] = base
            check_value(convert(value), depth_max)
            return
    raise InvalidValueError(f"{type(value).__name__} is no JSON type")


def _dumps_cold(value: Json) -> bytes:
    text = lean_json.dumps(value).encode()
    _warm_up(len(text))
    return text


def _loads_cold(text: bytes) -> Json:
    _warm_up(len(text))
    return lean_json.loads(text)


# The codec in use, without any checks. Both give the same JSON but for how they write some numbers
# with a fraction. Look them up at every use: they change once.
dumps: Callable[[Json], bytes] = _dumps_cold
loads: Callable[[bytes], Json] = _loads_cold
_calls = _pieces = 0


def _warm_up(size: int) -> None:
    """Count a call, and switch to orjson once it is loaded anyway or pays."""
    global _calls, _pieces, dumps, loads
    _calls += 1
    _pieces += 1 + (size >> PIECE_BITS)
    if _pieces > LEAN_PIECES or "orjson" in sys.modules:
        import orjson

        dumps, loads = orjson.dumps, orjson.loads


def is_warm() -> bool:
    """Tell whether this process has shown that it stays."""
    return _calls > COLD_CALLS or dumps is not _dumps_cold


def encode(value: Json, *, bytes_max: int, depth_max: int = DEPTH_MAX) -> bytes:
    """Return `value` as UTF-8 JSON.

    Raises:
        InvalidValueError: See `check_value`.
        LimitExceededError: It has more than `bytes_max` bytes.
    """
    check_value(value, depth_max)
    try:
        encoded = dumps(value)
    except (TypeError, ValueError) as error:  # both codecs' errors are of these
        raise InvalidValueError(f"the value is no JSON: {error}") from error
    if len(encoded) > bytes_max:
        raise LimitExceededError(
            "the value", limit=bytes_max, actual=len(encoded), hint="split it over several keys"
        )
    return encoded


def decode(encoded: bytes) -> Json:
    """Return the value of JSON that `encode` made."""
    return loads(encoded)


def parse(text: str | bytes) -> Json:
    """Return the value of JSON from outside, strictly.

    Raises:
        InvalidValueError: It is no JSON, has a duplicate key, NaN, or nests too deeply.
    """
    import json

    try:
        value = json.loads(text, object_pairs_hook=_pairs, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise InvalidValueError(f"no valid JSON: {error}") from error
    check_value(value)
    return value


def _pairs(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("an object has the same key twice")
    return result


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def canonical(value: Json) -> bytes:
    """Return one byte form for equal values, whatever their key order; for digests."""
    import json

    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


# --- Frames -----------------------------------------------------------------------------------


def seal(format_: int, body: bytes, about: bytes) -> bytes:
    """Return the frame of `body`; `about` is what else the checksum covers."""
    head = b"%c%b" % (format_, body)
    return head + crc32(head, crc32(about)).to_bytes(4, "little")


class FrameError(ValueError):
    """The stored bytes are no intact frame."""


def unseal(frame: bytes, about: bytes) -> tuple[int, bytes]:
    """Return (format, body) of a frame.

    Raises:
        FrameError: The checksum does not match.
    """
    if len(frame) < FRAME_BYTES or crc32(frame, crc32(about)) != RESIDUE:
        raise FrameError("its checksum does not match")
    return frame[0], frame[1:-4]


class Compressor:
    """Compresses and expands bodies with the dictionaries of one swarm.

    `load(number)` gives a dictionary's bytes, `newest()` the number of the newest or 0.
    Expanding is bounded by `bytes_max`; `level` is zstd's, 1 to 19.
    """

    REFRESH_CALLS = 4096  # how often a long-lived writer looks for a newer dictionary

    def __init__(
        self,
        load: Callable[[int], bytes],
        newest: Callable[[], int],
        bytes_max: int,
        level: int = LEVEL,
    ) -> None:
        self._load = load
        self._newest = newest
        self._bytes_max = bytes_max
        self._level = level
        self._local = local()  # zstd contexts must not be shared between threads
        self._calls = 0
        self._current = 0

    def compress(self, encoded: bytes, *, eager: bool = False) -> tuple[int, bytes]:
        """Return (format, body) for JSON bytes, compressed where that is worth it."""
        size = len(encoded)
        if size < COMPRESS_BYTES_MIN or not (eager or is_warm() or size >= LARGE_BYTES):
            return PLAIN, encoded
        if size <= DICTIONARY_VALUE_BYTES_MAX:
            number = self._dictionary()
            if number:
                packed = self._pair(number)[0].compress(encoded)
                if len(packed) < WORTH_RATIO * size:
                    return ZSTD_DICTIONARY, number.to_bytes(2, "big") + packed
                return PLAIN, encoded
        if size >= LARGE_BYTES or eager:
            packed = self._pair(0)[0].compress(encoded)
            if len(packed) < WORTH_RATIO * size:
                return ZSTD, packed
        return PLAIN, encoded

    def expand(self, format_: int, body: bytes) -> bytes:
        """Return the JSON bytes of a body.

        Raises:
            FrameError: It does not expand, or to more than `bytes_max`.
        """
        if format_ == PLAIN:
            return body
        if format_ == GZIP:
            return self._gunzip(body)
        number = 0
        if format_ == ZSTD_DICTIONARY:
            number, body = int.from_bytes(body[:2], "big"), body[2:]
        elif format_ != ZSTD:
            raise FrameError(f"unknown format {format_}")
        return self._unzstd(number, body)

    def at_level(self, level: int) -> Compressor:
        """Return a compressor with the same dictionaries and another level."""
        return Compressor(self._load, self._newest, self._bytes_max, level)

    def current(self) -> int:
        """Return the number of the dictionary that writes use, 0 for none."""
        return self._dictionary()

    def forget_current(self) -> None:
        """Look for a newer dictionary at the next write."""
        self._calls = 0

    def _dictionary(self) -> int:
        if self._calls % self.REFRESH_CALLS == 0:
            self._current = self._newest()
        self._calls += 1
        return self._current

    def _pair(self, number: int) -> Json:
        try:
            pairs = self._local.pairs
        except AttributeError:
            pairs = self._local.pairs = {}
        pair = pairs.get(number)
        if pair is None:
            import zstandard

            known = zstandard.ZstdCompressionDict(self._load(number)) if number else None
            parameters = zstandard.ZstdCompressionParameters.from_level(
                self._level, write_content_size=True, write_dict_id=False, write_checksum=False
            )
            pair = (
                zstandard.ZstdCompressor(dict_data=known, compression_params=parameters),
                zstandard.ZstdDecompressor(dict_data=known),
            )
            pairs[number] = pair
        return pair

    def _unzstd(self, number: int, body: bytes) -> bytes:
        import zstandard

        try:
            size = zstandard.frame_content_size(body)
            if not 0 <= size <= self._bytes_max:
                raise FrameError(f"it claims to expand to {size} bytes")
            expanded: bytes = self._pair(number)[1].decompress(body)
        except zstandard.ZstdError as error:
            raise FrameError(f"it does not expand: {error}") from error
        return expanded

    def _gunzip(self, body: bytes) -> bytes:
        import zlib

        machine = zlib.decompressobj(wbits=31)
        try:
            expanded = machine.decompress(body, self._bytes_max + 1)
        except zlib.error as error:
            raise FrameError(f"it does not expand: {error}") from error
        if len(expanded) > self._bytes_max:
            raise FrameError(f"it expands to more than {self._bytes_max} bytes")
        return expanded


def train_dictionary(
    samples: Sequence[bytes], bytes_max: int = DICTIONARY_BYTES, equal: Sequence[bytes] = ()
) -> bytes:
    """Return a dictionary for values like `samples` (JSON bytes, a few hundred or more).

    Args:
        bytes_max: Bytes of what is trained.
        equal: Whole values that come often, the most frequent last. They stand behind what is
            trained, where a reference to one is shortest: such a value takes about 20 bytes then.

    Raises:
        InvalidValueError: There are too few samples to train on, and no equal values.
    """
    import zstandard

    # Training takes the best of each stretch of the samples, so alike ones must not stand together:
    # mixed, real values get 5 to 10 % smaller.
    places = sorted(range(len(samples)), key=lambda place: crc32(place.to_bytes(8, "little")))
    mixed: list[bytes | bytearray | memoryview[int]] = [samples[place] for place in places]
    try:
        trained: bytes = zstandard.train_dictionary(bytes_max, mixed).as_bytes()
    except zstandard.ZstdError as error:
        if not equal:
            raise InvalidValueError(
                f"{len(samples)} values are too few to train on: {error}"
            ) from error
        trained = b""  # JSON by itself is a dictionary, too: one without tables
    return trained + b"".join(equal)
