"""Rules and alerts: hysteresis, streaks, one alert of one thing, and what is refused."""

import pytest

from swarm_memory.config import load_config
from swarm_memory.errors import ConfigError
from swarm_memory.monitor.alerts import outlook
from swarm_memory.monitor.facts import GONE_IS_OVER
from swarm_memory.monitor.rules import Rule, rules_of, shipped


def config_of(**alerts):
    config = load_config()
    object.__setattr__(config, "alerts", alerts)
    return config


def rule(name="full", **fields):
    said = {"fact": "f", "severity": "warning", "text": "{value:g} of {subject}", "advice": "go"}
    return Rule(name, **(said | {"until": 0.5, "above": 0.8} | fields))


def course(rules, *values, subject="", fact="f"):
    """Return the states of the alerts after each value; None as a value says nothing."""
    known, told = {}, []
    for now_ms, value in enumerate(values):
        facts = {} if value is None else {fact: {subject: value}}
        after = outlook(known, rules, facts, now_ms)
        told.append({w[0]: a.state for w, a in after.items() if a is not None})
        known = {w: a for w, a in after.items() if a is not None and a.state != "resolved"}
    return told


def test_an_alert_stays_within_the_hysteresis_and_is_one():
    told = course([rule()], 0.79, 0.8, 0.6, 0.9, 0.5, 0.49, 0.6)

    assert [{}, *[{"full": "open"}] * 4, {"full": "resolved"}, {}] == told


def test_below_is_the_mirror_of_above():
    low = rule(above=None, below=3, until=5)

    assert [{}, {"full": "open"}, {"full": "open"}, {"full": "resolved"}] == course(
        [low], 3, 2.9, 4.9, 5
    )


def test_a_rule_of_several_samples_waits_for_them_in_a_row():
    patient = rule(samples=3)

    told = course([patient], 0.9, 0.9, 0.1, 0.9, 0.9, 0.9)

    pending, opened = {"full": "pending"}, {"full": "open"}
    assert [pending, pending, {}, pending, pending, opened] == told


def test_a_pending_alert_that_vanishes_was_none():
    assert [{"full": "pending"}, {}] == course([rule(samples=3)], 0.9, None)


def test_what_nobody_tells_of_any_more_is_over_after_five_samples():
    told = course([rule()], 0.9, None, None, None, None, None)

    assert [*[{"full": "open"}] * 5, {"full": "resolved"}] == told


@pytest.mark.parametrize("fact", sorted(GONE_IS_OVER))
def test_what_is_gone_is_over_at_once(fact):
    assert {"full": "resolved"} == course([rule(fact=fact)], 0.9, None, fact=fact)[-1]


def test_what_stays_is_over_when_a_person_says_so_and_tells_how_it_was():
    staying = rule(stays=True)
    known = {}
    for now_ms, value in enumerate((0.9, 0.0, *[None] * 9, 0.0)):
        facts = {} if value is None else {"f": {"": value}}
        known = outlook(known, [staying], facts, now_ms)

    assert ("open", "0.9 of ") == (known["full", ""].state, known["full", ""].text)


def test_the_louder_rule_silences_the_other_also_in_its_hysteresis():
    loud = rule("loud", above=0.9, until=0.85)
    quiet = rule("quiet", unless="loud", until=0.75)

    told = course([loud, quiet], 0.82, 0.91, 0.86, 0.91, 0.84)

    assert {"quiet": "open"} == told[0]
    assert {"loud": "open", "quiet": "resolved"} == told[1]
    assert [{"loud": "open"}, {"loud": "open"}] == told[2:4]
    assert {"loud": "resolved", "quiet": "open"} == told[4]


def test_each_subject_has_an_alert_of_its_own():
    after = outlook({}, [rule()], {"f": {"a": 0.9, "b": 0.9, "c": 0.1}}, 0)

    assert {("full", "a"), ("full", "b")} == set(after)
    assert "0.9 of a" == after["full", "a"].text


def test_a_rule_that_is_taken_away_ends_its_alert():
    known = outlook({}, [rule()], {"f": {"": 0.9}}, 0)

    assert "resolved" == outlook(known, [], {"f": {"": 0.9}}, 1)["full", ""].state


def test_a_shipped_rule_may_be_changed_and_another_added():
    mine = {"fact": "records", "above": 10, "slack": 2, "severity": "warning"}
    config = config_of(
        dead_letters={"enabled": False},
        disk_full={"above": 0.5, "until": 0.4},
        many={**mine, "text": "{value}", "advice": "x"},
    )

    rules = {rule.name: rule for rule in rules_of(config)}

    assert set(shipped()) - {"dead_letters"} | {"many"} == set(rules)
    assert (0.5, 0.4) == (rules["disk_full"].above, rules["disk_full"].until)
    assert (10, 8) == (rules["many"].above, rules["many"].until)


def test_the_thresholds_of_limits_are_settings():
    config = load_config(environment={"SWARM_MEMORY_WARN_RATIO": "0.4"})

    rules = {rule.name: rule for rule in rules_of(config)}

    assert (0.4, 0.35) == (rules["memory_high"].above, round(rules["memory_high"].until, 9))


@pytest.mark.parametrize(
    "changes",
    [
        {"disk_full": 1},
        {"disk_full": {"abov": 0.5}},
        {"disk_full": {"above": "much"}},
        {"disk_full": {"above": True}},
        {"disk_full": {"above": float("nan")}},
        {"disk_full": {"above": 0.5, "until": 0.6}},
        {"disk_full": {"above": 0.5, "below": 0.4}},
        {"disk_full": {"severity": "bad"}},
        {"disk_full": {"samples": 0}},
        {"disk_full": {"samples": 1.5}},
        {"disk_full": {"text": "{nobody}"}},
        {"disk_full": {"text": "{value.__class__}"}},
        {"disk_full": {"advice": "{0}"}},
        {"disk_full": {"enabled": 1}},
        {"disk_full": {"stays": "yes"}},
        {"disk_full": {"unless": "nothing"}},
        {"new": {"fact": "records"}},
        {"new": {"fact": "r", "above": 1, "severity": "warning", "text": "", "advice": ""}},
    ],
    ids=str,
)
def test_a_wrong_rule_is_refused(changes):
    with pytest.raises(ConfigError) as refused:
        rules_of(config_of(**changes))

    assert refused.value.hint
