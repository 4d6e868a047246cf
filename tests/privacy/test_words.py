"""What is taken for a plain word, so that nothing looks for secrets in it, holds none."""

from corpus import samples
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_memory.recording import DENIED, Policy, _is_word, _rule
from swarm_memory.redact import named, redact

PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"


@settings(max_examples=1500, deadline=None)
@given(st.text(PLAIN, max_size=26) | st.from_regex(r"[A-Za-z]{1,17}([._-][A-Za-z0-9]{1,9}){0,3}"))
def test_nothing_would_be_redacted_in_a_word(text):
    if _is_word(text):
        assert text == redact(text).text


def test_no_secret_is_a_word_that_would_be_redacted_alone():
    texts = {text for part in (False, True) for one in samples(part) for text in one.text.split()}
    words = [text for text in texts if _is_word(text)]

    assert len(words) > 300
    assert [] == [text for text in words if redact(text).text != text]


def test_what_is_long_or_not_plain_is_no_word():
    for text in (
        "a" * 17,
        "a b",
        "a=b",
        "a:b",
        "é",
        "12345",
        "ABCDEFGHI",
        "a\x00",
        "abc." * 7,
        "a/b",
        "a@b",
    ):
        assert not _is_word(text)
    for text in ("", "app.py", "NotebookEdit", "test_checkout.py", "v2.0-rc.1"):
        assert _is_word(text)


def test_the_rules_that_we_ship_are_those_that_people_would_write():
    assert [_rule(pattern) for pattern in DENIED] == Policy()._denied


def test_a_text_without_a_telling_name_costs_no_pattern_for_what_follows_one(monkeypatch):
    asked = []
    compiled = named.compiled
    monkeypatch.setattr(named, "compiled", lambda *said: asked.append(said) or compiled(*said))

    assert [] == list(named.find("pytest -q tests/unit"))
    assert None is named.telling("PATH")
    assert [] == asked
    assert [9] == [start for start, *_ in named.find("password=hunter2")]
    assert asked
