"""Quotas: every event says how it moves the counters, and the limits are met before it commits.

A counter that each put writes would cost it another page, and on a server make all writers of one
agent wait for each other. So events carry the movements, every `FOLD_EVENTS`-th one adds them up,
and a process that knows what a scope held at one event only reads what others did since.
Expired records do not count: before anything is refused, they go.
"""

from __future__ import annotations

from swarm_memory.errors import LimitExceededError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.config import Category
    from swarm_memory.context import Context
    from swarm_memory.engine import Ahead, Row, Tx

FOLD_EVENTS = 256
LATELY_EVENTS = 128  # since what a scope held was seen; all of them are summed up at each write
TELEMETRY_SCOPE = "telemetry"
WHOLE_SWARM = ""


class Quota:
    """Logs what one swarm's records do, counts it, and refuses what would pass a limit."""

    __slots__ = ("_context", "_known")

    def __init__(self, context: Context) -> None:
        self._context = context
        # scope → what it held at the event seq, as a transaction saw it
        self._known: dict[str, tuple[int, int, Tx]] = {}

    def write(
        self,
        tx: Tx,
        key: str,
        version: int,
        op: str,
        scope: str,
        category: Category,
        head: Row | None,
        size: int,
    ) -> None:
        """Log that a frame of `size` bytes replaced the row `head`.

        Raises:
            LimitExceededError: A limit would be passed; the transaction must be undone.
        """
        records, grown = 1, size + len(key)
        if head is not None and head[6] is not None:
            _, _, old_scope, old_category, old_telemetry, _, old_size = head
            old_size += len(key)
            if old_scope == scope and old_category == category.name:
                records, grown = 0, grown - old_size
            else:
                self.add(tx, old_scope, old_category, old_telemetry, -1, -old_size)
        telemetry = int(category.telemetry)
        seq = self._log(tx, key, version, op, scope, category.name, telemetry, records, grown)
        if grown > 0 and not telemetry:
            self._check(tx, scope, seq, grown)

    def touch(self, tx: Tx, key: str, head: Row) -> None:
        """Log that the live row `head` expires at another time now."""
        version, _, scope, category, telemetry, _, _ = head
        self._log(tx, key, version, "touch", scope, category, telemetry, 0, 0)

    def remove(self, tx: Tx, key: str, version: int, op: str, head: Row) -> None:
        """Log that the live row `head` (see `record_head`) became a tombstone."""
        _, _, scope, category, telemetry, _, size = head
        self._log(tx, key, version, op, scope, category, telemetry, -1, -(size + len(key)))

    def expire(self, tx: Tx, row: Row) -> bool:
        """Turn one expired row (key, version, scope, category, telemetry, size) into a tombstone.

        It does nothing if somebody wrote or repacked the key since it was seen.
        """
        key, version, scope, category, telemetry, size = row
        where = {"swarm": self._context.swarm, "key": key}
        if not tx.run("record_bury", **where, version=version, size=size, now_ms=tx.now_ms):
            return False
        tx.run("history_expire", **where, now_ms=tx.now_ms)
        self.remove(tx, key, version, "expire", (0, 0, scope, category, telemetry, 0, size))
        return True

    def add(
        self, tx: Tx, scope: str, category: str, telemetry: int, records: int, size: int
    ) -> None:
        """Move a counter that no event moves."""
        tx.run(
            "usage_add",
            swarm=self._context.swarm,
            scope=scope,
            category=category,
            telemetry=telemetry,
            records=records,
            bytes=size,
        )

    def _log(
        self,
        tx: Tx,
        key: str,
        version: int,
        op: str,
        scope: str,
        category: str,
        telemetry: int,
        records: int,
        size: int,
    ) -> int:
        event = {
            "swarm": self._context.swarm,
            "key": key,
            "version": version,
            "op": op,
            "author": self._context.agent,
            "at_ms": tx.now_ms,
            "scope": scope,
            "category": category,
            "telemetry": telemetry,
            "records": records,
            "bytes": size,
        }
        if tx.ahead is not None:
            tx.do("event_append", **event)
            if tx.ahead.unfolded >= FOLD_EVENTS:
                tx.do("usage_fold")
                tx.do("usage_folded")
            return tx.ahead.newest_seen + 1  # or a later one
        row = tx.one("event_append", **event)
        seq = int(row[0]) if row else 0
        if seq % FOLD_EVENTS == 0:
            self.fold(tx, seq)
        return seq

    def fold(self, tx: Tx, newest: int) -> None:
        """Add up the counters of all events to `newest`, which must be the newest one."""
        tx.run("usage_fold")
        tx.run("fact_set", swarm="", name="folded_seq", value=newest)

    def _check(self, tx: Tx, scope: str, seq: int, grown: int) -> None:
        config = self._context.config
        if scope.startswith("agent-"):
            self._check_limit(tx, scope, seq, grown, config.agent_bytes_max, "the agent's memory")
        elif scope.startswith("session-"):
            limit = config.session_bytes_max
            self._check_limit(tx, scope, seq, grown, limit, "the session's memory")
        limit = config.total_bytes_max
        self._check_limit(tx, WHOLE_SWARM, seq, grown, limit, "the swarm's memory")

    def _check_limit(self, tx: Tx, scope: str, seq: int, grown: int, limit: int, what: str) -> None:
        if tx.ahead is not None:
            used, at, _ = self._known_at(tx.ahead, scope, seq)
            where = {"swarm": self._context.swarm, "scope": scope, "after": at}
            tx.ahead.assure("usage_within", **where, most=limit - used - grown)
            return
        used = self._follow(tx, scope, seq, grown)
        if used > limit:
            self._sweep(tx, scope)
            used = self._used(tx, scope)
        if used > limit:
            raise LimitExceededError(
                f"{what} ({scope or self._context.swarm})",
                limit=limit,
                actual=used,
                hint="delete or shorten records, or raise the limit in the configuration",
            )
        self._known[scope] = (used, seq, tx)

    def _known_at(self, ahead: Ahead, scope: str, seq: int) -> tuple[int, int, Tx]:
        """Return what is known of a scope, if that was seen lately."""
        known = self._known.get(scope)
        if known is None or not known[2].committed or seq - known[1] > LATELY_EVENTS:
            ahead.in_turn()
        return known

    def _follow(self, tx: Tx, scope: str, seq: int, grown: int) -> int:
        """Return what `scope` holds at event `seq`, from what is known of it if that holds."""
        known = self._known.get(scope)
        # What an undone transaction saw never was, and others were given its seq since.
        if known is None or not (known[2] is tx or known[2].committed):
            return self._used(tx, scope)
        used, at, _ = known
        if seq - at > FOLD_EVENTS:
            return self._used(tx, scope)  # sums of counters, and of fewer events than lie between
        if seq - at > 1:
            row = tx.one(
                "usage_between", swarm=self._context.swarm, scope=scope, after=at, before=seq
            )
            used += int(row[0]) if row else 0
        return used + grown

    def _used(self, tx: Tx, scope: str) -> int:
        row = tx.one("usage_used", swarm=self._context.swarm, scope=scope)
        return int(row[0]) if row else 0

    def _sweep(self, tx: Tx, scope: str) -> None:
        rows = tx.all(
            "record_expired_in",
            swarm=self._context.swarm,
            scope=scope,
            now_ms=tx.now_ms,
            rows=self._context.config.batch_rows_max,
        )
        for row in rows:
            self.expire(tx, row)
