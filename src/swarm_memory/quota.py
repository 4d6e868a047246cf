"""Quotas: counters that move in the write's own transaction, and the limits they meet.

There is a counter per swarm, scope and category, so no row is touched by every writer. Expired
records do not count: before anything is refused, they go.
"""

from __future__ import annotations

import time

from swarm_memory.errors import LimitExceededError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.config import Category
    from swarm_memory.context import Context
    from swarm_memory.engine import Row, Tx

# With more room than this left, no second of writing can fill a swarm, so its total is then
# summed once a second and not in every write.
TOTAL_HEADROOM_BYTES = 256 * 1024 * 1024
TOTAL_REFRESH_S = 1.0
TELEMETRY_SCOPE = "telemetry"


class Quota:
    """Counts what one swarm stores and refuses what would pass a limit."""

    __slots__ = ("_context", "_total", "_total_until")

    def __init__(self, context: Context) -> None:
        self._context = context
        self._total = 0
        self._total_until = 0.0

    def count(
        self, tx: Tx, key: str, scope: str, category: Category, head: Row | None, size: int
    ) -> None:
        """Move the counters from the replaced row `head` to a frame of `size` bytes.

        Raises:
            LimitExceededError: A limit would be passed; the transaction must be undone.
        """
        size += len(key)
        grown = size
        same = False
        if head is not None and head[6] is not None:
            _, _, old_scope, old_category, old_telemetry, _, old_size = head
            old_size += len(key)
            same = old_scope == scope and old_category == category.name
            grown = size - old_size
            if not same:
                self.add(tx, old_scope, old_category, old_telemetry, -1, -old_size)
        if not same:
            self.add(tx, scope, category.name, category.telemetry, 1, size)
        elif grown:
            self.add(tx, scope, category.name, category.telemetry, 0, grown)
        if grown > 0 and not category.telemetry:
            self._check(tx, scope, grown)

    def add(
        self, tx: Tx, scope: str, category: str, telemetry: int, records: int, size: int
    ) -> None:
        """Move one counter."""
        tx.run(
            "usage_add",
            swarm=self._context.swarm,
            scope=scope,
            category=category,
            telemetry=int(telemetry),
            records=records,
            bytes=size,
        )

    def expire(self, tx: Tx, row: Row) -> bool:
        """Turn one expired row (key, version, scope, category, telemetry, size) into a tombstone.

        It does nothing if somebody wrote the key since it was seen.
        """
        key, version, scope, category, telemetry, stored = row
        where = {"swarm": self._context.swarm, "key": key}
        if not tx.run("record_bury", **where, version=version, now_ms=tx.now_ms):
            return False
        tx.run("history_expire", **where, now_ms=tx.now_ms)
        tx.run(
            "event_append",
            **where,
            version=version,
            op="expire",
            author=self._context.agent,
            at_ms=tx.now_ms,
        )
        self.add(tx, scope, category, telemetry, -1, -(stored + len(key)))
        return True

    def _check(self, tx: Tx, scope: str, grown: int) -> None:
        config = self._context.config
        if scope.startswith("agent-"):
            self._check_limit(tx, scope, config.agent_bytes_max, "the agent's memory")
        elif scope.startswith("session-"):
            self._check_limit(tx, scope, config.session_bytes_max, "the session's memory")
        limit = config.total_bytes_max
        near = self._total + grown + TOTAL_HEADROOM_BYTES > limit
        if near or time.monotonic() > self._total_until:
            self._total = self._check_limit(tx, "", limit, "the swarm's memory")
            self._total_until = time.monotonic() + TOTAL_REFRESH_S

    def _check_limit(self, tx: Tx, scope: str, limit: int, what: str) -> int:
        used = self._used(tx, scope)
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
        return used

    def _used(self, tx: Tx, scope: str) -> int:
        swarm = self._context.swarm
        if scope:
            row = tx.one("usage_scope", swarm=swarm, scope=scope)
        else:
            row = tx.one("usage_total", swarm=swarm)
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
