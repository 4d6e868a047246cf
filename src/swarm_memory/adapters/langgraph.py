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
import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from swarm_memory import ConflictError, Put, Record, Swarm
from swarm_memory.adapters import extra
from swarm_memory.adapters.langgraph_items import (
    Names,
    fits_condition,
    index_of,
    is_cut,
    is_wanted,
    item_of,
    literal,
    matches,
    minutes_of,
    names_in,
    opened,
    path_of,
    place_of,
    put_of,
    search_item_of,
    value_of,
)

with extra("langgraph"):
    from langgraph.store.base import (
        NOT_PROVIDED,
        BaseStore,
        GetOp,
        InvalidNamespaceError,
        Item,
        ListNamespacesOp,
        NotProvided,
        Op,
        PutOp,
        Result,
        SearchItem,
        SearchOp,
        TTLConfig,
        validate_op_namespace,
    )

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.swarm import Transaction

logger = logging.getLogger(__name__)

_Hit = tuple[Record, Names, str, float | None]

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
            value = None if record is None else value_of(record)
            minutes = self._minutes(ttl, record)
            op = PutOp(namespace, key, change(value), index_of(record), minutes)
            put = put_of(path, op, expect=0 if record is None else record.version)
            try:
                return item_of(self._put(put), namespace, key)
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
        return item_of(record, op.namespace, op.key)

    def _search(self, op: SearchOp) -> list[SearchItem]:
        space = tuple(op.namespace_prefix)
        found = self._asked(op, space) if op.query else self._listed(op, space)
        if op.refresh_ttl:
            self._refresh([record for record, *_ in found if record.expires_ms is not None])
        return [search_item_of(*hit) for hit in found]

    def _listed(self, op: SearchOp, space: Names) -> list[_Hit]:
        """Return the wanted items in the order of their paths, reading no further than they lie."""
        prefix, whole = opened(space)
        left_out = max(op.offset, 0)
        found: list[_Hit] = []
        # Without a filter nearly all that is read counts; with one nobody knows how much.
        rows = PAGE_ROWS if op.filter else max(1, min(op.offset + op.limit, PAGE_ROWS))
        for page in self._pages(prefix, rows):
            for record in page:
                place = place_of(record)
                if not whole and place[0][: len(space)] != space:
                    continue
                if op.filter and not matches(record, op.filter):
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
        own, whole = opened(space)
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
                    if inside and is_wanted(hit.record, op.filter):
                        found[hit.record.key] = (hit.record, *place, hit.score)
            if complete or len(found) >= wanted:
                break
        best = sorted(found.values(), key=lambda hit: hit[3] or 0, reverse=True)
        return best[op.offset : wanted]

    def _list_namespaces(self, op: ListNamespacesOp) -> list[Names]:
        conditions = op.match_conditions or ()
        start = next((literal(c.path) for c in conditions if c.match_type == "prefix"), ())
        spaces = {space for space in self._spaces(start) if space[: len(start)] == start}
        kept = {space for space in spaces if all(fits_condition(c, space) for c in conditions)}
        if op.max_depth is not None:
            kept = {space[: op.max_depth] for space in kept}
        return sorted(kept)[op.offset : op.offset + op.limit]

    def _spaces(self, start: Names) -> Iterator[Names]:
        """Iterate over the namespaces of all keys below one, each once for a run of keys."""
        prefix, seen = opened(start)[0], None
        after: str | None = None
        while True:
            keys = self._records.keys(prefix, limit=PAGE_ROWS, after=after)
            for key in keys:
                folder = key if is_cut(key) else key.rpartition("/")[0]
                if folder != seen:
                    seen = folder
                    yield self._space_of(key)
            if len(keys) < PAGE_ROWS:
                return
            after = keys[-1]

    def _space_of(self, key: str) -> Names:
        """Return the namespace of a key; that of one that was cut stands in its record."""
        record = self._records.get(key) if is_cut(key) else None
        return place_of(record)[0] if record is not None else names_in(key.rpartition("/")[0])

    def _refresh(self, records: Sequence[Record]) -> None:
        """Let what was read expire later, if LangGraph gave it a time to live."""
        touches = []
        for record in records:
            minutes = minutes_of(record)
            if minutes is not None:
                touches.append((record.key, 60.0 * minutes, record.version))
        if touches:
            self._records.touch_many(touches, durability="relaxed")

    # --- writing ---

    def _write(self, writes: dict[str, PutOp]) -> None:
        """Write all or nothing."""
        puts = [put_of(path, op) for path, op in writes.items() if op.value is not None]
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
            put.key,
            put.value,
            expect=put.expect,
            ttl_s=put.ttl_s,
            provenance=put.provenance,
            on_conflict="reject",  # whatever the category is set to: `update` has to see it
        )

    def _minutes(self, ttl: float | NotProvided | None, record: Record | None) -> float | None:
        if not isinstance(ttl, NotProvided):
            return ttl
        if record is not None:
            return minutes_of(record)
        return self.ttl_config.get("default_ttl") if self.ttl_config else None


# --- paths of operations ---


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


def _check_put(namespace: Names, key: str) -> None:
    """Refuse what `put` refuses, which operations of a batch may do."""
    validate_op_namespace(GetOp(namespace, key))
    if not namespace or namespace[0] == "langgraph":
        raise InvalidNamespaceError(f"nothing can be put into the namespace {namespace}")
