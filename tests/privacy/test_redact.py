"""Secrets are taken out of texts: how many of them, and how little else."""

import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import corpus
import harmless
import pytest
from hypothesis import given
from hypothesis import strategies as st
from secret_kinds import ALNUM, B32, HEX, KINDS, some
from surroundings import SURROUNDINGS

from swarm_memory.redact import TOO_DEEP, redact, redact_json

RECALL_MIN, RECALL_OF_A_KIND_MIN = 0.95, 0.85
FALSE_ALARMS_MAX = 0.01
REDACTIONS_PER_1000_LINES_MAX = 1.0
SOURCES = Path(__file__).resolve().parents[2]
RNG = random.Random(7)
GITHUB = "gh" + "p_" + some(RNG, ALNUM, 36)
AWS = "AK" + "IA" + some(RNG, B32, 16)


# --- how many secrets are found -----------------------------------------------------------------


def test_the_corpus_is_large_and_both_parts_have_all_kinds_of_places():
    assert (len(KINDS), len(SURROUNDINGS)) >= (40, 25)
    for held_out in (False, True):
        part = corpus.samples(held_out)
        assert len(part) > 1500
        assert len({sample.kind for sample in part}) > 80


@pytest.mark.parametrize("held_out", [False, True], ids=["development", "held out"])
def test_nearly_all_secrets_of_the_corpus_are_replaced(held_out):
    samples = corpus.samples(held_out, seed=3)
    missed = [s for s in samples if corpus.leaked(s, redact(s.text).text)]
    total, left = Counter(s.kind for s in samples), Counter(s.kind for s in missed)
    recalls = {kind: 1 - left[kind] / total[kind] for kind in total}
    shown = "\n".join(
        f"{recalls[k]:6.3f} {k} of {total[k]}" for k in sorted(total, key=recalls.get)
    )
    examples = "\n".join(f"{s.kind}, {s.place}: {s.text[:200]!r}" for s in missed[:20])

    assert 1 - len(missed) / len(samples) >= RECALL_MIN, f"{shown}\n{examples}"
    assert min(recalls.values()) >= RECALL_OF_A_KIND_MIN, f"{shown}\n{examples}"


def test_the_count_of_what_is_missed_can_fail():
    samples = corpus.samples(False)

    assert all(corpus.leaked(sample, sample.text) for sample in samples)


def test_a_second_call_changes_nothing():
    texts = [redact(sample.text).text for sample in corpus.samples(True)]

    assert [] == [text for text in texts if redact(text).text != text]


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        (f"key {AWS} here", ("aws-access-key",)),
        (f"TOKEN={GITHUB}", ("github-token",)),
        (f"{AWS} then {GITHUB}", ("aws-access-key", "github-token")),
        ("password=hunter2", ("password",)),
        ('{"client_secret": "a8f5f167f44f4964e6c998dee827110c"}', ("secret",)),
        ("postgres://app:s3cr3t-pw@db:5432/main", ("url-password",)),
        ("-----BEGIN " + "PRIVATE KEY-----\nMIIEvQ\n-----END PRIVATE KEY-----", ("private-key",)),
        ("the password is hunter2.", ("password",)),
        ("nothing to see", ()),
    ],
)
def test_a_marker_names_the_kind(text, kinds):
    found = redact(text)

    assert kinds == found.kinds
    assert [f"[secret:{kind}]" in found.text for kind in kinds] == [True] * len(kinds)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DB_PASSWORD=hunter2 ./run", "DB_PASSWORD=[secret:password] ./run"),
        ('{"password": "hunter2", "port": 1}', '{"password": "[secret:password]", "port": 1}'),
        ('"{\\"password\\": \\"hunter2\\"}"', '"{\\"password\\": \\"[secret:password]\\"}"'),
        ("a=1&password=hunter2&b=2", "a=1&password=[secret:password]&b=2"),
        ("x%26password%3Dhunter2%26y", "x%26password%3D[secret:password]%26y"),
        ("https://bob:hunter22@example.com/x", "https://bob:[secret:url-password]@example.com/x"),
        (f"({GITHUB}), and", "([secret:github-token]), and"),
    ],
)
def test_what_stands_around_a_secret_stays(text, expected):
    assert expected == redact(text).text


def test_the_same_secret_is_found_in_base64_within_base64():
    from base64 import b64encode

    inner = b64encode(f"the value is {GITHUB}".encode())

    assert "[secret:github-token]" == redact(b64encode(b"once more: " + inner).decode()).text


# --- how little else ----------------------------------------------------------------------------


def test_harmless_texts_are_left_alone():
    samples = harmless.samples(random.Random(5), each=50)
    changed = [(kind, text, redact(text).text) for kind, text in samples]
    changed = [each for each in changed if each[1] != each[2]]

    assert len(harmless.HARMLESS) >= 40
    assert len(changed) / len(samples) <= FALSE_ALARMS_MAX, changed[:10]


@pytest.mark.parametrize(
    "folder",
    [
        SOURCES / "src",
        SOURCES / "docs",
        Path(random.__file__).parent / "json",
        Path(random.__file__).parent / "http",
        Path(random.__file__).parent / "unittest",
        Path(pytest.__file__).parent,
    ],
    ids=lambda folder: folder.name,
)
def test_real_sources_are_left_alone(folder):
    texts = [p.read_text("utf-8") for p in sorted(folder.rglob("*")) if p.suffix in (".py", ".md")]
    lines = sum(text.count("\n") for text in texts)
    redacted = [redact(text) for text in texts]
    shown = [
        line for r in redacted for line in r.text.splitlines() if r.kinds and "[secret:" in line
    ]

    assert lines > 100
    count = sum(len(r.kinds) for r in redacted)
    assert count * 1000 / lines <= REDACTIONS_PER_1000_LINES_MAX, shown


@pytest.mark.parametrize(
    "text",
    [
        "4539 1488 0343 6468",  # the check digit is wrong
        "order 4539148803436460",
        "DE89370400440532013001",
        'token = "abcdefghijklmnop"',
        'api_key: "some-name-of-a-key-2"',
        "token=next_token2()",
        "access_key = config.keys.main1",
        "AKIA is how they begin",
        "sk-learn-contrib-estimators-and-more",
        "Bearer authentication is used",
        "session_id=3f786850-e387-550f-dab8-36ed7e6dc881",
    ],
)
def test_what_only_looks_alike_is_left_alone(text):
    assert text == redact(text).text


# --- values -------------------------------------------------------------------------------------


def test_the_name_of_a_member_tells_of_its_value():
    value = {"user": "bob", "password": "hunter2", "port": 1, "list": [{"token": None}]}

    clean, kinds = redact_json(value)

    assert {**value, "password": "[secret:password]"} == clean
    assert ("password",) == kinds


def test_an_option_tells_of_the_argument_after_it():
    clean, _ = redact_json(["deploy", "--password", "hunter2", "--to", "prod"])

    assert ["deploy", "--password", "[secret:password]", "--to", "prod"] == clean


def test_keys_that_are_secrets_are_replaced_and_keep_their_values():
    clean, kinds = redact_json({GITHUB: 1, GITHUB[:-1] + "x": 2})

    assert {"[secret:github-token]": 1, "[secret:github-token]'": 2} == clean
    assert 2 == len(kinds)


def test_what_is_nested_too_deeply_is_not_kept():
    value = GITHUB
    for _ in range(5000):
        value = [value]

    text = str(redact_json(value)[0])

    assert TOO_DEEP in text
    assert GITHUB not in text


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_any_value_can_be_redacted_and_keeps_its_shape(value):
    clean, kinds = redact_json(value)

    assert isinstance(kinds, tuple)
    assert type(clean) is type(value) or isinstance(clean, str)


MARKS = st.sampled_from(
    ["password", "=", ":", '"', "'", "\\", "\\n", "\n", "%41", "&quot;", "://", "@", " ", "token",
     "hunter2", GITHUB, AWS, "eyJ", "-----BEGIN ", "PRIVATE KEY-----", "[secret:", "]", "{", "İ"]
)  # fmt: skip


@given(st.lists(MARKS | st.text(max_size=6), max_size=30).map("".join))
def test_any_text_can_be_redacted_and_each_marker_is_counted(text):
    found = redact(text)

    for kind, count in Counter(found.kinds).items():
        assert found.text.count(f"[secret:{kind}]") >= count
    assert bool(found.kinds) == (found.text != text)


# --- time ---------------------------------------------------------------------------------------

HOSTILE = ["password=", "password=(", "password='token=\"", "eyJaaaa-", "eyJ" + "a" * 4000 + " ",
           "-----BEGIN " + "PRIVATE KEY-----", "A1b2" * 19 + "\n", "://a:", "%41", "\\", '"',
           "\\n", "&amp;", "4", "4111 ", "curl -u a:b ", "mysql ", "authorization: bearer ",
           "cookie: a=b", "machine a login b ", "DE89", "sk-", "0123456789abcdef", '\\\\\\"',
           "a" * 24 + "\n", '"aaaa" + "', "api_key", "token: |\n  ", "$2b$", "MMMM.",
           ":1234:a:b:"]  # fmt: skip


def seconds_a_character(unit, chars):
    text = (unit * (chars // len(unit) + 1))[:chars]
    times = []
    for _ in range(3):
        start = time.process_time()
        redact(text)
        times.append(time.process_time() - start)
    return min(times) / chars


@pytest.mark.parametrize("unit", HOSTILE, ids=lambda unit: repr(unit)[:24])
def test_time_grows_no_faster_than_the_text(unit):
    ordinary = (SOURCES / "src" / "swarm_memory" / "recording.py").read_text("utf-8")
    seconds_a_character(unit, 1000)  # compiles
    small, large = seconds_a_character(unit, 4_000), seconds_a_character(unit, 64_000)

    # Sixteen times as much text: quadratic work would cost sixteen times as much a character.
    assert large / small < 6
    # Nor is a large constant hidden in the limits: hostile text costs up to six times as much.
    assert large / seconds_a_character(ordinary, 64_000) < 30


def test_importing_loads_and_compiles_nothing():
    program = (
        "import sys, swarm_memory; before = set(sys.modules)\n"
        "import swarm_memory.recording; from swarm_memory.redact.named import compiled\n"
        "new = {n for n in set(sys.modules) - before if not n.startswith('swarm_memory')}\n"
        "print(sorted(new), compiled.cache_info().currsize)"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert "[] 0\n" == ran.stdout


def test_hexadecimal_alone_is_no_secret_and_beside_a_telling_name_is_one():
    digest = some(RNG, HEX, 40)

    assert f"commit {digest}" == redact(f"commit {digest}").text
    assert "api_key: [secret:token]" == redact(f"api_key: {digest}").text
