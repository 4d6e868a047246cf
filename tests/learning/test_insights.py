"""Insights: sentences with an action and evidence, that go when they stop being true."""

import json

import numpy as np
import pytest

from swarm_memory.learning import ageing, insights, patterns, taxonomy, trends
from swarm_memory.learning.observation import FAILURE, SUCCESS, Observation

HOUR_MS = 3_600_000
START_MS = 1_760_000_000_000


def outcome(number, success, *, strategy="parallel", task_type="fix", name="o", **more):
    return Observation(
        outcome_id=f"{name}{number}",
        at_ms=START_MS + HOUR_MS * number,
        task=f"{name}-t{number}",
        task_type=task_type,
        strategy=strategy,
        status=SUCCESS if success else FAILURE,
        reward=float(success),
        **more,
    )


def rust_fails(count, *, rate=0.2, start=0, seed=1):
    rng = np.random.default_rng(seed)
    rows = []
    for number in range(start, start + count):
        rust = bool(rng.random() < 0.25)
        strategy = ("parallel", "sequential")[int(rng.integers(2))]
        success = rng.random() < (rate if rust else 0.7)
        context = {"language": "rust" if rust else "go"}
        rows.append(outcome(number, success, strategy=strategy, context=context))
    return rows


def made(rows, seed=1):
    return insights.insights(
        rows,
        mined=patterns.mine(rows, seed=seed),
        found=trends.trends(rows, seed=seed),
        failures=taxonomy.taxonomy(rows),
    )


def only(found, kind):
    (insight,) = [insight for insight in found if insight.kind == kind]
    return insight


def test_a_pattern_becomes_a_sentence_with_an_action_and_evidence():
    rows = rust_fails(800)

    insight = only(made(rows), "pattern")

    assert insight.text.startswith("When language is rust, tasks fail ")
    assert insight.action.startswith("Split or check such tasks more when language is rust: ")
    failed = {
        row.outcome_id for row in rows if not row.reward and row.context["language"] == "rust"
    }
    assert set(insight.outcome_ids) <= failed
    assert 20 == len(insight.outcome_ids)
    assert rows[-1].at_ms == insight.first_ms == insight.confirmed_ms


def test_every_insight_has_evidence_support_interval_and_json_facts():
    rows = [
        row._replace(error_class="timed out", failed_agent="a", agents=("a", "b"))
        for row in rust_fails(800)
    ]

    found = made(rows)

    assert {"pattern", "failure_class", "failure_agent", "task_type", "open"} <= {
        insight.kind for insight in found
    }
    known = {row.outcome_id for row in rows}
    for insight in found:
        assert insight.kind in insights.KINDS
        assert insight.outcome_ids and set(insight.outcome_ids) <= known
        assert insight.support > 0
        assert insight.interval[0] <= insight.value <= insight.interval[1]
        assert insight.text.endswith(".")
        assert insight.facts == json.loads(json.dumps(insight.facts))
        assert bool(insight.action) == (insight.kind != "task_type")
    assert len(found) == len({insight.key for insight in found})


def test_the_best_strategy_is_named_only_when_it_is_better_than_every_other():
    rng = np.random.default_rng(1)
    names = ("a", "b", "c")
    clear = [
        outcome(n, rng.random() < (0.9, 0.5, 0.3)[n % 3], strategy=names[n % 3]) for n in range(150)
    ]
    close = [
        outcome(n, rng.random() < (0.6, 0.6, 0.2)[n % 3], strategy=names[n % 3]) for n in range(150)
    ]

    best = only(insights.insights(clear), "best_strategy")
    still_open = only(insights.insights(close), "open")

    assert best.text.startswith("fix: a works best (a ")
    assert best.interval[0] > 0
    assert "Use a for fix." == best.action
    assert "no strategy stands out yet" in still_open.text


def test_of_equal_strategies_one_is_seldom_called_the_best():
    rng = np.random.default_rng(2)
    called = 0
    for _ in range(150):
        rows = [outcome(n, rng.random() < 0.5, strategy=("a", "b")[n % 2]) for n in range(60)]
        called += any(i.kind == "best_strategy" for i in insights.insights(rows))

    assert called <= 0.05 * 150 + 5


def test_a_change_is_dated_and_says_whom_to_avoid():
    rng = np.random.default_rng(4)
    rows = [outcome(n, rng.random() < (0.85 if n < 150 else 0.4)) for n in range(300)]

    found = [i for i in made(rows) if i.kind == "change" and i.facts["series"][0] == "strategy"]

    assert 1 == len(found)
    assert "does worse: from " in found[0].text
    assert insights.date_of(found[0].facts["at_ms"]) in found[0].text
    assert "prefer others to parallel until it recovers" in found[0].action


def test_failures_name_a_cure_and_the_agent_they_begin_with():
    rows = [
        outcome(
            n,
            n % 2,
            agents=("a", "b", "c"),
            error_class=None if n % 2 else "PermissionError: denied",
            failed_agent=None if n % 2 else ("b" if n % 5 else "a"),
            failed_step=None if n % 2 else 3,
        )
        for n in range(100)
    ]

    found = made(rows)

    assert "100% of the failures are of the class permission" in only(found, "failure_class").text
    assert "Grant the permission" in only(found, "failure_class").action
    blamed = only(found, "failure_agent")
    assert blamed.text.startswith("80% of the failures begin with b, which takes part in 33%")
    assert "Check the result of step 3" in only(found, "failure_step").action


def test_an_agent_blamed_no_more_than_its_part_is_not_named():
    rows = [
        outcome(n, n % 2, agents=("a", "b"), failed_agent=None if n % 2 else ("a", "b")[n % 4 // 2])
        for n in range(100)
    ]

    assert [] == [i for i in made(rows) if i.kind == "failure_agent"]


def test_a_pattern_that_goes_on_holds_and_keeps_when_it_was_first_said():
    before, after = rust_fails(800), rust_fails(800, start=800, seed=2)
    earlier = made(before)

    verdicts = {v.insight.kind: v for v in ageing.judge(earlier, before + after)}
    shown = ageing.kept(earlier, made(before + after), before + after)

    assert ageing.HOLDS == verdicts["pattern"].state
    assert verdicts["pattern"].interval[1] < 0
    assert before[-1].at_ms == only(shown, "pattern").first_ms
    assert after[-1].at_ms == only(shown, "pattern").confirmed_ms


def test_a_pattern_that_stopped_is_gone_although_the_whole_log_still_says_it():
    before, after = rust_fails(1200), rust_fails(700, rate=0.7, start=1200, seed=2)
    earlier, fresh = made(before), made(before + after)

    verdict = next(v for v in ageing.judge(earlier, before + after) if v.insight.kind == "pattern")
    said = [i for i in fresh if i.kind == "pattern"]
    shown = ageing.kept(earlier, fresh, before + after)

    assert ageing.GONE == verdict.state
    assert said
    assert [] == [i for i in shown if i.kind == "pattern"]
    # Also where nobody remembers that it was said and dropped before.
    assert [] == [i for i in ageing.kept([], fresh, before + after) if i.kind == "pattern"]


def test_few_new_outcomes_decide_nothing_and_the_insight_stays():
    before, after = rust_fails(800), rust_fails(10, start=800, seed=2)
    earlier = [only(made(before), "pattern")]

    (verdict,) = ageing.judge(earlier, before + after)

    assert ageing.UNDECIDED == verdict.state
    assert earlier == ageing.kept(earlier, [], before + after)


def test_what_nothing_confirms_for_two_thousand_outcomes_is_dropped():
    before = rust_fails(800)
    earlier = [only(made(before), "pattern")]
    without = [row._replace(context=None) for row in rust_fails(2100, start=800, seed=2)]

    assert [] == ageing.kept(earlier, [], before + without)


@pytest.mark.parametrize(("late", "state"), [(0.4, ageing.HOLDS), (0.85, ageing.GONE)])
def test_a_change_holds_until_the_strategy_recovers(late, state):
    rng = np.random.default_rng(5)
    before = [outcome(n, rng.random() < (0.85 if n < 150 else 0.4)) for n in range(300)]
    after = [outcome(n, rng.random() < late) for n in range(300, 400)]
    earlier = [i for i in made(before) if i.kind == "change"][:1]

    (verdict,) = ageing.judge(earlier, before + after)

    assert state == verdict.state


def test_a_class_of_failures_that_was_cured_is_gone():
    before = [outcome(n, n % 2, error_class=None if n % 2 else "timed out") for n in range(100)]
    after = [
        outcome(n, n % 2, error_class=None if n % 2 else "SyntaxError: x") for n in range(100, 200)
    ]
    earlier = [only(made(before), "failure_class")]

    (verdict,) = ageing.judge(earlier, before + after)

    assert (ageing.GONE, 0.0) == (verdict.state, verdict.value)


def test_a_best_strategy_that_is_overtaken_is_gone_and_its_successor_said():
    rng = np.random.default_rng(6)

    def rows(start, rates):
        return [
            outcome(n, rng.random() < rates[n % 2], strategy=("a", "b")[n % 2])
            for n in range(start, start + 200)
        ]

    before, after = rows(0, (0.9, 0.4)), rows(200, (0.2, 0.8))
    earlier = [only(insights.insights(before), "best_strategy")]

    (verdict,) = ageing.judge(earlier, before + after)

    assert ageing.GONE == verdict.state
    assert verdict.value < 0


def test_true_patterns_are_seldom_dropped():
    dropped = 0
    for seed in range(12):
        before, after = rust_fails(800, seed=seed), rust_fails(300, start=800, seed=100 + seed)
        earlier = [i for i in made(before) if i.kind == "pattern"]
        dropped += sum(v.state == ageing.GONE for v in ageing.judge(earlier, before + after))

    assert 0 == dropped


def test_nothing_known_gives_no_insight_and_odd_rows_no_crash():
    assert [] == insights.insights([])
    assert [] == ageing.kept([], [], [])
    rows = [outcome(n, True)._replace(reward=None) for n in range(10)]
    assert [] == made(rows)
    alike = [outcome(n, True, strategy=("a", "b")[n % 2], name="") for n in range(40)]
    assert {"task_type", "open"} == {insight.kind for insight in made(alike)}
    assert "ms" in insights.date_of(10**18)
