"""A JSON text is changed in one place, and every other byte stays."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_memory.errors import ConfigError
from swarm_memory.wiring import splice

SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=4)
NESTED = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)
DOCUMENTS = st.dictionaries(st.text(max_size=3), NESTED, max_size=4)
OURS = {"a": [1, {"b": 2}]}


@st.composite
def texts(draw, documents=DOCUMENTS):
    """A JSON object as somebody may have written it: any indentation, line ends, and spaces."""
    document = draw(documents)
    indent = draw(st.sampled_from([None, 1, 2, 4, "\t"]))
    separators = draw(st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]))
    text = json.dumps(
        document,
        indent=indent,
        separators=None if indent else separators,
        ensure_ascii=draw(st.booleans()),
    )
    text = draw(st.sampled_from(["", "\ufeff", "\n"])) + text + draw(st.sampled_from(["", "\n"]))
    return text.replace("\n", "\r\n") if draw(st.booleans()) else text


def containers(value, path=()):
    if isinstance(value, (dict, list)):
        yield path
        steps = value.items() if isinstance(value, dict) else enumerate(value)
        for step, inner in steps:
            yield from containers(inner, (*path, step))


def at(document, path):
    for step in path:
        document = document[step]
    return document


@given(texts(), st.data())
@settings(max_examples=300, deadline=None)
def test_what_is_inserted_is_there_and_removing_it_gives_the_same_bytes(text, data):
    expected = splice.parse(text)
    path = data.draw(st.sampled_from(sorted(containers(expected), key=repr)))
    container = at(expected, path)
    name = "ours" if isinstance(container, dict) else None
    blank = splice.interior(text, path)

    inserted = splice.insert(text, path, name, OURS)

    if name is None:
        container.insert(0, OURS)
    else:
        container[name] = OURS
    assert expected == splice.parse(inserted)
    assert text == splice.remove(inserted, (*path, name or 0), interior=blank or "")


def test_what_is_inserted_stands_first_and_touches_no_line_of_others():
    text = '{\n    "a": 1,\n    "b": {"c": 2}\n}\n'

    inserted = splice.insert(text, (), "x", {"y": [1]})

    lines = inserted.splitlines()
    assert text.splitlines() == [lines[0], *lines[6:]]
    assert ['    "x": {', '        "y": [', "            1", "        ]", "    },"] == lines[1:6]


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("{}", (), '{\n  "x": 1\n}'),
        ('{"a": 1}', (), '{"x": 1, "a": 1}'),
        ('{ "a": 1 }', (), '{ "x": 1, "a": 1 }'),
        ('{"b": {}}', ("b",), '{"b": {"x": 1}}'),
        ('{\n\t"b": {}\n}', ("b",), '{\n\t"b": {\n\t\t"x": 1\n\t}\n}'),
        ('{\r\n "b": {\r\n }\r\n}', ("b",), '{\r\n "b": {\r\n  "x": 1\r\n }\r\n}'),
    ],
)
def test_what_is_inserted_stands_in_the_manner_of_its_neighbours(text, path, expected):
    assert expected == splice.insert(text, path, "x", 1)


def test_of_a_name_that_stands_twice_the_last_is_meant():
    text = '{"b": {"x": 0}, "b": {"y": 0}}'

    assert '{"b": {"x": 0}, "b": {"z": 1, "y": 0}}' == splice.insert(text, ("b",), "z", 1)


@pytest.mark.parametrize("text", ["", "{", '{"a": 1,}', "{'a': 1}", '{"a": NaN}', "// x\n{}"])
def test_what_is_no_json_is_refused(text):
    with pytest.raises(ConfigError, match="no valid JSON"):
        splice.parse(text)


def test_what_is_nested_too_deep_is_refused():
    with pytest.raises(ConfigError, match="no valid JSON"):
        splice.parse("[" * 100_000 + "]" * 100_000)
