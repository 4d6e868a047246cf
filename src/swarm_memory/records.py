"""Records: values under keys, with versions, history, expiry and quotas.

One write is one transaction: the record, the version it replaces, one event, the counters, and
the result under its op_id if the caller gave one.
"""

from __future__ import annotations

from swarm_memory import lean_json, settle
from swarm_memory.checks import check_whole
from swarm_memory.errors import (
    ConflictError,
    CorruptValueError,
    LimitExceededError,
    NotFoundError,
)
from swarm_memory.key import check_key, check_prefix
from swarm_memory.lean import NamedTuple
from swarm_memory.meter import metered, metered_read
from swarm_memory.model import Page, Record
from swarm_memory.once import digest_of, once
from swarm_memory.rows import records_of
from swarm_memory.writing import Writer, check_expect, check_fence, live_version, ttl_ms_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

    from swarm_memory.cache import Cache
    from swarm_memory.context import Context
    from swarm_memory.engine import Reader, Row, Tx
    from swarm_memory.model import Json
    from swarm_memory.seats import Lease
    from swarm_memory.settle import OnConflict


SCAN_LIMIT = 1000


class Put(NamedTuple):
    """One write of `put_many`, with its own expected version and time to live."""

    key: str
    value: Json
    expect: int | None = None
    ttl_s: float | None = None
    provenance: dict[str, Json] | None = None


class Records:
    """The records of one swarm, on an engine or inside a transaction."""

    __slots__ = ("_cache", "_context", "_db", "_writer")

    def __init__(
        self,
        db: Reader,
        context: Context,
        writer: Writer | None = None,
        cache: Cache | None = None,
    ) -> None:
        self._db = db
        self._context = context
        self._cache = cache
        self._writer = writer if writer is not None else Writer(context, Records)

    def within(self, tx: Tx) -> Records:
        """Return these records bound to a transaction."""
        return Records(tx, self._context, self._writer)

    # --- reading ---

    def get(self, key: str) -> Record | None:
        """Return the current version of `key`; None if it is missing, deleted or expired.

        Raises:
            InvalidKeyError: The key breaks the grammar.
            CorruptValueError: The stored bytes are damaged.
        """
        number = 0
        if self._cache is not None:
            cached, number = self._cache.get(key)
            if cached is not None:
                return cached
        return self._read(key, number)

    @metered_read("get")
    def _read(self, key: str, number: int) -> Record | None:
        context, cache = self._context, self._cache
        row = self._db.one("record_get", swarm=context.swarm, key=check_key(key))
        if row is None:
            return None
        # First of all the checksum: it covers the time by which a record is taken for expired.
        record = records_of(context, (row,))[0]
        _check_asked(key, record)
        if record.expires_ms is not None and record.expires_ms <= self._db.now_ms:
            return None
        if cache is not None and number:
            cache.keep(record, number)
        return record

    def scan(
        self,
        prefix: str = "",
        *,
        limit: int = SCAN_LIMIT,
        after: str | None = None,
        reverse: bool = False,
        telemetry: bool = False,
    ) -> Page:
        """Return up to `limit` live records under `prefix` in bytewise key order.

        A prefix matches whole segments (see `key.check_prefix`). Pass the page's `next_after` as
        `after` to go on; `reverse` starts at the end. Telemetry is left out unless asked for or
        unless the prefix lies within it.
        """
        check_whole("limit", limit, 1, self._context.config.batch_rows_max)
        exact, low, high = check_prefix(prefix)
        wanted = telemetry or self._context.config.category_of(exact or low or "x").telemetry
        if after is not None:
            check_key(after)
        cache, number = self._cache, 0
        question = (prefix, limit, after, reverse, wanted)
        if cache is not None:
            cached, number = cache.page(question)
            if cached is not None:
                return cached
        page = self._page(exact, low, high, limit, after, reverse, wanted)
        if cache is not None and number:
            cache.keep_page(question, page, number)
        return page

    @metered("scan")
    def _page(
        self,
        exact: str | None,
        low: str,
        high: str,
        limit: int,
        after: str | None,
        reverse: bool,
        wanted: bool,
    ) -> Page:
        page = Page()
        if not reverse and exact is not None and (after is None or after < exact):
            page.extend(self._one_of(exact))
        if after is not None:
            # '+' is the smallest character of the alphabet, so nothing lies between.
            low, high = (low, min(high, after)) if reverse else (max(low, after + "+"), high)
        if len(page) < limit:
            rows = self._db.all(
                "record_scan_down" if reverse else "record_scan",
                swarm=self._context.swarm,
                low=low,
                high=high,
                now_ms=self._db.now_ms,
                telemetry=int(wanted),
                limit=limit - len(page),
            )
            page.extend(records_of(self._context, rows))
        if reverse and exact is not None and len(page) < limit and (after is None or exact < after):
            page.extend(self._one_of(exact))
        page.next_after = page[-1].key if len(page) == limit else None
        return page

    def keys(
        self,
        prefix: str = "",
        *,
        limit: int = SCAN_LIMIT,
        after: str | None = None,
        telemetry: bool = False,
    ) -> list[str]:
        """Return up to `limit` keys of live records under `prefix` in bytewise order.

        It reads no values. Pass the last key as `after` to go on; fewer than `limit` are the end.
        Telemetry is left out as in `scan`.
        """
        check_whole("limit", limit, 1, self._context.config.batch_rows_max)
        exact, low, high = check_prefix(prefix)
        wanted = telemetry or self._context.config.category_of(exact or low or "x").telemetry
        # '+' is the smallest character of the alphabet, so nothing else lies in the first range.
        ranges = [(low, high)] if exact is None else [(exact, exact + "+"), (low, high)]
        if after is not None:
            check_key(after)
            ranges = [(max(start, after + "+"), end) for start, end in ranges]
        where = {"swarm": self._context.swarm, "telemetry": int(wanted)}

        def read(tx: Tx) -> list[str]:
            found: list[str] = []
            for start, end in ranges:
                left = limit - len(found)
                if left and start < end:
                    span = {"low": start, "high": end, "now_ms": tx.now_ms, "limit": left}
                    found += [row[0] for row in tx.all("record_keys", **where, **span)]
            return found

        return self._db.read(read)

    def each(self, prefix: str = "", *, telemetry: bool = False) -> Iterator[Record]:
        """Iterate over all live records under `prefix`, page by page, in key order."""
        after = None
        while True:
            page = self.scan(prefix, after=after, telemetry=telemetry)
            yield from page
            if page.next_after is None:
                return
            after = page.next_after

    def count(self, prefix: str = "", *, telemetry: bool = False) -> tuple[int, int]:
        """Return how many live records lie under `prefix` and the bytes counted for them."""
        exact, low, high = check_prefix(prefix)
        where = {"swarm": self._context.swarm, "telemetry": int(telemetry)}

        def read(tx: Tx) -> tuple[int, int]:
            total = [0, 0]
            ranges = [(low, high)] + ([(exact, exact + "+")] if exact is not None else [])
            for start, end in ranges:
                row = tx.one("record_count", **where, low=start, high=end, now_ms=tx.now_ms)
                total = [have + int(more) for have, more in zip(total, row or (0, 0), strict=True)]
            return total[0], total[1]

        return self._db.read(read)

    @metered("history")
    def history(self, key: str, *, limit: int = SCAN_LIMIT) -> list[Record]:
        """Return the kept versions of `key`, newest first, deletions included.

        Versions that have expired are not returned, swept or not.
        """
        check_key(key)

        def read(tx: Tx) -> list[Record]:
            where = {"swarm": self._context.swarm, "key": key}
            kept = self._context.config.category_of(key).versions_max
            current = tx.one("record_current", **where)
            rows = [] if current is None else [current]
            rows += tx.all("history_list", **where, now_ms=tx.now_ms, depth=kept - 1)
            records = records_of(self._context, rows)
            for record in records:
                _check_asked(key, record)
            if current is not None and _is_expired(current, tx.now_ms):
                del records[0]
            return records[:limit]

        return self._db.read(read)

    def _one_of(self, key: str) -> list[Record]:
        record = self.get(key)
        return [] if record is None else [record]

    # --- writing ---

    @metered("put", writes=True)
    def put(
        self,
        key: str,
        value: Json,
        *,
        expect: int | None = None,
        ttl_s: float | None = None,
        on_conflict: OnConflict | None = None,
        fence: Lease | None = None,
        op_id: str | None = None,
        provenance: dict[str, Json] | None = None,
        durability: str | None = None,
    ) -> Record:
        """Write the next version of `key` and return it.

        Args:
            expect: The version the caller has seen, 0 if it must not exist; None writes anyway.
            ttl_s: Seconds until it expires; None takes the category's retention anew.
            on_conflict: What to do when `expect` does not hold: "reject" raises, "first_write"
                keeps theirs, "last_write" writes mine, "merge" merges both against the base,
                "keep_both" parks mine for somebody to decide; or a function of (base, theirs,
                mine) that returns the value. None takes the category's default.
            fence: A lease; the write is refused if its token is stale.
            op_id: Makes a retry apply once and return the first result.
            durability: "full" or "relaxed" for this write.

        Raises:
            ConflictError: `expect` does not hold.
            InvalidKeyError, InvalidValueError, LimitExceededError, LeaseLostError.
        """
        prepared = self._writer.prepare(key, value, ttl_s, provenance)
        check_expect(expect)
        if on_conflict is None:
            on_conflict = prepared.category.on_conflict
        if fence is None and op_id is None:
            return self._db.write(
                lambda tx: self._writer.put(tx, prepared, expect, on_conflict),
                durability=durability,
                ahead=True,
            )

        def write(tx: Tx) -> Record:
            if fence is not None:
                check_fence(tx, self._context.swarm, fence)
            return self._writer.put(tx, prepared, expect, on_conflict)

        if op_id is None:
            return self._db.write(write, durability=durability, ahead=True)
        digest = digest_of(["put", key, value, expect, ttl_s, settle.strategy_name(on_conflict)])
        return self._db.write(
            lambda tx: self._once(tx, op_id, digest, write, value),
            durability=durability,
            ahead=True,
        )

    @metered("put_many", writes=True)
    def put_many(
        self,
        items: Iterable[Put | tuple[str, Json]],
        *,
        ttl_s: float | None = None,
        on_conflict: OnConflict | None = None,
        op_id: str | None = None,
        durability: str | None = None,
    ) -> list[Record]:
        """Write many records in one transaction, all or none, and return them in order.

        Items are (key, value) pairs or `Put` tuples with their own `expect` and `ttl_s`. Without
        `on_conflict` each key's category says what happens when its `expect` does not hold, as in
        `put`; "reject" makes sure that nothing is written then. `op_id` makes a retry apply once
        and return the first result.

        Raises:
            LimitExceededError: More items than `batch_rows_max`, or a quota.
            ConflictError: One of the expected versions does not hold; nothing was written.
        """
        prepared, puts = [], []
        for item in items:
            put = item if isinstance(item, Put) else Put(*item)
            puts.append(put)
            own_ttl_s = put.ttl_s if put.ttl_s is not None else ttl_s
            ready = self._writer.prepare(put.key, put.value, own_ttl_s, put.provenance)
            check_expect(put.expect)
            prepared.append((ready, put.expect, on_conflict or ready.category.on_conflict))
            self._check_batch(len(prepared))
        if not prepared:
            return []

        def write(tx: Tx) -> list[Record]:
            return [self._writer.put(tx, *arguments) for arguments in prepared]

        if op_id is None:
            return self._db.write(write, durability=durability)
        how = None if on_conflict is None else settle.strategy_name(on_conflict)
        digest = digest_of(["put_many", [list(put) for put in puts], ttl_s, how])

        def dump(written: list[Record]) -> str:
            return lean_json.dumps(
                [_result(record, put.value) for record, put in zip(written, puts, strict=True)]
            )

        def load(text: str) -> list[Record]:
            results = zip(lean_json.loads(text), puts, strict=True)
            return [Record(**{"value": put.value, **result}) for result, put in results]

        return self._db.write(
            lambda tx: once(tx, self._context, op_id, digest, write, dump, load),
            durability=durability,
        )

    @metered("delete", writes=True)
    def delete(
        self,
        key: str,
        *,
        expect: int | None = None,
        fence: Lease | None = None,
        op_id: str | None = None,
        durability: str | None = None,
    ) -> bool:
        """Delete `key` and tell whether it was there. History keeps the versions before.

        `op_id` makes a retry apply once and return the first result.

        Raises:
            ConflictError: It is not at version `expect`.
        """
        check_key(key)
        check_expect(expect)

        def write(tx: Tx) -> bool:
            if fence is not None:
                check_fence(tx, self._context.swarm, fence)
            head = tx.one("record_head", swarm=self._context.swarm, key=key)
            live = live_version(head, tx.now_ms)
            if expect is not None and expect != live:
                raise ConflictError(key, expect, live)
            if head is None or live == 0:
                return False
            self._writer.bury(tx, key, head)
            return True

        if op_id is None:
            return self._db.write(write, durability=durability, ahead=True)
        digest = digest_of(["delete", key, expect])
        dump, load = lean_json.dumps, lean_json.loads
        was_there: bool = self._db.write(
            lambda tx: once(tx, self._context, op_id, digest, write, dump, load),
            durability=durability,
            ahead=True,
        )
        return was_there

    def touch(
        self,
        key: str,
        ttl_s: float,
        *,
        expect: int | None = None,
        durability: str | None = None,
    ) -> bool:
        """Let `key` expire `ttl_s` seconds from now; tell whether it is there.

        It makes no new version, and writes nothing if the expiry would move by less than a
        twentieth of `ttl_s`. What is kept for good stays so.

        Args:
            expect: Leave it alone if it is at another version, which has its own time to live.
        """
        return self.touch_many([(key, ttl_s, expect)], durability=durability) == 1

    def touch_many(
        self,
        items: Iterable[tuple[str, float, int | None]],
        *,
        durability: str | None = None,
    ) -> int:
        """Touch many records, (key, ttl_s, expect) each, at once; return how many are there."""
        from swarm_memory.touching import Touch, apply, look  # no hook pays for it

        touches = []
        for key, ttl_s, expect in items:
            check_expect(expect)
            touches.append(Touch(check_key(key), ttl_ms_of(ttl_s), expect))
        self._check_batch(len(touches))
        # Looked at before the write lock is taken: most readers come again long before it expires.
        lives, due = self._db.read(lambda tx: look(tx, self._context, touches))
        if not due:
            return lives
        written = self._db.write(
            lambda tx: apply(tx, self._context, self._writer.quota, due), durability=durability
        )
        return lives - len(due) + written

    @metered("rollback", writes=True)
    def rollback(
        self,
        key: str,
        version: int | None = None,
        *,
        expect: int | None = None,
        op_id: str | None = None,
    ) -> Record:
        """Write the value of an older version as the next one and return it.

        Without `version` it is the newest value before the current version, so rolling back a
        deleted key brings it back.

        Raises:
            NotFoundError: That version is not kept, has expired, or was a deletion.
        """
        check_key(key)

        def write(tx: Tx) -> Record:
            older = self._older(tx, key, version)
            prepared = self._writer.prepare(key, older.value, None, {"rollback_to": older.version})
            return self._writer.put(tx, prepared, expect, "reject", op="rollback")

        if op_id is None:
            return self._db.write(write)
        digest = digest_of(["rollback", key, version, expect])
        return self._db.write(lambda tx: self._once(tx, op_id, digest, write))

    def _older(self, tx: Tx, key: str, version: int | None) -> Record:
        records = self.within(tx).history(key)
        head = tx.one("record_head", swarm=self._context.swarm, key=key)
        current = head[0] if head else 0
        for record in records:
            wanted = record.version < current if version is None else record.version == version
            if wanted and not record.deleted:
                return record
        kept = [record.version for record in records if not record.deleted]
        raise NotFoundError(
            f"{key} has no {'earlier version' if version is None else f'version {version}'}"
            " that is kept",
            hint=f"kept versions: {kept}" if kept else "nothing is kept of this key",
        )

    # --- one write, inside its transaction ---

    def _check_batch(self, rows: int) -> None:
        limit = self._context.config.batch_rows_max
        if rows > limit:
            hint = "write it in several batches"
            raise LimitExceededError("the batch", limit=limit, actual=rows, unit="rows", hint=hint)

    def _once(
        self, tx: Tx, op_id: str, digest: str, write: Callable[[Tx], Record], value: Json = None
    ) -> Record:
        """Apply `write` once; `value` is what it writes if all goes well, and is not kept then."""

        def dump(record: Record) -> str:
            return lean_json.dumps(_result(record, value))

        def load(text: str) -> Record:
            return Record(**{"value": value, **lean_json.loads(text)})

        return once(tx, self._context, op_id, digest, write, dump, load)

    # --- loading from elsewhere ---

    def load(self, items: Iterable[Any], *, durability: str | None = None) -> dict[str, int]:
        """Write items from another store with their own times, all or none; return counts.

        An item has key, value, created_ms, updated_ms, expires_ms, author and provenance with a
        `digest`. What is there with the same digest is counted as `same`; what has changed at its
        source becomes a new version (`changed`); what was written here since is left (`kept`).
        """
        prepared = [
            (item, self._writer.prepare(item.key, item.value, None, item.provenance))
            for item in items
        ]
        counts = {"imported": 0, "same": 0, "changed": 0, "kept": 0}

        def write(tx: Tx) -> dict[str, int]:
            for name in counts:
                counts[name] = 0
            for item, ready in prepared:
                counts[self._writer.load(tx, item, ready)] += 1
            return counts

        return self._db.write(write, durability=durability)


def _result(record: Record, value: Json) -> dict[str, Json]:
    """Return what is kept under an op_id: not the value if the call brings it again."""
    result = record.to_dict()
    if record.value is value:
        del result["value"]
    return result


def _check_asked(key: str, record: Record) -> None:
    """Refuse a row of another key: an index that is damaged leads there, and the row is intact."""
    if record.key != key:
        raise CorruptValueError(key, f"the index leads to {record.key}")


def _is_expired(row: Row, now_ms: int) -> bool:
    return row[6] is not None and row[6] <= now_ms
