"""What the pages ask: by seeking and by ends of logs, and what their routes refuse."""

import pytest

from swarm_memory import Swarm


@pytest.fixture(params=["sqlite", "postgresql"])
def door(request, tmp_path):
    url = f"sqlite:///{tmp_path}/memory.db"
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
    with Swarm.open(url, agent="a", swarm="s") as door:
        yield door


def names(level):
    return [item["key"] + ("" if item["leaf"] else "/") for item in level["items"]]


def test_a_level_has_records_and_branches_in_order_each_once(door):
    keys = ["a", "a-b", "a/1", "a/2/3", "a0", "b/1", "b/2", "c"]
    door.records.put_many((key, 1) for key in keys)

    top, below = door.overview.level(), door.overview.level("a")

    assert ["a", "a-b", "a/", "a0", "b/", "c"] == names(top)
    assert ["a/1", "a/2/"] == names(below)
    assert 2 == next(item for item in top["items"] if item["key"] == "b")["records"]


def test_pages_of_a_level_are_all_of_it(door):
    door.records.put_many((f"x/{number:03}/y", 1) for number in range(7))
    door.records.put_many((f"x/{number:03}", 1) for number in range(4, 11))

    found, after = [], ""
    while after is not None:
        page = door.overview.level("x", after=after, limit=3)
        found += names(page)
        after = page["next_after"]
        assert len(page["items"]) <= 3

    expected = {f"x/{n:03}/" for n in range(7)} | {f"x/{n:03}" for n in range(4, 11)}
    assert sorted(expected) == sorted(found)
    assert len(expected) == len(found)


class Counting:
    """An engine that counts the rows that are read through it."""

    def __init__(self, engine):
        self._engine, self.rows = engine, 0

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def all(self, statement, /, **parameters):
        rows = self._engine.all(statement, **parameters)
        self.rows += len(rows)
        return rows


def test_a_large_branch_is_counted_no_further_than_a_hundred(door):
    door.records.put_many((f"large/{number:05}", 1) for number in range(3000))
    door.records.put("small", 1)
    engine = Counting(door._engine)
    from swarm_memory.overview.tree import level

    large, small = level(door, engine, "")["items"]

    assert (100, True) == (large["records"], large["more"])
    assert small["leaf"]
    assert engine.rows < 20


def test_what_is_deleted_or_expired_is_on_no_level(tmp_path):
    from swarm_memory.testing import ManualClock

    clock = ManualClock()
    with Swarm.open(f"sqlite:///{tmp_path}/m.db", agent="a", swarm="s", clock=clock) as door:
        door.records.put("gone/1", 1)
        door.records.delete("gone/1")
        door.records.put("short/1", 1, ttl_s=5)
        assert ["short/"] == names(door.overview.level())
        clock.advance(6)
        assert [] == names(door.overview.level())


def test_a_record_says_what_an_edit_of_it_has_to_send(door):
    about = {"kind": "lesson", "stale": {"reason": "old"}}
    door.records.put("notes/1", {"n": 2**62 + 1}, ttl_s=100, provenance=about)

    shown = door.overview.record("notes/1")

    assert str(2**62 + 1) in shown["text"]
    assert {"reason": "old"} == shown["stale"]
    assert {"ttl_s": 100, "provenance": {"kind": "lesson", "via": "dashboard"}} == shown["edit"]
    assert not shown["pinned"]


def test_a_long_value_is_cut_and_says_so(door):
    door.records.put("notes/long", "x" * 300_000)

    shown = door.overview.record("notes/long")

    assert shown["cut"]
    assert 200_000 == len(shown["text"])


def test_a_version_that_is_not_kept_is_not_found(door):
    from swarm_memory import NotFoundError

    door.records.put("notes/1", 1)

    with pytest.raises(NotFoundError):
        door.overview.at_version("notes/1", 7)
    with pytest.raises(NotFoundError):
        door.overview.record("notes/2")


def test_the_log_of_what_was_shown_comes_in_pages_and_by_agent(door):
    for number in range(5):
        door.records.put(
            f"memory/notes/{number}", f"lesson {number}", provenance={"kind": "lesson"}
        )
    reader = door.as_agent("reader")
    reader.briefing.session("s1", "one", source="startup")
    reader.briefing.session("s2", "two", source="startup")

    first = door.overview.shown(agent="one", limit=3)
    second = door.overview.shown(agent="one", limit=3, before=first["next_before"])

    shown = [item["item"] for item in first["items"] + second["items"]]
    assert {f"memory/notes/{number}" for number in range(5)} == set(shown)
    assert 5 == len(shown)
    assert {"one": 5, "two": 5} == {each["agent"]: each["items"] for each in first["agents"]}
    assert "agents" not in second


def test_now_tells_who_holds_what_and_who_waits(door):
    from swarm_memory.errors import LeaseHeldError

    session = "session-of-agent"
    door.sessions.begin(session, agent="main", about={"branch": "topic"})
    short = door.sessions.get(session).short
    name = f"main@{short}"
    me = door.as_agent(name, session=session)
    me.leases.acquire("deploy", ttl_s=60)
    me.edits.edited(["a.py"], session_id=session, agent=name, worktree="/w", branch="topic")
    other = door.as_agent("other")
    other.edits.edited(["a.py"], session_id="x", agent="other", worktree="/w")
    with pytest.raises(LeaseHeldError):
        other.leases.acquire("deploy", wait_s=0)

    now = door.overview.now()

    person = next(each for each in now["people"] if each["agent"] == name)
    assert (True, "topic", ["a.py"], ["deploy"]) == (
        person["main"], person["branch"], person["files"], person["locks"]
    )  # fmt: skip
    assert ["a.py"] == now["counts"]["contended"]
    assert (1, 1, 0) == tuple(now["counts"][n] for n in ("sessions", "locks", "waiting"))


def test_the_last_hour_counts_memories_apart_from_operations(door):
    door.records.put("notes/1", 1)
    door.records.put("memory/operations/s/1", {"operation": "edit", "path": "a.py"})

    minutes = door.overview.activity()["minutes"]

    assert 60 == len(minutes)
    assert (1, 1) == (sum(m[1] for m in minutes), sum(m[2] for m in minutes))
    assert "edit a.py" == door.overview.latest()[0]["text"]
    assert ["notes/1"] == [line["key"] for line in door.overview.latest(telemetry=False)]


def test_kinds_are_what_the_counters_say_with_how_long_they_are_kept(door):
    door.records.put_many((f"memory/notes/{number}", "text") for number in range(3))
    door.records.put("memory/operations/s/1", {"operation": "edit"})

    kinds = {kind["category"]: kind for kind in door.overview.kinds()}

    assert (3, False) == (kinds["memory"]["records"], kinds["memory"]["telemetry"])
    assert kinds["operations"]["telemetry"]
    assert 7 * 86_400 == kinds["operations"]["retention_s"]


def test_swarms_are_those_of_which_anything_is_known(door):
    door.as_agent("b", swarm="t").records.put("notes/1", 1)
    door.as_agent("b", swarm="u").sessions.begin("only-a-session")

    assert ["s", "t", "u"] == door.overview.swarms()
