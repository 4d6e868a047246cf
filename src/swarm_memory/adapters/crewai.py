"""CrewAI: memories in a swarm's store, and its locks by a swarm's leases.

    crewai/{scope path}/{id}   a memory
    crewai                     how long the vectors of all memories are

A memory's value is JSON that everybody can read, with its vector as a list of numbers, which the
swarm's own search passes over. Whatever else lies below `crewai/` is a memory, too.

Searching compares the question's vector with those of all memories in the scope, one by one: the
answer is exact, and takes time that grows with their number.
"""

from __future__ import annotations

import asyncio
import heapq
from datetime import UTC, datetime
from functools import partial
from math import sqrt
from operator import itemgetter, mul

from swarm_memory import Put
from swarm_memory.adapters import extra
from swarm_memory.adapters.crewai_locks import swarm_lock_backend
from swarm_memory.adapters.embedding import embed_words
from swarm_memory.adapters.finding import shown
from swarm_memory.errors import ConflictError, InvalidArgumentError
from swarm_memory.key import escape, unescape
from swarm_memory.layout import Layout

with extra("crewai"):
    from crewai.memory.storage.backend import EmbeddingDimensionMismatchError
    from crewai.memory.types import MemoryRecord, ScopeInfo
    from pydantic import PrivateAttr

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any

    from swarm_memory.model import Json, Record
    from swarm_memory.swarm import Swarm

    Embed = Callable[[list[str]], Sequence[Sequence[float]]]

ROOT = "crewai"
SEGMENT_BYTES, ID_BYTES = 60, 60
SCOPE_BYTES = 180  # of a key; what a scope has beyond them stands in the value alone
ATTEMPTS_MAX = 100  # each of them lost to somebody who wrote the same memory
KNOWN_MAX = 10_000  # places of memories and vectors of shared texts that are kept in mind


class _Seen(MemoryRecord):
    """A memory as it was read: its copies know the version that they were made from."""

    _key: str = PrivateAttr()
    _version: int = PrivateAttr()


class SwarmStorage:
    """CrewAI's memories in a swarm: what its `Memory(storage=…)` writes and searches.

    No change is lost: two who change one memory at the same time both have their change if they
    changed different fields of it, as long as history has what they read. Else the second gets a
    `ConflictError` and has to read it again. CrewAI's own storages keep the change that came last.

    A recall writes nothing: `last_accessed` is when a memory was last written.
    """

    def __init__(
        self, swarm: Swarm, *, embed: Embed | None = None, also: Sequence[str] | None = None
    ) -> None:
        """Keep memories in an open swarm, which stays the caller's to close.

        Args:
            embed: What `Memory` has as its embedder, such as `embed_words`. With it, searches
                find memories that came without a vector, and what lies under `also`.
            also: Key prefixes that are searched, too, whatever the scope; None is the knowledge
                that the swarm shares, () nothing. CrewAI cannot change or delete what is there.
        """
        self._swarm = swarm
        self._embed = embed
        if also is None:
            also = (Layout(swarm.context.swarm, swarm.context.agent).knowledge(),)
        self._also = tuple(also)
        self._places: dict[str, str] = {}  # by id; where a memory was when it was last seen
        self._vectors: dict[tuple[str, int], Sequence[float]] = {}

    # --- writing ---

    def save(self, records: list[MemoryRecord]) -> None:
        """Write memories, all or none; one with the id of an earlier one replaces it.

        Raises:
            EmbeddingDimensionMismatchError: Their vectors are not as long as those of the store.
        """
        self._check_dimension([list(r.embedding) for r in records if r.embedding], claim=True)
        self._swarm.records.put_many([Put(_key(r.scope, r.id), _value(r)) for r in records])

    def update(self, record: MemoryRecord) -> None:
        """Replace the memory with this id; one that is not there is saved.

        `created_at` is kept, and so is every field that the caller never set. A record that came
        from this storage is merged with what others have changed since it was read.

        Raises:
            ConflictError: Somebody else changed the same field since, or deleted the memory, or it
            was changed so often that history does not have the version that was read.
            EmbeddingDimensionMismatchError: As in `save`.
        """
        self._check_dimension([list(record.embedding)] if record.embedding else [], claim=True)
        for _ in range(ATTEMPTS_MAX):
            current = self._find(record.id)
            value = _value(record) if current is None else _replaced(current, record)
            if isinstance(record, _Seen):
                value = self._merged(record, current, value)
            try:
                self._replace(current, _key(record.scope, record.id), value)
                return
            except ConflictError as error:
                conflict = error  # somebody was faster: look again
        raise conflict

    def _merged(self, seen: _Seen, current: Record | None, mine: dict[str, Json]) -> Json:
        """Return what a memory becomes by the changes made to a copy of an older version."""
        if current is None or current.key != seen._key:
            raise ConflictError(seen._key, seen._version, 0)  # deleted, or moved
        if current.version == seen._version:
            return mine
        kept = self._swarm.records.history(seen._key)
        base = next((record for record in kept if record.version == seen._version), None)
        conflict = ConflictError(seen._key, seen._version, current.version)
        if base is None or not _is_ours(base) or not _is_ours(current):
            conflict.hint = "history has what was read no more; read it again and repeat the change"
            raise conflict
        return _merge(base.value, current.value, mine, conflict)

    def _replace(self, current: Record | None, key: str, value: Json) -> None:
        if current is None or current.key == key:
            expect = 0 if current is None else current.version
            self._swarm.records.put(key, value, expect=expect, on_conflict="reject")
        else:
            self._move(current.key, key, value, current.version)

    def _move(self, old: str, new: str, value: Json, expect: int) -> None:
        def move(tx: Any) -> None:
            tx.records.delete(old, expect=expect)
            tx.records.put(new, value, expect=0, on_conflict="reject")

        self._swarm.transact(move)

    def delete(
        self,
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        record_ids: list[str] | None = None,
        older_than: datetime | None = None,
        metadata_filter: dict[str, Any] | None = None,
    ) -> int:
        """Delete the memories that meet all of the criteria; return how many that were.

        Without any that is all of them. Their history is kept as that of any record is.
        """
        ids = None if record_ids is None else set(record_ids)

        def meant(record: Record) -> bool:
            value = _shape(record)
            return (
                (ids is None or value["id"] in ids)
                and _matches(value, scope_prefix, categories, metadata_filter)
                and (older_than is None or _utc(value["created_at"]) < _utc(older_than))
            )

        found: Iterable[Record | None] = self._under(scope_prefix)
        if ids is not None and ids <= self._places.keys():
            found = [self._find(record_id) for record_id in ids]
        return sum(self._delete_if(record, meant) for record in found if record is not None)

    def _delete_if(self, record: Record | None, meant: Callable[[Record], bool]) -> bool:
        """Delete a record unless it changes, before it is gone, into one that is not meant."""
        while record is not None and meant(record):
            try:
                return self._swarm.records.delete(record.key, expect=record.version)
            except ConflictError:
                record = self._swarm.records.get(record.key)
        return False

    def reset(self, scope_prefix: str | None = None) -> None:
        """Delete all memories in a scope; in all of them, vectors may have another length then."""
        self.delete(scope_prefix)
        if not _segments(scope_prefix):
            self._swarm.records.delete(ROOT)

    # --- reading ---

    def search(
        self,
        query_embedding: list[float],
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        metadata_filter: dict[str, Any] | None = None,
        limit: int = 10,
        min_score: float = 0.0,
    ) -> list[tuple[MemoryRecord, float]]:
        """Return up to `limit` memories with the cosine of their vectors, the nearest first.

        Raises:
            EmbeddingDimensionMismatchError: The question's vector has another length.
        """
        query = list(query_embedding)
        self._check_dimension([query])
        found = [
            record
            for record in self._under(scope_prefix)
            if _matches(_shape(record), scope_prefix, categories, metadata_filter)
        ]
        if self._embed is not None and not categories and not metadata_filter:
            for prefix in self._also:
                found += (r for r in self._swarm.records.each(prefix) if not _is_below(r.key))
        scored = zip(found, self._scores(query, found), strict=True)
        best = heapq.nlargest(max(0, limit), scored, key=itemgetter(1))
        return [
            (self._memory(record, scope_prefix), score)
            for record, score in best
            if score >= min_score
        ]

    def _scores(self, query: list[float], records: list[Record]) -> list[float]:
        vectors = [_shape(record)["embedding"] for record in records]
        bare = [n for n, vector in enumerate(vectors) if not vector]
        if self._embed is not None and bare:
            for n, vector in zip(bare, self._embedded([records[n] for n in bare]), strict=True):
                vectors[n] = vector
        length = _length(query)
        return [_cosine(query, length, vector) if vector else 0.0 for vector in vectors]

    def _embedded(self, records: list[Record]) -> list[Sequence[float]]:
        """Return the vectors of texts; one version of a record is embedded once."""
        assert self._embed is not None
        marks = [(record.key, record.version) for record in records]
        new = [n for n, mark in enumerate(marks) if mark not in self._vectors]
        if len(self._vectors) + len(new) > KNOWN_MAX:
            self._vectors, new = {}, list(range(len(records)))
        made = self._embed([_shape(records[n])["content"] for n in new]) if new else []
        known = self._vectors | {
            marks[n]: [float(x) for x in vector] for n, vector in zip(new, made, strict=True)
        }
        self._vectors = known
        return [known[mark] for mark in marks]

    def get_record(self, record_id: str) -> MemoryRecord | None:
        """Return the memory with this id, None if there is none."""
        record = self._find(record_id)
        return None if record is None else self._memory(record)

    def list_records(
        self, scope_prefix: str | None = None, limit: int = 200, offset: int = 0
    ) -> list[MemoryRecord]:
        """Return the memories of a scope and those below it, newest first."""
        if limit <= 0 or offset < 0:
            return []
        found = list(self._under(scope_prefix))
        found.sort(key=lambda record: _utc(_shape(record)["created_at"]), reverse=True)
        return [self._memory(record) for record in found[offset : offset + limit]]

    def get_scope_info(self, scope: str) -> ScopeInfo:
        """Return what is in a scope and those below it."""
        shapes = [_shape(record) for record in self._under(scope)]
        times = sorted((_read_time(shape["created_at"]) for shape in shapes), key=_utc)
        return ScopeInfo(
            path=_path(_segments(scope)),
            record_count=len(shapes),
            categories=sorted({name for shape in shapes for name in shape["categories"]}),
            oldest_record=times[0] if times else None,
            newest_record=times[-1] if times else None,
            child_scopes=_children(scope, shapes),
        )

    def list_scopes(self, parent: str = "/") -> list[str]:
        """Return the scopes right below one, with all of their path."""
        return _children(parent, [_shape(record) for record in self._under(parent)])

    def list_categories(self, scope_prefix: str | None = None) -> dict[str, int]:
        """Return the categories in a scope, and of how many memories each is one."""
        counts: dict[str, int] = {}
        for record in self._under(scope_prefix):
            for name in _shape(record)["categories"]:
                counts[name] = counts.get(name, 0) + 1
        return counts

    def count(self, scope_prefix: str | None = None) -> int:
        """Return how many memories are in a scope and those below it."""
        if _is_cut(scope_prefix):
            return sum(1 for _ in self._under(scope_prefix))
        return self._swarm.records.count(_place(scope_prefix))[0]

    # --- async twins ---

    async def asave(self, records: list[MemoryRecord]) -> None:
        """Write memories; see `save`."""
        await asyncio.to_thread(self.save, records)

    async def asearch(
        self,
        query_embedding: list[float],
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        metadata_filter: dict[str, Any] | None = None,
        limit: int = 10,
        min_score: float = 0.0,
    ) -> list[tuple[MemoryRecord, float]]:
        """Return the nearest memories; see `search`."""
        search = partial(self.search, query_embedding, scope_prefix, categories, metadata_filter)
        return await asyncio.to_thread(search, limit, min_score)

    async def adelete(
        self,
        scope_prefix: str | None = None,
        categories: list[str] | None = None,
        record_ids: list[str] | None = None,
        older_than: datetime | None = None,
        metadata_filter: dict[str, Any] | None = None,
    ) -> int:
        """Delete memories; see `delete`."""
        delete = partial(self.delete, scope_prefix, categories, record_ids)
        return await asyncio.to_thread(delete, older_than, metadata_filter)

    # --- where they are ---

    def _under(self, scope: str | None) -> Iterator[Record]:
        """Iterate over the memories of a scope and those below it, in key order."""
        for record in self._swarm.records.each(_place(scope)):
            if _is_in(_shape(record)["scope"], scope):
                self._note(record)
                yield record

    def _find(self, record_id: str) -> Record | None:
        """Return the record of a memory: from where it was last seen, or after a look at all."""
        place = self._places.get(record_id)
        record = self._swarm.records.get(place) if place is not None else None
        if record is not None:
            return record
        return next((r for r in self._under(None) if _shape(r)["id"] == record_id), None)

    def _note(self, record: Record) -> None:
        if len(self._places) >= KNOWN_MAX:
            self._places = {}
        self._places[_shape(record)["id"]] = record.key

    def _memory(self, record: Record, scope: str | None = None) -> MemoryRecord:
        """Return a record as a memory; one from elsewhere as if it lay in `scope`."""
        fields = _shape(record) | {"last_accessed": _time_of(record.updated_ms)}
        if fields["scope"] is None:
            # A change of it becomes a memory of CrewAI's own, and leaves the original alone.
            return MemoryRecord(**fields | {"scope": _path(_segments(scope))})
        memory = _Seen(**fields)
        memory._key, memory._version = record.key, record.version
        return memory

    def _check_dimension(self, vectors: list[list[float]], *, claim: bool = False) -> None:
        """Refuse vectors that are not as long as the store's; `claim` makes it theirs."""
        if not vectors:
            return
        dimension = len(vectors[0])
        mark = self._swarm.records.get(ROOT)
        if mark is None and claim:
            mark = self._swarm.records.put(
                ROOT, {"dimension": dimension}, expect=0, on_conflict="first_write"
            )
        stored = dimension if mark is None else _dimension(mark.value) or dimension
        for vector in vectors:
            if len(vector) != stored:
                raise EmbeddingDimensionMismatchError(stored, len(vector))


# --- scopes and values ------------------------------------------------------------------------


def _segments(scope: str | None) -> list[str]:
    return [segment for segment in (scope or "").split("/") if segment]


def _path(segments: Iterable[str]) -> str:
    return "/" + "/".join(segments)


def _place(scope: str | None) -> str:
    """Return the prefix of a scope's keys, as much of it as fits into a key."""
    place = f"{ROOT}/"
    for segment in _segments(scope):
        longer = f"{place}{escape(segment, limit=SEGMENT_BYTES)}/"
        if len(longer) > SCOPE_BYTES:
            break
        place = longer
    return place


def _is_below(key: str) -> bool:
    return key.startswith(f"{ROOT}/")


def _dimension(value: Json) -> int | None:
    stored = value.get("dimension") if isinstance(value, dict) else None
    return stored if isinstance(stored, int) else None


def _is_cut(scope: str | None) -> bool:
    return _place(scope).count("/") <= len(_segments(scope))


def _key(scope: str, record_id: str) -> str:
    return _place(scope) + escape(record_id, limit=ID_BYTES)


def _is_in(scope: str | None, prefix: str | None) -> bool:
    """Tell whether a scope is `prefix` or below it, by whole segments: `/ab` is not in `/a`."""
    wanted = _segments(prefix)
    return _segments(scope)[: len(wanted)] == wanted


def _children(parent: str, shapes: list[dict[str, Json]]) -> list[str]:
    above = _segments(parent)
    paths = [_segments(shape["scope"]) for shape in shapes]
    return sorted({_path(p[: len(above) + 1]) for p in paths if len(p) > len(above)})


def _value(record: MemoryRecord) -> dict[str, Json]:
    """Return a memory as JSON, its text first."""
    value: dict[str, Json] = record.model_dump(mode="json", exclude={"last_accessed", "embedding"})
    if record.embedding:
        value["embedding"] = [float(x) for x in record.embedding]
    return value


def _replaced(current: Record, record: MemoryRecord) -> dict[str, Json]:
    """Return what becomes of a memory: fields that the new one never set stay as they are."""
    value = _value(record)
    if not _is_ours(current):
        return value
    unset = set(value) - record.model_fields_set - {"id"}
    kept = {name: current.value[name] for name in {*unset, "created_at"} if name in current.value}
    if not record.embedding and record.content == current.value["content"]:
        kept |= {k: v for k, v in current.value.items() if k == "embedding"}
    return value | kept


def _merge(
    base: dict[str, Json], theirs: dict[str, Json], mine: dict[str, Json], conflict: ConflictError
) -> dict[str, Json]:
    """Return `theirs` with what `mine` changed of `base`, by field.

    That both changed a field to the same is a conflict, too: they may both have counted it up.
    """
    merged = dict(theirs)
    for name in {*base, *mine}:
        before, their, my = (side.get(name) for side in (base, theirs, mine))
        if my == before:
            continue
        if their == before and name in mine:
            merged[name] = my
        elif their == before:
            merged.pop(name, None)
        elif isinstance(their, dict) and isinstance(my, dict):
            merged[name] = _merge(before or {}, their, my, conflict)
        else:
            conflict.hint = f"both changed {name!r}; read it again and repeat the change"
            raise conflict
    return merged


def _is_ours(record: Record) -> bool:
    value = record.value
    return isinstance(value, dict) and {"id", "content", "scope", "created_at"} <= value.keys()


def _shape(record: Record) -> dict[str, Json]:
    """Return the fields of a memory, of which one that another program wrote has few.

    Its scope is None if it does not lie below CrewAI's own prefix.
    """
    fields: dict[str, Json] = {"categories": [], "metadata": {}, "embedding": None}
    if _is_below(record.key) and _is_ours(record):
        return {**fields, **record.value}
    fields |= {"content": shown(record.value), "source": record.author, "id": record.key}
    fields |= {"metadata": {"key": record.key}, "created_at": _time_of(record.created_ms)}
    if not _is_below(record.key):
        return fields | {"scope": None}
    *scope, name = [_unescaped(segment) for segment in record.key.split("/")[1:]]
    return fields | {"scope": _path(scope), "id": name}


def _unescaped(segment: str) -> str:
    try:
        return unescape(segment) or segment
    except InvalidArgumentError:
        return segment


def _matches(
    value: dict[str, Json],
    scope: str | None,
    categories: Sequence[str] | None,
    metadata: dict[str, Any] | None,
) -> bool:
    return (
        _is_in(value["scope"], scope)
        and (not categories or not set(categories).isdisjoint(value["categories"]))
        and all(value["metadata"].get(name) == wanted for name, wanted in (metadata or {}).items())
    )


def _read_time(time: str | datetime) -> datetime:
    return time if isinstance(time, datetime) else datetime.fromisoformat(time)


def _utc(time: str | datetime) -> datetime:
    """Return a time that can be compared; CrewAI's own have no zone and are UTC."""
    time = _read_time(time)
    return time if time.tzinfo is not None else time.replace(tzinfo=UTC)


def _time_of(at_ms: int) -> datetime:
    return datetime.fromtimestamp(at_ms / 1000, UTC).replace(tzinfo=None)


def _length(vector: Sequence[float]) -> float:
    return sqrt(sum(map(mul, vector, vector)))


def _cosine(query: Sequence[float], length: float, vector: Sequence[float]) -> float:
    if len(query) != len(vector):
        raise EmbeddingDimensionMismatchError(len(vector), len(query))
    product = length * _length(vector)
    together: float = sum(map(mul, query, vector))
    return together / product if product else 0.0


__all__ = ["SwarmStorage", "embed_words", "swarm_lock_backend"]
