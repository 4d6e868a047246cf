"""The read cache of one process: records that nobody can have changed since they were read.

The engine tells a number that changes before any commit that could change a record, by whatever
process. A hit asks for that number, which costs a quarter of a SELECT, and nothing else: no
interval, no notification that could be late. So a cached read is as current as any other.
"""

from __future__ import annotations

import threading

from swarm_memory import codec
from swarm_memory.model import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.engine import Engine, Row

_new = tuple.__new__  # a named tuple's own constructor costs twice as much
ENTRY_BYTES = 500  # about what an entry takes beside its text


class Cache:
    """Encoded records by key, the oldest entry leaving first.

    Values are kept as bytes and decoded at each hit, so that nobody can change what another
    reader is given.

    Args:
        bytes_max: What all entries may take.
    """

    __slots__ = ("_bytes", "_bytes_max", "_engine", "_entries", "_lock", "_seen")

    def __init__(self, engine: Engine, bytes_max: int) -> None:
        self._engine = engine
        self._bytes_max = bytes_max
        self._bytes = 0
        # number, expiry, value, provenance, the fields between
        self._entries: dict[str, tuple[int, int | None, bytes, bytes | None, Row]] = {}
        self._lock = threading.Lock()
        self._seen = 0

    def get(self, key: str) -> tuple[Record | None, int]:
        """Return the record, if it is here and current, and the number to `keep` another by."""
        number = self._engine.touched()
        entry = self._entries.get(key)
        if entry is None or entry[0] != number:
            # Where writes come between any two reads, nothing is worth keeping.
            worth, self._seen = number == self._seen, number
            return None, number if worth else 0
        _, expires_ms, body, about, between = entry
        if expires_ms is not None and expires_ms <= self._engine.now_ms:
            return None, 0
        provenance = None if about is None else codec.loads(about)
        return _new(Record, (key, codec.loads(body), *between, provenance, False)), 0

    def keep(self, record: Record, number: int) -> None:
        """Keep a record that was read after `get` gave that number, if it is still the number."""
        if not number or self._engine.touched() != number:
            return
        body = codec.dumps(record.value)
        about = None if record.provenance is None else codec.dumps(record.provenance)
        entry = (number, record.expires_ms, body, about, record[2:8])
        with self._lock:
            self._drop(record.key)
            self._entries[record.key] = entry
            self._bytes += len(body) + ENTRY_BYTES
            while self._bytes > self._bytes_max:
                self._drop(next(iter(self._entries)))

    def _drop(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self._bytes -= len(entry[2]) + ENTRY_BYTES
