"""What every engine must do with records, as functions of a `Store`."""

from __future__ import annotations

from contextlib import contextmanager

from swarm_memory.errors import (
    ConflictError,
    InvalidArgumentError,
    InvalidKeyError,
    InvalidValueError,
    LimitExceededError,
    NotFoundError,
    OpIdReusedError,
    SwarmMemoryError,
)
from swarm_memory.lean import suppress
from swarm_memory.records import Put

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarm_memory.testing import Check, Store

DAY_S = 86_400
SMALL_LIMITS = {"settings": {"agent_bytes_max": 4096, "total_bytes_max": 8192}}
WORDS = ("decide", "progress", "task", "agent", "result", "memory", "lease", "outcome", "plan")


def checks() -> list[Check]:
    """Return all checks of this module and of the modules beside it, in order."""
    from swarm_memory.testing import conformance_monitor, conformance_upkeep

    return [
        check
        for names in (globals(), vars(conformance_upkeep), vars(conformance_monitor))
        for name, check in names.items()
        if name.startswith("check_")
    ]


@contextmanager
def raises(kind: type[SwarmMemoryError]) -> Iterator[list[SwarmMemoryError]]:
    """Expect an error; the list holds it afterwards."""
    caught: list[SwarmMemoryError] = []
    try:
        yield caught
    except kind as error:
        caught.append(error)
    assert caught, f"{kind.__name__} was not raised"


# --- get and put ---


def check_put_then_get_returns_the_same_value(store: Store) -> None:
    records = store.open().records
    value = {
        "text": "äöü \u2028 \0",
        "list": [1, 2.5, None, True],
        "big": 2**63 - 1,
        "deep": [[{}]],
    }

    written = records.put("notes/1", value)

    read = records.get("notes/1")
    assert read == written
    assert (read.key, read.value, read.version) == ("notes/1", value, 1)
    assert (read.author, read.created_ms) == ("a", store.clock.now_ms())


def check_get_of_a_missing_key_is_none(store: Store) -> None:
    assert store.open().records.get("notes/none") is None


def check_versions_count_up_per_key(store: Store) -> None:
    records = store.open().records

    versions = [records.put(key, 1).version for key in ("x/a", "x/a", "x/b", "x/a")]

    assert versions == [1, 2, 1, 3]


def check_created_time_survives_an_update(store: Store) -> None:
    records = store.open().records
    first = records.put("x/a", 1)
    store.clock.advance(10)

    second = records.put("x/a", 2)

    assert second.created_ms == first.created_ms
    assert second.updated_ms == first.updated_ms + 10_000


def check_swarms_do_not_see_each_other(store: Store) -> None:
    one, other = store.open(swarm="one"), store.open(swarm="other")
    one.records.put("x/a", "mine")

    assert other.records.get("x/a") is None
    assert list(other.records.scan()) == []
    assert other.records.put("x/a", "theirs").version == 1


def check_bad_keys_are_refused_before_anything_is_written(store: Store) -> None:
    swarm = store.open()
    for key in ("", "a//b", "../a", "a/./b", "a\0b", "a\nb", "ä/b", "a b", "x" * 256, "/a", "a/"):
        with raises(InvalidKeyError):
            swarm.records.put(key, 1)
        with raises(InvalidKeyError):
            swarm.records.get(key)
    assert swarm.events.newest() == 0


def check_bad_values_are_refused_before_anything_is_written(store: Store) -> None:
    swarm = store.open()
    deep: list[object] = []
    for _ in range(100):
        deep = [deep]
    endless: list[object] = []
    endless.append(endless)
    for value in (
        float("nan"),
        float("inf"),
        2**64,
        -(2**63) - 1,
        {1: 2},
        {"a": {3}},
        b"bytes",
        object(),
        deep,
        endless,
        "\ud800",
    ):
        with raises(InvalidValueError):
            swarm.records.put("x/a", value)
    assert swarm.events.newest() == 0


def check_a_value_over_the_size_limit_is_refused(store: Store) -> None:
    records = store.open(settings={"settings": {"value_bytes_max": 1000}}).records
    with raises(LimitExceededError):
        records.put("x/a", "v" * 1001)
    assert records.get("x/a") is None


# --- compare-and-set ---


def check_put_with_the_current_version_succeeds(store: Store) -> None:
    records = store.open().records
    version = records.put("x/a", 1).version

    assert records.put("x/a", 2, expect=version).version == 2


def check_put_with_an_old_version_raises_and_keeps_the_value(store: Store) -> None:
    records = store.open().records
    records.put("x/a", 1)
    records.put("x/a", 2)

    with raises(ConflictError) as caught:
        records.put("x/a", 3, expect=1)

    assert (caught[0].expected, caught[0].actual, caught[0].key) == (1, 2, "x/a")
    assert records.get("x/a").value == 2
    assert len(records.history("x/a")) == 2


def check_expect_zero_means_it_must_not_exist(store: Store) -> None:
    records = store.open().records
    assert records.put("x/a", 1, expect=0).version == 1
    with raises(ConflictError):
        records.put("x/a", 2, expect=0)


def check_expect_on_a_missing_key_reports_actual_zero(store: Store) -> None:
    records = store.open().records
    with raises(ConflictError) as caught:
        records.put("x/a", 1, expect=5)
    assert caught[0].actual == 0


def check_a_recreated_key_continues_its_counter(store: Store) -> None:
    records = store.open().records
    records.put("x/a", 1)
    assert records.delete("x/a")

    again = records.put("x/a", 2, expect=0)

    assert again.version == 3
    with raises(ConflictError):
        records.put("x/a", 3, expect=1)


def check_nonsense_expectations_are_refused(store: Store) -> None:
    records = store.open().records
    for expect in (-1, 1.0, "1", True):
        with raises(InvalidArgumentError):
            records.put("x/a", 1, expect=expect)


# --- delete, history, rollback ---


def check_delete_tells_whether_it_was_there(store: Store) -> None:
    records = store.open().records
    records.put("x/a", 1)

    assert records.delete("x/a") is True
    assert records.delete("x/a") is False
    assert records.get("x/a") is None


def check_delete_with_an_old_version_raises(store: Store) -> None:
    records = store.open().records
    records.put("x/a", 1)
    records.put("x/a", 2)
    with raises(ConflictError):
        records.delete("x/a", expect=1)
    assert records.get("x/a").value == 2


def check_history_is_newest_first_and_bounded(store: Store) -> None:
    settings = {"categories": {"kept": {"keys": ["kept/**"], "versions_max": 3}}}
    records = store.open(settings=settings).records
    for number in range(6):
        records.put("kept/a", number)

    history = records.history("kept/a")

    assert [(r.version, r.value) for r in history] == [(6, 5), (5, 4), (4, 3)]


def check_history_shows_a_deletion(store: Store) -> None:
    records = store.open().records
    records.put("x/a", 1)
    records.delete("x/a")

    history = records.history("x/a")

    assert [(r.version, r.deleted, r.value) for r in history] == [(2, True, None), (1, False, 1)]


def check_rollback_writes_the_older_value_as_a_new_version(store: Store) -> None:
    records = store.open().records
    for value in ("one", "two", "three"):
        records.put("x/a", value)

    back = records.rollback("x/a", 1)

    assert (back.version, back.value, back.provenance) == (4, "one", {"rollback_to": 1})
    assert [r.value for r in records.history("x/a")] == ["one", "three", "two", "one"]


def check_rollback_without_a_version_undoes_the_last_change(store: Store) -> None:
    records = store.open().records
    records.put("x/a", "one")
    records.put("x/a", "two")
    assert records.rollback("x/a").value == "one"
    records.delete("x/a")
    assert records.rollback("x/a").value == "one"


def check_rollback_to_an_unknown_version_raises(store: Store) -> None:
    records = store.open().records
    records.put("x/a", 1)
    for version in (7, None):
        with raises(NotFoundError):
            records.rollback("x/a", version)
    with raises(NotFoundError):
        records.rollback("x/none")


# --- scan ---


def check_scan_is_in_bytewise_key_order(store: Store) -> None:
    records = store.open().records
    keys = ["k/B", "k/a", "k/b", "k/A", "k/_", "k/-", "k/0", "k/a/1", "k/a.b", "k/a+b"]
    for key in keys:
        records.put(key, 1)

    assert [r.key for r in records.scan("k/")] == sorted(keys)
    assert [r.key for r in records.scan("k/", reverse=True)] == sorted(keys, reverse=True)


def check_a_prefix_matches_whole_segments(store: Store) -> None:
    records = store.open().records
    for key in (
        "s/agent-a",
        "s/agent-a/x",
        "s/agent-ab/x",
        "s/agent-a-b",
        "s/Agent-a/x",
        "s/agent-a0",
    ):
        records.put(key, 1)

    assert [r.key for r in records.scan("s/agent-a")] == ["s/agent-a", "s/agent-a/x"]
    assert [r.key for r in records.scan("s/agent-a/")] == ["s/agent-a/x"]
    assert len(records.scan("s/agent-a*")) == 5
    assert len(records.scan("s/")) == 6
    assert records.scan("s/agent_") == []


def check_pages_cover_everything_once(store: Store) -> None:
    records = store.open().records
    records.put_many([(f"p/{number:03}", number) for number in range(25)] + [("p", "self")])
    for reverse in (False, True):
        seen: list[str] = []
        after = None
        while True:
            page = records.scan("p", limit=7, after=after, reverse=reverse)
            seen += [r.key for r in page]
            after = page.next_after
            if after is None:
                break
        assert len(seen) == 26
        assert seen == sorted(set(seen), reverse=reverse)
    assert [r.key for r in records.each("p")] == sorted(seen)


def check_put_many_rejects_if_told_to_whatever_the_category_does(store: Store) -> None:
    settings = {"categories": {"other": {"on_conflict": "last_write"}}}
    records = store.open(settings=settings).records
    records.put("x/b", "theirs")
    items = [Put("x/a", "mine", 0), Put("x/b", "mine", 0)]

    with raises(ConflictError):
        records.put_many(items, on_conflict="reject")

    assert [r.value for r in records.scan("x")] == ["theirs"]
    records.put_many(items)
    assert [r.value for r in records.scan("x")] == ["mine", "mine"]


def check_keys_are_those_of_a_scan(store: Store) -> None:
    records = store.open().records
    records.put_many([(f"p/{number:03}", number) for number in range(25)] + [("p", "self")])
    records.put_many([("p-a", 1), ("memory/operations/1", 1)])
    records.delete("p/003")
    for prefix in ("", "p", "p/", "p*", "p/01*", "memory/operations", "none"):
        wanted = [r.key for r in records.scan(prefix)]
        assert records.keys(prefix) == wanted
        seen: list[str] = []
        while page := records.keys(prefix, limit=4, after=seen[-1] if seen else None):
            seen += page
        assert seen == wanted
    assert len(records.keys(telemetry=True)) == len(records.keys()) + 1
    with raises(InvalidArgumentError):
        records.keys("p", limit=0)


def check_scan_refuses_limits_out_of_range(store: Store) -> None:
    records = store.open().records
    for limit in (0, -1, 10_001):
        with raises(InvalidArgumentError):
            records.scan("x", limit=limit)


# --- many at once, transactions, retries ---


def check_put_many_writes_all_or_nothing(store: Store) -> None:
    swarm = store.open()
    swarm.records.put("x/b", 1)
    with raises(ConflictError):
        swarm.records.put_many([("x/a", 1), Put("x/b", 2, expect=9), ("x/c", 3)])
    assert [r.key for r in swarm.records.scan()] == ["x/b"]
    assert swarm.events.newest() == 1

    written = swarm.records.put_many([("x/a", 1), Put("x/b", 2, expect=1), ("x/a", 3)])

    assert [r.version for r in written] == [1, 2, 2]
    assert swarm.records.get("x/a").value == 3


def check_put_many_has_a_row_limit(store: Store) -> None:
    records = store.open(settings={"settings": {"batch_rows_max": 10}}).records
    with raises(LimitExceededError):
        records.put_many([(f"x/{n}", n) for n in range(11)])
    assert records.get("x/0") is None
    assert records.put_many([]) == []


def check_a_transaction_that_raises_leaves_nothing(store: Store) -> None:
    swarm = store.open()

    def fail(tx: object) -> None:
        tx.records.put("x/a", 1)
        tx.records.put("x/b", 1)
        raise KeyError("planted")

    try:
        swarm.transact(fail)
    except KeyError:
        pass
    else:
        raise AssertionError("the function's own error was swallowed")
    assert list(swarm.records.scan()) == []
    assert swarm.events.newest() == 0
    assert swarm.records.put("x/a", 1).version == 1


def check_a_transaction_reads_its_own_writes(store: Store) -> None:
    swarm = store.open()

    def double(tx: object) -> int:
        tx.records.put("x/a", 21)
        value = tx.records.get("x/a").value
        tx.records.put("x/a", value * 2)
        return tx.records.get("x/a").value

    assert swarm.transact(double) == 42
    assert swarm.records.get("x/a").version == 2


def check_a_write_inside_a_write_is_refused(store: Store) -> None:
    swarm = store.open()
    with raises(InvalidArgumentError):
        swarm.transact(lambda tx: swarm.records.put("x/a", 1))
    assert swarm.records.get("x/a") is None


def check_an_op_id_applies_once_and_repeats_its_result(store: Store) -> None:
    swarm = store.open()
    first = swarm.records.put("x/a", {"n": 1}, op_id="op-1")
    swarm.records.put("x/a", {"n": 2})

    again = swarm.records.put("x/a", {"n": 1}, op_id="op-1")

    assert again == first
    assert swarm.records.get("x/a").value == {"n": 2}


def check_an_op_id_with_other_arguments_is_refused(store: Store) -> None:
    records = store.open().records
    records.put("x/a", 1, op_id="op-1")
    for key, value in (("x/a", 2), ("x/b", 1)):
        with raises(OpIdReusedError):
            records.put(key, value, op_id="op-1")
    assert [r.key for r in records.scan()] == ["x/a"]


def check_a_failed_call_does_not_use_up_its_op_id(store: Store) -> None:
    records = store.open().records
    with raises(ConflictError):
        records.put("x/a", 1, expect=3, op_id="op-1")
    records.put("x/a", 0)
    records.put("x/a", 0)
    records.put("x/a", 0)

    assert records.put("x/a", 1, expect=3, op_id="op-1").version == 4


def check_a_transaction_with_an_op_id_applies_once(store: Store) -> None:
    swarm = store.open()

    def move(tx: object) -> dict[str, int]:
        count = tx.records.get("x/count")
        value = count.value + 1 if count else 1
        tx.records.put("x/count", value)
        tx.messages.send({"count": value}, topic="t")
        return {"count": value}

    assert swarm.transact(move, op_id="op-1") == {"count": 1}
    assert swarm.transact(move, op_id="op-1") == {"count": 1}
    assert swarm.transact(move, op_id="op-2") == {"count": 2}
    assert [m.body["count"] for m in swarm.messages.claim("t")] == [1, 2]
    with raises(OpIdReusedError):
        swarm.records.put("x/a", 1, op_id="op-1")
    with raises(InvalidValueError):
        swarm.transact(lambda tx: object(), op_id="op-3")


def check_records_leases_and_messages_share_a_transaction(store: Store) -> None:
    swarm = store.open()

    def work(tx: object) -> None:
        lease = tx.leases.acquire("deploy")
        tx.records.put("x/a", 1, fence=lease)
        tx.messages.send("hello", to="a")
        tx.outcomes.record("t", ["a"], True, 1.0)
        raise KeyError("planted")

    with suppress(KeyError):
        swarm.transact(work)
    assert (swarm.leases.list(), swarm.messages.inbox(), list(swarm.records.scan())) == ([], [], [])
    assert swarm.outcomes.count() == 0


# --- conflicts ---


def check_last_write_and_first_write_do_what_they_say(store: Store) -> None:
    records = store.open().records
    records.put("x/a", "base")
    records.put("x/a", "theirs")

    kept = records.put("x/a", "mine", expect=1, on_conflict="first_write")
    assert (kept.value, kept.version) == ("theirs", 2)
    written = records.put("x/a", "mine", expect=1, on_conflict="last_write")
    assert (written.value, written.version) == ("mine", 3)


def check_a_function_can_resolve_a_conflict(store: Store) -> None:
    records = store.open().records
    records.put("x/a", {"n": 1})
    records.put("x/a", {"n": 5})

    merged = records.put(
        "x/a",
        {"n": 3},
        expect=1,
        on_conflict=lambda base, theirs, mine: {"n": theirs["n"] + mine["n"] - base["n"]},
    )

    assert (merged.value, merged.version) == ({"n": 7}, 3)


def check_merge_joins_what_both_sides_changed(store: Store) -> None:
    records = store.open().records
    records.put("x/a", {"left": 1, "right": 1})
    records.put("x/a", {"left": 2, "right": 1})

    merged = records.put("x/a", {"left": 1, "right": 2}, expect=1, on_conflict="merge")

    assert merged.value == {"left": 2, "right": 2}
    with raises(ConflictError):
        records.put("x/a", {"left": 9, "right": 1}, expect=1, on_conflict="merge")


def check_a_merge_without_its_base_is_a_conflict(store: Store) -> None:
    settings = {"categories": {"thin": {"keys": ["thin/**"], "versions_max": 1}}}
    records = store.open(settings=settings).records
    records.put("thin/a", {"a": 1})
    records.put("thin/a", {"b": 1})
    with raises(ConflictError):
        records.put("thin/a", {"c": 1}, expect=1, on_conflict="merge")


def check_every_conflict_is_recorded_with_both_sides(store: Store) -> None:
    swarm = store.open()
    swarm.records.put("x/a", "base")
    swarm.records.put("x/a", "theirs")
    swarm.records.put("x/a", "mine", expect=1, on_conflict="last_write")

    (conflict,) = swarm.conflicts.list()

    assert (conflict.base, conflict.theirs, conflict.mine) == ("base", "theirs", "mine")
    assert (conflict.strategy, conflict.outcome) == ("last_write", "resolved")
    assert conflict.result == "mine"


def check_keep_both_parks_mine_until_somebody_decides(store: Store) -> None:
    swarm = store.open()
    swarm.records.put("x/a", "base")
    swarm.records.put("x/a", "theirs")
    kept = swarm.records.put("x/a", "mine", expect=1, on_conflict="keep_both")
    assert kept.value == "theirs"
    (conflict,) = swarm.conflicts.list("parked")

    settled = swarm.resolve_conflict(conflict.conflict_id, "both")

    assert (settled.value, settled.version) == ("both", 3)
    assert swarm.conflicts.list("parked") == []
    with raises(NotFoundError):
        swarm.resolve_conflict(conflict.conflict_id, "again")
    assert swarm.records.get("x/a").version == 3


def check_an_unknown_strategy_is_refused(store: Store) -> None:
    records = store.open().records
    records.put("x/a", 1)
    with raises(InvalidArgumentError):
        records.put("x/a", 1, expect=7, on_conflict="hope")
