"""What every engine must do about expiry, quotas, compression, the change log and outcomes."""

from __future__ import annotations

from swarm_memory.errors import (
    ConflictError,
    CursorExpiredError,
    InvalidArgumentError,
    LeaseLostError,
    LimitExceededError,
    NotFoundError,
)
from swarm_memory.lean import suppress
from swarm_memory.testing.conformance import DAY_S, SMALL_LIMITS, WORDS, raises

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.testing import Store


# --- expiry ---


def check_an_expired_record_is_never_returned_swept_or_not(store: Store) -> None:
    swarm = store.open()
    swarm.records.put("x/a", 1, ttl_s=10)
    swarm.records.put("x/b", 1)
    store.clock.advance(9.999)
    assert swarm.records.get("x/a").value == 1

    store.clock.advance(0.001)

    for swept in (False, True):
        if swept:
            assert swarm.retention.sweep().expired == 1
        assert swarm.records.get("x/a") is None
        assert [r.key for r in swarm.records.scan()] == ["x/b"]
        assert swarm.records.history("x/a") == [] or swarm.records.history("x/a")[0].deleted
        assert swarm.records.delete("x/a") is False
        with raises(NotFoundError):
            swarm.records.rollback("x/a", 1)


def check_a_touched_record_lives_on_without_a_new_version(store: Store) -> None:
    swarm = store.open()
    first = swarm.records.put("x/a", {"n": 1}, ttl_s=100)
    store.clock.advance(60)

    assert swarm.records.touch("x/a", 100)

    read = swarm.records.get("x/a")
    assert read == first._replace(expires_ms=store.clock.now_ms() + 100_000)
    assert swarm.records.history("x/a") == [read]
    assert [(e.key, e.version, e.op) for e in swarm.events.since(0)] == [
        ("x/a", 1, "put"),
        ("x/a", 1, "touch"),
    ]
    store.clock.advance(99.999)
    assert swarm.records.get("x/a") == read
    store.clock.advance(0.001)
    assert swarm.records.get("x/a") is None
    assert not swarm.records.touch("x/a", 100)


def check_a_touch_writes_only_what_matters(store: Store) -> None:
    swarm = store.open()
    swarm.records.put("x/a", 1, ttl_s=100)
    kept = swarm.records.put("x/kept", 1)
    store.clock.advance(4.9)
    newest = swarm.events.newest()

    assert swarm.records.touch("x/a", 100)  # the twentieth has not passed
    assert swarm.records.touch("x/kept", 100)
    assert not swarm.records.touch("x/none", 100)

    assert swarm.events.newest() == newest
    assert swarm.records.get("x/kept") == kept
    store.clock.advance(0.1)
    assert swarm.records.touch_many([("x/a", 100, 1), ("x/kept", 1, None), ("x/none", 1, 0)]) == 2
    assert swarm.events.newest() == newest + 1
    swarm.records.touch("x/a", 10)
    assert swarm.records.get("x/a").expires_ms == store.clock.now_ms() + 10_000


def check_a_touch_leaves_a_version_alone_that_it_does_not_expect(store: Store) -> None:
    swarm = store.open()
    seen = swarm.records.put("x/a", 1, ttl_s=10)
    other = swarm.records.put("x/a", 2, ttl_s=1000)

    assert not swarm.records.touch("x/a", 10, expect=seen.version)

    assert swarm.records.get("x/a") == other
    for ttl_s in (0, -1, True):
        with raises(InvalidArgumentError):
            swarm.records.touch("x/a", ttl_s)


def check_a_touched_record_is_whole(store: Store) -> None:
    swarm = store.open(settings={"settings": {"dictionary_values_min": 100}})
    values = {f"x/{n}": _value(n) for n in range(120)}
    swarm.records.put_many(values.items(), ttl_s=1000)
    before = swarm.records.count()
    store.clock.advance(500)
    assert swarm.records.touch_many([(key, 1000, None) for key in values]) == 120
    assert swarm.records.count() == before
    swarm.retention.pack()
    store.clock.advance(900)
    assert swarm.records.touch_many([(key, 1000, None) for key in values]) == 120
    store.clock.advance(900)

    assert {r.key: r.value for r in swarm.records.each("x")} == values
    report = swarm.health.report().metrics
    assert (report["records"], report["bytes"]) == swarm.records.count()
    if not store.url.endswith(":memory:"):
        assert swarm.verify().ok


def check_categories_expire_by_their_retention(store: Store) -> None:
    records = store.open().records
    retention = {
        "swarm-s/agent-a/state": 7,
        "swarm-s/agent-a/decisions/d/1": 14,
        "swarm-s/agent-a/progress/t": 14,
        "swarm-s/agent-a/knowledge/k": 30,
        "swarm-s/global/knowledge/k": 90,
        "swarm-s/session-1/context": 14,
        "swarm-s/session-1/coordination/log": 7,
        "neural/patterns/p": 365,
        "memory/operations/x": 7,
        "notes/kept": None,
    }
    for key, days in retention.items():
        record = records.put(key, 1)
        expected = None if days is None else store.clock.now_ms() + days * DAY_S * 1000
        assert record.expires_ms == expected, key


def check_a_put_takes_the_retention_anew(store: Store) -> None:
    records = store.open().records
    key = "swarm-s/agent-a/state"
    records.put(key, 1, ttl_s=5)

    assert records.put(key, 2).expires_ms == store.clock.now_ms() + 7 * DAY_S * 1000


def check_expect_zero_succeeds_on_an_expired_key(store: Store) -> None:
    records = store.open().records
    records.put("x/a", 1, ttl_s=1)
    store.clock.advance(2)
    with raises(ConflictError) as caught:
        records.put("x/a", 2, expect=1)
    assert caught[0].actual == 0

    assert records.put("x/a", 2, expect=0).version == 2


def check_a_time_to_live_out_of_range_is_refused(store: Store) -> None:
    records = store.open().records
    for ttl_s in (0, -1, float("nan"), float("inf"), True):
        with raises(InvalidArgumentError):
            records.put("x/a", 1, ttl_s=ttl_s)


def check_a_sweep_leaves_what_was_written_since(store: Store) -> None:
    swarm = store.open()
    swarm.records.put("x/a", 1, ttl_s=1)
    store.clock.advance(2)
    swarm.records.put("x/a", 2)

    assert swarm.retention.sweep().expired == 0
    assert swarm.records.get("x/a").value == 2


def check_a_sweep_in_small_steps_reaches_everything(store: Store) -> None:
    swarm = store.open(settings={"settings": {"sweep_rows_max": 3}})
    swarm.records.put_many([(f"x/{n:02}", n) for n in range(20)], ttl_s=1)
    swarm.records.put("x/kept", 1)
    store.clock.advance(2)

    swept = swarm.retention.sweep()

    assert swept.expired == 20
    assert [r.key for r in swarm.records.scan()] == ["x/kept"]
    assert swarm.health.report().metrics["records"] == 1


def check_a_forgotten_key_does_not_repeat_versions(store: Store) -> None:
    swarm = store.open()
    swarm.records.put("x/a", 1)
    swarm.records.put("x/a", 2)
    swarm.records.delete("x/a")
    store.clock.advance(31 * DAY_S)

    assert swarm.retention.sweep().tombstones == 1
    assert swarm.records.history("x/a") == []
    assert swarm.records.put("x/a", 3).version > 3


def check_one_process_of_many_has_a_duty(store: Store) -> None:
    swarm = store.open()
    assert swarm.retention.due("cleanup", 60) is True
    assert swarm.retention.due("cleanup", 60) is False
    store.clock.advance(61)
    assert swarm.retention.due("cleanup", 60) is True


# --- quotas ---


def check_an_agent_quota_refuses_and_loses_nothing(store: Store) -> None:
    swarm = store.open(settings=SMALL_LIMITS)
    key = "swarm-s/agent-a/knowledge/"
    for number in range(3):
        swarm.records.put(f"{key}{number}", "v" * 1000)

    with raises(LimitExceededError) as caught:
        swarm.records.put(f"{key}3", "v" * 2000)

    assert (caught[0].limit, caught[0].actual > 4096) == (4096, True)
    assert len(swarm.records.scan(key)) == 3
    assert swarm.records.put(f"{key}3", "v" * 100).version == 1


def check_the_total_quota_counts_all_agents(store: Store) -> None:
    swarm = store.open(settings=SMALL_LIMITS)
    swarm.records.put("swarm-s/agent-a/knowledge/1", "v" * 3900)
    swarm.records.put("swarm-s/agent-b/knowledge/1", "v" * 3900)
    with raises(LimitExceededError):
        swarm.records.put("swarm-s/agent-c/knowledge/1", "v" * 1000)


def check_a_quota_makes_room_by_removing_what_expired(store: Store) -> None:
    swarm = store.open(settings=SMALL_LIMITS)
    swarm.records.put("swarm-s/agent-a/knowledge/1", "v" * 3900, ttl_s=1)
    store.clock.advance(2)

    assert swarm.records.put("swarm-s/agent-a/knowledge/2", "w" * 3900).version == 1


def check_a_quota_counts_nothing_that_was_undone(store: Store) -> None:
    one, other = (store.open(agent, settings=SMALL_LIMITS) for agent in ("one", "other"))
    one.records.put("swarm-s/agent-a/knowledge/1", "v" * 100)

    def undone(tx: object) -> None:
        tx.records.put("swarm-s/agent-a/knowledge/2", "v" * 100)
        raise KeyError("planted")

    with suppress(KeyError):
        one.transact(undone)
    # Takes the seq of what was undone: whoever trusts what it saw then would not see this.
    other.records.put("swarm-s/agent-a/knowledge/3", "v" * 3000)
    with raises(LimitExceededError):
        one.records.put("swarm-s/agent-a/knowledge/4", "v" * 1500)


def check_shrinking_is_allowed_when_full(store: Store) -> None:
    swarm = store.open(settings=SMALL_LIMITS)
    swarm.records.put("swarm-s/agent-a/knowledge/1", "v" * 3900)
    assert swarm.records.put("swarm-s/agent-a/knowledge/1", "short").version == 2
    assert swarm.records.put("swarm-s/agent-a/knowledge/2", "v" * 3000).version == 1


def check_counters_agree_with_the_records(store: Store) -> None:
    swarm = store.open()
    for number in range(30):
        swarm.records.put(f"swarm-s/agent-{number % 3}/knowledge/{number % 7}", "v" * number)
        if number % 5 == 0:
            swarm.records.delete(f"swarm-s/agent-{number % 3}/knowledge/{number % 7}")
    swarm.records.put("x/short", 1, ttl_s=1)
    store.clock.advance(2)
    swarm.retention.sweep()

    counted = swarm.records.count()

    metrics = swarm.health.report().metrics
    assert (metrics["records"], metrics["bytes"]) == counted


def check_telemetry_stays_outside_lists_and_quotas(store: Store) -> None:
    swarm = store.open(settings=SMALL_LIMITS)
    swarm.records.put("memory/operations/1", "v" * 20_000)
    swarm.records.put("memory/persistence", 1)

    assert [r.key for r in swarm.records.scan()] == ["memory/persistence"]
    assert len(swarm.records.scan(telemetry=True)) == 2
    assert [r.key for r in swarm.records.scan("memory/operations")] == ["memory/operations/1"]
    assert swarm.health.report().metrics["telemetry"] == 1


# --- compression ---


def check_packing_makes_the_store_smaller_and_changes_no_value(store: Store) -> None:
    swarm = store.open(settings={"settings": {"dictionary_values_min": 200}})
    values = {f"swarm-s/agent-{n % 3}/knowledge/{n:04}": _value(n) for n in range(600)}
    swarm.records.put_many(values.items())
    before = swarm.health.report().metrics["bytes"]

    packed = swarm.retention.pack()

    after = swarm.health.report().metrics["bytes"]
    assert packed.dictionary == 1
    assert after == before - packed.saved_bytes
    assert after < 0.6 * before
    assert {r.key: r.value for r in swarm.records.each()} == values
    assert (swarm.health.report().metrics["records"], after) == swarm.records.count()
    assert swarm.retention.pack().records == 0
    swarm.records.put("swarm-s/agent-1/knowledge/0000", _value(1))
    assert swarm.records.get("swarm-s/agent-1/knowledge/0000").value == _value(1)


def _value(number: int) -> dict[str, object]:
    pick = [WORDS[(number * step) % len(WORDS)] for step in (1, 3, 7, 9)]
    return {"task_type": pick[0], "note": " ".join(pick * 4), "number": number, "agent": pick[1]}


# --- optimizing ---


def check_optimizing_says_what_it_would_do_and_does_it(store: Store) -> None:
    swarm = store.open()
    values = {f"swarm-s/agent-{n % 3}/knowledge/{n:04}": _value(n) for n in range(300)}
    swarm.records.put_many(values.items())
    swarm.records.put_many(((f"x/{n}", {"n": n}) for n in range(5)), ttl_s=10)
    store.clock.advance(11)

    planned = {advice.name: advice for advice in swarm.optimizer.plan()}
    gains = {gain.name: gain for gain in swarm.optimizer.apply(budget_s=30)}

    assert planned["sweep"].evidence["expired"] == gains["sweep"].changed == 5
    assert planned["sweep"].expected_bytes == gains["sweep"].measured_bytes
    assert gains["compress"].measured_bytes > 0.5 * planned["compress"].expected_bytes > 0
    assert {r.key: r.value for r in swarm.records.each()} == values
    assert not {"sweep", "compress"} & {advice.name for advice in swarm.optimizer.plan()}
    with raises(InvalidArgumentError):
        swarm.optimizer.apply(["archive"])
    with raises(InvalidArgumentError):
        swarm.optimizer.plan(["everything"])


def check_versions_beyond_a_category_go_and_no_others(store: Store) -> None:
    swarm = store.open(settings={"categories": {"kept": {"keys": ["kept/**"], "versions_max": 3}}})
    for number in range(5):
        swarm.records.put_many((f"kept/{key}", {"n": number}) for key in range(3))
        swarm.records.put("other/a", number)
    before = {f"kept/{key}": swarm.records.history(f"kept/{key}") for key in range(3)}

    swarm.optimizer.apply(["history"])

    assert {key: swarm.records.history(key) for key in before} == before
    assert [r.version for r in swarm.records.history("other/a")] == [5, 4, 3, 2, 1]
    assert swarm.optimizer.plan(["history"]) == []
    assert swarm.verify().ok


# --- the change log ---


def check_every_change_is_in_the_log_in_order(store: Store) -> None:
    swarm = store.open()
    swarm.records.put("x/a", 1)
    swarm.records.put("y/a", 1)
    swarm.records.delete("x/a")
    swarm.records.rollback("x/a")

    events = swarm.events.since(0)

    assert [(e.key, e.version, e.op) for e in events] == [
        ("x/a", 1, "put"),
        ("y/a", 1, "put"),
        ("x/a", 2, "delete"),
        ("x/a", 3, "rollback"),
    ]
    assert [e.seq for e in events] == sorted({e.seq for e in events})
    assert [e.key for e in swarm.events.since(events[0].seq, "x")] == ["x/a", "x/a"]


def check_changes_continue_where_the_agent_last_looked(store: Store) -> None:
    swarm = store.open()
    swarm.records.put("x/a", 1)
    assert [e.key for e in swarm.events.changes("sync").events] == ["x/a"]
    assert swarm.events.changes("sync").events == []
    swarm.records.put("x/b", 1)

    assert [e.key for e in swarm.events.changes("sync").events] == ["x/b"]


def check_many_changes_come_in_bounded_parts(store: Store) -> None:
    swarm = store.open()
    swarm.records.put_many([(f"x/{number}", number) for number in range(25)])

    parts = [swarm.events.changes("sync", limit=10).events for _ in range(4)]

    assert [len(part) for part in parts] == [10, 10, 5, 0]
    assert [e.key for part in parts for e in part] == [f"x/{number}" for number in range(25)]


def check_a_reader_that_was_away_too_long_is_told(store: Store) -> None:
    swarm = store.open()
    swarm.records.put("x/a", 1)
    assert swarm.events.changes("sync").complete
    for number in range(3):
        swarm.records.put("x/b", number)
    store.clock.advance(31 * DAY_S)
    swarm.retention.sweep()
    swarm.records.put("x/c", 1)

    away = swarm.events.changes("sync")

    assert not away.complete
    assert away.events[-1].key == "x/c"
    assert swarm.events.changes("sync").complete


def check_a_cursor_older_than_the_log_is_refused(store: Store) -> None:
    swarm = store.open()
    for number in range(5):
        swarm.records.put("x/a", number)
    store.clock.advance(31 * DAY_S)
    swarm.retention.sweep()
    swarm.records.put("x/b", 1)

    with raises(CursorExpiredError):
        swarm.events.since(1)
    assert [e.key for e in swarm.events.since(5)] == ["x/b"]


def check_watch_yields_what_happens_after_it_began(store: Store) -> None:
    swarm = store.open()
    swarm.records.put("x/before", 1)

    watch = swarm.watch("x/", timeout_s=0)
    swarm.records.put("x/after", 1)
    swarm.records.put("y/other", 1)

    assert [e.key for e in watch] == ["x/after"]


# --- leases and the clock ---


def check_leases_do_not_follow_a_clock_that_somebody_sets(store: Store) -> None:
    one, other = store.open("one"), store.open("other")
    for jump_s in (3600, -7200):
        lease = one.leases.acquire("deploy", ttl_s=30)
        store.clock.jump(jump_s)

        assert other.leases.try_acquire("deploy") is None
        assert one.records.put("x/a", jump_s, fence=lease)
        (seat,) = one.leases.list()
        assert seat.expires_ms == store.clock.now_ms() + 30_000

        store.clock.advance(30)
        taken = other.leases.try_acquire("deploy")
        assert taken is not None
        with raises(LeaseLostError):
            one.records.put("x/a", 0, fence=lease)
        taken.release()


def check_a_start_of_the_machine_frees_every_lease_and_keeps_the_tokens(store: Store) -> None:
    before = store.open("before").leases.acquire("deploy", ttl_s=3600)
    store.clock.reboot()

    after = store.open("after").leases.acquire("deploy", wait_s=0)

    assert after.token > before.token


def check_forgotten_lease_names_do_not_repeat_tokens(store: Store) -> None:
    swarm = store.open()
    tokens = []
    for _ in range(3):
        lease = swarm.leases.acquire("deploy", ttl_s=1)
        tokens.append(lease.token)
        lease.release()
        store.clock.advance(2)
        assert swarm.leases.prune() == 1
    held = swarm.leases.acquire("other")
    assert swarm.leases.prune() == 0
    assert held.release()
    assert tokens == sorted(set(tokens))


# --- outcomes ---


def check_outcomes_are_counted_once_and_read_back(store: Store) -> None:
    outcomes = store.open().outcomes
    choice = outcomes.recommend({"task_type": "build"}, ["fast", "careful"])

    first = outcomes.record("build", ["a", "b"], True, 1.5, decision=choice, outcome_id="t-1")
    outcomes.record("build", ["a", "b"], True, 1.5, decision=choice, outcome_id="t-1")

    assert outcomes.recent() == [first]
    assert (first.strategy, first.propensity) == (choice.strategy, choice.propensity)
    assert outcomes.recommend({"task_type": "build"}).evidence["trials"] == 1


def check_the_better_strategy_is_recommended_more(store: Store) -> None:
    outcomes = store.open().outcomes
    for number in range(40):
        outcomes.record("build", ["a"], number % 10 < 9, 1.0, strategy="good")
        outcomes.record("build", ["a"], number % 10 < 2, 1.0, strategy="bad")

    chosen = outcomes.recommend({"task_type": "build"})

    chances = {c["strategy"]: c["propensity"] for c in chosen.candidates}
    assert chances["good"] > 0.95
    assert abs(sum(chances.values()) - 1) < 1e-4
    assert abs(chosen.propensity - chances[chosen.strategy]) < 1e-4
    assert outcomes.insights("best_strategy")[0].facts["strategy"] == "good"


def check_nothing_is_recommended_when_nothing_is_known(store: Store) -> None:
    chosen = store.open().outcomes.recommend({"task_type": "build"})
    assert (chosen.strategy, chosen.propensity, chosen.choice_id) == (None, None, None)


def check_a_decision_that_was_never_made_is_refused(store: Store) -> None:
    outcomes = store.open().outcomes
    with raises(NotFoundError):
        outcomes.record("build", ["a"], True, 1.0, decision="no-such-choice")
    for seconds in (-1, float("nan"), float("inf"), "1"):
        with raises(InvalidArgumentError):
            outcomes.record("build", ["a"], True, seconds)
    assert outcomes.recent() == []
