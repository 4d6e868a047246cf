"""Delivery: who is told that an alert was raised or resolved.

The log of each process that ticks, and one webhook. Nothing that somebody waits for delivers: only
a `Ticker` does. What was delivered to the webhook is a time in the store, so any process goes on
where another one ended; a change is told at least once, and after a day it is given up.
"""

from __future__ import annotations

import logging

from swarm_memory.lean import NamedTuple
from swarm_memory.monitor.alerts import RESOLVED, Alert
from swarm_memory.monitor.webhook import WebhookError, post, webhook_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from swarm_memory.engine import Engine, Reader
    from swarm_memory.model import Json
    from swarm_memory.monitor.webhook import Webhook
    from swarm_memory.swarm import Swarm

    Post = Callable[[Webhook, dict[str, Json]], None]

LOG = logging.getLogger("swarm_memory.alerts")
KEPT_MS = 86_400_000
RAISED = "raised"
CHANGES_MAX = 100  # in one request
CURSOR = "delivered/webhook"
UNDELIVERED = "webhook!undelivered"  # as the meter counts it


class Change(NamedTuple):
    """That an alert was raised or resolved (`kind`), and when."""

    at_ms: int
    kind: str
    alert: Alert

    def to_dict(self) -> dict[str, Json]:
        """Return the change as a webhook and a pipe are told of it."""
        return {"at_ms": self.at_ms, "change": self.kind, **self.alert.to_dict()}


def changes_in(db: Reader, swarm: str, after_ms: int) -> list[Change]:
    """Return what was raised and resolved after a moment, in the order of time."""
    changes = []
    for row in db.all("alert_changed", swarm=swarm, after_ms=after_ms):
        alert = Alert(*row)
        if alert.raised_ms > after_ms:
            changes.append(Change(alert.raised_ms, RAISED, alert))
        if alert.resolved_ms is not None and alert.resolved_ms > after_ms:
            changes.append(Change(alert.resolved_ms, RESOLVED, alert))
    return sorted(changes, key=lambda change: (change.at_ms, change.alert.alert_id))


class Delivery:
    """Tells of the changes of one swarm since it was made."""

    def __init__(
        self, swarm: Swarm, engine: Engine, *, logs: bool = True, send: Post = post
    ) -> None:
        self._logs = logs
        self._swarm = swarm
        self._engine = engine
        self._name = swarm.context.swarm
        self._send = send
        self._logged_ms = engine.now_ms - 1

    def deliver(self) -> None:
        """Log what is new, and post what is due if no other process does.

        Raises:
            ConfigError: The webhook's URL is none that may be asked.
        """
        if self._logs:
            for change in changes_in(self._engine, self._name, self._logged_ms):
                self._log(change)
                self._logged_ms = change.at_ms
        config = self._swarm.config
        if not config.alert_webhook:
            return
        webhook = webhook_of(config)
        if self._swarm.retention.due("webhook", config.monitor_interval_s / 2):
            self._post(webhook)

    def _log(self, change: Change) -> None:
        alert = change.alert
        level = logging.INFO
        if change.kind == RAISED:
            level = logging.ERROR if alert.severity == "critical" else logging.WARNING
        LOG.log(
            level, "swarm %s: %s %s: %s (%s)", self._name, alert.rule, change.kind, alert.text,
            alert.advice,
        )  # fmt: skip

    def _post(self, webhook: Webhook) -> None:
        row = self._engine.one("fact_get", swarm=self._name, name=CURSOR)
        now_ms = self._engine.now_ms
        oldest_ms = now_ms - KEPT_MS
        after_ms = int(row[0]) if row else oldest_ms
        changes = changes_in(self._engine, self._name, after_ms)
        late = [change for change in changes if change.at_ms <= oldest_ms]
        if late:
            LOG.error(
                "swarm %s: %d changes of alerts could not be posted for a day and are given up",
                self._name, len(late),
            )  # fmt: skip
        for batch in _batches(changes[len(late) :]):
            told: dict[str, Json] = {"swarm": self._name, "alerts": [c.to_dict() for c in batch]}
            try:
                self._send(webhook, told)
            except WebhookError as error:
                LOG.warning("swarm %s: the webhook was not told: %s", self._name, error)
                meter = self._swarm.context.meter
                if meter is not None:
                    meter.count(UNDELIVERED)
                after_ms = max(after_ms, late[-1].at_ms) if late else after_ms
                break
            after_ms = batch[-1].at_ms
        else:
            after_ms = changes[-1].at_ms if changes else after_ms
        if row is None or after_ms > int(row[0]):
            self._engine.write(
                lambda tx: tx.run("fact_raise", swarm=self._name, name=CURSOR, value=after_ms),
                durability="relaxed",
            )


def _batches(changes: list[Change]) -> list[list[Change]]:
    """Split changes into requests; those of one moment stay together, as the cursor is a time."""
    batches: list[list[Change]] = []
    for change in changes:
        last = batches[-1] if batches else []
        if last and (len(last) < CHANGES_MAX or last[-1].at_ms == change.at_ms):
            last.append(change)
        else:
            batches.append([change])
    return batches
