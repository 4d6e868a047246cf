"""The key grammar and the escape that turns any text into a segment."""

import string
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_memory.errors import InvalidKeyError
from swarm_memory.key import (
    KEY_BYTES_MAX,
    check_key,
    check_prefix,
    escape,
    in_prefix,
    scope_of,
    unescape,
)

SPEC_KEYS = [
    "swarm-1/global/coordination",
    "swarm-1/global/knowledge/optimization",
    "swarm-1/global/patterns/p-1",
    "swarm-1/agent-a/state",
    "swarm-1/agent-a/decisions/task_assignment",
    "swarm-1/agent-a/progress/task-7",
    "swarm-1/agent-a/knowledge/k",
    "swarm-1/session-9/context",
    "swarm-1/session-9/coordination/log",
    "neural/patterns/p-1",
    "neural/outcomes/o-1",
    "neural/insights/i-1",
    "global/monitoring/snapshot-1752316800",
    "global/optimization/o",
    "memory/operations",
    "memory/persistence",
    "memory/monitoring",
]

# Names as they occur in real source trees: routes, spaces, other alphabets, tools' odd choices.
REAL_PATHS = [
    "app/[id]/page.tsx",
    "app/(group)/@modal/(..)photo/[...slug]/page.tsx",
    "src/components/Button.test.tsx",
    "docs/Übersicht der Prüfungen.md",
    "データ/設計.md",
    "C:\\Users\\me\\project\\file name.py",
    "a b/c\td",
    "node_modules/@scope/pkg/index.d.ts",
    "100%/50+50=100.txt",
    'it\'s "quoted" & <escaped>.html',
    ".github/workflows/ci.yml",
    "..",
    ".",
    "",
    "+",
    "+h",
    "+2E",
    "emoji 🐝.txt",
    "line\nbreak",
    "nul\0inside",
    "undecodable \udcff name",
    "e\u0301 is not \u00e9",
    "Case.txt",
    "case.txt",
    "file:src/app.py",
    "x" * 120,
]


@pytest.mark.parametrize("key", SPEC_KEYS)
def test_every_key_of_the_hierarchy_is_valid(key):
    assert key == check_key(key)


@pytest.mark.parametrize("key", ["swarm-a/agent-templater/state", "notes/system", "internal/temp"])
def test_words_inside_a_key_mean_nothing(key):
    assert key == check_key(key)


@pytest.mark.parametrize(
    ("key", "rule"),
    [
        ("", "empty"),
        ("a//b", "double '/'"),
        ("/a", "leading"),
        ("a/", "trailing"),
        ("../etc/passwd", "climb"),
        ("a/./b", "climb"),
        ("a/../b", "climb"),
        ("a\0b", "not allowed"),
        ("a\x1bb", "not allowed"),
        ("a b", "not allowed"),
        ("ключ/x", "not allowed"),
        ("a\\b", "not allowed"),
        ("a%2e%2e/b", "not allowed"),
        ("x" * 256, "at most 255"),
        ("ä" * 200, "not allowed"),
        (None, "str"),
        (7, "str"),
    ],
)
def test_a_bad_key_names_its_rule_and_offers_a_valid_one(key, rule):
    with pytest.raises(InvalidKeyError) as caught:
        check_key(key)

    assert rule in caught.value.rule
    assert caught.value.suggestion in caught.value.hint
    assert caught.value.suggestion == check_key(caught.value.suggestion)


def test_the_longest_key_is_allowed():
    assert check_key("k" * KEY_BYTES_MAX)


@pytest.mark.parametrize("text", REAL_PATHS)
def test_escaping_real_names_comes_back(text):
    segment = escape(text)

    assert segment == check_key(segment)
    assert "/" not in segment
    assert text == unescape(segment)


def test_every_name_of_a_real_tree_comes_back():
    root = Path(sys.prefix)
    paths = [str(path.relative_to(root)) for path in root.rglob("*")][:20_000]

    segments = {path: escape(path, limit=255) for path in paths}

    assert len(paths) > 1000
    assert len(set(segments.values())) == len(set(paths))
    for path, segment in segments.items():
        assert segment == check_key(segment)
        assert unescape(segment) in {path, None}


def test_real_names_stay_apart():
    assert len(REAL_PATHS) == len({escape(text) for text in REAL_PATHS})


def test_plain_names_stay_as_they_are():
    assert "agent-1_x.y:z@w" == escape("agent-1_x.y:z@w")


def test_a_long_name_is_cut_and_keeps_a_hash():
    one, other = escape("p/" * 200 + "a"), escape("p/" * 200 + "b")

    assert one != other
    assert max(len(one), len(other)) <= 120
    assert unescape(one) is None
    assert check_key(one)


@given(st.text())
def test_any_text_escapes_to_a_valid_segment_and_back(text):
    segment = escape(text)

    assert check_key(segment)
    assert "/" not in segment
    assert unescape(segment) in (text, None)


@given(st.text(max_size=40), st.text(max_size=40))
def test_no_two_texts_share_an_escaped_form(one, other):
    assert (one == other) == (escape(one, limit=60) == escape(other, limit=60))


@given(st.text(alphabet=string.printable))
def test_a_refused_key_always_offers_a_valid_one(text):
    try:
        check_key(text)
    except InvalidKeyError as error:
        assert check_key(error.suggestion)


@given(st.data())
def test_a_prefix_range_holds_exactly_what_the_prefix_means(data):
    segment = st.text(alphabet="ab+-./0Z"[:4] + "0Z", min_size=1, max_size=3)
    key = "/".join(data.draw(st.lists(segment, min_size=1, max_size=3)))
    stem = "/".join(data.draw(st.lists(segment, min_size=1, max_size=2)))
    prefix = stem + data.draw(st.sampled_from(["", "/", "*"]))

    exact, low, high = check_prefix(prefix)

    assert in_prefix(key, prefix) == (key == exact or low <= key < high)


@pytest.mark.parametrize(
    ("key", "scope"),
    [
        ("swarm-1/agent-a/state", "agent-a"),
        ("swarm-1/session-9/context", "session-9"),
        ("swarm-1/global/knowledge/k", "global"),
        ("neural/patterns/p", "neural"),
        ("swarm-1", "swarm-1"),
        ("notes", "notes"),
    ],
)
def test_a_key_counts_to_its_scope(key, scope):
    assert scope == scope_of(key)
