"""The verb `search`: what a pipe, a program and a person get."""

from swarm_memory import Swarm


def test_a_pipe_gets_a_line_per_hit_best_first(call):
    call("put", "notes/redis", '{"why": "we cache\\tsessions"}', "--agent", "alice")
    call("put", "notes/other", "the cache of something else altogether")
    ran = call("search", "why", "cache", "sessions")

    lines = [line.split("\t") for line in ran.out.splitlines()]
    assert ["notes/redis", "notes/other"] == [columns[1] for columns in lines]
    assert ["1", "alice", "why we cache sessions"] == [lines[0][n] for n in (2, 4, 5)]
    assert 1 >= float(lines[0][0]) > float(lines[1][0]) > 0
    assert 0 == ran.status


def test_json_has_the_whole_record_and_why_it_was_found(call, call_json):
    call("put", "notes/redis", '"cache"')
    found = call_json("search", "cache or index")

    assert found["complete"]
    (hit,) = found["hits"]
    assert ("notes/redis", "cache") == (hit["record"]["key"], hit["record"]["value"])
    assert (["cache"], ["index"]) == (hit["why"]["found"], hit["why"]["missing"])


def test_filters_and_the_threshold_reach_the_search(call):
    call("put", "a/1", "cache", "--agent", "alice")
    call("put", "b/1", "cache", "--agent", "bob")

    assert "a/1" in call("search", "cache", "--prefix", "a").out
    assert "b/1" not in call("search", "cache", "--prefix", "a").out
    assert "a/1" not in call("search", "cache", "--author", "bob").out
    assert "" == call("search", "cache", "--since", 2**60).out
    assert 1 == len(call("search", "cache", "--limit", 1).out.splitlines())
    assert "" == call("search", "eggs and soft yolk cache", "--min-score", 0.9).out


def test_searching_a_store_that_is_not_there_finds_nothing_and_makes_none(call, project):
    ran = call("search", "cache")

    assert (0, "") == (ran.status, ran.out)
    assert "there is no store yet" in ran.err
    assert not (project / "memory.db").exists()


def test_words_that_look_like_options_or_syntax_are_words(call):
    call("put", "notes/1", "cache")

    assert "notes/1" in call("search", "--", "--cache", '"', "AND NEAR(").out


def test_the_index_can_be_made_anew(call):
    call("put", "notes/1", "cache")

    assert "notes/1" in call("search", "cache", "--rebuild").out


def test_a_person_sees_scores_keys_and_harmless_places(on_terminal, call):
    call("put", "notes/a+20b", "we cache\x1b[31m sessions")
    ran = on_terminal("search", "sessions")

    assert "notes/a b" in ran.out
    assert "we cache\\x1b[31m sessions" in ran.out
    assert "1 hit" in ran.out
    assert "nothing answers that" in on_terminal("search", "eggs").out


def test_an_index_that_is_far_behind_says_so(call, monkeypatch):
    with Swarm.open() as swarm:
        swarm.records.put_many([(f"notes/{n}", "cache") for n in range(20)])
    from swarm_memory.doors.cli import search

    monkeypatch.setattr(search, "CATCH_UP_ROWS", 1)
    ran = call("search", "cache")

    assert "search again" in ran.err
