"""The read cache of one process: records that nobody can have changed since they were read.

The engine tells a number that changes before any commit that could change a record, by whatever
process. A hit asks for that number, which costs a twentieth of a SELECT, and nothing else: no
interval, no notification that could be late. So a cached read is as current as any other.
"""

from __future__ import annotations

from swarm_memory import codec
from swarm_memory.locks import Lock
from swarm_memory.model import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from swarm_memory.engine import Engine, Row
    from swarm_memory.model import Json

    # number, expiry, value, provenance, the fields between
    _Entry = tuple[int, int | None, "_Kept", "_Kept | None", Row]

_new = tuple.__new__  # a named tuple's own constructor costs twice as much
KEPT_BYTES, TIMES_ENCODED = 300, 3  # about what a value takes in memory
_CONTAINERS = (dict, list)


class Cache:
    """Records by key, the oldest entry leaving first.

    Each hit gets a value of its own (see `_Kept`), so that nobody can change what another reader
    is given.

    Args:
        bytes_max: What all entries may take.
    """

    __slots__ = ("_bytes", "_bytes_max", "_engine", "_entries", "_lock", "_seen")

    def __init__(self, engine: Engine, bytes_max: int) -> None:
        self._engine = engine
        self._bytes_max = bytes_max
        self._bytes = 0
        self._entries: dict[str, _Entry] = {}
        self._lock = Lock()
        self._seen = 0

    def get(self, key: str) -> tuple[Record | None, int]:
        """Return the record, if it is here and current, and the number to `keep` another by."""
        number = self._engine.touched()
        entry = self._entries.get(key)
        if entry is None or entry[0] != number:
            # Where writes come between any two reads, nothing is worth keeping.
            worth, self._seen = number == self._seen, number
            return None, number if worth else 0
        _, expires_ms, value, provenance, between = entry
        if expires_ms is not None and expires_ms <= self._engine.now_ms:
            return None, 0
        about = None if provenance is None else provenance.copy()
        return _new(Record, (key, value.copy(), *between, about, False)), 0

    def keep(self, record: Record, number: int) -> None:
        """Keep a record that was read after `get` gave that number, if it is still the number."""
        if not number or self._engine.touched() != number:
            return
        value = _Kept(record.value)
        provenance = None if record.provenance is None else _Kept(record.provenance)
        entry = (number, record.expires_ms, value, provenance, record[2:8])
        # Not waited for: it may be held by a thread that is not in this forked child.
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._drop(record.key)
            self._entries[record.key] = entry
            self._bytes += _size(entry)
            while self._bytes > self._bytes_max:
                self._drop(next(iter(self._entries)))
        except BaseException:  # interrupted: what is counted may not be what is here
            self._entries.clear()
            self._bytes = 0
            raise
        finally:
            self._lock.release()

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= _size(entry)


def _size(entry: _Entry) -> int:
    _, _, value, provenance, _ = entry
    return value.size + (0 if provenance is None else provenance.size)


class _Kept:
    """A JSON value of which anybody may have a copy.

    Most values are flat, or their containers are: these are copied level by level, in a fifth of
    the time that decoding takes. Of deeper ones decoding is the fastest copy.
    """

    __slots__ = ("_deep", "_inner", "_value", "size")

    def __init__(self, value: Json) -> None:
        encoded = codec.dumps(value)
        self.size = KEPT_BYTES + TIMES_ENCODED * len(encoded)
        own = codec.loads(encoded)
        self._inner = _containers(own) if isinstance(own, _CONTAINERS) else None
        self._deep = any(_containers(own[place]) for place in self._inner or ())
        self._value: Any = encoded if self._deep else own

    def copy(self) -> Json:
        """Return a value that is nobody else's."""
        value = self._value
        if self._deep:
            return codec.loads(value)
        if self._inner is not None:
            value = value.copy()
            for place in self._inner:
                value[place] = value[place].copy()
        return value


def _containers(value: Any) -> list[Any]:
    """Return the keys or indices at which a container holds others."""
    places = value.items() if isinstance(value, dict) else enumerate(value)
    return [place for place, part in places if isinstance(part, _CONTAINERS)]
