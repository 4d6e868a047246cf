"""Strict JSON, frames with checksums, bounded decompression, and the switch to faster codecs."""

import gzip
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swarm_memory import Swarm, codec
from swarm_memory.errors import InvalidValueError, LimitExceededError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=5)
    ),
    max_leaves=20,
)


def compressor(dictionaries=None):
    known = dictionaries or {}
    return codec.Compressor(known.__getitem__, lambda: max(known, default=0), 2**20)


@given(JSON)
def test_values_come_back_unchanged_from_both_codecs(value):
    for encoded in (codec.encode(value, bytes_max=2**20), codec._dumps_cold(value)):
        for decoded in (codec.decode(encoded), codec._loads_cold(encoded)):
            assert value == decoded
            assert repr(value) == repr(decoded)


@pytest.mark.parametrize(
    "text", ['{"a":1,"a":2}', "NaN", "[Infinity]", "{", "", "1" * 5000, "[" * 100_000, "2e999"]
)
def test_json_from_outside_is_read_strictly(text):
    with pytest.raises(InvalidValueError):
        codec.parse(text)


def test_a_long_value_is_refused_by_its_size():
    with pytest.raises(LimitExceededError):
        codec.encode("x" * 100, bytes_max=50)


@given(st.binary(max_size=200), st.integers(0, 10_000), st.integers(1, 255))
def test_any_changed_byte_of_a_frame_is_noticed(body, position, change):
    frame = bytearray(codec.seal(codec.PLAIN, body, b"about"))
    frame[position % len(frame)] ^= change

    with pytest.raises(codec.FrameError):
        codec.unseal(bytes(frame), b"about")


def test_a_frame_belongs_to_its_row():
    frame = codec.seal(codec.PLAIN, b"{}", b"key version 1")

    assert (codec.PLAIN, b"{}") == codec.unseal(frame, b"key version 1")
    with pytest.raises(codec.FrameError):
        codec.unseal(frame, b"key version 2")


def test_a_truncated_frame_is_noticed():
    for size in range(5):
        with pytest.raises(codec.FrameError):
            codec.unseal(codec.seal(codec.PLAIN, b"", b"")[:size], b"")


@pytest.mark.parametrize("size", [0, 63, 64, 4095, 4096, 70_000, 300_000])
def test_compressing_comes_back(size):
    encoded = (b"the quick brown fox " * (size // 20 + 1))[:size]
    packer = compressor()

    for eager in (False, True):
        format_, body = packer.compress(encoded, eager=eager)
        assert encoded == packer.expand(format_, body)


def test_a_dictionary_beats_gzip_on_small_values():
    values = [
        b'{"task":"t-%d","status":"done","agent":"agent-%d","note":"finished without error"}'
        % (n, n % 9)
        for n in range(2000)
    ]
    packer = compressor({1: codec.train_dictionary(values[::2])})

    packed = [packer.compress(value, eager=True) for value in values[1::2]]

    assert {codec.ZSTD_DICTIONARY} == {format_ for format_, _ in packed}
    assert sum(len(b) for _, b in packed) < 0.8 * sum(len(gzip.compress(v)) for v in values[1::2])
    assert values[1::2] == [packer.expand(*pair) for pair in packed]


def test_gzip_frames_of_others_are_readable():
    assert b"{}" == compressor().expand(codec.GZIP, gzip.compress(b"{}"))


@pytest.mark.parametrize("format_", [codec.ZSTD, codec.GZIP])
def test_a_decompression_bomb_is_refused(format_):
    import zstandard

    bomb = b"0" * (2**20 + 1)
    packed = zstandard.compress(bomb) if format_ == codec.ZSTD else gzip.compress(bomb)

    with pytest.raises(codec.FrameError):
        compressor().expand(format_, packed)


@pytest.mark.parametrize("format_", [codec.ZSTD, codec.ZSTD_DICTIONARY, codec.GZIP, 99])
def test_garbage_does_not_expand(format_):
    with pytest.raises((codec.FrameError, KeyError)):
        compressor().expand(format_, b"\0\0garbage")


def test_a_process_that_passes_by_loads_neither_orjson_nor_zstd(tmp_path):
    Swarm.open(f"sqlite:///{tmp_path}/m.db").close()
    program = (
        "import sys, swarm_memory\n"
        f"with swarm_memory.Swarm.open('sqlite:///{tmp_path}/m.db') as swarm:\n"
        "    swarm.records.put('x/a', {'text': 'v' * 1000})\n"
        "    assert swarm.records.get('x/a').value == {'text': 'v' * 1000}\n"
        "heavy = 'orjson zstandard numpy typing dataclasses typer rich hashlib random pathlib'\n"
        "print([name for name in heavy.split() if name in sys.modules])\n"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True
    )
    assert "[]" == run.stdout.strip()


def test_training_on_too_little_says_so():
    with pytest.raises(InvalidValueError):
        codec.train_dictionary([b"{}"])


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])) | st.integers() | st.none()))
def test_both_encoders_give_one_form_of_what_checksums_cover(said):
    import orjson

    said = [s if not isinstance(s, int) else max(-(2**63), min(s, 2**63 - 1)) for s in said]

    assert orjson.dumps(("swarm", said)) == codec._dumps_cold(("swarm", said))


def test_a_process_that_reads_some_hundred_values_does_not_pay_for_orjson():
    program = (
        "import sys\n"
        "from swarm_memory import codec\n"
        'text = b\'{"tool": "Bash"}\'\n'
        "for _ in range(900):\n"
        "    codec.loads(text)\n"
        "print('orjson' in sys.modules, codec.is_warm())\n"
        "for _ in range(codec.LEAN_PIECES):\n"
        "    codec.loads(text)\n"
        "print('orjson' in sys.modules)\n"
        "print(codec.loads(text))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert ["False True", "True", "{'tool': 'Bash'}"] == ran.stdout.splitlines(), ran.stderr


def test_long_texts_make_orjson_worth_its_import_sooner():
    program = (
        "import sys\n"
        "from swarm_memory import codec\n"
        "for _ in range(20):\n"
        "    codec.dumps('x' * 60_000)\n"
        "print('orjson' in sys.modules)\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert "True" == ran.stdout.strip(), ran.stderr
