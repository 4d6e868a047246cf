"""One write of a record, inside its transaction.

What can be checked before the write lock is taken is checked by `prepare`. The rest is the record,
the version it replaces, one event and the counters.
"""

from __future__ import annotations

from swarm_memory import codec, lean_json, settle
from swarm_memory.errors import ConflictError, InvalidArgumentError, LeaseLostError
from swarm_memory.key import check_key, scope_of
from swarm_memory.lean import NamedTuple
from swarm_memory.model import Record
from swarm_memory.quota import TELEMETRY_SCOPE, Quota
from swarm_memory.rows import meaning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from swarm_memory.config import Category
    from swarm_memory.context import Context
    from swarm_memory.engine import Row, Tx
    from swarm_memory.model import Json
    from swarm_memory.records import Records
    from swarm_memory.seats import Lease
    from swarm_memory.settle import OnConflict

PUSHED = -1  # stands for the id of the version that was moved to history last
TTL_S_MAX = 3_153_600_000  # a hundred years


class Prepared(NamedTuple):
    """A checked and packed value that waits for its version; `about` is its provenance."""

    key: str
    category: Category
    scope: str
    value: Json
    encoded: bytes
    format: int
    body: bytes
    ttl_ms: int | None
    about: str | None


class Writer:
    """Writes the records of one swarm within transactions of others.

    Args:
        records: The class by which a conflict reads what a transaction sees.
    """

    __slots__ = ("_context", "_records", "quota")

    def __init__(self, context: Context, records: type[Records]) -> None:
        self.quota = Quota(context)
        self._context = context
        self._records = records

    def prepare(
        self, key: str, value: Json, ttl_s: float | None, provenance: dict[str, Json] | None
    ) -> Prepared:
        """Check everything that can be checked before the write lock is taken."""
        config = self._context.config
        category: Category = config.category_of(check_key(key))
        if ttl_s is None:
            ttl_s = category.retention_s
        ttl_ms = None if ttl_s is None else ttl_ms_of(ttl_s)
        encoded = codec.encode(
            value, bytes_max=config.value_bytes_max, depth_max=config.value_depth_max
        )
        about = None
        if self._context.origin is not None:
            provenance = self._context.origin | (provenance or {})
        if provenance is not None:
            about = codec.encode(provenance, bytes_max=config.value_bytes_max).decode()
        format_, body = self._context.compressor.compress(encoded)
        return Prepared(
            key,
            category,
            TELEMETRY_SCOPE if category.telemetry else scope_of(key),
            value,
            encoded,
            format_,
            body,
            ttl_ms,
            about,
        )

    def put(
        self,
        tx: Tx,
        prepared: Prepared,
        expect: int | None,
        on_conflict: OnConflict,
        op: str = "put",
    ) -> Record:
        key = prepared.key
        head = tx.one("record_head", swarm=self._context.swarm, key=key)
        live = live_version(head, tx.now_ms)
        if expect is not None and expect != live:
            return self._conflict(tx, prepared, expect, live, on_conflict)
        return self._write(tx, prepared, head, op, live)

    def _write(
        self,
        tx: Tx,
        prepared: Prepared,
        head: Row | None,
        op: str,
        live: int,
        origin: tuple[str, int, int, int | None] | None = None,
    ) -> Record:
        """Write the next version over `head`; `origin` is (author, created, updated, expires)."""
        context, key, category, now_ms = self._context, prepared.key, prepared.category, tx.now_ms
        version, history_id = self._succeed(tx, key, category, head)
        created_ms = head[5] if head is not None and live else now_ms
        updated_ms = now_ms
        expires_ms = None if prepared.ttl_ms is None else now_ms + prepared.ttl_ms
        session, author = context.session, context.agent
        if origin is not None:
            author, created_ms, updated_ms, expires_ms = origin
        about = prepared.about
        frame = codec.seal(
            prepared.format,
            prepared.body,
            meaning(
                context.swarm,
                key,
                version,
                author,
                session,
                created_ms,
                updated_ms,
                expires_ms,
                about,
            ),
        )
        tx.do(
            "record_put",
            swarm=context.swarm,
            key=key,
            version=version,
            scope=prepared.scope,
            category=category.name,
            telemetry=int(category.telemetry),
            author=author,
            session=session,
            provenance=about,
            created_ms=created_ms,
            updated_ms=updated_ms,
            expires_ms=expires_ms,
            history_id=history_id,
            value=frame,
        )
        self.quota.write(tx, key, version, op, prepared.scope, category, head, len(frame))
        return Record(
            key,
            prepared.value,
            version,
            author,
            session,
            created_ms,
            updated_ms,
            expires_ms,
            None if about is None else codec.decode(about.encode()),
        )

    def _succeed(
        self, tx: Tx, key: str, category: Category, head: Row | None
    ) -> tuple[int, int | None]:
        """Move the replaced version into history; return the next version and its history_id."""
        where = {"swarm": self._context.swarm, "key": key}
        if head is None:
            floor = tx.one("fact_get", swarm=self._context.swarm, name="version_floor")
            return (floor[0] if floor else 0) + 1, None
        version, kept = head[0] + 1, category.versions_max
        if kept == 1:
            return version, None
        if version % kept == 0:
            # Now and then instead of always: up to twice as many lie there for a while.
            tx.do("history_trim", **where, keep=kept - 1)
        tx.do("history_push", **where)
        return version, PUSHED

    def bury(self, tx: Tx, key: str, head: Row) -> None:
        """Replace a live record by a tombstone, one version on."""
        context = self._context
        version, _, scope, category, telemetry, created_ms, _ = head
        tx.do("history_push", swarm=context.swarm, key=key)
        tx.do(
            "record_put",
            swarm=context.swarm,
            key=key,
            version=version + 1,
            scope=scope,
            category=category,
            telemetry=telemetry,
            author=context.agent,
            session=context.session,
            provenance=None,
            created_ms=created_ms,
            updated_ms=tx.now_ms,
            expires_ms=None,
            history_id=PUSHED,
            value=None,
        )
        self.quota.remove(tx, key, version + 1, "delete", head)

    def _conflict(
        self, tx: Tx, prepared: Prepared, expect: int, live: int, on_conflict: OnConflict
    ) -> Record:
        """Settle a write whose expected version does not hold; return what then is current."""
        conflict = ConflictError(prepared.key, expect, live)
        if on_conflict == "reject":
            raise conflict
        mine, context = prepared.value, self._context
        theirs = self._records(tx, self._context, self).get(prepared.key) if live else None
        base = self._base(tx, prepared.key, expect)
        if on_conflict in settle.KEEPS_THEIRS:
            if theirs is None:
                raise conflict
            settle.note(tx, context, on_conflict, mine, theirs, base, conflict)
            return theirs
        value = settle.settle(on_conflict, mine, theirs, base, conflict)
        settle.note(tx, context, on_conflict, mine, theirs, base, conflict, value)
        ttl_s = None if prepared.ttl_ms is None else prepared.ttl_ms / 1000
        about = None if prepared.about is None else lean_json.loads(prepared.about)
        again = self.prepare(prepared.key, value, ttl_s, about)
        head = tx.one("record_head", swarm=context.swarm, key=prepared.key)
        return self._write(tx, again, head, "put", live)

    def _base(self, tx: Tx, key: str, version: int) -> Record | None:
        for record in self._records(tx, self._context, self).history(key):
            if record.version == version and not record.deleted:
                return record
        return None

    def load(self, tx: Tx, item: Any, prepared: Prepared) -> str:
        head = tx.one("record_head", swarm=self._context.swarm, key=item.key)
        live = live_version(head, tx.now_ms)
        if head is not None and head[6] is None:
            return "kept"  # deleted here on purpose: an import does not bring it back
        current = self._records(tx, self._context, self).get(item.key) if live else None
        if current is not None:
            known = (current.provenance or {}).get("digest")
            if known is None:
                return "kept"
            if known == item.provenance.get("digest"):
                return "same"
        created_ms = item.created_ms if item.created_ms is not None else tx.now_ms
        updated_ms = item.updated_ms if item.updated_ms is not None else created_ms
        expires_ms = item.expires_ms
        if expires_ms is None and prepared.ttl_ms is not None:
            expires_ms = tx.now_ms + prepared.ttl_ms
        author = item.author or self._context.agent
        origin = (author, created_ms, updated_ms, expires_ms)
        self._write(tx, prepared, head, "put", live, origin)
        return "changed" if current is not None else "imported"


def live_version(head: Row | None, now_ms: int) -> int:
    """Return the version a caller may expect: 0 for missing, deleted and expired."""
    if head is None or head[6] is None or (head[1] is not None and head[1] <= now_ms):
        return 0
    return int(head[0])


def ttl_ms_of(ttl_s: float) -> int:
    if isinstance(ttl_s, bool) or not 0 < ttl_s <= TTL_S_MAX:
        raise InvalidArgumentError(f"ttl_s {ttl_s!r}", hint=f"give 0 < seconds ≤ {TTL_S_MAX}")
    return max(1, round(ttl_s * 1000))


def check_expect(expect: int | None) -> None:
    if expect is not None and (type(expect) is not int or expect < 0):
        raise InvalidArgumentError(
            f"expect {expect!r}", hint="give record.version, 0 for a key that must not exist"
        )


def check_fence(tx: Tx, swarm: str, fence: Lease) -> None:
    where = {"swarm": swarm, "name": fence.name, "token": fence.token}
    row = tx.one("lease_token", **where, now_ms=tx.uptime_ms)
    if row is None:
        raise LeaseLostError(f"lease {fence.name!r} with token {fence.token} is not held any more")
