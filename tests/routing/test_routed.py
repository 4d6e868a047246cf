"""What follows a swarm: every check of the conformance suite by way of routes, and each promise."""

import json
import os

import apsw
import pytest

from swarm_memory import Swarm
from swarm_memory.engine import routes as routes_module
from swarm_memory.engine.routes import Route, RoutesFile, without_password
from swarm_memory.engine.sqlite import SqliteTx
from swarm_memory.errors import (
    ConfigError,
    CursorExpiredError,
    InvalidArgumentError,
    LeaseLostError,
    NotFoundError,
    SwarmMovedError,
)
from swarm_memory.forgetting import forget
from swarm_memory.integrity import verify_store
from swarm_memory.moving import drop_copy, move_all, move_swarm, places_of, set_route
from swarm_memory.moving.copying import Copy
from swarm_memory.moving.tables import COPIED, INJECTIONS, RECORD_TABLES, STAYS
from swarm_memory.testing import Store, conformance
from swarm_memory.testing.filled import fill


@pytest.mark.parametrize("check", conformance.checks(), ids=lambda check: check.__name__)
def test_conformance_by_way_of_routes(check, store_url, routes):
    store = Store(routes(store_url("file", "one")))
    check(store)
    store.close()


@pytest.fixture
def one(store_url):
    return store_url("file", "one")


@pytest.fixture
def two(store_url):
    return store_url("file", "two")


@pytest.fixture
def filled(one, routes):
    """Return the routes of a store with two swarms."""
    with Swarm.open(one, agent="a", swarm="s") as swarm:
        fill(swarm)
    return routes(one)


def test_what_is_touched_while_it_is_copied_lives_on_there(filled, two, monkeypatch):
    with Swarm.open(filled, agent="a", swarm="s") as swarm:
        swarm.records.put("notes/timed", 1, ttl_s=60)
        events = Copy.events

        def touch_meanwhile(copy, source, upto):
            assert swarm.records.touch("notes/timed", 6000)
            return events(copy, source, upto)

        monkeypatch.setattr(Copy, "events", touch_meanwhile)
        move_swarm(filled, "s", two)

        record = swarm.records.get("notes/timed")
    assert record.expires_ms - record.updated_ms > 5_000_000


def test_who_works_follows_and_who_has_no_routes_is_refused(filled, one, two):
    by_routes = Swarm.open(filled, agent="a", swarm="s")
    stale = Swarm.open(one, agent="b", swarm="s")
    lease = by_routes.leases.acquire("deploy", ttl_s=3600)
    by_routes.records.get("notes/001")

    move_swarm(filled, "s", two)

    assert two == by_routes.url
    assert 1 == by_routes.records.get("notes/001").version
    assert 1 == by_routes.records.put("notes/new", 1).version
    with pytest.raises(LeaseLostError):
        by_routes.records.put("notes/guarded", 1, fence=lease)
    assert lease.token < by_routes.leases.acquire("deploy").token
    for write in (
        lambda: stale.records.put("notes/001", 2),
        lambda: stale.records.delete("notes/001"),
        lambda: stale.leases.acquire("another"),
        lambda: stale.messages.send(1, to="b"),
        lambda: stale.messages.claim(),
        lambda: stale.sessions.begin("new"),
        lambda: stale.outcomes.record("parse", ["a"], True, 1.0),
        lambda: stale.search("task"),
    ):
        with pytest.raises(SwarmMovedError) as caught:
            write()
        assert ("s", two, "gone") == (caught.value.swarm, caught.value.to, caught.value.state)
    with pytest.raises(SwarmMovedError):
        Swarm.open(one, swarm="s")
    stale.close()
    by_routes.close()


def test_the_swarm_that_stays_is_not_disturbed(filled, one, two):
    stays = Swarm.open(one, agent="b", swarm="t")

    move_swarm(filled, "s", two)

    assert 2 == stays.records.put("notes/000", 2).version
    assert stays.tick()
    stays.leases.acquire("deploy").release()
    assert [] == verify_store(stays).findings
    stays.close()


def test_events_that_are_lost_beside_a_swarm_that_arrived_are_found(filled, two):
    # Its block of numbers leaps; that is no excuse for what is missing at its edges.
    with Swarm.open(two, agent="b", swarm="host") as host:
        host.records.put("notes/1", 1)
    move_swarm(filled, "s", two)
    with Swarm.open(two, agent="b", swarm="host") as host:
        for n in range(3):
            host.records.put(f"notes/after/{n}", n)
        assert [] == verify_store(host).findings
        (mark,) = [
            e[0]
            for e in host._engine.all("verify_events", after=0, limit=10_000)
            if e[4] == "restore"
        ]
    file = apsw.Connection(two.removeprefix("sqlite:///"))
    file.execute("DELETE FROM events WHERE seq BETWEEN ? AND ?", (mark, mark + 1))
    file.close()

    with Swarm.open(two, agent="b", swarm="host") as host:
        assert "events" in {finding.check for finding in verify_store(host).findings}


def test_without_the_fence_a_stale_write_would_be_lost(filled, one, two, monkeypatch):
    """What the fence is for: with it left out, the tests above would fail."""
    monkeypatch.setattr(SqliteTx, "fence", lambda self, up: None)
    stale = Swarm.open(one, agent="b", swarm="s")

    move_swarm(filled, "s", two)

    assert 2 == stale.records.put("notes/001", "lost").version
    with Swarm.open(filled, agent="a", swarm="s") as swarm:
        assert 1 == swarm.records.get("notes/001").version
    stale.close()


@pytest.mark.parametrize("shared", [False, True], ids=["a new store", "one with other swarms"])
def test_cursors_and_results_are_valid_in_the_new_store(filled, two, shared):
    if shared:
        with Swarm.open(two, agent="a", swarm="u") as other:
            fill(other)
    swarm = Swarm.open(filled, agent="a", swarm="s")
    cursor = swarm.events.newest()
    last = swarm.events.since(cursor - 10)
    once = swarm.records.put("notes/result", 1, op_id="op-9")
    version = swarm.records.get("notes/often").version

    move_swarm(filled, "s", two)

    assert 1 == len(swarm.events.since(cursor))
    again = [(e.key, e.version, e.op) for e in swarm.events.since(cursor - 10)]
    assert [*[(e.key, e.version, e.op) for e in last], ("notes/result", 1, "put")] == again
    assert once == swarm.records.put("notes/result", 1, op_id="op-9")
    assert version + 1 == swarm.records.put("notes/often", 1, expect=version).version
    assert ["notes/result", "notes/often"] == [e.key for e in swarm.events.changes("sync").events]
    with pytest.raises(CursorExpiredError):
        swarm.events.since(2**60)
    swarm.close()


def test_a_cursor_whose_events_were_pruned_has_expired_in_the_new_store_too(filled, two):
    with Swarm.open(two, agent="a", swarm="u") as other:
        fill(other)
    swarm = Swarm.open(filled, agent="a", swarm="s")
    swarm.retention.sweep()
    newest = swarm.events.newest()
    old = newest - 20
    swarm._engine.write(lambda tx: tx.run("restore_prune_events", seq=newest - 5))

    move_swarm(filled, "s", two)

    with pytest.raises(CursorExpiredError):
        swarm.events.since(old)
    assert 3 == len(swarm.events.since(newest - 4))  # the newest is the other swarm's
    swarm._engine.write(lambda tx: tx.run("restore_prune_events", seq=tx.one("event_span")[1] - 2))
    with pytest.raises(CursorExpiredError):
        swarm.events.since(newest - 4)
    swarm.close()


def test_a_swarm_moves_there_and_back_and_on(filled, one, two, store_url):
    swarm = Swarm.open(filled, agent="a", swarm="s")
    cursor = swarm.events.newest()
    for number, to in enumerate((two, one, store_url("file", "three"), two), 1):
        move_swarm(filled, "s", to)
        swarm.records.put("notes/moves", number)
        assert to == swarm.url
        assert [] == verify_store(swarm).findings
        assert 10 == len(swarm.search("task planned"))
    assert [4, 3, 2, 1] == [r.value for r in swarm.records.history("notes/moves")]
    events = swarm.events.since(swarm.events.newest() - 1)
    assert [("notes/moves", 4)] == [(e.key, e.version) for e in events]
    with pytest.raises(CursorExpiredError):
        swarm.events.since(cursor)  # of a store that was left several moves ago
    swarm.close()


def test_what_cannot_be_right_is_refused_before_anything_is_written(filled, one, two, tmp_path):
    with Swarm.open(two, agent="a", swarm="s") as other:
        other.records.put("notes/1", 1)
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "one.db")
    before = sorted(os.listdir(tmp_path))

    for swarm, to, error in (
        ("s", two, InvalidArgumentError),
        ("s", f"sqlite:///{link}", InvalidArgumentError),
        ("nobody", two, NotFoundError),
        ("s", filled, InvalidArgumentError),
    ):
        with pytest.raises(error):
            move_swarm(filled, swarm, to)
    with pytest.raises(InvalidArgumentError):
        move_swarm(one, "s", one)

    assert before == sorted(os.listdir(tmp_path))
    with Swarm.open(one, agent="a", swarm="s") as swarm:
        assert 2 == swarm.records.put("notes/001", 2).version


def test_a_dry_run_makes_nothing(filled, one, two, tmp_path):
    planned = move_swarm(filled, "s", two, dry_run=True)

    assert (True, 607) == (planned.dry_run, planned.rows["records"])
    assert not (tmp_path / "two.db").exists()


def test_a_move_that_fails_is_taken_back(filled, one, two, monkeypatch):
    def fail(self, source, upto):
        raise KeyboardInterrupt

    monkeypatch.setattr(Copy, "events", fail)
    with pytest.raises(KeyboardInterrupt):
        move_swarm(filled, "s", two)
    monkeypatch.undo()

    assert [] == [place for place in places_of(two) if place.swarm == "s"]
    with Swarm.open(filled, agent="a", swarm="s") as swarm:
        assert one == swarm.url
        assert 2 == swarm.records.put("notes/001", 2).version
    assert not move_swarm(filled, "s", two).resumed


def test_what_is_forgotten_while_a_swarm_moves_does_not_come_back(filled, one, two, monkeypatch):
    events = Copy.events

    def forget_first(self, source, upto):
        with Swarm.open(one, agent="a", swarm="s") as swarm:
            forget(swarm, "text", "agent-3", folders=[])
        events(self, source, upto)

    monkeypatch.setattr(Copy, "events", forget_first)
    with pytest.raises(InvalidArgumentError):
        move_swarm(filled, "s", two)
    monkeypatch.undo()

    move_swarm(filled, "s", two)

    with Swarm.open(filled, agent="a", swarm="s") as swarm:
        assert [] == [r.key for r in swarm.records.each() if "agent-3" in str(r.value)]
        assert [] == verify_store(swarm).findings


def test_the_copy_that_is_left_can_be_dropped(filled, one, two):
    with pytest.raises(NotFoundError):
        drop_copy(one, "s")
    move_swarm(filled, "s", two)

    assert two == drop_copy(one, "s")

    with Swarm.open(one, agent="a", swarm="t") as stays:
        assert [] == verify_store(stays).findings
        assert 1 == stays._engine.one("backup_counts")[0]
    with pytest.raises(SwarmMovedError):
        Swarm.open(one, swarm="s")


def test_all_swarms_of_a_store_move_and_new_ones_are_made_there(filled, two):
    moves = move_all(filled, two)

    assert ["s", "t"] == [move.swarm for move in moves]
    with Swarm.open(filled, agent="a", swarm="new") as new:
        assert two == new.url
    assert [True, True] == [move.resumed for move in move_all(filled, two)]


def test_a_store_is_the_directory(one, two, tmp_path, monkeypatch):
    monkeypatch.setattr(routes_module, "LOOK_S", 3600)
    url = f"routes:sqlite:///{tmp_path}/directory.db"
    set_route(url, "", one)
    here, there = (Swarm.open(url, agent=name, swarm="s") for name in "ab")
    here.records.put("notes/1", 1)

    move_swarm(url, "s", two)

    # Not told yet, but the old store takes no write: it leads to the new one.
    assert 2 == there.records.put("notes/1", 2).version
    assert (two, two) == (there.url, here.records.put("notes/1", 3) and here.url)
    assert [("s", two, True)] == [(p.swarm, p.url, p.routed) for p in places_of(url)]
    here.close()
    there.close()


def test_a_door_to_another_swarm_goes_to_its_own_store(one, two, routes):
    url = routes(one, b=two)
    with Swarm.open(url, agent="a", swarm="a") as swarm:
        other = swarm.as_agent("a", swarm="b")
        other.records.put("notes/1", 1)
        assert (one, two) == (swarm.url, other.url)


def test_routes_that_are_damaged_or_say_nothing_are_refused(routes, tmp_path):
    with pytest.raises(NotFoundError):
        Swarm.open(routes(b="sqlite:////tmp/b.db"), swarm="a")
    for text in ("{", "[]", '{"swarms": []}', '{"default": 3}'):
        (tmp_path / "routes.json").write_text(text)
        with pytest.raises(ConfigError):
            Swarm.open(f"routes:{tmp_path}/routes.json", swarm="a")


def test_two_that_write_routes_do_not_lose_each_others_entry(tmp_path):
    one, other = (RoutesFile(f"{tmp_path}/routes.json") for _ in range(2))

    assert one.put("a", Route("sqlite:///a.db"), was=one.find("a").url)
    assert other.put("b", Route("postgresql://me:secret@host/b", "m1", "sqlite:///c.db"))
    assert not one.put("b", Route("sqlite:///b.db"), was="sqlite:///else.db")

    assert Route(f"sqlite:///{tmp_path}/a.db") == one.find("a")
    assert Route("postgresql://me:secret@host/b", "m1", f"sqlite:///{tmp_path}/c.db") == one.find(
        "b"
    )
    assert 0o600 == (tmp_path / "routes.json").stat().st_mode & 0o777
    assert {"default", "swarms", "moves"} == set(json.loads((tmp_path / "routes.json").read_text()))


def test_no_password_is_kept_where_others_read_it():
    shown = {
        "postgresql://me:secret@db/agents": "postgresql://me@db/agents",
        "postgresql://db/agents?password=secret&sslmode=require": (
            "postgresql://db/agents?sslmode=require"
        ),
        "postgresql://me@one:5432,two:5433/agents": "postgresql://me@one:5432,two:5433/agents",
        "sqlite:////home/me:you@x/memory.db": "sqlite:////home/me:you@x/memory.db",
    }

    assert list(shown.values()) == [without_password(url) for url in shown]


def test_every_table_moves_or_stays_for_a_reason(one):
    with Swarm.open(one, swarm="s") as swarm:
        made = {
            name
            for name, sql in swarm._engine.all("verify_schema")
            if "CREATE TABLE" in sql.upper() or "CREATE VIRTUAL" in sql.upper()
        }
    moved = {table.name for table in (*COPIED, INJECTIONS)} | set(RECORD_TABLES)

    assert made <= moved | set(STAYS)
    assert not moved & set(STAYS)
