"""LangGraph's long-term memory, `BaseStore`, on a swarm's records.

    with Swarm.open("sqlite:///memory.db", agent="planner", swarm="team") as swarm:
        graph = builder.compile(store=SwarmStore(swarm))

The item `key` of the namespace `("users", "ada")` is the record `users/ada/key`: what other
frameworks and doors wrote is found by its path, and they find what LangGraph put.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import json
import logging
import operator
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from langgraph.store.base import (
    NOT_PROVIDED,
    BaseStore,
    GetOp,
    InvalidNamespaceError,
    Item,
    ListNamespacesOp,
    MatchCondition,
    NotProvided,
    Op,
    PutOp,
    Result,
    SearchItem,
    SearchOp,
    TTLConfig,
    validate_op_namespace,
)

from swarm_memory import ConflictError, InvalidArgumentError, Put, Record, Swarm
from swarm_memory.key import KEY_BYTES_MAX, escape, unescape

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.swarm import Transaction

logger = logging.getLogger(__name__)

Names = tuple[str, ...]  # a namespace, or one with a key at its end
_Hit = tuple[Record, Names, str, float | None]

FOLDED_BYTES = 34  # of the last segment of a path that would be too long: `+h` and 32 digits
OPEN_BYTES_MAX = KEY_BYTES_MAX - FOLDED_BYTES - 1  # of the segments before it
UPDATE_ATTEMPTS_MAX = 1000
PAGE_ROWS = 1000
SEARCH_HITS_MAX = 1000  # that `swarm.search` gives
SWEEP_MINUTES = 5


class SwarmStore(BaseStore):
    """A LangGraph store whose items are records of a swarm.

    One batch reads first and then writes all its puts and deletes in one transaction; of several
    puts of one item the last counts. `created_at` stays when an item is written anew. `query`
    asks the full-text search and gives only items that answer, with scores; without it items come
    in the order of their paths. An item expires `ttl` minutes after it was last written or read,
    or up to a twentieth of that earlier, and is hidden from that moment on.

    Args:
        swarm: An open swarm; the caller closes it.
        ttl: LangGraph's settings for times to live. Expired items are omitted whatever it says.
        also: Prefixes of keys whose records a `query` finds beside those of its namespace, such
            as `Layout(swarm, agent).knowledge()`.
    """

    supports_ttl = True

    def __init__(
        self, swarm: Swarm, *, ttl: TTLConfig | None = None, also: Sequence[str] = ()
    ) -> None:
        self._swarm = swarm
        self._records = swarm.records
        self._also = tuple(also)
        self.ttl_config = ttl
        self._sweeper: threading.Thread | None = None
        self._stop = threading.Event()

    # --- the interface ---

    def batch(self, ops: Iterable[Op]) -> list[Result]:
        """Execute operations and return their results in order; see the class.

        Raises:
            InvalidNamespaceError: A label is empty, no text, or holds a period or NUL.
            ValueError: An operation or a filter is of no known kind.
        """
        wanted = [(op, _path_in(op)) for op in ops]
        results: list[Result] = []
        writes: dict[str, PutOp] = {}
        for op, path in wanted:
            if isinstance(op, GetOp):
                results.append(self._get(op, path))
            elif isinstance(op, PutOp):
                writes[path] = op
                results.append(None)
            elif isinstance(op, SearchOp):
                results.append(self._search(op))
            else:
                results.append(self._list_namespaces(op))
        if writes:
            self._write(writes)
        return results

    async def abatch(self, ops: Iterable[Op]) -> list[Result]:
        """Do what `batch` does in a thread."""
        return await asyncio.to_thread(self.batch, list(ops))

    # --- what LangGraph has no call for ---

    def update(
        self,
        namespace: Names,
        key: str,
        change: Callable[[dict[str, Any] | None], Mapping[str, Any]],
        *,
        ttl: float | NotProvided | None = NOT_PROVIDED,
    ) -> Item:
        """Write what `change` makes of the current value, losing nobody's update; return it.

        `change` gets a copy of the value, None if there is none, and runs again whenever somebody
        else was first, so it must have no other effects.

        Args:
            ttl: Minutes, as of `put`; what is not given stays as the item has it.

        Raises:
            ConflictError: Others were first a thousand times.
        """
        _check_put(namespace, key)
        path = path_of((*namespace, key))
        for _ in range(UPDATE_ATTEMPTS_MAX):
            record = self._records.get(path)
            value = None if record is None else _value_of(record)
            minutes = self._minutes(ttl, record)
            op = PutOp(namespace, key, change(value), _index_of(record), minutes)
            put = _put_of(path, op, expect=0 if record is None else record.version)
            try:
                return _item(self._put(put), namespace, key)
            except ConflictError as error:
                conflict = error
        raise conflict

    async def aupdate(
        self,
        namespace: Names,
        key: str,
        change: Callable[[dict[str, Any] | None], Mapping[str, Any]],
        *,
        ttl: float | NotProvided | None = NOT_PROVIDED,
    ) -> Item:
        """Do what `update` does in a thread; `change` is called there."""
        return await asyncio.to_thread(self.update, namespace, key, change, ttl=ttl)

    def history(self, namespace: Names, key: str, *, limit: int = 100) -> list[Record]:
        """Return the kept versions of an item as records, newest first, deletions included."""
        validate_op_namespace(GetOp(namespace, key))
        return self._records.history(path_of((*namespace, key)), limit=limit)

    # --- times to live ---

    def sweep_ttl(self) -> int:
        """Remove what has expired in the whole swarm; return how many items were.

        They are hidden at once without it: this makes room.
        """
        return self._swarm.retention.sweep().expired

    def start_ttl_sweeper(
        self, sweep_interval_minutes: float | None = None
    ) -> concurrent.futures.Future[None]:
        """Sweep every so many minutes in a thread until `stop_ttl_sweeper`.

        Returns a future that ends with the thread, and ends it when it is cancelled. Without
        settings for times to live nothing is started, and it is done.
        """
        future: concurrent.futures.Future[None] = concurrent.futures.Future()
        if not self.ttl_config:
            future.set_result(None)
            return future
        future.add_done_callback(lambda done: self._stop.set() if done.cancelled() else None)
        if self._sweeper is not None and self._sweeper.is_alive():
            return future
        minutes = sweep_interval_minutes or self.ttl_config.get("sweep_interval_minutes")
        self._stop.clear()
        self._sweeper = threading.Thread(
            target=self._keep_sweeping,
            args=(60.0 * (minutes or SWEEP_MINUTES), future),
            name="swarm-store-ttl",
            daemon=True,
        )
        self._sweeper.start()
        return future

    def stop_ttl_sweeper(self, timeout: float | None = None) -> bool:
        """End the sweeper, waiting up to `timeout` seconds; tell whether it has ended."""
        sweeper = self._sweeper
        if sweeper is None:
            return True
        self._stop.set()
        sweeper.join(timeout)
        return not sweeper.is_alive()

    def _keep_sweeping(self, interval_s: float, future: concurrent.futures.Future[None]) -> None:
        while not self._stop.wait(interval_s):
            try:
                self.sweep_ttl()
            except Exception:  # a busy store is no reason to sweep never again
                logger.exception("sweeping failed; it is tried again after %s s", interval_s)
        if not future.cancelled():
            future.set_result(None)

    # --- reading ---

    def _get(self, op: GetOp, path: str) -> Item | None:
        record = self._records.get(path)
        if record is None:
            return None
        if op.refresh_ttl and record.expires_ms is not None:
            self._refresh([record])
        return _item(record, op.namespace, op.key)

    def _search(self, op: SearchOp) -> list[SearchItem]:
        space = tuple(op.namespace_prefix)
        found = self._asked(op, space) if op.query else self._listed(op, space)
        if op.refresh_ttl:
            self._refresh([record for record, *_ in found if record.expires_ms is not None])
        return [_search_item(*hit) for hit in found]

    def _listed(self, op: SearchOp, space: Names) -> list[_Hit]:
        """Return the wanted items in the order of their paths, reading no further than they lie."""
        prefix, whole = _opened(space)
        left_out = op.offset
        found: list[_Hit] = []
        # Without a filter nearly all that is read counts; with one nobody knows how much.
        rows = PAGE_ROWS if op.filter else max(1, min(op.offset + op.limit, PAGE_ROWS))
        for page in self._pages(prefix, rows):
            for record in page:
                place = place_of(record)
                if not whole and place[0][: len(space)] != space:
                    continue
                if op.filter and not _matches(record, op.filter):
                    continue
                if left_out:
                    left_out -= 1
                elif len(found) < op.limit:
                    found.append((record, *place, None))
            if len(found) >= op.limit:
                break
        return found

    def _pages(self, prefix: str, rows: int) -> Iterator[Sequence[Record]]:
        after: str | None = None
        while True:
            page = self._records.scan(prefix, limit=rows, after=after)
            yield page
            if page.next_after is None:
                return
            after = page.next_after

    def _asked(self, op: SearchOp, space: Names) -> list[_Hit]:
        """Return the wanted items that answer the query, best first."""
        wanted = op.offset + op.limit
        own, whole = _opened(space)
        # Some of what the search gives may be left out here, and how much it does not know.
        exact = whole and not op.filter and not self._also
        limits = (
            [wanted, SEARCH_HITS_MAX] if exact and wanted < SEARCH_HITS_MAX else [SEARCH_HITS_MAX]
        )
        found: dict[str, _Hit] = {}
        for limit in limits:
            complete = True
            for prefix in (own, *self._also):
                hits = self._swarm.search(str(op.query), prefix=prefix, limit=max(limit, 1))
                complete = complete and len(hits) < limit
                for hit in hits:
                    place = place_of(hit.record)
                    inside = prefix is not own or whole or place[0][: len(space)] == space
                    if inside and _is_wanted(hit.record, op.filter):
                        found[hit.record.key] = (hit.record, *place, hit.score)
            if complete or len(found) >= wanted:
                break
        best = sorted(found.values(), key=lambda hit: hit[3] or 0, reverse=True)
        return best[op.offset : wanted]

    def _list_namespaces(self, op: ListNamespacesOp) -> list[Names]:
        conditions = op.match_conditions or ()
        start = next((_literal(c.path) for c in conditions if c.match_type == "prefix"), ())
        spaces = {space for space in self._spaces(start) if space[: len(start)] == start}
        kept = {space for space in spaces if all(_fits(c, space) for c in conditions)}
        if op.max_depth is not None:
            kept = {space[: op.max_depth] for space in kept}
        return sorted(kept)[op.offset : op.offset + op.limit]

    def _spaces(self, start: Names) -> Iterator[Names]:
        """Iterate over the namespaces of all keys below one, each once for a run of keys."""
        prefix, seen = _opened(start)[0], None
        after: str | None = None
        while True:
            keys = self._records.keys(prefix, limit=PAGE_ROWS, after=after)
            for key in keys:
                folder = key if _is_cut(key) else key.rpartition("/")[0]
                if folder != seen:
                    seen = folder
                    yield self._space_of(key)
            if len(keys) < PAGE_ROWS:
                return
            after = keys[-1]

    def _space_of(self, key: str) -> Names:
        """Return the namespace of a key; that of one that was cut stands in its record."""
        record = self._records.get(key) if _is_cut(key) else None
        return place_of(record)[0] if record is not None else _names_in(key.rpartition("/")[0])

    def _refresh(self, records: Sequence[Record]) -> None:
        """Let what was read expire later, if LangGraph gave it a time to live."""
        touches = []
        for record in records:
            minutes = _minutes_of(record)
            if minutes is not None:
                touches.append((record.key, 60.0 * minutes, record.version))
        if touches:
            self._records.touch_many(touches, durability="relaxed")

    # --- writing ---

    def _write(self, writes: dict[str, PutOp]) -> None:
        """Write all or nothing."""
        puts = [_put_of(path, op) for path, op in writes.items() if op.value is not None]
        gone = [path for path, op in writes.items() if op.value is None]
        if not gone and len(puts) == 1:
            self._put(puts[0])
        elif not gone:
            self._records.put_many(puts)
        elif len(writes) == 1:
            self._records.delete(gone[0])
        else:

            def write(tx: Transaction) -> None:
                tx.records.put_many(puts)
                for path in gone:
                    tx.records.delete(path)

            self._swarm.transact(write)

    def _put(self, put: Put) -> Record:
        return self._records.put(
            put.key, put.value, expect=put.expect, ttl_s=put.ttl_s, provenance=put.provenance
        )

    def _minutes(self, ttl: float | NotProvided | None, record: Record | None) -> float | None:
        if not isinstance(ttl, NotProvided):
            return ttl
        if record is not None:
            return _minutes_of(record)
        return self.ttl_config.get("default_ttl") if self.ttl_config else None


# --- paths: a namespace and a key as the key of a record, and back ---


def _path_in(op: Op) -> str:
    """Return the path that an operation names, and refuse it if its names mean nothing."""
    if isinstance(op, GetOp | PutOp):
        return _checked_path(tuple(op.namespace), op.key)
    if not isinstance(op, SearchOp | ListNamespacesOp):
        raise ValueError(f"Unknown operation type: {type(op)}")
    validate_op_namespace(op)
    return ""


@functools.lru_cache(maxsize=8192)
def _checked_path(space: Names, key: str) -> str:
    validate_op_namespace(GetOp(space, key))
    return path_of((*space, key))


def path_of(names: Names) -> str:
    """Return the key of the record with these names: each is one segment, escaped.

    What would be longer than a key may be ends in one segment that stands for all names which
    found no place. The names themselves then are kept in the record's provenance.
    """
    segments = [escape(name) for name in names]
    path = "/".join(segments)
    if len(path) <= KEY_BYTES_MAX:
        return path
    fits = _fitting(segments)
    digest = sha256(json.dumps(names[fits:]).encode()).hexdigest()[:32]
    return "/".join([*segments[:fits], f"+h{digest}"])


def _fitting(segments: Sequence[str]) -> int:
    """Return how many segments lie open in a path that is folded: it depends on no later one."""
    size = -1
    for count, segment in enumerate(segments):
        size += 1 + len(segment)
        if size > OPEN_BYTES_MAX:
            return count
    return len(segments)


def _opened(space: Names) -> tuple[str, bool]:
    """Return the prefix below which all records of a namespace lie, and whether no others do."""
    segments = [escape(name) for name in space]
    fits = _fitting(segments)
    return "".join(f"{segment}/" for segment in segments[:fits]), fits == len(segments)


def place_of(record: Record) -> tuple[Names, str]:
    """Return the namespace and the key that a record has here, whoever wrote it."""
    about = record.provenance
    names = about.get("names") if about is not None else None
    if isinstance(names, list) and names:
        return tuple(str(name) for name in names[:-1]), str(names[-1])
    folder, _, name = record.key.rpartition("/")
    return _names_in(folder), _unescaped(name) if "+" in name else name


@functools.lru_cache(maxsize=1024)
def _names_in(folder: str) -> Names:
    segments = folder.split("/") if folder else []
    return tuple([_unescaped(s) if "+" in s else s for s in segments])


def _unescaped(segment: str) -> str:
    try:
        return unescape(segment) or (segment if segment != "+" else "")
    except InvalidArgumentError:  # somebody else's own use of the plus sign
        return segment


def _is_cut(path: str) -> bool:
    return "+h" in path


# --- items and records ---


def _check_put(namespace: Names, key: str) -> None:
    """Refuse what `put` refuses, which operations of a batch may do."""
    validate_op_namespace(GetOp(namespace, key))
    if not namespace or namespace[0] == "langgraph":
        raise InvalidNamespaceError(f"nothing can be put into the namespace {namespace}")


def _put_of(path: str, op: PutOp, *, expect: int | None = None) -> Put:
    about: dict[str, Any] = {}
    if _is_cut(path):
        about["names"] = [*op.namespace, op.key]
    if op.ttl is not None:
        about["ttl_minutes"] = op.ttl
    if op.index is False:
        about["index"] = False
    ttl_s = None if op.ttl is None else 60.0 * op.ttl
    return Put(path, dict(op.value or {}), expect, ttl_s, about or None)


def _value_of(record: Record) -> dict[str, Any]:
    """Return the value as LangGraph has it: what is no object stands in one."""
    value = record.value
    return value if isinstance(value, dict) else {"value": value}


def _minutes_of(record: Record) -> float | None:
    minutes = (record.provenance or {}).get("ttl_minutes")
    return minutes if isinstance(minutes, int | float) else None


def _index_of(record: Record | None) -> Any:
    kept = record is not None and (record.provenance or {}).get("index") is False
    return False if kept else None


def _item(record: Record, space: Names, key: str) -> Item:
    created_at, updated_at = _times(record)
    return Item(
        value=_value_of(record),
        key=key,
        namespace=space,
        created_at=created_at,
        updated_at=updated_at,
    )


def _search_item(record: Record, space: Names, key: str, score: float | None) -> SearchItem:
    return SearchItem(space, key, _value_of(record), *_times(record), score)


def _times(record: Record) -> tuple[datetime, datetime]:
    created_at = datetime.fromtimestamp(record.created_ms / 1000, UTC)
    if record.updated_ms == record.created_ms:
        return created_at, created_at
    return created_at, datetime.fromtimestamp(record.updated_ms / 1000, UTC)


# --- conditions ---


def _literal(path: Sequence[str]) -> Names:
    """Return what comes before the first wildcard."""
    return tuple(path[: path.index("*")]) if "*" in path else tuple(path)


def _fits(condition: MatchCondition, space: Names) -> bool:
    path = condition.path
    if len(space) < len(path):
        return False
    part = space[: len(path)] if condition.match_type == "prefix" else space[-len(path) :]
    return not path or all(p in {"*", name} for p, name in zip(path, part, strict=True))


def _is_wanted(record: Record, wanted: Mapping[str, Any] | None) -> bool:
    """Tell whether a query may find a record that is as the filter wants it."""
    about = record.provenance
    if about is not None and about.get("index") is False:
        return False
    return not wanted or _matches(record, wanted)


def _matches(record: Record, wanted: Mapping[str, Any]) -> bool:
    value = _value_of(record)
    return all(_holds(part_of(value, name), condition) for name, condition in wanted.items())


def part_of(value: dict[str, Any], name: str) -> Any:
    """Return what a filter's name stands for: a key, or a path of keys joined by periods."""
    if name in value or "." not in name:
        return value.get(name)
    part: Any = value
    for step in name.split("."):
        part = part.get(step) if isinstance(part, dict) else None
    return part


def _holds(value: Any, wanted: Any) -> bool:
    """Tell whether a part of a value is as a filter wants it; inside objects, too."""
    if isinstance(wanted, dict):
        if any(str(name).startswith("$") for name in wanted):
            return all(_compares(value, name, limit) for name, limit in wanted.items())
        return isinstance(value, dict) and all(_holds(value.get(n), w) for n, w in wanted.items())
    if isinstance(wanted, list | tuple):
        return (
            isinstance(value, list)
            and len(value) == len(wanted)
            and all(map(_holds, value, wanted))
        )
    return bool(value == wanted)


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "$gt": operator.gt,
    "$gte": operator.ge,
    "$lt": operator.lt,
    "$lte": operator.le,
}


def _compares(value: Any, name: str, limit: Any) -> bool:
    if name == "$eq":
        return bool(value == limit)
    if name == "$ne":
        return bool(value != limit)
    if name not in _ORDERS:
        raise ValueError(f"Unsupported operator: {name}")
    try:
        return _ORDERS[name](float(value), float(limit))
    except (TypeError, ValueError):  # what cannot be ordered by number: texts are by their letters
        both = isinstance(value, str) and isinstance(limit, str)
        return both and _ORDERS[name](value, limit)
