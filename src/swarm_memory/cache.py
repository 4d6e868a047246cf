"""The read cache of one process: records that nobody can have changed since they were read.

The engine tells a number that changes before any commit that could change a record, by whatever
process. A hit asks for that number, which costs a twentieth of a SELECT, and nothing else: no
interval, no notification that could be late. So a cached read is as current as any other.
"""

from __future__ import annotations

from time import perf_counter_ns

from swarm_memory import codec
from swarm_memory.locks import Lock
from swarm_memory.model import Page, Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from swarm_memory.engine import Engine, Row
    from swarm_memory.model import Json

    # number, expiry, value, provenance, the fields between; of a page nothing but the first three
    _Entry = tuple[int, int | None, Any, "_Kept | None", Row]
    _Question = tuple[str, int, str | None, bool, bool]

_new = tuple.__new__  # a named tuple's own constructor costs twice as much
KEPT_BYTES, TIMES_ENCODED = 300, 3  # about what a value takes in memory
SEEN_MAX = 16_384  # names that were read once since the last write
PAGE_ROWS_MAX = 100  # of a page that is kept: who reads larger ones mostly reads them once
_CONTAINERS = (dict, list)
TIMED = 64  # one hit of so many is timed: a clock costs as much as a tenth of a hit


class Cache:
    """Records by key, the oldest entry leaving first.

    Each hit gets a value of its own (see `_Kept`), so that nobody can change what another reader
    is given.

    Args:
        bytes_max: What all entries may take; it may be changed. 0 keeps nothing.
    """

    __slots__ = (
        "_bytes", "_bytes_max", "_engine", "_entries", "_lock", "_seen", "hit_ns", "hits", "misses",
    )  # fmt: skip

    def __init__(self, engine: Engine, bytes_max: int) -> None:
        self._engine = engine
        self._bytes_max = bytes_max
        self._bytes = 0
        self._entries: dict[str | _Question, _Entry] = {}
        self._lock = Lock()
        self.hits = self.misses = 0  # without a lock: threads may lose one now and then
        self.hit_ns = 0  # about what all hits took
        self._seen: tuple[int, set[str | _Question]] = 0, set()

    @property
    def bytes_max(self) -> int:
        """What all entries may take."""
        return self._bytes_max

    @bytes_max.setter
    def bytes_max(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        # Not waited for, as in `_enter`; whoever has it makes room, or the next to set this does.
        if self._bytes > bytes_max and self._lock.acquire(blocking=False):
            try:
                self._make_room()
            finally:
                self._lock.release()

    def get(self, key: str) -> tuple[Record | None, int]:
        """Return the record, if it is here and current, and the number to `keep` another by."""
        begun_ns = 0 if self.hits % TIMED else perf_counter_ns()
        entry, number = self._find(key)
        if entry is None:
            return None, number
        _, _, value, provenance, between = entry
        about = None if provenance is None else provenance.copy()
        record = _new(Record, (key, value.copy(), *between, about, False))
        if begun_ns:
            self.hit_ns += TIMED * (perf_counter_ns() - begun_ns)
        return record, 0

    def page(self, question: _Question) -> tuple[Page | None, int]:
        """Return the answer to a scan, and the number, as `get` does for a record."""
        begun_ns = 0 if self.hits % TIMED else perf_counter_ns()
        entry, number = self._find(question)
        if entry is None:
            return None, number
        page = entry[2].copy()
        if begun_ns:
            self.hit_ns += TIMED * (perf_counter_ns() - begun_ns)
        return page, 0

    def _find(self, name: str | _Question) -> tuple[_Entry | None, int]:
        if not self._bytes_max:
            self.misses += 1
            return None, 0
        number = self._engine.touched()
        entry = self._entries.get(name)
        if entry is None or entry[0] != number:
            self.misses += 1
            return None, number if self._was_seen(name, number) else 0
        if entry[1] is not None and entry[1] <= self._engine.now_ms:
            self.misses += 1
            return None, 0
        self.hits += 1
        return entry, 0

    def _was_seen(self, name: str | _Question, number: int) -> bool:
        """Tell whether the same was read before, and not written since: it may be a third time.

        To keep something costs more than to read it, so what is read once is not worth that.
        """
        at, names = self._seen
        if at != number or len(names) >= SEEN_MAX:
            self._seen = number, {name}
            return False
        if name in names:
            return True
        names.add(name)
        return False

    def keep(self, record: Record, number: int) -> None:
        """Keep a record that was read after `get` gave that number, if it is still the number."""
        if not number or self._engine.touched() != number:
            return
        value = _Kept(record.value)
        provenance = None if record.provenance is None else _Kept(record.provenance)
        self._enter(record.key, (number, record.expires_ms, value, provenance, record[2:8]))

    def keep_page(self, question: _Question, page: Page, number: int) -> None:
        """Keep the answer to a scan that was read after `page` gave that number, as `keep` does."""
        if not number or len(page) > PAGE_ROWS_MAX or self._engine.touched() != number:
            return
        ends = [record.expires_ms for record in page if record.expires_ms is not None]
        self._enter(question, (number, min(ends, default=None), _KeptPage(page), None, ()))

    def _enter(self, name: str | _Question, entry: _Entry) -> None:
        # Not waited for: it may be held by a thread that is not in this forked child.
        if not self._lock.acquire(blocking=False):
            return
        try:
            self._drop(name)
            self._entries[name] = entry
            self._bytes += _size(entry)
            self._make_room()
        except BaseException:  # interrupted: what is counted may not be what is here
            self._entries.clear()
            self._bytes = 0
            raise
        finally:
            self._lock.release()

    def _make_room(self) -> None:
        while self._bytes > self._bytes_max:
            self._drop(next(iter(self._entries)))

    def _drop(self, name: str | _Question) -> None:
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._bytes -= _size(entry)


def _size(entry: _Entry) -> int:
    _, _, value, provenance, _ = entry
    size: int = value.size
    return size + (0 if provenance is None else provenance.size)


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


class _KeptPage:
    """The records of a page, of which anybody may have copies."""

    __slots__ = ("_next_after", "_parts", "size")

    def __init__(self, page: Page) -> None:
        self._next_after = page.next_after
        self._parts = [
            (r.key, _Kept(r.value), None if r.provenance is None else _Kept(r.provenance), r[2:8])
            for r in page
        ]
        self.size = KEPT_BYTES + sum(
            value.size + (0 if about is None else about.size) for _, value, about, _ in self._parts
        )

    def copy(self) -> Page:
        """Return a page that is nobody else's."""
        page = Page()
        page.next_after = self._next_after
        for key, value, kept, between in self._parts:
            about = None if kept is None else kept.copy()
            page.append(_new(Record, (key, value.copy(), *between, about, False)))
        return page


def _containers(value: Any) -> list[Any]:
    """Return the keys or indices at which a container holds others."""
    places = value.items() if isinstance(value, dict) else enumerate(value)
    return [place for place, part in places if isinstance(part, _CONTAINERS)]
