"""JSON without the json package is the package's own."""

import json
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swarm_memory import lean_json

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip


def outcome(call, *arguments):
    """Return what a call gives, or the kind of its error."""
    try:
        return repr(call(*arguments))
    except (ValueError, TypeError, RecursionError) as error:
        return type(error)


@settings(deadline=None)
@given(VALUES)
def test_values_are_written_as_the_package_writes_them(value):
    expected = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)

    assert expected == lean_json.dumps(value)
    assert value == lean_json.loads(expected)


@settings(deadline=None)
@given(
    st.text() | st.text(alphabet='{}[],:"\\0123456789.eE-+truefalsn \n\t\ufeffNaIity') | st.binary()
)
def test_texts_are_read_or_refused_as_the_package_does(text):
    assert outcome(json.loads, text) == outcome(lean_json.loads, text)


@pytest.mark.parametrize(
    "text",
    ["", " ", " 1 ", "1 2", "NaN", "-Infinity", '"\\ud800"', "[1,]", '{"a":1,"a":2}', "[" * 10_000,
     b"\xef\xbb\xbf1", '{"a":1}'.encode("utf-16"), b"\xff", b'"\xed\xa0\x80"'],
)  # fmt: skip
def test_what_is_unusual_is_read_or_refused_as_the_package_does(text):
    assert outcome(json.loads, text) == outcome(lean_json.loads, text)


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object(), {(1, 2): 3}, b"x"])
def test_what_is_no_json_is_refused(value):
    with pytest.raises((TypeError, ValueError)):
        lean_json.dumps(value)


def test_a_value_within_itself_is_refused():
    value = []
    value.append(value)

    with pytest.raises(ValueError, match="Circular"):
        lean_json.dumps(value)


def test_the_store_opens_without_regular_expressions():
    program = (
        "import sys; from swarm_memory import Swarm\n"
        "with Swarm.open('sqlite:///:memory:') as swarm: swarm.records.put('a', {'b': [1.5]})\n"
        "print(sorted({'re', 'json', 'enum'} & set(sys.modules)))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "[]\n" == ran.stdout
