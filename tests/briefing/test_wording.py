"""How stored text is put before an agent: within its budget, and as a quotation only."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from samples import ORDERS, TEXTS

from swarm_memory.wording import CUT, age, cut, plain, quoted, said, tokens

QUOTATION = re.compile('"[^"<>`“”«»\\n\\r]*"')
ANY = st.text(max_size=300) | st.sampled_from([*TEXTS.values(), *ORDERS])


@pytest.mark.parametrize("name", TEXTS)
def test_a_text_has_no_more_tokens_than_estimated(name, count):
    assert count(TEXTS[name]) <= tokens(TEXTS[name])


@pytest.mark.parametrize("name", ["prose", "decisions"])
def test_the_estimate_of_prose_leaves_room_for_what_is_to_be_said(name, count):
    assert tokens(TEXTS[name]) <= 2 * count(TEXTS[name])


@given(ANY, ANY)
def test_lines_cost_together_no_more_than_each_for_itself(one, other):
    one, other = one.strip(), other.strip()
    assert tokens(f"{one}\n{other}") <= tokens(one) + tokens(other) + 1


@given(ANY, st.integers(5, 200))
def test_what_is_cut_fits_and_says_so(text, room):
    short = cut(text, room)

    assert tokens(short) <= room
    assert short == text or short == "" or (short.endswith(CUT) and text.startswith(short[:-1]))


@given(ANY, st.integers(5, 200))
def test_a_quotation_is_one_line_that_nothing_in_it_can_end(text, room):
    quote = quoted(text, room)

    assert quote == "" or (QUOTATION.fullmatch(quote) and quote.isprintable())
    assert tokens(quote) <= room


@pytest.mark.parametrize("text", ORDERS)
def test_what_wants_to_be_obeyed_stays_a_quotation(text):
    quote = quoted(text, 100)

    assert QUOTATION.fullmatch(quote)
    assert quote.isprintable()


@given(ANY, st.integers(8, 60))
def test_a_name_is_one_word_or_a_quotation(text, room):
    name = plain(text, room)

    assert QUOTATION.fullmatch(name) or not re.search(r"[\s\"<>`,;]", name)
    assert name.isprintable()
    assert tokens(name) <= room + 2


def test_of_a_long_name_the_end_is_kept():
    assert "src/a.py" == plain("src/a.py")
    assert plain("src/" + "deep/" * 50 + "file.py", 15).endswith("/file.py")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a sentence", "a sentence"),
        ({"text": "a sentence", "n": 3}, "a sentence"),
        (
            {"decision_type": "x", "decision_data": {"use": "redis"}, "agent_name": "a"},
            "use: redis",
        ),
        ({"use": "redis", "since": 2, "kind": "fact"}, "use: redis; since: 2"),
        ({"done": True, "why": None, "list": ["a", "b"]}, "done: true; list: a; list: b"),
        (["a", {"b": 1}], "a; b: 1"),
        (12.5, "12.5"),
        ({}, ""),
        (None, ""),
    ],
)
def test_a_value_says_its_sentence_or_its_fields(value, text):
    assert text == said(value)


def test_of_a_huge_value_only_the_beginning_is_read():
    assert len(said({str(n): "x" * 1000 for n in range(100_000)})) < 5000


@pytest.mark.parametrize(
    ("ms", "text"),
    [(-5, "0 s"), (0, "0 s"), (59_999, "59 s"), (60_000, "1 min"), (7_200_000, "2 h"),
     (864_000_000, "10 d")],
)  # fmt: skip
def test_an_age_is_in_its_largest_unit(ms, text):
    assert text == age(ms)
