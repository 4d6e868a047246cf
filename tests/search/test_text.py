"""Terms: words, names of programs and other scripts find each other in all their spellings."""

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_memory.stem import stem
from swarm_memory.text import (
    QUESTION_TERMS_MAX,
    SNIPPET_CHARS,
    TERM_CHARS_MAX,
    TEXT_CHARS_MAX,
    Counter,
    question_of,
    snippet,
    terms_of,
    text_of,
    words_of_key,
)

_porter = apsw.Connection(":memory:").fts5_tokenizer("porter", ["ascii"])


def terms(text):
    return set(terms_of(text)[0])


def asked(text):
    return {term.term for term in question_of(text)}


def porter(word):
    (token,) = _porter(
        word.encode(),
        apsw.FTS5_TOKENIZE_DOCUMENT,
        None,
        include_offsets=False,
        include_colocated=False,
    )
    return token


ENDINGS = "s|es|ed|ing|ly|ies|sses|ational|ization|iveness|fulness|ement|eed|y|e|l|ll"


@settings(deadline=None, max_examples=500)
@given(
    st.from_regex(r"[a-z]{3,9}", fullmatch=True),
    st.lists(st.sampled_from(ENDINGS.split("|")), max_size=3),
)
def test_a_stem_is_the_one_that_sqlite_makes(root, endings):
    word = root + "".join(endings)

    assert porter(word) == stem(word)


@pytest.mark.parametrize("word", ["caching", "cached", "caches", "cache"])
def test_forms_of_a_word_share_a_stem(word):
    assert "cach" == stem(word)


@pytest.mark.parametrize("name", ["maxValue", "max_value", "MAX_VALUE", "max-value", "MaxValue"])
def test_a_name_is_found_in_every_spelling_and_by_its_parts(name):
    assert {"maxvalu", "max", "valu"} == terms(name)
    assert asked("max value") < terms(name)
    assert asked("maxvalue") < terms(name)
    assert asked("maxValue") <= terms("maxvalue") | {"max", "valu"}


@pytest.mark.parametrize(
    ("text", "some"),
    [
        ("src/swarm_memory/sqlite.py:120", {"swarmmemori", "swarm", "sqlitepi", "sqlite", "120"}),
        ("HTTPServer", {"httpserver", "http", "server"}),
        ("sha256 of 3f2a9c1e", {"sha256", "sha", "256", "3f2a9c1e"}),
        ("agent-1 beside agent-2", {"agent1", "agent2", "agent"}),
        ("foo::bar(baz)", {"foo", "bar", "baz"}),
        ("Straße, café, ＡＢＣ", {"strass", "cafe", "abc"}),
        ("ΣΟΦΙΑ", {"σοφια"}),
        ("東京都", {"東", "京", "都", "東京", "京都"}),
        ("가다", {"가", "다", "가다"}),
        ("हिन्दी", {"हिन्दी"}),
        ("done 🎉", {"done", "🎉"}),
    ],
)
def test_what_a_text_is_found_by(text, some):
    assert some <= terms(text)


def test_accents_and_case_make_no_difference():
    assert terms("RÉSUMÉ re\u0301sume\u0301 resume") == {"resum"}


def test_a_question_asks_for_pairs_of_characters_and_for_one_that_stands_alone():
    assert {"東京", "京都"} == asked("東京都")
    assert {"京"} == asked("京")


def test_stop_words_are_cut_unless_nothing_else_is_asked():
    assert {"cach"} == asked("what is the cache for?")
    assert {"who", "is", "it"} == asked("who is it")


def test_the_whole_of_a_name_is_asked_for_but_not_missed():
    assert {("maxvalu", False), ("max", True), ("valu", True)} == {
        (term.term, term.part) for term in question_of("maxValue")
    }


def test_a_long_question_keeps_its_beginning_and_its_end():
    found = question_of(" ".join(f"w{n}x" for n in range(50_000)))

    assert QUESTION_TERMS_MAX == len(found)
    assert ("w0x", "w49999x") == (found[0].term, found[-1].term)


@settings(deadline=None)
@given(st.text())
def test_terms_are_letters_and_digits_whatever_the_text(text):
    for term in [*terms_of(text)[0], *asked(text)]:
        assert 0 < len(term) <= TERM_CHARS_MAX
        assert not set(term) & set('" *^:(){}[]+-,.\\/\0')
        assert term == term.lower()
        term.encode()  # no lone surrogates


@settings(deadline=None)
@given(st.text())
def test_every_word_of_a_text_finds_that_text(text):
    assert {t.term for t in question_of(text)} <= terms(text)


@settings(deadline=None)
@given(st.lists(st.sampled_from(["maxValue", "max", "value", "東京都", "it's", "src/a.py", "x"])))
def test_counting_terms_is_listing_and_counting_them(words):
    text = " ".join(words)
    wanted = {"max", "maxvalu", "京都", "x"}
    listed, size = terms_of(text)

    counts, length = Counter(wanted).count(text)
    assert {term: listed.count(term) for term in wanted if term in listed} == counts
    assert size == length


def test_the_text_of_a_value_is_its_strings_names_and_numbers():
    value = {"retry": {"max": 5, "at": 1_700_000_000_000}, "on": True, "why": ["flaky", None, 0.5]}

    assert "retry\nmax\n5\nat\non\nwhy\nflaky" == text_of(value)


@pytest.mark.parametrize("value", ["x" * 10**6, ["word"] * 10**6, {"a": "x" * 10**6}])
def test_the_text_of_a_large_value_is_bounded(value):
    assert TEXT_CHARS_MAX >= len(text_of(value)) > TEXT_CHARS_MAX / 2


def test_keys_are_read_as_the_names_that_they_were():
    assert "imports/app/[id]/page.tsx" == words_of_key("imports/app+2F+5Bid+5D+2Fpage.tsx")
    assert "a/+h" == words_of_key("a/+h")


def test_a_snippet_is_one_short_line_around_most_of_the_words():
    text = f"redis\n{'filler ' * 200}\nwe cache\tsessions in redis {'filler ' * 200}"
    shown = snippet(text, ["redi", "session", "cach"])

    assert "we cache sessions in redis" in shown
    assert shown.startswith("…")
    assert shown.endswith("…")
    assert len(shown) <= SNIPPET_CHARS + 2
    assert "\n" not in shown


def test_a_short_text_is_its_own_snippet():
    assert "a b" == snippet("a\nb", ["zzz"])
