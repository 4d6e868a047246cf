"""What a search returns, whatever the index says: live records, as they are now, best first."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_memory import InvalidArgumentError, InvalidKeyError, Swarm
from swarm_memory.aio import AsyncSwarm
from swarm_memory.ranking import MIN_SCORE
from swarm_memory.search import HITS_MAX


def keys(hits):
    return [hit.record.key for hit in hits]


def test_a_hit_is_the_record_with_score_snippet_and_reasons(swarm):
    record = swarm.records.put("notes/redis", {"why": "Postgres was slow for sessions"})
    swarm.records.put("notes/other", "nothing of the kind")
    (hit,) = hits = swarm.search("why are the sessions not in Postgres or MySQL?")

    assert record == hit.record
    assert MIN_SCORE < hit.score <= 1
    assert "Postgres was slow for sessions" in hit.snippet
    assert (["sessions", "Postgres"], ["MySQL"]) == (hit.why["found"], hit.why["missing"])
    assert hits.complete
    assert hits.to_dict() == json.loads(json.dumps(hits.to_dict()))


def test_records_are_found_by_the_words_of_their_keys(swarm):
    swarm.records.put("swarm-s/agent-a/decisions/maxRetryCount/1", {"value": 5})
    swarm.records.put("docs/app+2F+5Bid+5D+2Fpage.tsx", "x")

    assert ["swarm-s/agent-a/decisions/maxRetryCount/1"] == keys(swarm.search("retry count"))
    assert ["docs/app+2F+5Bid+5D+2Fpage.tsx"] == keys(swarm.search("app/[id]/page.tsx"))


@pytest.mark.parametrize(
    ("value", "query"),
    [
        ("東京都の天気は晴れです", "天気"),
        ("서버 설정을 변경했습니다", "설정"),
        ("Мы храним сессии в Redis", "СЕССИИ"),
        ("हिन्दी में खोज", "खोज"),
        ("shipped 🎉", "🎉"),
        ("resume the upload", "résumé"),
        ({"file": "src/swarm_memory/records.py"}, "records.py"),
        ({"issue": 4711}, "4711"),
    ],
)
def test_every_script_and_spelling_finds_its_record(swarm, value, query):
    swarm.records.put("notes/1", value)
    swarm.records.put("notes/other", "x")

    assert ["notes/1"] == keys(swarm.search(query))


# --- never what is not there ---


def test_a_change_is_found_by_the_next_search_and_what_it_replaced_is_not(swarm):
    swarm.records.put("notes/1", "redis")
    assert ["notes/1"] == keys(swarm.search("redis"))
    swarm.records.put("notes/1", "postgres")

    assert [] == keys(swarm.search("redis"))
    assert ["notes/1"] == keys(swarm.search("postgres"))
    swarm.records.rollback("notes/1")
    assert ["notes/1"] == keys(swarm.search("redis"))


def test_deleted_records_are_not_found_and_come_back_by_rollback(swarm):
    swarm.records.put("notes/1", "redis")
    swarm.search("redis")
    swarm.records.delete("notes/1")
    assert [] == swarm.search("redis")
    swarm.records.rollback("notes/1")

    assert ["notes/1"] == keys(swarm.search("redis"))


def test_expired_records_are_not_found_swept_or_not(store, swarm):
    swarm.records.put("notes/1", "redis", ttl_s=60)
    swarm.records.put("notes/2", "redis")
    assert ["notes/1", "notes/2"] == sorted(keys(swarm.search("redis")))
    store.clock.advance(61)

    assert ["notes/2"] == keys(swarm.search("redis"))
    swarm.retention.sweep()
    assert ["notes/2"] == keys(swarm.search("redis"))


def test_live_records_are_found_behind_any_number_of_expired_ones(store, swarm):
    swarm.records.put_many([(f"notes/{n}", "redis redis") for n in range(300)], ttl_s=60)
    swarm.records.put("other/1", "redis and many more words than the others have")
    swarm.search("redis")
    store.clock.advance(61)

    assert ["other/1"] == keys(swarm.search("redis"))


def test_an_index_that_is_behind_shows_nothing_that_is_gone(swarm):
    for name in ("stays", "changes", "goes"):
        swarm.records.put(f"notes/{name}", "redis")
    swarm.search("redis")
    swarm.records.put("notes/changes", "postgres")
    swarm.records.delete("notes/goes")
    swarm.records.put("notes/new", "redis")
    hits = swarm.finder.search("redis", rows_max=0)

    assert ["notes/stays"] == keys(hits)
    assert not hits.complete


def test_telemetry_is_not_found(swarm):
    swarm.records.put("memory/operations/1", "redis")

    assert [] == swarm.search("redis")
    assert [] == swarm.search("redis", prefix="memory/operations/")


def test_swarms_do_not_see_each_other(store, swarm):
    other = store.open(swarm="other")
    swarm.records.put("notes/1", "redis")
    other.records.put("notes/2", "redis")

    assert ["notes/1"] == keys(swarm.search("redis"))
    assert ["notes/2"] == keys(other.search("redis"))
    assert ["notes/1"] == keys(swarm.search("redis"))


def test_records_of_other_swarms_with_the_same_keys_are_not_in_the_way(store, swarm):
    other = store.open(swarm="other")
    other.records.put_many([(f"notes/{n}", "redis redis") for n in range(300)])
    swarm.records.put_many([(f"notes/{n}", "postgres") for n in range(300)])
    swarm.records.put("notes/300", "redis among many other words that say something else")
    assert 10 == len(other.search("redis"))

    assert ["notes/300"] == keys(swarm.search("redis"))


def test_every_word_helps_and_none_is_needed(swarm):
    swarm.records.put("notes/a", "sessions")
    swarm.records.put("notes/b", "cache")
    swarm.records.put("notes/c", "neither")

    assert ["notes/a", "notes/b"] == sorted(keys(swarm.search("sessions cache")))


# --- filters ---


def test_a_prefix_matches_whole_segments(swarm):
    for key in ("a/b", "a/b/c", "a/bc", "b"):
        swarm.records.put(key, "redis")

    assert ["a/b", "a/b/c"] == sorted(keys(swarm.search("redis", prefix="a/b")))
    assert ["a/b/c"] == keys(swarm.search("redis", prefix="a/b/"))
    assert ["a/b", "a/b/c", "a/bc"] == sorted(keys(swarm.search("redis", prefix="a/b*")))


def test_filters_by_author_and_time_look_at_the_current_version(store, swarm):
    other = store.open("b")
    swarm.records.put("notes/1", "redis")
    swarm.records.put("notes/2", "redis")
    store.clock.advance(60)
    other.records.put("notes/2", "redis again")
    now_ms = store.clock.now_ms()

    assert ["notes/2"] == keys(swarm.search("redis", author="b"))
    assert ["notes/1"] == keys(swarm.search("redis", author="a"))
    assert ["notes/2"] == keys(swarm.search("redis", since=now_ms))
    assert [] == keys(swarm.search("redis", since=now_ms + 1))


def test_what_a_filter_leaves_is_found_behind_any_number_of_better_ones(swarm):
    swarm.records.put_many([(f"a/{n}", "redis redis") for n in range(500)])
    swarm.records.put("b/1", "redis among many other words that say something else")

    assert ["b/1"] == keys(swarm.search("redis", prefix="b/", limit=1))


def test_at_most_limit_hits_come_back_best_first(swarm):
    swarm.records.put_many([(f"notes/{n}", "redis " + "word " * n) for n in range(20)])
    hits = swarm.search("redis", limit=5)

    assert [f"notes/{n}" for n in range(5)] == keys(hits)
    assert sorted((hit.score for hit in hits), reverse=True) == [hit.score for hit in hits]


def test_what_is_ranked_is_more_than_what_is_returned(store, swarm):
    bob = store.open("bob")
    swarm.records.put("notes/short", "redis cache")
    bob.records.put("notes/longer", "redis cache and some words more than the other has")

    assert ["notes/short"] == keys(swarm.search("redis cache", limit=1))
    assert ["notes/longer"] == keys(swarm.search("redis cache, said bob", limit=1))


def test_a_threshold_leaves_nothing_of_a_question_that_nothing_answers(swarm):
    for n in range(30):
        swarm.records.put(f"notes/{n}", {"task": f"step {n} of the parser", "status": "done"})
    swarm.records.put("notes/redis", "we cache sessions in redis")
    sure = swarm.search("where do we cache sessions?", min_score=MIN_SCORE)
    unsure = swarm.search("how long do eggs boil until they are done?", min_score=MIN_SCORE)

    assert ["notes/redis"] == keys(sure)
    assert [] == unsure
    assert swarm.search("how long do eggs boil until they are done?")


def test_the_line_behind_the_one_with_the_words_is_found_in_a_conversation(swarm):
    for n, line in enumerate(["hello", "which cache do we take?", "redis", "fine"], 1):
        swarm.records.put(f"talk/{n:04}", line)
    swarm.records.put("notes/1", "which cache")
    swarm.records.put("notes/2", "redis")
    found = keys(swarm.search("which cache"))

    assert ["talk/0002", "talk/0003"] == [key for key in found if key.startswith("talk")][:2]
    assert "notes/1" in found
    assert "notes/2" not in found  # a name, and no place in a conversation


# --- arguments ---


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("a\0b", {}),
        (None, {}),
        (b"redis", {}),
        ("redis", {"limit": 0}),
        ("redis", {"limit": HITS_MAX + 1}),
        ("redis", {"limit": True}),
        ("redis", {"min_score": 1.1}),
        ("redis", {"min_score": float("nan")}),
        ("redis", {"author": 1}),
        ("redis", {"since": -1}),
        ("redis", {"since": "yesterday"}),
    ],
)
def test_arguments_that_make_no_sense_are_refused(swarm, query, options):
    with pytest.raises(InvalidArgumentError):
        swarm.search(query, **options)


def test_a_prefix_that_is_no_key_is_refused(swarm):
    with pytest.raises(InvalidKeyError):
        swarm.search("redis", prefix="../x")


@pytest.mark.parametrize("query", ["", " ", "?!", "\ud800", "\u0301", "*", '"', "()"])
def test_a_text_without_words_finds_nothing(swarm, query):
    swarm.records.put("notes/1", "redis")

    assert [] == swarm.search(query)


OPERATORS = [
    "AND",
    "OR",
    "NOT",
    "NEAR(",
    ")",
    '"',
    "'",
    "*",
    "^",
    ":",
    "terms:",
    "-",
    "+",
    "{",
    "--",
]
OPERATORS += ["; DROP TABLE records", "\\", "%", "_", "🎉", "東京", "e\u0301", "\u200d", "\x01"]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory):
    with Swarm.open(f"sqlite:///{tmp_path_factory.mktemp('hostile')}/memory.db") as swarm:
        swarm.records.put("notes/1", "redis and or not near terms records drop table")
        yield swarm


@settings(deadline=None)
@given(st.lists(st.one_of(st.sampled_from(OPERATORS), st.text(max_size=20)), max_size=20))
def test_any_text_is_a_question_and_nothing_in_it_is_syntax(hostile, pieces):
    query = " ".join(pieces).replace("\0", "") + " redis"

    assert ["notes/1"] == keys(hostile.search(query))


@pytest.mark.parametrize(
    "piece", ["redis ", "x" * 5000 + " ", '" OR ', "名前", "\U0001f389", "a.b/"]
)
def test_a_query_of_any_length_gets_an_answer(hostile, piece):
    assert hostile.search("redis " + piece * (200_000 // len(piece))).complete


# --- the other doors ---


def test_a_store_in_memory_is_searched_like_any_other():
    with Swarm.open("sqlite:///:memory:") as swarm:
        swarm.records.put("notes/1", "redis")

        assert ["notes/1"] == keys(swarm.search("redis"))


def test_the_async_twin_searches():
    import asyncio

    async def ask():
        async with await AsyncSwarm.open("sqlite:///:memory:") as swarm:
            await swarm.records.put("notes/1", "redis")
            return await swarm.search("redis")

    assert ["notes/1"] == keys(asyncio.run(ask()))


def test_importing_the_package_loads_nothing_of_search():
    import subprocess
    import sys

    program = (
        "import sys, swarm_memory\n"
        "with swarm_memory.Swarm.open('sqlite:///:memory:') as swarm: swarm.records.put('x', 1)\n"
        "print([m for m in sys.modules if m.split('.')[-1] in ('search', 'ranking', 'text', 'stem')"
        " and m.startswith('swarm_memory')])"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ("[]\n", "") == (ran.stdout, ran.stderr)
