"""Foreign values and times, turned into JSON that the store can hold and epoch milliseconds.

A value that is no such JSON (NaN, an integer beyond 64 bits, nesting deeper than `DEPTH_MAX`, a
lone surrogate, a key given twice) is kept as the text it came in; nothing is rounded or guessed.

The wrappers of claude-flow's serializer become plain JSON:

    __undefined__                  null
    __NaN__ __Infinity__ __-Infinity__   null, and the caller learns that a number was dropped
    __Date__                       its ISO text
    __Map__                        an object if all its keys are text, else its list of pairs
    __Set__ __ArrayBuffer__ __TypedArray__   a list
    __BigInt__                     an integer if it fits in 64 bits, else its digits as text
    __RegExp__                     "/source/flags"
    __Error__ __Function__ __Symbol__ and unknown ones   their object, without the marker
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from datetime import UTC, datetime
from hashlib import sha256

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import tzinfo
    from typing import Any

    Json = Any  # what JSON can express

DEPTH_MAX = 64
INT_MIN, INT_MAX = -(2**63), 2**64 - 1
DECODED_BYTES_MAX = 64 * 1024 * 1024  # one value after base64 or gzip
INT_DIGITS_MAX = 40  # longer ones cannot fit 64 bits and cost time to parse
COMPRESSED_MARK = "__compressed__"
DIGEST_DIGITS = 32

SECONDS, MILLISECONDS = "s", "ms"
TIME_MS_MAX = 253_402_300_799_999  # the end of the year 9999
_SECONDS_BELOW = 10**11  # as seconds the year 5138, as milliseconds March 1973
_MILLISECONDS_BELOW = 10**14
_SECONDS_FROM = 10**8
TTL_S_MAX = 10 * 365 * 86_400  # a longer "ttl in seconds" was written in milliseconds

_LOST_NUMBERS = {"__NaN__": "NaN", "__Infinity__": "Infinity", "__-Infinity__": "-Infinity"}


class UnstorableError(ValueError):
    """The value cannot be kept, not even as text; the message is the reason."""


class Decoded:
    """A decoded value; `lost` names the numbers (NaN, Infinity) that became null."""

    __slots__ = ("lost", "value")

    def __init__(self, value: Json, lost: list[str]) -> None:
        self.value = value
        self.lost = lost


def check_storable(value: Json, depth_max: int = DEPTH_MAX) -> None:
    """Raise UnstorableError if `value` is no JSON that the store gives back unchanged."""
    if isinstance(value, str):
        _check_text(value)
    elif isinstance(value, dict | list):
        if depth_max <= 0:
            raise UnstorableError("nested too deeply")
        if isinstance(value, dict):
            for name in value:
                _check_text(name)
        for item in value.values() if isinstance(value, dict) else value:
            check_storable(item, depth_max - 1)
    elif isinstance(value, int):
        if not INT_MIN <= value <= INT_MAX:
            raise UnstorableError("an integer beyond 64 bits")
    elif isinstance(value, float) and not abs(value) < float("inf"):
        raise UnstorableError("a number that is no JSON")


def _check_text(text: str) -> None:
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError:
            raise UnstorableError("a lone surrogate") from None


def storable_text(text: str) -> str:
    r"""Return `text` with lone surrogates shown as \udXXX, all else unchanged."""
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def storable(value: Json, depth_max: int = DEPTH_MAX) -> Json:
    """Return `value`, or its JSON text where the store could not give it back unchanged.

    Raises:
        UnstorableError: Not even its text can be made.
    """
    try:
        check_storable(value, depth_max)
    except (UnstorableError, RecursionError):
        if isinstance(value, str):
            return storable_text(value)
        try:
            return json.dumps(value)
        except (ValueError, RecursionError) as error:
            raise UnstorableError("nested too deeply to be written as text") from error
    return value


def parse_json(text: str | bytes) -> Json:
    """Return the value of strict JSON.

    Raises:
        UnstorableError: It is no JSON, holds NaN or a key twice, or nests too deeply.
    """
    try:
        return json.loads(
            text, object_pairs_hook=_unique_pairs, parse_constant=_refuse, parse_int=_parse_int
        )
    except UnstorableError:
        raise
    except (ValueError, RecursionError) as error:
        raise UnstorableError(f"no JSON: {error}") from error


def _unique_pairs(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise UnstorableError("a key twice in one object")
    return value


def _refuse(name: str) -> Json:
    raise UnstorableError(f"{name} is no JSON number")


def _parse_int(digits: str) -> int:
    if len(digits) > INT_DIGITS_MAX:
        raise UnstorableError("an integer beyond 64 bits")
    return int(digits)


def decode_text(text: str, *, depth_max: int = DEPTH_MAX) -> Decoded:
    """Return what a claude-flow text value stands for.

    `__compressed__` is undone (it is base64 of JSON or of text), JSON becomes its value, the
    wrappers become plain JSON, and anything else stays text. A number written in another way
    than JSON would write it ("1.10", "1e3") stays text as well: it may be a version or a name.
    """
    try:
        plain = _uncompressed(text) if text.startswith(COMPRESSED_MARK) else text
    except UnstorableError:
        return Decoded(storable_text(text), [])
    if len(plain) > DECODED_BYTES_MAX:
        return Decoded(storable_text(plain), [])
    try:
        value = parse_json(plain)
        if isinstance(value, int | float) and json.dumps(value) != plain.strip():
            return Decoded(plain, [])
        lost: list[str] = []
        value = unwrap(value, lost)
        check_storable(value, depth_max)
    except (UnstorableError, RecursionError):
        return Decoded(storable_text(plain), [])
    return Decoded(value, lost)


def decode_column(text: str, *, depth_max: int = DEPTH_MAX) -> Json:
    """Return the value of a text column: only objects, lists and `__compressed__` are decoded.

    Where a number would become null it stays text: here nobody is told of it.
    """
    if text.startswith(("{", "[", COMPRESSED_MARK)):
        decoded = decode_text(text, depth_max=depth_max)
        if not decoded.lost:
            return decoded.value
    return storable_text(text)


def _uncompressed(text: str) -> str:
    encoded = text[len(COMPRESSED_MARK) :]
    if len(encoded) > DECODED_BYTES_MAX // 3 * 4:
        raise UnstorableError(f"more than {DECODED_BYTES_MAX} bytes")
    try:
        return base64.b64decode(encoded, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError) as error:
        raise UnstorableError(f"no base64 of text: {error}") from error


def unwrap(value: Json, lost: list[str]) -> Json:
    """Return `value` with claude-flow's `__type__` wrappers turned into plain JSON.

    Adds to `lost` the name of every kind of number that JSON cannot express.
    """
    if isinstance(value, list):
        return [unwrap(item, lost) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get("__type__")
    if not (isinstance(kind, str) and kind.startswith("__") and kind.endswith("__")):
        return {name: unwrap(item, lost) for name, item in value.items()}
    plain = {name: unwrap(item, lost) for name, item in value.items() if name != "__type__"}
    if kind in _LOST_NUMBERS:
        if _LOST_NUMBERS[kind] not in lost:
            lost.append(_LOST_NUMBERS[kind])
        return None
    return _unwrap_kind(kind, plain)


def _unwrap_kind(kind: str, plain: dict[str, Json]) -> Json:
    if kind == "__undefined__":
        return None
    if kind == "__Date__" and "value" in plain:
        return plain["value"]
    if kind == "__BigInt__" and isinstance(plain.get("value"), str):
        digits = plain["value"]
        fits = len(digits) <= INT_DIGITS_MAX and digits.removeprefix("-").isdecimal()
        return int(digits) if fits and INT_MIN <= int(digits) <= INT_MAX else digits
    if kind == "__Map__" and isinstance(plain.get("entries"), list):
        return _unwrap_map(plain["entries"])
    if kind == "__RegExp__" and isinstance(plain.get("source"), str):
        return f"/{plain['source']}/{plain.get('flags') or ''}"
    member = {"__Set__": "values", "__ArrayBuffer__": "data", "__TypedArray__": "data"}.get(kind)
    if member and isinstance(plain.get(member), list):
        return plain[member]
    return plain or {"__type__": kind}


def _unwrap_map(entries: list[Json]) -> Json:
    pairs = [entry for entry in entries if isinstance(entry, list) and len(entry) == 2]
    named = {name: item for name, item in pairs if isinstance(name, str)}
    return named if len(named) == len(entries) else entries


def gunzip(blob: bytes) -> bytes:
    """Return the content of one gzip member of at most `DECODED_BYTES_MAX` bytes.

    Raises:
        UnstorableError: It is no complete gzip data, or larger.
    """
    stream = zlib.decompressobj(wbits=31)
    try:
        content = stream.decompress(blob, DECODED_BYTES_MAX)
    except zlib.error as error:
        raise UnstorableError(f"broken gzip: {error}") from error
    if stream.unconsumed_tail:
        raise UnstorableError(f"gzip of more than {DECODED_BYTES_MAX} bytes")
    if not stream.eof:
        raise UnstorableError("broken gzip: it ends too early")
    return content


def to_ms(value: Json, unit: str, *, zone: tzinfo | None = UTC) -> int | None:
    """Return a time as epoch milliseconds, None if it is none or lies outside 1970 to 9999.

    Numbers are in `unit`, except where that is off by a factor of a thousand: a count of seconds
    from 10^11 on is milliseconds, one of milliseconds between 10^8 and 10^11 is seconds, and from
    10^14 on either is microseconds. Text is `YYYY-MM-DD HH:MM:SS` or ISO 8601; without an offset
    it is in `zone`, and None means the zone of this machine.
    """
    if isinstance(value, bool) or value is None:
        return None
    if isinstance(value, str):
        text = value.strip()
        if not text.replace(".", "", 1).isdecimal():
            return _text_to_ms(text, zone)
        if len(text) > INT_DIGITS_MAX:
            return None
        value = float(text) if "." in text else int(text)
    if not isinstance(value, int | float) or not 0 <= value <= TIME_MS_MAX * 1000:
        return None
    if value >= _MILLISECONDS_BELOW:
        return _in_range(int(value // 1000))
    seconds_from = 0 if unit == SECONDS else _SECONDS_FROM
    seconds = seconds_from <= value < _SECONDS_BELOW
    return _in_range(int(value * 1000) if seconds else int(value))


def _text_to_ms(text: str, zone: tzinfo | None) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None and zone is not None:
            moment = moment.replace(tzinfo=zone)
        return _in_range(round(moment.timestamp() * 1000))
    except (ValueError, OverflowError, OSError):
        return None


def _in_range(time_ms: int) -> int | None:
    return time_ms if 0 <= time_ms <= TIME_MS_MAX else None


def expiry_ms(expires: Json, ttl: Json, unit: str, *, zone: tzinfo | None = UTC) -> int | None:
    """Return when a row expires, in epoch milliseconds.

    A `ttl` above ten years in a field of seconds was given in milliseconds, and `expires` was
    computed from it: that is put right.
    """
    wrong = isinstance(ttl, int) and unit == SECONDS and ttl > TTL_S_MAX
    if wrong and isinstance(expires, int) and _SECONDS_FROM <= expires - ttl < _SECONDS_BELOW:
        return _in_range((expires - ttl) * 1000 + ttl)
    return to_ms(expires, unit, zone=zone)


def digest_of(value: Json, created_ms: int | None, updated_ms: int | None, metadata: Json) -> str:
    """Return the fingerprint by which a later import tells whether a row has changed."""
    text = json.dumps(
        [value, created_ms, updated_ms, metadata],
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=True,
    )
    return sha256(text.encode()).hexdigest()[:DIGEST_DIGITS]
