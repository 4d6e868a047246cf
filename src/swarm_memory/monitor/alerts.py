"""Alerts: what broke a rule, from when on, who knows of it, and when it was over."""

from __future__ import annotations

from swarm_memory.checks import check_name, check_whole
from swarm_memory.context import new_id
from swarm_memory.errors import InvalidArgumentError, NotFoundError
from swarm_memory.lean import NamedTuple
from swarm_memory.monitor.facts import GONE_IS_OVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarm_memory.context import Context
    from swarm_memory.engine import Reader, Tx
    from swarm_memory.model import Json
    from swarm_memory.monitor.facts import Facts
    from swarm_memory.monitor.rules import Rule

    Known = dict[tuple[str, str], "Alert"]

PENDING, OPEN, ACKNOWLEDGED, RESOLVED = "pending", "open", "acknowledged", "resolved"
STATES = (OPEN, ACKNOWLEDGED, RESOLVED)
SILENT_MAX = 5  # samples that say nothing of a subject, after which an alert about it is over
LIMIT = 100
NAME_BYTES_MAX = 200


class Alert(NamedTuple):
    """Something that is wrong with a swarm, or was.

    `state` is open, acknowledged (somebody saw it) or resolved (it is over); `subject` says of
    which agent, queue, lease or verb `rule` tells, "" is the swarm; `severity` is warning or
    critical. `text` says what is wrong by the newest sample, `advice` what to do, `value` is the
    fact that the rule is about. Times are epoch milliseconds: when it was raised, when a sample
    last confirmed it, and when somebody acknowledged it and when it was over, None before.
    """

    alert_id: str
    rule: str
    subject: str
    state: str
    severity: str
    text: str
    advice: str
    value: float
    streak: int
    raised_ms: int
    seen_ms: int
    acknowledged_by: str | None = None
    acknowledged_ms: int | None = None
    resolved_ms: int | None = None

    def to_dict(self) -> dict[str, Json]:
        """Return the alert as every door shows it."""
        said = self._asdict()
        del said["streak"]
        return said


class Alerts:
    """The alerts of one swarm."""

    __slots__ = ("_context", "_db")

    def __init__(self, db: Reader, context: Context) -> None:
        self._db = db
        self._context = context

    def list(self, state: str | None = None, *, limit: int = LIMIT) -> list[Alert]:
        """Return alerts: those that are not over, or with `state` those in it, 100 by default.

        Resolved ones come with the newest first, the others in the order in which they were
        raised.
        """
        check_whole("limit", limit, 1, self._context.config.batch_rows_max)
        if state is not None and state not in STATES:
            raise InvalidArgumentError(f"state {state!r}", hint=f"give one of {', '.join(STATES)}")
        if state == RESOLVED:
            rows = self._db.all("alert_recent", swarm=self._context.swarm, limit=limit)
            return [Alert(*row) for row in rows]
        rows = self._db.all("alert_pending", swarm=self._context.swarm)
        alerts = [Alert(*row) for row in rows if row[3] != PENDING]
        return [alert for alert in alerts if state in (None, alert.state)][:limit]

    def get(self, alert_id: str) -> Alert:
        """Return one alert.

        Raises:
            NotFoundError: There is none with that id, or it was resolved long ago.
        """
        check_name("alert_id", alert_id, NAME_BYTES_MAX)
        return _get(self._db, self._context, alert_id)

    def acknowledge(self, alert_id: str) -> Alert:
        """Say that this agent has seen an alert; it stays until what it tells of is over.

        Raises:
            NotFoundError: There is none with that id.
        """

        def change(alert: Alert, now_ms: int) -> Alert:
            if alert.state != OPEN:
                return alert
            by = self._context.agent
            return alert._replace(state=ACKNOWLEDGED, acknowledged_by=by, acknowledged_ms=now_ms)

        return self._change(alert_id, change)

    def resolve(self, alert_id: str) -> Alert:
        """Say that an alert is over; if its rule still holds, the next sample raises a new one.

        Raises:
            NotFoundError: There is none with that id.
        """

        def change(alert: Alert, now_ms: int) -> Alert:
            if alert.state == RESOLVED:
                return alert
            return alert._replace(state=RESOLVED, resolved_ms=now_ms)

        return self._change(alert_id, change)

    def _change(self, alert_id: str, change: Callable[[Alert, int], Alert]) -> Alert:
        check_name("alert_id", alert_id, NAME_BYTES_MAX)

        def write(tx: Tx) -> Alert:
            alert = change(_get(tx, self._context, alert_id), tx.now_ms)
            _put(tx, self._context, alert)
            return alert

        return self._db.write(write)


def judge(tx: Tx, context: Context, rules: Sequence[Rule], facts: Facts) -> list[Alert]:
    """Hold facts against rules; return the alerts that are raised or resolved by them."""
    known = known_in(tx, context)
    changed = []
    for where, after in outlook(known, rules, facts, tx.now_ms).items():
        before = known.get(where)
        if after is not None:
            _put(tx, context, after)
            if after.state != PENDING and (before is None or before.state != after.state):
                changed.append(after)
        elif before is not None:
            tx.run("alert_drop", swarm=context.swarm, alert_id=before.alert_id)
    return changed


def known_in(db: Reader, context: Context) -> Known:
    """Return the alerts that are not over, the pending ones too, by rule and subject."""
    rows = db.all("alert_pending", swarm=context.swarm)
    return {(row[1], row[2]): Alert(*row) for row in rows}


def outlook(
    known: Known, rules: Sequence[Rule], facts: Facts, now_ms: int
) -> dict[tuple[str, str], Alert | None]:
    """Return every alert as it is after these facts, None for one that there is not any more."""
    by_name = {rule.name: rule for rule in rules}
    after: dict[tuple[str, str], Alert | None] = {}
    for rule in rules:
        for subject, value in facts.get(rule.fact, {}).items():
            where = (rule.name, subject)
            loud = by_name.get(rule.unless or "")
            silenced = loud is not None and _is_loud(known, loud, facts, subject)
            found = _next(known.get(where), rule, subject, value, silenced, now_ms)
            if found is not None or where in known:
                after[where] = found
    for where, alert in known.items():
        if where not in after:
            after[where] = _unheard(alert, by_name.get(alert.rule), now_ms)
    return after


def _is_loud(known: Known, rule: Rule, facts: Facts, subject: str) -> bool:
    """Tell whether there is an alert of a rule after these facts."""
    value = facts.get(rule.fact, {}).get(subject)
    alert = known.get((rule.name, subject))
    if value is None:
        return False
    if alert is not None and alert.state != PENDING:
        return not rule.is_over(value)
    return rule.holds(value) and (alert.streak if alert else 0) + 1 >= rule.samples


def _next(
    alert: Alert | None, rule: Rule, subject: str, value: float, silenced: bool, now_ms: int
) -> Alert | None:
    """Return an alert as it is after a fact, None if there is none."""
    holds = rule.holds(value) and not silenced
    if alert is None:
        if not holds:
            return None
        alert = Alert(
            new_id(now_ms), rule.name, subject, PENDING, rule.severity, "", "", value, 0,
            now_ms, now_ms,
        )  # fmt: skip
    if alert.state != PENDING:
        if silenced or rule.is_over(value):
            return alert._replace(state=RESOLVED, resolved_ms=now_ms, streak=0)
        if holds:
            alert = alert._replace(seen_ms=now_ms, severity=rule.severity)
        if holds or not rule.stays:  # what stays goes on to say how it was
            alert = _told(alert, rule, value)
        return alert._replace(streak=max(alert.streak, 0) + 1)
    if not holds:
        return None
    streak = alert.streak + 1
    state = OPEN if streak >= rule.samples else PENDING
    return _told(alert, rule, value)._replace(
        state=state, streak=streak, seen_ms=now_ms, raised_ms=now_ms
    )


def _told(alert: Alert, rule: Rule, value: float) -> Alert:
    named = {"subject": alert.subject, "value": value}
    return alert._replace(
        value=value, text=rule.text.format(**named), advice=rule.advice.format(**named)
    )


def _unheard(alert: Alert, rule: Rule | None, now_ms: int) -> Alert | None:
    """Return an alert of whose subject a sample says nothing."""
    if alert.state == PENDING:
        return None  # nobody was told of it, so nobody is told that it is over
    streak = min(alert.streak, 0) - 1
    gone = rule is None or rule.fact in GONE_IS_OVER
    if gone or (streak <= -SILENT_MAX and not (rule and rule.stays)):
        return alert._replace(state=RESOLVED, resolved_ms=now_ms, streak=streak)
    return alert._replace(streak=streak)


def _get(db: Reader, context: Context, alert_id: str) -> Alert:
    row = db.one("alert_get", swarm=context.swarm, alert_id=alert_id)
    if row is None or row[3] == PENDING:
        raise NotFoundError(f"no alert {alert_id!r}", hint="list them: swarm-memory alerts")
    return Alert(*row)


def _put(tx: Tx, context: Context, alert: Alert) -> None:
    tx.run("alert_put", swarm=context.swarm, **alert._asdict())
