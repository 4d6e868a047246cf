"""What every engine must do about samples, trends, alerts and health."""

from __future__ import annotations

from swarm_memory.errors import ConfigError, InvalidArgumentError, NotFoundError
from swarm_memory.testing.conformance import DAY_S, raises

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.swarm import Swarm
    from swarm_memory.testing import Store

MINUTE_S = 60


def _minute(store: Store, swarm: Swarm, minutes: int = 1) -> None:
    for _ in range(minutes):
        store.clock.advance(MINUTE_S)
        swarm.tick()


# --- samples ---


def check_a_tick_takes_a_sample_a_minute(store: Store) -> None:
    swarm = store.open()
    assert swarm.monitor.newest() is None
    swarm.tick()
    store.clock.advance(MINUTE_S - 0.001)
    swarm.tick()
    assert len(swarm.monitor.series()) == 1
    store.clock.advance(0.001)

    store.open("b").tick()
    swarm.tick()

    assert [s.at_ms for s in swarm.monitor.series()] == [
        store.clock.now_ms() - 60_000,
        store.clock.now_ms(),
    ]
    assert swarm.monitor.newest() == swarm.monitor.series()[-1]
    assert swarm.monitor.newest().length_s == MINUTE_S


def check_a_sample_counts_calls_and_errors_since_the_one_before(store: Store) -> None:
    swarm = store.open()
    swarm.tick()
    for n in range(3):
        swarm.records.put(f"x/{n}", n)
    with raises(NotFoundError):
        swarm.records.rollback("x/none", 1)
    _minute(store, swarm)

    sample = swarm.monitor.newest()
    assert sample.calls("put") == 3
    assert (sample.percentile("put", 0.5) or 0) > 0
    assert sample.errors["rollback!not_found"] == 1
    _minute(store, swarm)
    assert swarm.monitor.newest().calls("put") == 0


def check_a_sample_tells_of_usage_queues_and_leases(store: Store) -> None:
    swarm = store.open()
    swarm.records.put("swarm-s/agent-a/state/x", "x" * 100)
    swarm.messages.send("job", topic="work")
    swarm.leases.acquire("deploy", ttl_s=3600)
    store.clock.advance(7)
    swarm.tick()

    sample = swarm.monitor.newest()
    names = ("records", "leases_held", "messages_ready", "message_age_ms")
    assert [sample.gauges[name] for name in names] == [1, 1, 1, 7000]
    assert sample.gauges["bytes"] == sample.groups["agent"]["a"][1] > 100
    assert sample.groups["category"]["agent_state"][0] == 1
    assert sample.groups["queue"]["topic:work"] == [1, 7000, 0]
    assert sample.groups["lease"] == {}  # nobody waits


def check_samples_belong_to_one_swarm(store: Store) -> None:
    swarm, other = store.open(), store.open("b", "other")
    swarm.records.put("x/1", 1)
    other.records.put("x/1", 1)
    swarm.tick()

    assert swarm.monitor.newest().calls("put") == 1
    assert other.monitor.newest() is None
    other.tick()
    assert other.monitor.newest().calls("put") == 1


def check_minutes_become_hours_and_hours_days(store: Store) -> None:
    swarm = store.open()
    for minute in range(0, 27 * 60, 15):
        if minute == 30:
            swarm.records.put("x/1", "x" * 100)
        swarm.tick()
        store.clock.advance(15 * MINUTE_S)

    hours = swarm.monitor.series("hour")
    assert [s.at_ms for s in hours] == [hours[0].at_ms + 3_600_000 * n for n in range(26)]
    assert hours[0].at_ms % 3_600_000 == 0
    assert hours[0].calls("put") == 1
    assert hours[0].gauges["records"] == 0.5  # the mean of four samples
    assert hours[0].peaks["records"] == 1
    days = swarm.monitor.series("day")
    assert [s.calls("put") for s in days] == [1]
    assert days[0].at_ms % 86_400_000 == 0
    # Of minutes a day is kept.
    minutes = swarm.monitor.series("minute")
    assert minutes[0].at_ms >= minutes[-1].at_ms - DAY_S * 1000
    assert len(minutes) == 97


def check_a_series_is_bounded_and_checked(store: Store) -> None:
    swarm = store.open()
    _minute(store, swarm, 3)
    now_ms = store.clock.now_ms()

    assert len(swarm.monitor.series(limit=2)) == 2
    assert [s.at_ms for s in swarm.monitor.series(since_ms=now_ms)] == [now_ms]
    for wrong in ({"span": "week"}, {"limit": 0}, {"limit": 1501}, {"since_ms": -1}):
        with raises(InvalidArgumentError):
            swarm.monitor.series(**wrong)


def check_trends_tell_growth_and_when_it_is_full(store: Store) -> None:
    swarm = store.open()
    assert swarm.monitor.trends() == (None, None, [], None)
    for n in range(5):
        swarm.records.put(f"x/{n}", str(n) * 40)
        _minute(store, swarm)

    trends = swarm.monitor.trends()
    grown = swarm.monitor.series()[-1].gauges["bytes"] - swarm.monitor.series()[0].gauges["bytes"]
    growth, days_left = trends.bytes_per_day or 0, trends.days_left or 0
    assert abs(growth / (grown / 4 * 1440) - 1) < 0.01
    left = swarm.config.total_bytes_max - swarm.monitor.newest().gauges["bytes"]
    assert abs(days_left / (left / growth) - 1) < 0.01


def check_trends_tell_what_changed_since_yesterday(store: Store) -> None:
    swarm = store.open()
    for hour in range(26):
        if hour == 25:
            swarm.records.put_many([(f"x/{n}", n) for n in range(10)])
        swarm.tick()
        store.clock.advance(3600)

    assert "10 records, 0 a day ago" in swarm.monitor.trends().changes


# --- alerts ---


def _dead(swarm: Swarm) -> None:
    swarm.messages.send("poison", topic="t", attempts_max=1)
    swarm.messages.claim("t")[0].nack(reason="cannot")


def check_an_alert_is_raised_once_and_resolved_when_it_is_over(store: Store) -> None:
    swarm = store.open()
    _dead(swarm)
    _minute(store, swarm)
    raised_ms = store.clock.now_ms()
    _minute(store, swarm)

    (alert,) = swarm.alerts.list()
    assert (alert.rule, alert.subject, alert.state) == ("dead_letters", "", "open")
    assert (alert.severity, alert.text) == ("warning", "messages that failed every attempt: 1")
    assert (alert.raised_ms, alert.seen_ms) == (raised_ms, store.clock.now_ms())
    assert swarm.alerts.get(alert.alert_id) == alert

    swarm.messages.revive(swarm.messages.dead()[0].message_id)
    _minute(store, swarm)

    assert swarm.alerts.list() == []
    (over,) = swarm.alerts.list("resolved")
    assert (over.alert_id, over.resolved_ms) == (alert.alert_id, store.clock.now_ms())


def check_an_acknowledged_alert_stays_until_it_is_over(store: Store) -> None:
    swarm = store.open("b")
    _dead(swarm)
    _minute(store, swarm)
    (alert,) = swarm.alerts.list("open")

    seen = swarm.alerts.acknowledge(alert.alert_id)

    assert (seen.state, seen.acknowledged_by) == ("acknowledged", "b")
    assert seen.acknowledged_ms == store.clock.now_ms()
    assert swarm.alerts.acknowledge(alert.alert_id) == seen
    _minute(store, swarm)
    assert [a.alert_id for a in swarm.alerts.list("acknowledged")] == [alert.alert_id]
    assert swarm.alerts.list("open") == []


def check_an_alert_that_was_resolved_by_hand_is_raised_anew_while_it_holds(store: Store) -> None:
    swarm = store.open()
    _dead(swarm)
    _minute(store, swarm)
    (alert,) = swarm.alerts.list()

    assert swarm.alerts.resolve(alert.alert_id).state == "resolved"

    assert swarm.alerts.list() == []
    _minute(store, swarm)
    (anew,) = swarm.alerts.list()
    assert anew.alert_id != alert.alert_id


def check_alerts_refuse_what_is_not_there(store: Store) -> None:
    swarm = store.open()
    for ask in (swarm.alerts.get, swarm.alerts.acknowledge, swarm.alerts.resolve):
        with raises(NotFoundError):
            ask("none")
    with raises(InvalidArgumentError):
        swarm.alerts.list("pending")


def check_alerts_of_one_swarm_are_not_those_of_another(store: Store) -> None:
    swarm, other = store.open(), store.open("b", "other")
    _dead(swarm)
    _minute(store, swarm)
    _minute(store, other)

    assert other.alerts.list() == []
    with raises(NotFoundError):
        other.alerts.resolve(swarm.alerts.list()[0].alert_id)


# --- health ---


def check_health_tells_of_alerts_before_the_first_sample(store: Store) -> None:
    swarm = store.open()
    assert swarm.health.report().overall_health == "healthy"
    _dead(swarm)

    report = swarm.health.report()

    assert report.overall_health == "warning"
    assert report.issues == ["messages that failed every attempt: 1"]
    assert len(report.recommendations) == 1
    assert swarm.monitor.newest() is None
    assert swarm.alerts.list() == []


def check_health_tells_the_trends(store: Store) -> None:
    swarm = store.open()
    assert swarm.health.report().trends["bytes_per_day"] is None
    _minute(store, swarm, 3)

    assert swarm.health.report().trends == swarm.monitor.trends().to_dict()


def check_a_wrong_rule_is_refused_before_anything_is_written(store: Store) -> None:
    wrong = {"alerts": {"memory_high": {"above": 0.8, "until": 0.9}}}
    with raises(ConfigError):
        store.open(settings=wrong)
