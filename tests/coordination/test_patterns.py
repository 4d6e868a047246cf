"""Patterns of paths: one spelling each, and an overlap exactly where a path matches both."""

import fnmatch
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_memory.errors import InvalidArgumentError
from swarm_memory.patterns import STARS_MAX, below, literal, normal, overlap

WORDS = ["".join(word) for n in (1, 2) for word in itertools.product("ab[", repeat=n)]
PLACES = st.sampled_from(["a", "b", "*", "?", "[ab]", "[!a]", "[^b]", "[a-b]", "[a]", "[[]"])
SEGMENTS = st.lists(PLACES, min_size=1, max_size=2).map("".join)
SEGMENTS = SEGMENTS.filter(lambda segment: segment != "**") | st.just("**")
PATTERNS = st.lists(SEGMENTS, min_size=1, max_size=3).map("/".join).map(normal)


def same(segment, word):
    """Match one segment by the definition, with the standard library's own wildcards."""
    return segment == word or fnmatch.fnmatchcase(word, segment.replace("[^", "[!"))


def matches(pattern, path):
    if not pattern:
        return not path
    if pattern[0] == "**":
        return any(matches(pattern[1:], path[n:]) for n in range(len(path) + 1))
    return bool(path) and same(pattern[0], path[0]) and matches(pattern[1:], path[1:])


def paths_for(segments):
    """Yield all paths that patterns of these segments can tell from each other.

    Two patterns of at most three segments, with at most two places each, have a path in common
    only if they have one of at most four segments with at most two characters each, or with the
    spelling of a segment. Of words that all segments treat alike one is enough.
    """
    alike = {tuple(same(s, word) for s in segments): word for word in [*WORDS, *segments, "c"]}
    for length in range(1, 5):
        yield from itertools.product(alike.values(), repeat=length)


@settings(max_examples=300, deadline=None)
@given(PATTERNS, PATTERNS)
def test_two_patterns_overlap_exactly_if_a_path_matches_both(one, other):
    first, second = one.split("/"), other.split("/")
    segments = [segment for segment in {*first, *second} if segment != "**"]
    both = any(matches(first, p) and matches(second, p) for p in paths_for(segments))

    assert both == overlap(one, other) == overlap(other, one)


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        ("src/app.py", "src/app.py", True),
        ("src/app.py", "src/App.py", False),
        ("src/app.py", "src/*.py", True),
        ("src/app.py", "*.py", False),
        ("src/**/*.py", "src/app.py", True),
        ("src/**/*.py", "src/**/test_*", True),
        ("src/**/*.py", "src/**/*.js", False),
        ("src/**", "src", True),  # a file that is to become a folder
        ("src/**", "srcs/a", False),
        ("src/**", "**/docs/**", True),
        ("**", ".git/config", True),
        ("a*c/x", "ab*/x", True),
        ("a*c", "b*c", False),
        ("a?c", "a/c", False),
        ("[!a-y]b", "[a-z]b", True),
        ("[!a-z]b", "[a-z]b", False),
        ("[]]", "[^x]", True),
        ("app/[id]/page.tsx", "app/[[]id]/page.tsx", True),  # the folder that is called [id]
        ("app/[id]/page.tsx", "app/d/page.tsx", True),
        ("app/[id]/page.tsx", "app/x/page.tsx", False),
        ("ä/*", "ä/ö", True),
    ],
)
def test_what_people_write_overlaps_as_they_expect(one, other, common):
    assert common == overlap(normal(one), normal(other)) == overlap(normal(other), normal(one))


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("./src//app.py", "src/app.py"),
        ("src/../docs/./a.md", "docs/a.md"),
        ("src/", "src/**"),
        ("src/**/", "src/**"),
        ("src/**/**/a", "src/**/a"),
        ("{{name}}/a.py", "{{name}}/a.py"),
        ("**", "**"),
    ],
)
def test_a_pattern_has_one_spelling(written, meant):
    assert meant == normal(written) == normal(normal(written))


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("", "**"),
        (".", "**"),
        ("a/..", "**"),
        ("..", "below it"),
        ("../a", "below it"),
        ("a/../../b", "below it"),
        ("**/../b", "below it"),
        ("/etc/passwd", "src/app.py"),
        ("src\\app.py", "/"),
        ("src/**.py", "**/*.py"),
        ("src/***", "**"),
        ("src/*.{ts,tsx}", "hold_all"),
        ("a/b[c", "[[]"),
        ("a/[b/c]", "[[]"),
        ("[z-a]", "[a-z]"),
        ("a\nb", "?"),
        ("/".join(["*"] * (STARS_MAX + 1)), str(STARS_MAX)),
    ],
)
def test_a_bad_pattern_is_refused_with_what_to_write_instead(pattern, hint):
    with pytest.raises(InvalidArgumentError) as caught:
        normal(pattern)

    assert hint in caught.value.hint


@pytest.mark.parametrize("path", ["a*b", "a?b", "a[b]c", "[x]", "a[]]", "*", "{a}"])
def test_a_path_that_is_meant_literally_matches_itself_only(path):
    assert overlap(literal(path), literal(path))
    assert not overlap(literal(path), literal("ab"))
    assert not overlap(literal(path), literal("axb"))


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("app.py", "src/app.py"),
        ("../docs/*.md", "docs/*.md"),
        ("./", "src/"),
        (".", "src/"),
        ("..", "**"),
        ("/project/a/b", "a/b"),
        ("/project/", "**"),
        ("sub/**", "src/sub/**"),
    ],
)
def test_what_is_typed_in_a_folder_is_meant_from_there(typed, found):
    assert found == below(typed, root="/project", folder="/project/src")


@pytest.mark.parametrize("typed", ["/etc/passwd", "../../x", "/projects/a", "../.."])
def test_what_is_typed_outside_the_root_is_refused(typed):
    with pytest.raises(InvalidArgumentError, match="pattern"):
        below(typed, root="/project", folder="/project/src")


def test_windows_paths_are_understood_where_the_root_is_one():
    assert "src/a.py" == below("a.py", root="C:\\tree", folder="C:\\tree\\src")
    assert "b/*.py" == below("C:\\tree\\b\\*.py", root="C:\\tree", folder="C:\\tree")
