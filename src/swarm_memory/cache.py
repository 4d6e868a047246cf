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
_DEEP = ["deeper than two levels"]  # is only ever compared with itself
ADMIT_MIN, ADMIT_MAX = 16, 256  # of so many that a full cache has no room for it admits one
STRETCH = 1024  # misses of a crowded cache, after which it is judged
WORTH = 4  # with fewer hits than one for so many misses, looking costs more than it saves
PASSED_BY = 16 * STRETCH  # reads that do not look then
TIMED = 64  # one hit of so many is timed: a clock costs as much as a tenth of a hit


class Cache:
    """Records by key; of a full cache what nobody has asked for since it was last looked at leaves.

    Each hit gets a value of its own (see `_Kept`), so that nobody can change what another reader
    is given. All entries are of one moment: the first that is kept after a change drops the others,
    which nobody can be given any more.

    A hand goes through the entries from the oldest to the newest and begins again. What was asked
    for since it last came by stays where it is, the first that was not makes room. To keep
    something costs more than to read it, so a full cache takes only one of `ADMIT_MIN` that ask,
    and fewer where what it took left again without ever having been of use. Where hardly anything
    is found, most reads do not even look: they cost what they cost without a cache.

    Args:
        bytes_max: What all entries may take; it may be changed. 0 keeps nothing.

    Source:
        Zhang et al., NSDI 2024, "SIEVE is Simpler than LRU" for the hand.
    """

    __slots__ = (
        "_admit", "_bytes", "_bytes_max", "_crowded", "_engine", "_entries", "_full", "_hand",
        "_hits_judged", "_left", "_lock", "_number", "_open", "_order", "_passing", "_seen",
        "_turned_away", "hit_ns", "hits", "misses",
    )  # fmt: skip

    def __init__(self, engine: Engine, bytes_max: int) -> None:
        self._engine = engine
        self._bytes_max = bytes_max
        self._bytes = 0
        self._entries: dict[str | _Question, _Entry] = {}
        self._number = 0  # of all entries
        self._order: list[str | _Question] = []  # names from the oldest to the newest
        self._hand = 0  # the place in it that is looked at next
        self._full = False  # something had no room since the last change
        self._crowded = False  # or more was read than can be remembered
        self._left, self._hits_judged = STRETCH, 0
        self._open = bytes_max > 0  # whether reads look at all
        self._passing = 0  # how many more do not
        self._admit = ADMIT_MIN
        self._turned_away = 0
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
                if bytes_max:
                    self._make_room(0)
                else:
                    self._begin_anew(0)
            except BaseException:  # interrupted, as in `_enter`
                self._begin_anew(0)
                raise
            finally:
                self._lock.release()
        self._full = self._crowded = False  # there may be room now
        self._left, self._hits_judged = STRETCH, self.hits
        self._open, self._passing = bytes_max > 0, 0

    def get(self, key: str) -> tuple[Record | None, int]:
        """Return the record, if it is here and current, and the number to `keep` another by."""
        if not self._open:
            return self._pass_by()
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
        if not self._open:
            return self._pass_by()
        begun_ns = 0 if self.hits % TIMED else perf_counter_ns()
        entry, number = self._find(question)
        if entry is None:
            return None, number
        page = entry[2].copy()
        if begun_ns:
            self.hit_ns += TIMED * (perf_counter_ns() - begun_ns)
        return page, 0

    def _find(self, name: str | _Question) -> tuple[_Entry | None, int]:
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

    def _pass_by(self) -> tuple[None, int]:
        self.misses += 1
        self._passing -= 1
        self._open = self._passing <= 0 < self._bytes_max
        return None, 0

    def _was_seen(self, name: str | _Question, number: int) -> bool:
        """Tell whether it is worth to keep something that was not here.

        To keep something costs more than to read it, so what is read once is not worth that: it
        must have been read before, and not written since. Of a full cache see `Cache`.
        """
        at, names = self._seen
        if at != number or len(names) >= SEEN_MAX:
            self._crowded = at == number
            self._left, self._hits_judged = STRETCH, self.hits
            self._seen = number, {name}
            return False
        if self._crowded:
            self._judge()
        if name not in names:
            names.add(name)
            return False
        if not self._full or self._number != number:
            return True
        self._turned_away += 1
        if self._turned_away < self._admit:
            return False
        self._turned_away = 0
        return True

    def _judge(self) -> None:
        """Count a miss; after a stretch of them let reads pass by if looking is not worth it."""
        self._left -= 1
        if self._left > 0:
            return
        hits = self.hits - self._hits_judged
        self._left, self._hits_judged = STRETCH, self.hits
        if hits * WORTH < STRETCH:
            self._open, self._passing = False, PASSED_BY

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
        size = _size(entry)
        # Not waited for: it may be held by a thread that is not in this forked child.
        if size > self._bytes_max or not self._lock.acquire(blocking=False):
            return
        try:
            if entry[0] != self._number:
                self._begin_anew(entry[0])
            elif name in self._entries:  # another thread was faster
                return
            self._make_room(size)
            self._entries[name] = entry
            self._order.append(name)
            self._bytes += size
        except BaseException:  # interrupted: what is counted may not be what is here
            self._begin_anew(0)
            raise
        finally:
            self._lock.release()

    def _begin_anew(self, number: int) -> None:
        """Keep nothing of what is here, since it can be given to nobody any more."""
        self._entries.clear()
        self._order.clear()
        self._bytes = self._hand = 0
        self._full = self._crowded = False
        self._number = number

    def _make_room(self, size: int) -> None:
        """Drop what the hand finds until there is room for `size` bytes more, of at most all."""
        while self._bytes + size > self._bytes_max:
            self._full = self._crowded = True
            if self._hand >= len(self._order):
                self._order, self._hand = [*self._entries], 0
            name = self._order[self._hand]
            self._hand += 1
            entry = self._entries.get(name)
            if entry is None:
                continue
            if entry[2].asked:
                entry[2].asked = False
                continue
            self._drop(name)
        if self._hand >= len(self._order):  # now: what comes next is the last to be looked at
            self._order, self._hand = [*self._entries], 0

    def _drop(self, name: str | _Question) -> None:
        entry = self._entries.pop(name, None)
        if entry is not None:
            self._bytes -= _size(entry)
            was_of_use = entry[2].asked is not None
            more, less = min(ADMIT_MAX, self._admit * 2), max(ADMIT_MIN, self._admit // 2)
            self._admit = less if was_of_use else more


def _size(entry: _Entry) -> int:
    _, _, value, provenance, _ = entry
    size: int = value.size
    return size + (0 if provenance is None else provenance.size)


class _Kept:
    """A JSON value of which anybody may have a copy.

    Most values are flat, or their containers are: these are copied level by level, in a fifth of
    the time that decoding takes. Of deeper ones decoding is the fastest copy.
    """

    __slots__ = ("_inner", "_value", "asked", "size")

    def __init__(self, value: Json) -> None:
        encoded = codec.dumps(value)
        self.size = KEPT_BYTES + TIMES_ENCODED * len(encoded)
        self.asked: bool | None = None  # since the hand came by; None was never
        own = codec.loads(encoded)
        inner = _containers(own) if isinstance(own, _CONTAINERS) else None
        is_deep = any(_containers(own[place]) for place in inner or ())
        self._inner = _DEEP if is_deep else inner
        self._value: Any = encoded if is_deep else own

    def copy(self) -> Json:
        """Return a value that is nobody else's."""
        self.asked = True
        inner = self._inner
        if inner is None:
            return self._value
        if inner is _DEEP:
            return codec.loads(self._value)
        value = self._value.copy()
        for place in inner:
            value[place] = value[place].copy()
        return value


class _KeptPage:
    """The records of a page, of which anybody may have copies."""

    __slots__ = ("_next_after", "_parts", "asked", "size")

    def __init__(self, page: Page) -> None:
        self.asked: bool | None = None  # as in `_Kept`
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
        self.asked = True
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
