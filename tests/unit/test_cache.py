"""The read cache: what it saves, and that nobody is ever given what is not current."""

import os
import signal
import subprocess
import sys
import threading

import pytest

from swarm_memory import Swarm
from swarm_memory.cache import (
    ADMIT_MAX,
    ADMIT_MIN,
    KEPT_BYTES,
    PAGE_ROWS_MAX,
    PASSED_BY,
    STRETCH,
    TIMES_ENCODED,
    Cache,
    _Kept,
    _size,
)
from swarm_memory.errors import EngineUnavailableError
from swarm_memory.testing import ManualClock

KEY = "x/a"
OTHER = """
import sys
from swarm_memory import Swarm
with Swarm.open(sys.argv[1], agent="other", durability="relaxed") as swarm:
    exec(sys.argv[2])
"""


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/memory.db"


@pytest.fixture
def swarm(url):
    with Swarm.open(url) as swarm:
        yield swarm


@pytest.fixture
def selects(swarm, monkeypatch):
    """The keys that were read from the database."""
    seen = []
    original = swarm._engine._select

    def select(sql, parameters):
        seen.append(parameters.get("key"))
        return original(sql, parameters)

    monkeypatch.setattr(swarm._engine, "_select", select)
    return seen


def warm(swarm, selects, key=KEY):
    """Read until it is kept: the first read in a while keeps nothing."""
    for _ in range(3):
        swarm.records.get(key)
    selects.clear()
    swarm.records.get(key)
    assert [] == selects


def elsewhere(url, program):
    subprocess.run([sys.executable, "-c", OTHER, url, program], check=True)


def test_what_was_read_twice_is_not_read_again(swarm, selects):
    swarm.records.put(KEY, {"n": [1]}, provenance={"from": "here"})
    first = swarm.records.get(KEY)
    warm(swarm, selects)

    assert first == swarm.records.get(KEY)
    assert [] == selects


def test_what_was_read_once_is_not_kept(swarm, selects):
    keys = [f"x/{number}" for number in range(5)]
    swarm.records.put_many([(key, 1) for key in keys])
    for key in keys:
        swarm.records.get(key)
        swarm.records.scan(f"{key}*")
    swarm.records.put("y", 1)
    for key in keys:
        swarm.records.get(key)

    assert {} == swarm.records._cache._entries
    for key in keys:
        swarm.records.get(key)
    assert keys == list(swarm.records._cache._entries)


def test_a_value_is_nobody_elses(swarm, selects):
    swarm.records.put(KEY, {"n": [1]}, provenance={"from": "here"})
    warm(swarm, selects)
    mine = swarm.records.get(KEY)
    mine.value["n"].append(2)
    mine.provenance["from"] = "there"

    again = swarm.records.get(KEY)
    assert ({"n": [1]}, {"from": "here"}) == (again.value, again.provenance)
    assert [] == selects


@pytest.mark.parametrize(
    "value",
    [
        None,
        "text",
        [],
        {},
        [1, [2], {"a": 3}],
        {"a": 1, "b": [2], "c": {"d": "e"}},
        {"a": [[1]]},
        {"a": {"b": {"c": [1]}}},
        [[[]]],
    ],
)
def test_every_shape_of_value_is_copied_whole(swarm, selects, value):
    swarm.records.put(KEY, value)
    warm(swarm, selects)

    one, other = (swarm.records.get(KEY).value for _ in range(2))
    assert value == one == other
    assert not containers(one) & containers(other)
    assert [] == selects


def containers(value):
    if not isinstance(value, dict | list):
        return set()
    parts = value.values() if isinstance(value, dict) else value
    return {id(value)}.union(*map(containers, parts))


@pytest.mark.parametrize(
    "change, expected",
    [
        ("swarm.records.put('x/a', 2)", 2),
        ("swarm.records.delete('x/a')", None),
        ("swarm.transact(lambda tx: tx.records.put_many([('x/b', 1), ('x/a', 3)]))", 3),
        ("swarm.records.rollback('x/a', 1)", 0),
    ],
)
@pytest.mark.parametrize("who", ["own", "other door", "other process"])
def test_no_change_is_missed(swarm, selects, url, change, expected, who):
    swarm.records.put(KEY, 0)
    swarm.records.put(KEY, 1)
    warm(swarm, selects)
    if who == "own":
        exec(change, {"swarm": swarm})
    elif who == "other door":
        with Swarm.open(url, agent="other") as other:
            exec(change, {"swarm": other})
    else:
        elsewhere(url, change)

    record = swarm.records.get(KEY)
    assert expected == (record.value if record else None)


def warm_page(swarm, selects, **scan):
    for _ in range(3):
        swarm.records.scan("x", **scan)
    selects.clear()
    page = swarm.records.scan("x", **scan)
    assert [] == selects
    return page


def test_a_page_that_was_read_twice_is_not_read_again(swarm, selects):
    for number in range(5):
        swarm.records.put(f"x/{number}", {"n": [number]}, provenance={"from": "here"})
    fresh = swarm.records.scan("x", limit=3)

    page = warm_page(swarm, selects, limit=3)

    assert (fresh, fresh.next_after) == (page, page.next_after) and fresh.next_after == "x/2"
    page[0].value["n"].append(2)
    page[0].provenance["from"] = "there"
    del page[1:]
    assert fresh == swarm.records.scan("x", limit=3)
    assert ["x/4", "x/3"] == [r.key for r in swarm.records.scan("x", limit=2, reverse=True)]
    assert ["x/3", "x/4"] == [r.key for r in swarm.records.scan("x", limit=3, after="x/2")]


@pytest.mark.parametrize(
    "change, expected",
    [
        ("swarm.records.put('x/b', 2)", {"x/a": 1, "x/b": 2}),
        ("swarm.records.put('x/new', 2)", {"x/a": 1, "x/b": 1, "x/new": 2}),
        ("swarm.records.delete('x/a')", {"x/b": 1}),
        ("swarm.records.touch('x/timed', 5)", {"x/a": 1, "x/b": 1}),
    ],
)
@pytest.mark.parametrize("who", ["own", "other process"])
def test_no_change_of_a_page_is_missed(swarm, selects, url, change, expected, who):
    swarm.records.put_many([("x/a", 1), ("x/b", 1)])
    warm_page(swarm, selects)
    if who == "own":
        exec(change, {"swarm": swarm})
    else:
        elsewhere(url, change)

    assert expected == {r.key: r.value for r in swarm.records.scan("x")}


def test_a_page_is_not_given_when_one_of_it_has_expired(url):
    clock = ManualClock()
    with Swarm.open(url, clock=clock) as swarm:
        swarm.records.put("x/a", 1, ttl_s=20)
        swarm.records.put("x/b", 1, ttl_s=10)
        for _ in range(3):
            assert 2 == len(swarm.records.scan("x"))
        assert 1 == len(swarm.records._cache._entries)
        clock.advance(10)

        assert ["x/a"] == [r.key for r in swarm.records.scan("x")]


def test_a_large_page_is_not_kept(swarm, selects):
    swarm.records.put_many([(f"x/{number}", 1) for number in range(PAGE_ROWS_MAX + 1)])
    for _ in range(4):
        assert PAGE_ROWS_MAX + 1 == len(swarm.records.scan("x"))

    assert {} == swarm.records._cache._entries
    assert PAGE_ROWS_MAX == len(warm_page(swarm, selects, limit=PAGE_ROWS_MAX))


def test_what_writes_no_record_leaves_it(swarm, selects, url):
    swarm.records.put(KEY, 1)
    warm(swarm, selects)
    elsewhere(url, "swarm.messages.send(1, topic='t'); swarm.leases.acquire('x')")

    swarm.records.get(KEY)
    assert [] == selects


def test_an_undone_write_costs_a_read_and_changes_nothing(swarm, selects):
    swarm.records.put(KEY, 1)
    warm(swarm, selects)

    def fail(tx):
        tx.records.put(KEY, 2)
        raise KeyError("undone")

    with pytest.raises(KeyError):
        swarm.transact(fail)

    assert 1 == swarm.records.get(KEY).value


def test_what_has_expired_is_not_given(url):
    clock = ManualClock()
    with Swarm.open(url, clock=clock) as swarm:
        swarm.records.put(KEY, 1, ttl_s=10)
        for _ in range(3):
            assert 1 == swarm.records.get(KEY).value
        assert [KEY] == list(swarm.records._cache._entries)
        clock.advance(10)

        assert swarm.records.get(KEY) is None


def test_a_transaction_reads_the_database(swarm, selects):
    swarm.records.put(KEY, 1)
    warm(swarm, selects)

    def change(tx):
        tx.records.put(KEY, 2)
        return tx.records.get(KEY).value

    assert 2 == swarm.transact(change)


SMALL = KEPT_BYTES + TIMES_ENCODED * len('"v"')  # bytes that an entry of the value "v" takes


def full(swarm, kept, others=0):
    """Fill a cache of as many entries as `kept` names; return its keys and `others` more."""
    keys = [f"x/{number:05}" for number in range(kept + others)]
    swarm.records.put_many([(key, "v") for key in keys])
    swarm.records._cache.bytes_max = kept * SMALL
    for _ in range(2):
        for key in keys[:kept]:
            swarm.records.get(key)
    assert keys[:kept] == list(swarm.records._cache._entries)
    return keys[:kept], keys[kept:]


def enter(cache, name):
    """Keep something under a name, whether or not it would be admitted."""
    value = _Kept("v")
    cache._enter(name, (cache._number, None, value, None, ()))


def test_it_keeps_to_its_limit_and_the_oldest_that_nobody_asked_for_leaves_first(swarm):
    (first, _, third, fourth), _ = full(swarm, 4)
    cache = swarm.records._cache
    for key in (first, third):
        swarm.records.get(key)

    for name, expected in (
        ("a", [first, third, fourth, "a"]),
        ("b", [first, third, "a", "b"]),
        # The hand has come round, and nobody has asked for any of them since it was there.
        ("c", [first, third, "b", "c"]),
    ):
        enter(cache, name)
        assert expected == list(cache._entries)
        assert cache.bytes_max == cache._bytes


def test_a_scan_of_what_is_read_twice_leaves_what_is_read_often(swarm, selects):
    hot, cold = full(swarm, 20, others=400)
    for _ in range(2):
        for number, key in enumerate(cold):
            swarm.records.get(hot[number % len(hot)])
            swarm.records.get(key)
    selects.clear()
    for key in hot:
        swarm.records.get(key)

    assert len(selects) <= 2  # of 20; the newcomers have their places


def test_what_becomes_popular_gets_into_a_full_cache(swarm):
    _, new = full(swarm, 20, others=5)
    cache = swarm.records._cache
    for _ in range(2 * ADMIT_MAX):
        for key in new:
            swarm.records.get(key)
        if set(new) <= set(cache._entries):
            break

    assert set(new) <= set(cache._entries)


def test_a_full_cache_keeps_few_of_what_never_fits(swarm, monkeypatch):
    keys, more = full(swarm, 20, others=380)
    kept = []
    enter = Cache._enter

    def counted(cache, name, entry):
        kept.append(name)
        enter(cache, name, entry)

    monkeypatch.setattr(Cache, "_enter", counted)
    for _ in range(3):
        for key in keys + more:
            swarm.records.get(key)

    assert 0 < len(kept) <= 2 * 400 / ADMIT_MIN


def test_what_never_was_of_use_is_admitted_less_often_and_what_was_more(swarm):
    full(swarm, 4)
    cache = swarm.records._cache
    for number in range(100):
        enter(cache, str(number))
    assert ADMIT_MAX == cache._admit

    for number in range(100, 130):
        enter(cache, str(number))
        for entry in cache._entries.values():
            entry[2].copy()
    assert ADMIT_MIN == cache._admit


def thrash(swarm, keys):
    """Read what never fits until reads pass by."""
    for number in range(4 * STRETCH):
        if not swarm.records._cache._open:
            return
        swarm.records.get(keys[number % len(keys)])
    raise AssertionError("every read still looks")


def test_reads_pass_by_a_cache_that_finds_hardly_anything_and_look_again_later(swarm):
    keys, more = full(swarm, 10, others=790)
    thrash(swarm, more)
    cache, touched = swarm.records._cache, []
    original = swarm._engine.touched
    swarm._engine.touched = lambda: touched.append(1) or original()
    before = cache.misses
    for number in range(PASSED_BY):
        assert "v" == swarm.records.get(more[number % len(more)]).value
        if cache._open:
            break
    assert [] == touched
    assert PASSED_BY // 2 < cache.misses - before  # some of it was used up above

    for _ in range(3):
        swarm.records.get(keys[0])
    assert touched != []


def test_what_is_written_while_reads_pass_by_is_read_as_it_is(swarm):
    keys, more = full(swarm, 10, others=790)
    thrash(swarm, more)
    swarm.records.put(keys[0], "new")
    assert "new" == swarm.records.get(keys[0]).value

    cache = swarm.records._cache
    cache.bytes_max = 800 * SMALL  # whoever changes the size begins anew
    assert cache._open
    assert ["new", "v"] == [swarm.records.get(key).value for key in keys[:2]]


def test_a_cache_that_has_room_is_looked_at_however_little_is_found(swarm):
    keys = [f"x/{number:05}" for number in range(STRETCH + 100)]
    swarm.records.put_many([(key, "v") for key in keys])
    for _ in range(3):
        for key in keys:
            swarm.records.get(key)

    assert len(keys) == swarm.records._cache.hits


def test_what_a_write_has_made_useless_takes_no_room(swarm):
    keys, _ = full(swarm, 4)
    swarm.records.put("y", "v")
    for _ in range(2):
        swarm.records.get(keys[3])

    cache = swarm.records._cache
    assert [keys[3]] == list(cache._entries) == cache._order
    assert SMALL == cache._bytes


def test_what_is_larger_than_the_cache_throws_nothing_out(swarm):
    keys, _ = full(swarm, 4)
    cache = swarm.records._cache
    cache._enter("large", (cache._number, None, _Kept("v" * cache.bytes_max), None, ()))

    assert keys == list(cache._entries)


def test_a_cache_that_is_made_smaller_drops_at_once_and_one_of_nothing_all(swarm, selects):
    keys, _ = full(swarm, 4)
    cache = swarm.records._cache
    cache.bytes_max = 2 * SMALL
    assert keys[2:] == list(cache._entries)

    cache.bytes_max = 0
    assert ({}, 0) == (cache._entries, cache._bytes)
    selects.clear()
    for _ in range(3):
        swarm.records.get(keys[3])
    assert 3 * [keys[3]] == selects


def test_a_child_that_was_forked_while_a_thread_kept_something_waits_for_nobody(swarm):
    swarm.records.put(KEY, 1)
    held, go = threading.Event(), threading.Event()

    def keep():
        with swarm.records._cache._lock:
            held.set()
            go.wait()

    thread = threading.Thread(target=keep, daemon=True)
    thread.start()
    held.wait()
    child = os.fork()
    if child == 0:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(10)  # who waits for a thread that is not here waits for ever
        values = {swarm.records.get(KEY).value for _ in range(4)}
        os._exit(0 if values == {1} else 1)
    go.set()
    thread.join()
    assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("method", [Cache.keep, Cache._enter, Cache._drop])
def test_an_interrupt_between_any_two_lines_leaves_the_count_right(swarm, method):
    before = sys.gettrace()
    code, cache = method.__code__, swarm.records._cache
    swarm.records.put(KEY, 1)
    record = swarm.records.get(KEY)
    for line in {line for _, _, line in code.co_lines() if line and line > code.co_firstlineno}:

        def trace(frame, event, argument, line=line):
            if frame.f_code is code and event == "line" and frame.f_lineno == line:
                sys.settrace(before)
                raise KeyboardInterrupt
            return trace

        cache.keep(record, swarm._engine.touched())
        sys.settrace(trace)
        try:
            cache.keep(record, swarm._engine.touched())
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        assert sum(map(_size, cache._entries.values())) == cache._bytes, line


@pytest.mark.parametrize("method", [Cache._enter, Cache._make_room, Cache._drop, Cache._begin_anew])
def test_an_interrupt_while_room_is_made_leaves_the_count_right(swarm, method):
    before = sys.gettrace()
    code, cache = method.__code__, swarm.records._cache
    full(swarm, 3)
    for line in {line for _, _, line in code.co_lines() if line and line > code.co_firstlineno}:

        def trace(frame, event, argument, line=line):
            if frame.f_code is code and event == "line" and frame.f_lineno == line:
                sys.settrace(before)
                raise KeyboardInterrupt
            return trace

        for name in "abc":
            enter(cache, name)
        sys.settrace(trace)
        try:
            enter(cache, "d")
            cache._enter("e", (cache._number + 1, None, _Kept("v"), None, ()))
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        assert sum(map(_size, cache._entries.values())) == cache._bytes, line


def test_a_store_that_was_closed_says_so(url):
    with Swarm.open(url) as swarm:
        swarm.records.put(KEY, 1)
        for _ in range(4):
            swarm.records.get(KEY)

    with pytest.raises(EngineUnavailableError, match="closed"):
        swarm.records.get(KEY)


def test_it_can_be_turned_off(url, monkeypatch):
    monkeypatch.setenv("SWARM_MEMORY_CACHE_BYTES_MAX", "0")
    with Swarm.open(url) as swarm:
        assert swarm.records._cache is None


def test_a_store_in_memory_keeps_nothing_beside_itself():
    with Swarm.open("sqlite:///:memory:") as swarm:
        swarm.records.put(KEY, 1)
        for _ in range(4):
            swarm.records.get(KEY)
        assert {} == swarm.records._cache._entries
