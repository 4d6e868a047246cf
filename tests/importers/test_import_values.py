"""Values and times: decoded where they are JSON, kept as text where JSON cannot hold them."""

import base64
import gzip
import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from import_builders import T_ISO, T_MS, T_S, T_TEXT, compressed

from swarm_memory.importers.values import (
    DECODED_BYTES_MAX,
    UnstorableError,
    check_storable,
    decode_column,
    decode_text,
    expiry_ms,
    gunzip,
    storable,
    to_ms,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": [1, null]}', {"a": [1, None]}),
        ('"quoted"', "quoted"),
        ("true", True),
        ("17", 17),
        ("1.5", 1.5),
        ("plain text", "plain text"),
        ("", ""),
        (compressed({"a": "ü"}), {"a": "ü"}),
        ("__compressed__" + base64.b64encode(b"no JSON").decode(), "no JSON"),
    ],
)
def test_text_becomes_what_it_stands_for(text, value):
    assert value == decode_text(text).value


@pytest.mark.parametrize(
    "text",
    [
        "1.10",  # a version, not the number 1.1
        "1e3",
        "007",
        "NaN",
        '{"a": NaN}',
        '{"a": 1, "a": 2}',
        '{"a": 123456789012345678901234567890}',
        '["\\ud800"]',
        "[" * 65 + "]" * 65,
        "[" * 100_000,
        "9" * 5000,
        "__compressed__no base64!",
        "__compressed__/w==",
    ],
)
def test_text_that_json_cannot_give_back_stays_text(text):
    assert text == decode_text(text).value


@pytest.mark.parametrize(
    ("wrapped", "plain"),
    [
        ({"__type__": "__undefined__"}, None),
        ({"__type__": "__Date__", "value": T_ISO}, T_ISO),
        ({"__type__": "__Map__", "entries": [["a", 1]]}, {"a": 1}),
        ({"__type__": "__Map__", "entries": [[1, 2]]}, [[1, 2]]),
        ({"__type__": "__Set__", "values": [1, {"__type__": "__undefined__"}]}, [1, None]),
        ({"__type__": "__BigInt__", "value": "18446744073709551615"}, 18446744073709551615),
        ({"__type__": "__BigInt__", "value": "18446744073709551616"}, "18446744073709551616"),
        ({"__type__": "__RegExp__", "source": "a+", "flags": "i"}, "/a+/i"),
        ({"__type__": "__Error__", "name": "E", "message": "m"}, {"name": "E", "message": "m"}),
        ({"__type__": "__Function__", "name": "f"}, {"name": "f"}),
        ({"__type__": "__TypedArray__", "constructor": "X", "data": [1]}, [1]),
        ({"__type__": "mine", "x": 1}, {"__type__": "mine", "x": 1}),
        ({"__type__": "__Odd__"}, {"__type__": "__Odd__"}),
    ],
)
def test_wrappers_become_plain_json(wrapped, plain):
    assert {"v": plain} == decode_text(json.dumps({"v": wrapped})).value


def test_numbers_that_json_lacks_become_null_and_are_named():
    wrapped = [{"__type__": "__NaN__"}, {"__type__": "__-Infinity__"}, {"__type__": "__NaN__"}]
    decoded = decode_text(json.dumps(wrapped))

    assert (decoded.value, decoded.lost) == ([None, None, None], ["NaN", "-Infinity"])


def test_a_column_decodes_objects_and_lists_but_no_single_words():
    assert decode_column('{"a": 1}') == {"a": 1}
    assert decode_column("true") == "true"
    assert decode_column("[broken") == "[broken"
    assert decode_column('[{"__type__":"__NaN__"}]') == '[{"__type__":"__NaN__"}]'


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (T_S, "s", T_MS),
        (T_MS, "ms", T_MS),
        (T_MS, "s", T_MS),  # milliseconds in a field of seconds
        (T_S, "ms", T_MS),  # and the other way round
        (T_MS * 1000, "ms", T_MS),
        (5000, "ms", 5000),
        (T_S + 0.5, "s", T_MS + 500),
        (str(T_S), "s", T_MS),
        (T_TEXT, "s", T_MS),
        (T_ISO, "s", T_MS),
        ("2025-06-15T17:06:40+02:00", "s", T_MS),
        ("yesterday", "s", None),
        (-1, "s", None),
        (float("nan"), "s", None),
        (10**30, "s", None),
        ("9" * 5000, "s", None),
        (True, "s", None),
        (None, "s", None),
        ([], "s", None),
    ],
)
def test_every_time_unit_becomes_epoch_milliseconds(value, unit, expected):
    assert expected == to_ms(value, unit)


def test_a_time_without_an_offset_is_in_the_given_zone():
    assert to_ms(T_TEXT, "s", zone=timezone(timedelta(hours=2))) == T_MS - 7_200_000
    local = round(datetime.fromisoformat(T_TEXT).timestamp() * 1000)
    assert local == to_ms(T_TEXT, "s", zone=None)
    assert to_ms(T_TEXT, "s", zone=UTC) == T_MS


def test_an_ordinary_ttl_changes_nothing():
    assert expiry_ms(T_S + 60, 60, "s") == (T_S + 60) * 1000
    assert None is expiry_ms(None, None, "s")
    assert expiry_ms(T_MS, 2_592_000_000, "ms") == T_MS


def test_gzip_is_refused_when_broken_cut_or_too_large():
    bomb = gzip.compress(bytes(DECODED_BYTES_MAX + 1))
    for blob in (b"", b"\x1f\x8bxx", gzip.compress(b"x" * 999)[:-9], bomb):
        with pytest.raises(UnstorableError):
            gunzip(blob)
    assert gunzip(gzip.compress(b"x" * 999)) == b"x" * 999


@given(st.text())
def test_any_text_decodes_to_something_storable(text):
    check_storable(decode_text(text).value)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters()), inner),
)


@given(_JSON)
def test_any_value_becomes_storable_or_its_text(value):
    check_storable(storable(value))
