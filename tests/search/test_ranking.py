"""Ranking as arithmetic: what moves a record up, by how much, and what a score means."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_memory.ranking import (
    AROUND,
    AUTHOR,
    EVIDENCE_TERMS,
    MIN_SCORE,
    THREAD,
    TIME,
    Candidate,
    Corpus,
    When,
    bm25,
    match_of,
    rank,
    when_of,
)
from swarm_memory.text import Counter, question_of

ALONE = (None, None, None, None)


def moment(year, month, day):
    return int(datetime(year, month, day, 12, tzinfo=UTC).timestamp() * 1000)


def candidate(key, text, question, *, author="a", at=0, thread=None, around=ALONE):
    counts, words = Counter(t.term for t in question_of(question)).count(text)
    return Candidate(key, author, at, thread, counts, words, around)


def ranked(question, *candidates, docs=1000, rare=1, frequencies=None):
    found = {
        t.term: rare for t in question_of(question) if any(t.term in c.counts for c in candidates)
    }
    corpus = Corpus(docs, 10 * docs, found | (frequencies or {}))
    return rank(question, question_of(question), candidates, corpus)


def test_a_record_with_more_and_rarer_words_comes_first():
    q = "parser grammar status"
    found = ranked(
        q,
        candidate("common", "status", q),
        candidate("rare", "grammar", q),
        candidate("both", "parser grammar", q),
        frequencies={"statu": 500},
    )

    assert ["both", "rare", "common"] == [r.key for r in found]


def test_a_record_without_any_word_is_no_answer():
    q = "parser"

    assert [] == ranked(q, candidate("x", "lexer", q))
    assert ["y"] == [
        r.key for r in ranked(q, candidate("x", "lexer", q), candidate("y", "parser", q))
    ]


def test_a_thread_lends_to_neighbours_and_to_nobody_outside():
    q = "parser"
    keys = ["t/1", "t/2", "t/3", "t/4", "t/5"]
    around = {"t/3": ("t/2", "t/4", "t/1", "t/5")}
    members = [
        candidate(k, "parser" if k == "t/3" else "-", q, thread="t", around=around.get(k, ALONE))
        for k in keys
    ]
    found = {r.key: r.parts for r in ranked(q, *members, candidate("u/9", "-", q, thread="u"))}

    lent = [found[key]["around"] for key in ("t/4", "t/2", "t/5", "t/1")]
    assert list(AROUND) == lent
    assert "u/9" not in found
    assert {THREAD} == {parts["thread"] for parts in found.values()}


def test_neighbours_of_another_thread_get_nothing():
    q = "parser"
    found = ranked(
        q,
        candidate("t/3", "parser", q, thread="t", around=("t/2", None, None, None)),
        candidate("t/2", "-", q, thread="another day"),
    )

    assert ["t/3"] == [r.key for r in found]


@pytest.mark.parametrize(("minutes", "near"), [(59, True), (61, False)])
def test_neighbours_lend_if_they_were_written_within_an_hour(minutes, near):
    q = "parser"
    found = ranked(
        q,
        candidate("t/3", "parser", q, thread="t", around=("t/2", None, None, None)),
        candidate("t/2", "-", q, thread="t", at=minutes * 60_000),
    )

    assert (["t/3", "t/2"] if near else ["t/3"]) == [r.key for r in found]


@pytest.mark.parametrize(
    ("question", "named"),
    [
        ("what did bob say of the parser", True),
        ("bobbin parser", False),
        ("bob, amy: parser", False),
    ],
)
def test_the_one_author_whom_a_question_names_is_preferred(question, named):
    found = ranked(
        question,
        candidate("1", "parser", question, author="amy"),
        candidate("2", "parser", question, author="Bob"),
    )

    assert [AUTHOR if named else None] == [r.parts.get("author") for r in found if r.key == "2"]
    assert ("2" if named else "1") == found[0].key


def test_what_was_written_when_the_question_says_is_preferred():
    q = "what broke the parser in May 2025?"
    found = ranked(
        q,
        candidate("1", "parser", q, at=moment(2025, 1, 5)),
        candidate("2", "parser", q, at=moment(2025, 5, 20)),
    )

    assert "2" == found[0].key
    assert TIME == found[0].parts["time"]


@pytest.mark.parametrize(
    ("question", "when"),
    [
        ("what may it be", None),
        ("the march of time", None),
        ("in may", When(None, 5, None)),
        ("May 2025", When(2025, 5, None)),
        ("on 3rd of October", When(None, 10, 3)),
        ("October 3, 2024", When(2024, 10, 3)),
        ("on 2024-10-03", When(2024, 10, 3)),
        ("2024-10", When(2024, 10, None)),
        ("during 2024", When(2024, None, None)),
        ("error 2024-99", None),
        ("port 8080", None),
    ],
)
def test_times_that_questions_name(question, when):
    assert when == when_of(question)


def test_a_time_matches_within_its_window_and_falls_off_outside():
    may = When(2025, 5, None)
    shares = [match_of(may, moment(2025, month, 15)) for month in (5, 6, 8)]

    assert 1.0 == shares[0]
    assert 1 > shares[1] > shares[2] > 0
    assert 1.0 == match_of(When(None, 12, 31), moment(2030, 1, 1))  # also over the year's end
    assert 0.0 == match_of(When(2024, None, None), moment(2025, 5, 15))


def test_a_score_is_the_share_of_what_the_rarest_words_tell():
    q = "parser grammar lexer token"
    half = ranked(q, candidate("x", "parser grammar a a a a a a a a", q))[0].score
    all_of_it = ranked(q, candidate("x", "parser grammar lexer token a a a a a a", q))[0].score

    assert 1.0 == pytest.approx(all_of_it)
    assert MIN_SCORE < half < 0.6


def test_a_common_word_or_two_of_a_long_question_stay_below_the_threshold():
    q = "how long should eggs boil until the yolk is soft and the status is fine"
    found = ranked(q, candidate("x", "status fine", q), rare=300)

    assert 0 < found[0].score < MIN_SCORE


def test_words_beside_what_a_prompt_is_about_do_not_make_it_unanswerable():
    names = [f"name{chr(97 + n)}" for n in range(EVIDENCE_TERMS)]
    q = " ".join([*names, *(f"filler{chr(97 + n)}" for n in range(20))])

    assert 2 * MIN_SCORE < ranked(q, candidate("x", " ".join([*names, "a a a a"]), q))[0].score


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["parser", "grammar", "lexer", "a"]), min_size=1, max_size=30),
    st.integers(1, 10**6),
    st.integers(1, 10**6),
)
def test_scores_lie_between_0_and_1_and_fall(words, docs, rare):
    q = "parser grammar lexer"
    found = ranked(
        q,
        *(candidate(f"k{n}", " ".join(words[n:]), q) for n in range(len(words))),
        docs=docs,
        rare=rare,
    )

    scores = [r.score for r in found]
    assert all(0 < score <= 1 for score in scores)
    assert sorted(scores, reverse=True) == scores


def test_repeating_a_word_counts_less_each_time_and_length_counts_against():
    gains = [bm25({"x": n}, 1.0, {"x": 1.0}) for n in (1, 2, 3, 100)]

    assert 1.0 == pytest.approx(gains[0])
    assert gains[1] - gains[0] > gains[2] - gains[1] > 0
    assert gains[3] < 2.2
    assert bm25({"x": 1}, 5.0, {"x": 1.0}) < gains[0]
