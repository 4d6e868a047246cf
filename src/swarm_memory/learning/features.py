"""What a context says, as numbers: raw contexts in, a fixed layout out.

A context is what a caller knows before the work: facets (short texts, booleans, lists of them),
numbers, longer texts, vectors, nested or missing. Facets and words are hashed into signed vectors
(no vocabulary to keep or to share between processes); numbers keep a slot each, by name, and are
standardised later, with the scale of what was seen. Nothing depends on the order of a dict.

Source:
    Weinberger et al. 2009, "Feature Hashing for Large Scale Multitask Learning".
"""

from __future__ import annotations

import hashlib
import math
import re

import numpy as np

from swarm_memory.lean import NamedTuple, lru_cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

    from numpy.typing import NDArray

    Json = Any
    Doubles = NDArray[np.float64]

FACET_DIMENSIONS, TEXT_DIMENSIONS, TYPE_DIMENSIONS = 24, 32, 16
NUMBERS_MAX = 128  # names of numbers that are told apart; later ones are ignored
FACETS_MAX = 64
FACET_CHARS_MAX, FACET_WORDS_MAX = 64, 5  # longer strings are texts
WORDS_MAX = 200
VECTOR_MAX = 32  # longer vectors are projected to so many numbers
DEPTH_MAX = 4
SIGNS = 32  # that a name stands for: the largest of the dimensions
_WORD = re.compile(r"[^\W_]+")
# Words that say how English works, not what a task is about.
_COMMON_WORDS = """
a about after all also an and any are as at be because been but by can could do does for
from get had has have how i if in into is it its like may more my no not of on one only or
other our out over should so some such than that the their them then there these they this
to up us use was we were what when where which while who will with would you your
"""
_COMMON = frozenset(_COMMON_WORDS.split())
_NO_TEXT = np.zeros(TEXT_DIMENSIONS)
_NO_TEXT.flags.writeable = False


class Encoded(NamedTuple):
    """One context: numbers by name, and the hashed blocks (each of length at most about 1).

    The blocks hold what half precision does, as it is stored: so a context is compared with others
    before it is stored as it is afterwards.
    """

    numbers: dict[str, float]  # in slot scale: sign(x) log(1 + |x|)
    facets: Doubles  # (FACET_DIMENSIONS,)
    text: Doubles  # (TEXT_DIMENSIONS,)
    kind: Doubles  # (TYPE_DIMENSIONS,), of the task type


def encode(task_type: str, context: Mapping[str, Json] | None) -> Encoded:
    """Return the numbers of a context, and its facets and texts as hashed vectors.

    Args:
        context: Names to values. None, NaN and infinite numbers are missing. Nested mappings
            are flattened ("a.b"), deeper than 4 levels ignored.
    """
    numbers: dict[str, float] = {}
    facets: list[str] = []
    words: list[str] = []
    for name, value in _flat("", context or {}, 0):
        if isinstance(value, bool):
            facets.append(f"{name}={value}")
        elif isinstance(value, (int, float)):
            if math.isfinite(number := _float(value)):
                numbers[name] = math.copysign(math.log1p(abs(number)), number)
        elif isinstance(value, str):
            if _is_text(value):
                words += _words(value)
                numbers[f"{name}#words"] = math.log1p(len(value))
            else:
                facets.append(f"{name}={value}")
        else:
            _put_vector(numbers, name, value)
    return Encoded(
        numbers,
        _unit(tuple(sorted(set(facets))[:FACETS_MAX]), FACET_DIMENSIONS),
        _text(words) if words else _NO_TEXT,
        _kind(task_type),
    )


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _is_text(value: str) -> bool:
    return len(value) > FACET_CHARS_MAX or value.count(" ") >= FACET_WORDS_MAX


def _flat(prefix: str, value: Json, depth: int) -> Iterator[tuple[str, Json]]:
    """Yield names and plain values; a list of numbers stays one value."""
    if isinstance(value, (str, bool, int, float)):
        yield prefix, value
    elif depth > DEPTH_MAX:
        return
    elif isinstance(value, dict):
        for key in sorted(value, key=str):
            yield from _flat(f"{prefix}.{key}" if prefix else str(key), value[key], depth + 1)
    elif isinstance(value, (list, tuple)):
        if value and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in value):
            yield prefix, value
            return
        for item in value[:FACETS_MAX]:
            yield from _flat(prefix, item, depth + 1)


def _put_vector(numbers: dict[str, float], name: str, vector: list[float]) -> None:
    """Enter a vector component by component, projected by random signs where it is long."""
    values = np.array([_float(v) for v in vector], np.float64)
    values[~np.isfinite(values)] = 0.0
    if len(values) > VECTOR_MAX:
        values = values @ _projection(len(values)) / math.sqrt(len(values))
    for index, number in enumerate(values.tolist()):
        numbers[f"{name}[{index}]"] = math.copysign(math.log1p(abs(number)), number)


@lru_cache(maxsize=64)
def _projection(length: int) -> NDArray[np.float64]:
    """Return the signs that project a vector: always the same (Achlioptas 2003)."""
    return _sign_rows([f"vector[{index}]" for index in range(length)], VECTOR_MAX)


def _words(text: str) -> list[str]:
    found = _WORD.findall(text.lower())
    return [word for word in found[: 2 * WORDS_MAX] if word not in _COMMON][:WORDS_MAX]


def _text(words: list[str]) -> Doubles:
    """Return the hashed words, dampened by the root of how often each occurs, of length 1."""
    counts: dict[str, int] = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    total = np.sqrt(np.array(list(counts.values()), np.float64)) @ _sign_rows(
        counts, TEXT_DIMENSIONS
    )
    norm = math.sqrt(float(total @ total))
    return _half(total / norm if norm else total)


@lru_cache(maxsize=1024)
def _kind(task_type: str) -> Doubles:
    names = sorted({f"type={task_type}", *_WORD.findall(task_type.lower())})
    return _unit(tuple(names), TYPE_DIMENSIONS)


@lru_cache(maxsize=4096)
def _unit(names: tuple[str, ...], dimensions: int) -> Doubles:
    """Return the sum of the signs of names, of length about 1, not to be changed."""
    if not names:
        return np.zeros(dimensions)
    total = _sign_rows(names, dimensions).sum(axis=0)
    result = _half(total / math.sqrt(dimensions * len(names)))
    result.flags.writeable = False
    return result


def _half(vector: Doubles) -> Doubles:
    """Return what half precision makes of a vector."""
    return vector.astype(np.float16).astype(np.float64)


def _sign_rows(names: Iterable[str], dimensions: int) -> NDArray[np.float64]:
    """Return the ±1 that each name stands for, (n_names, dimensions): the bits of its hash."""
    joined = b"".join([_signs(name) for name in names])
    return np.frombuffer(joined, np.int8).reshape(-1, SIGNS)[:, :dimensions].astype(np.float64)


@lru_cache(maxsize=8192)
def _signs(name: str) -> bytes:
    digest = hashlib.blake2b(name.encode("utf-8", "surrogatepass"), digest_size=SIGNS // 8).digest()
    bits = np.unpackbits(np.frombuffer(digest, np.uint8))
    return (bits.astype(np.int8) * 2 - 1).tobytes()
