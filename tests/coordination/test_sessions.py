"""Sessions: begun, renewed, lapsed and ended; what they hold ends with them, and nothing else."""

import asyncio
import os
import subprocess
import sys

import pytest

from swarm_memory import Swarm, SwarmMemoryManager
from swarm_memory.aio import AsyncSwarm
from swarm_memory.errors import (
    InvalidArgumentError,
    InvalidValueError,
    LeaseLostError,
    LimitExceededError,
    NotFoundError,
    StaleReceiptError,
)
from swarm_memory.identity import agent_name
from swarm_memory.lives import NOT_RENEWED, RESTARTED, Held
from swarm_memory.sessions import REAP_MAX, TTL_S_MAX, Sessions
from swarm_memory.testing import Store

UUID = "3f2a9c1b-77d0-4b1e-9c55-0a1b2c3d4e5f"
HOUR_S = 3600


@pytest.fixture
def kept(engine_url):
    store = Store(engine_url)
    yield store
    store.close()


@pytest.fixture
def swarm(kept):
    return kept.open()


@pytest.fixture
def sessions(swarm):
    return swarm.sessions


def holding(swarm, session, agent="worker"):
    """Let a session hold a lease and have two messages in hand; return these."""
    acting = swarm.as_agent(agent, session=session)
    swarm.messages.send_many([1, 2], topic=f"work of {session}")
    return (
        acting.leases.acquire(f"lease of {session}", ttl_s=HOUR_S),
        acting.messages.claim(f"work of {session}", limit=2, visible_after_s=HOUR_S),
    )


def is_free(swarm, session):
    """Tell whether what `holding` gave a session can be had by others."""
    other = swarm.as_agent("other")
    lease = other.leases.try_acquire(f"lease of {session}")
    messages = other.messages.claim(f"work of {session}", limit=2)
    assert (lease is None) == (not messages)
    return lease is not None and len(messages) == 2


# --- beginning and renewing ---


def test_a_session_says_who_began_it_and_until_when_it_lives(sessions, kept):
    now = kept.clock.now_ms()
    session = sessions.begin(UUID, about={"branch": "main", "cwd": "/src"})

    assert (UUID, "3f2a9c1b", "logical", "active", "a") == session[:5]
    assert {"branch": "main", "cwd": "/src"} == session.about
    assert (now, now) == (session.began_ms, session.touched_ms)
    assert now + 1000 * HOUR_S == session.expires_ms
    assert session._replace(held=Held()) == sessions.get(UUID)
    assert {"leases": 0, "messages": 0, "agents": 0} == sessions.get(UUID).to_dict()["held"]


def test_beginning_again_renews_and_adds_to_what_was_said(sessions, kept):
    began = sessions.begin("s", about={"branch": "main", "cwd": "/src"}, ttl_s=100)
    kept.clock.advance(60)
    again = sessions.begin("s", agent="b", about={"branch": "fix"})

    assert {"branch": "fix", "cwd": "/src"} == again.about
    assert (began.began_ms, began.expires_ms + 60_000) == (again.began_ms, again.expires_ms)
    assert (100, "a", 1) == (again.ttl_s, again.agent, len(sessions.list()))
    assert 200 == sessions.begin("s", ttl_s=200).ttl_s


def test_a_touch_writes_only_when_a_third_of_the_time_is_gone(swarm, sessions, kept):
    began = sessions.begin("s", ttl_s=300)
    version = swarm._engine.version()
    kept.clock.advance(99)

    assert began == sessions.touch("s")
    assert version == swarm._engine.version()
    kept.clock.advance(2)
    assert began.expires_ms + 101_000 == sessions.touch("s").expires_ms
    assert version != swarm._engine.version()
    assert began.began_ms == sessions.get("s").began_ms


def test_touching_keeps_a_session_alive_for_as_long_as_it_is_touched(swarm, sessions, kept):
    sessions.begin("s", ttl_s=60)
    lease, messages = holding(swarm, "s")
    for _ in range(20):
        kept.clock.advance(50)
        assert "active" == sessions.touch("s").state
        assert 0 == sessions.reap()

    lease.renew()
    assert 2 == swarm.messages.ack(*messages)


def test_whoever_acts_in_a_session_need_not_name_it(swarm):
    acting = swarm.as_agent("b", session="mine").sessions
    acting.begin()
    acting.agent_started(None, "a1", "explore")

    assert "mine" == acting.touch().session_id == acting.get().session_id
    assert ["a1"] == [agent.agent_id for agent in acting.agents()]
    assert acting.agent_stopped(None, "a1")
    assert acting.end()
    with pytest.raises(InvalidArgumentError, match="no session"):
        swarm.sessions.touch()


def test_swarms_have_sessions_of_their_own(swarm, sessions):
    other = swarm.as_agent("a", swarm="t").sessions
    sessions.begin("s")

    assert other.touch("s") is None
    other.begin("s")
    sessions.end("s")
    assert "active" == other.get("s").state


@pytest.mark.parametrize(
    ("error", "call"),
    [
        (InvalidArgumentError, lambda s: s.begin("")),
        (InvalidArgumentError, lambda s: s.begin("x" * 101)),
        (InvalidArgumentError, lambda s: s.begin("s", kind="eternal")),
        (InvalidArgumentError, lambda s: s.begin("s", ttl_s=0.01)),
        (InvalidArgumentError, lambda s: s.begin("s", ttl_s=TTL_S_MAX + 1)),
        (InvalidArgumentError, lambda s: s.begin("s", agent="x" * 101)),
        (InvalidArgumentError, lambda s: s.begin("s", about=["branch"])),
        (InvalidValueError, lambda s: s.begin("s", about={"branch": {1}})),
        (LimitExceededError, lambda s: s.begin("s", about={"cwd": "x" * 20_000})),
        (InvalidArgumentError, lambda s: s.end("s", reason="")),
        (InvalidArgumentError, lambda s: s.list("dead")),
        (InvalidArgumentError, lambda s: s.list(limit=0)),
        (InvalidArgumentError, lambda s: s.agent_started("s", "", "explore")),
        (InvalidArgumentError, lambda s: s.agent_started("s", "a1", "")),
        (InvalidArgumentError, lambda s: s.agent_started("s", "a1", "explore", "")),
        (NotFoundError, lambda s: s.agent_started("s", "a1", "explore")),
        (NotFoundError, lambda s: s.agents("s")),
        (NotFoundError, lambda s: s.get("s")),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(sessions, error, call):
    with pytest.raises(error):
        call(sessions)

    assert [] == sessions.list()


def test_what_was_said_stays_if_more_would_be_too_much(sessions):
    sessions.begin("s", about={"cwd": "x" * 10_000})
    with pytest.raises(LimitExceededError):
        sessions.begin("s", about={"branch": "x" * 10_000})

    assert ["cwd"] == list(sessions.get("s").about)


# --- ending ---


def test_what_a_session_holds_ends_with_it_and_nothing_else(swarm, sessions):
    for name in ("s", "t"):
        sessions.begin(name)
    lease, messages = holding(swarm, "s")
    other_lease, other_messages = holding(swarm, "t")
    assert Held(1, 2, 0) == sessions.get("s").held

    assert sessions.end("s", reason="logout")
    assert is_free(swarm, "s")
    assert not is_free(swarm, "t")
    with pytest.raises(LeaseLostError):
        lease.renew()
    with pytest.raises(StaleReceiptError):
        messages[0].ack()
    other_lease.renew()
    assert 2 == swarm.messages.ack(*other_messages)
    ended = sessions.get("s")
    assert ("ended", "logout", Held()) == (ended.state, ended.reason, ended.held)


def test_who_waits_in_line_for_a_session_leaves_with_it(swarm):
    waiting = swarm.as_agent("w", session="s")
    waiting.sessions.begin()
    swarm.leases.acquire("x")
    wish = waiting.leases._wish("x", "exclusive", 30, None)
    waiting.leases._write_take(wish, queue=True)
    assert 1 == waiting.sessions.get().held.leases

    waiting.sessions.end()
    assert ["held"] == [seat.state for seat in swarm.leases.list("x")]


def test_ending_again_says_no_and_frees_what_came_later(swarm, sessions):
    sessions.begin("s")
    assert sessions.end("s")
    holding(swarm, "s")

    assert not sessions.end("s", reason="again")
    assert is_free(swarm, "s")
    assert sessions.get("s").reason is None
    assert not sessions.end("nobody")


def test_an_ended_session_is_not_renewed_but_can_begin_anew(sessions, kept):
    began = sessions.begin(UUID, about={"branch": "main"}, ttl_s=100)
    sessions.end(UUID, reason="clear")
    assert sessions.touch(UUID) is None
    kept.clock.advance(1)
    anew = sessions.begin(UUID, agent="b", about={"source": "resume"})

    assert ("active", {"source": "resume"}, HOUR_S) == (anew.state, anew.about, anew.ttl_s)
    assert ("b", None, None) == (anew.agent, anew.reason, anew.ended_ms)
    assert began.began_ms + 1000 == anew.began_ms
    assert began.short == anew.short


def test_a_session_that_begins_anew_holds_nothing_and_a_first_one_what_it_has(swarm, sessions):
    holding(swarm, "s")
    sessions.begin("s")
    assert Held(1, 2, 0) == sessions.get("s").held
    sessions.end("s")
    holding(swarm, "s")

    sessions.begin("s")
    assert Held() == sessions.get("s").held
    assert is_free(swarm, "s")


def test_a_transaction_ends_a_session_or_does_not(swarm, sessions):
    sessions.begin("s")
    holding(swarm, "s")

    def fails(tx):
        assert tx.sessions.end("s")
        assert "ended" == tx.sessions.get("s").state
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        swarm.transact(fails)
    assert "active" == sessions.get("s").state
    assert not is_free(swarm, "s")
    assert swarm.transact(lambda tx: tx.sessions.end("s"))
    assert is_free(swarm, "s")


# --- lapsing ---


WAYS = {
    "reap": lambda sessions: sessions.reap(),
    "list": lambda sessions: sessions.list(),
    "get": lambda sessions: sessions.get("s"),
    "another begins": lambda sessions: sessions.begin("another"),
    "it begins anew": lambda sessions: sessions.begin("s"),
    "it is ended": lambda sessions: sessions.end("s"),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_session_that_nobody_renews_is_ended_by_whoever_comes_by(swarm, sessions, kept, way):
    sessions.begin("s", ttl_s=60)
    lease, _ = holding(swarm, "s")
    sessions.agent_started("s", "a1", "explore")
    kept.clock.advance(59.999)
    assert 0 == sessions.reap()
    assert not is_free(swarm, "s")

    kept.clock.advance(0.001)
    WAYS[way](sessions)
    assert is_free(swarm, "s")
    with pytest.raises(LeaseLostError):
        lease.renew()
    assert [kept.clock.now_ms()] == [agent.ended_ms for agent in sessions.agents("s")]
    if way != "it begins anew":
        lapsed = sessions.get("s")
        assert ("lapsed", NOT_RENEWED) == (lapsed.state, lapsed.reason)


def test_a_lapsed_session_is_over_whether_or_not_somebody_came_by(sessions, kept):
    sessions.begin("s", ttl_s=60)
    sessions.agent_started("s", "a1", "explore")
    kept.clock.advance(60)

    assert sessions.touch("s") is None
    assert not sessions.agent_stopped("s", "a1")
    with pytest.raises(NotFoundError, match="over"):
        sessions.agent_started("s", "a1", "explore")
    with pytest.raises(NotFoundError, match="over"):
        sessions.agent_started("s", "a2", "explore")
    assert not sessions.end("s", reason="late")
    lapsed = sessions.get("s")
    assert ("lapsed", NOT_RENEWED) == (lapsed.state, lapsed.reason)


def test_who_comes_by_ends_a_bounded_number_and_the_one_that_begins_in_any_case(sessions, kept):
    names = [f"s-{number:03}" for number in range(REAP_MAX + 5)]
    for name in names:
        sessions.begin(name, ttl_s=60)
    kept.clock.advance(61)
    begun = sessions.begin(names[-1])

    assert kept.clock.now_ms() == begun.began_ms
    states = [session.state for session in sessions._active(sessions._db)]
    assert 6 == len(states)
    assert 5 == sessions.reap()
    assert [names[-1]] == [session.session_id for session in sessions.list("active")]


class Between:
    """An engine to which something happens between a look and the write that follows it."""

    def __init__(self, engine, happens):
        self._engine, self._happens = engine, happens

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def write_one(self, statement, **parameters):
        self._happens()
        return self._engine.write_one(statement, **parameters)


@pytest.mark.parametrize("way", ["ended", "lapsed"])
def test_a_touch_that_comes_second_revives_nothing(swarm, sessions, kept, way):
    sessions.begin("s", ttl_s=60)
    kept.clock.advance(59)

    def happens():
        kept.clock.advance(1 if way == "lapsed" else 0)
        assert sessions.reap() if way == "lapsed" else sessions.end("s")

    slow = Sessions(Between(swarm._engine, happens), swarm.context, swarm._engine, None)
    assert slow.touch("s") is None
    assert way == sessions.get("s").state


def test_an_agent_does_not_start_in_a_session_that_ends_meanwhile(swarm, sessions):
    sessions.begin("s")
    between = Between(swarm._engine, lambda: sessions.end("s"))
    slow = Sessions(between, swarm.context, swarm._engine, None)
    with pytest.raises(NotFoundError, match="over"):
        slow.agent_started("s", "a1", "explore")

    assert [] == sessions.agents("s")


def test_setting_the_wall_clock_ends_no_session_and_prolongs_none(sessions, kept):
    sessions.begin("s", ttl_s=60)
    for seconds in (86_400, -10 * 86_400):
        kept.clock.jump(seconds)
        assert 0 == sessions.reap()
    kept.clock.advance(59)
    assert "active" == sessions.get("s").state
    kept.clock.jump(-86_400)
    kept.clock.advance(1)
    assert 1 == sessions.reap()


def test_a_restart_of_the_machine_ends_the_sessions_of_processes(sessions, kept):
    sessions.begin("p", kind="process", ttl_s=60)
    sessions.begin("s", ttl_s=60)
    kept.clock.reboot()

    assert 1 == sessions.reap()
    found = {s.session_id: (s.state, s.reason) for s in sessions.list()}
    assert {"p": ("lapsed", RESTARTED), "s": ("active", None)} == found


@pytest.mark.parametrize(("away_s", "left_s"), [(20, 40), (59, 1), (60, 0), (-1000, 60)])
def test_a_logical_session_outlives_a_restart_by_what_is_left_of_it(sessions, kept, away_s, left_s):
    """The wall clock is asked once: set back, it gives nobody more than the whole time to live."""
    sessions.begin("s", ttl_s=60)
    kept.clock.reboot()
    kept.clock.jump(away_s)
    if left_s == 0:
        assert "lapsed" == sessions.get("s").state
        return
    assert "active" == sessions.get("s").state
    kept.clock.jump(-86_400)
    kept.clock.advance(left_s - 0.001)
    assert "active" == sessions.get("s").state
    kept.clock.advance(0.001)
    assert "lapsed" == sessions.get("s").state


def test_a_touch_after_a_restart_counts_from_then_on(sessions, kept):
    sessions.begin("s", ttl_s=60)
    kept.clock.reboot()
    kept.clock.jump(1)

    assert kept.clock.now_ms() + 60_000 == sessions.touch("s").expires_ms
    kept.clock.jump(86_400)
    assert "active" == sessions.get("s").state


def test_ended_sessions_and_their_agents_are_forgotten_in_time(swarm, sessions, kept):
    retention_s = swarm.config.event_retention_s
    sessions.begin("old")
    sessions.agent_started("old", "a1", "explore")
    sessions.end("old")
    sessions.begin("long", ttl_s=TTL_S_MAX)
    kept.clock.advance(1)
    sessions.begin("new")
    sessions.end("new")
    kept.clock.advance(retention_s - 1)

    assert 1 == sessions.prune()
    assert ["new"] == [s.session_id for s in sessions.list("ended")]
    assert [] == swarm._engine.all("agent_list", swarm="s", session_id="old", limit=9)


def test_the_daily_upkeep_ends_and_forgets(swarm, sessions, kept):
    sessions.begin("s", ttl_s=60)
    kept.clock.advance(61)
    assert swarm.tick()
    assert [] == swarm._engine.all("session_active", swarm="s")
    kept.clock.advance(swarm.config.event_retention_s + 1)
    assert swarm.tick()
    assert [] == swarm._engine.all("session_list", swarm="s", state="", limit=9)


# --- names ---


def test_sessions_that_begin_alike_have_short_names_of_their_own(sessions):
    others = [UUID[:9] + "0" + UUID[10:], UUID[:8] + "-x", UUID[:8] + "-x" + UUID, UUID[:8]]
    shorts = [sessions.begin(name).short for name in (UUID, *others)]

    assert ["3f2a9c1b", "3f2a9c1b-0", "3f2a9c1b-x", "3f2a9c1b-x3", "3f2a9c1b-2"] == shorts
    assert "3f2a9c1b" == sessions.begin(UUID).short


def test_a_session_is_found_by_its_short_name_unless_another_has_that_id(sessions):
    sessions.begin(UUID)
    assert UUID == sessions.get(UUID[:8]).session_id
    sessions.begin(UUID[:8])
    assert UUID[:8] == sessions.get(UUID[:8]).session_id
    assert sessions.touch("3f2a9c1b-2") is None


def test_two_terminals_have_states_of_their_own(swarm, sessions):
    for number, name in enumerate((UUID, UUID + "0")):
        agent = agent_name(sessions.begin(name).short)
        swarm.as_agent(agent, session=name).records.put(f"swarm-s/agent-{agent}/state", number)

    states = swarm.records.scan("swarm-s/")
    assert [("main@3f2a9c1b-7", 1), ("main@3f2a9c1b", 0)] == [(r.author, r.value) for r in states]


# --- agents ---


def test_agents_of_a_session_are_told_apart_and_counted_once(sessions, kept):
    sessions.begin(UUID)
    for _ in range(3):
        first = sessions.agent_started(UUID, "a1", "explore")
        kept.clock.advance(1)
    second = sessions.agent_started(UUID, "a2", "plan", "a1")

    assert [first, second] == sessions.agents(UUID)
    assert ("explore:a1@3f2a9c1b", None) == (first.name, first.parent)
    assert ("plan:a2@3f2a9c1b", "a1") == (second.name, second.parent)
    assert 3000 == second.started_ms - first.started_ms
    assert 2 == sessions.get(UUID).held.agents
    assert first == sessions.agent_started(UUID, "a1", "another type", "a2")


def test_an_agent_stops_once_and_may_run_again(sessions, kept):
    sessions.begin("s")
    started = sessions.agent_started("s", "a1", "explore")
    kept.clock.advance(1)

    assert sessions.agent_stopped("s", "a1")
    assert not sessions.agent_stopped("s", "a1")
    assert not sessions.agent_stopped("s", "a2")
    assert [started._replace(ended_ms=kept.clock.now_ms())] == sessions.agents("s")
    assert started == sessions.agent_started("s", "a1", "explore")
    assert 1 == sessions.get("s").held.agents


def test_ids_of_agents_are_unique_only_within_their_session(sessions):
    for name in ("s", "t"):
        sessions.begin(name)
        sessions.agent_started(name, "a1", f"type of {name}")
    sessions.agent_stopped("s", "a1")

    assert ["type of t"] == [agent.agent_type for agent in sessions.agents("t")]
    assert [None] == [agent.ended_ms for agent in sessions.agents("t")]


def test_agents_end_with_their_session_and_not_with_another(sessions):
    for name in ("s", "t"):
        sessions.begin(name)
        sessions.agent_started(name, "a1", "explore")
    sessions.end("s")

    assert sessions.agents("s")[0].ended_ms is not None
    assert sessions.agents("t")[0].ended_ms is None
    sessions.begin("s")
    assert 0 == sessions.get("s").held.agents


# --- sessions of processes ---


def test_a_session_of_this_process_ends_when_the_store_is_closed(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    with Swarm.open(url) as swarm:
        with SwarmMemoryManager("w", "default", url=url, session_ttl_s=600) as mine:
            session = mine.swarm.sessions.get()
            assert ("process", "active", os.getpid()) == (session.kind, session.state, session.pid)
            assert 600 == session.ttl_s
            holding(swarm, session.session_id)

        ended = swarm.sessions.get(session.session_id)
        assert ("ended", "closed") == (ended.state, ended.reason)
        assert is_free(swarm, session.session_id)


HOOK = """
import sys, swarm_memory
with swarm_memory.Swarm.open(sys.argv[1], session="s") as swarm:
    swarm.records.put("x/a", 1)
    mine = "sessions lives keeper identity processes leases messages".split()
    assert not {f"swarm_memory.{name}" for name in mine} & set(sys.modules)
    assert swarm.sessions.touch().session_id == "s"
    swarm.sessions.agent_started(None, "a1", "explore")
heavy = "orjson zstandard numpy typing dataclasses hashlib random pathlib swarm_memory.keeper"
print([name for name in heavy.split() if name in sys.modules])
"""


def test_a_hook_loads_what_it_uses_and_nothing_heavy(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    with Swarm.open(url) as swarm:
        swarm.sessions.begin("s", about={"cwd": "/src"})
    command = [sys.executable, "-I", "-c", HOOK, url]
    run = subprocess.run(command, capture_output=True, text=True, check=True)

    assert "[]" == run.stdout.strip()


def test_a_session_is_awaited_like_everything_else(tmp_path):
    async def act():
        async with await AsyncSwarm.open(f"sqlite:///{tmp_path}/s.db", session_ttl_s=60) as swarm:
            await swarm.sessions.agent_started(None, "a1", "explore")
            return await swarm.sessions.get()

    session = asyncio.run(act())
    assert ("active", Held(0, 0, 1)) == (session.state, session.held)


def test_closing_a_store_that_acts_in_a_session_ends_nothing(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    with Swarm.open(url) as swarm:
        swarm.sessions.begin("s")
        with Swarm.open(url, session="s") as other:
            other.sessions.touch()
            holding(swarm, "s")

        assert "active" == swarm.sessions.get("s").state
        assert not is_free(swarm, "s")


def test_a_session_that_does_not_begin_leaves_no_open_store(tmp_path):
    url = f"sqlite:///{tmp_path}/s.db"
    with Swarm.open(url, session="s") as swarm:
        swarm.sessions.begin()
        with pytest.raises(InvalidArgumentError, match="active as a logical session"):
            Swarm.open(url, session="s", session_ttl_s=60)

        assert "active" == swarm.sessions.get().state
    assert [] == [name for name in os.listdir("/proc/self/fd") if is_of(name, tmp_path)]


def is_of(descriptor, folder):
    try:
        return os.readlink(f"/proc/self/fd/{descriptor}").startswith(str(folder))
    except OSError:
        return False


def test_nobody_makes_another_kind_of_session_of_one(sessions):
    sessions.begin("p", kind="process")
    sessions.begin("s")
    for name, kind in (("p", "logical"), ("s", "process")):
        with pytest.raises(InvalidArgumentError, match="is active as a"):
            sessions.begin(name, kind=kind)

    assert ["process", "logical"] == [sessions.get(name).kind for name in "ps"]
    sessions.end("p")
    assert "logical" == sessions.begin("p").kind


def test_a_default_time_to_live_depends_on_the_kind(sessions):
    assert [3600, 30] == [sessions.begin(k, kind=k).ttl_s for k in ("logical", "process")]
