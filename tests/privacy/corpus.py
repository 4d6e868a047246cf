"""The corpus of secrets: each kind in each place where its form occurs, from seeds.

Two parts. `DEVELOPMENT` was looked at while the patterns were written. `HELD_OUT` has every fourth
kind and every fourth place, and was only ever counted.
"""

import base64
import binascii
import json
import random
import re
from collections import namedtuple
from urllib.parse import quote

from secret_kinds import KINDS
from surroundings import SURROUNDINGS

Sample = namedtuple("Sample", "kind place text hidden")


def pairs():
    for k, kind in enumerate(KINDS):
        for p, place in enumerate(SURROUNDINGS):
            if kind.form in place.takes:
                yield kind, place, k % 4 == 3 or p % 4 == 3


def samples(held_out, *, seed=0, each=1):
    """Return `each` samples of every kind in every place of one part of the corpus."""
    made = []
    for kind, place, is_held_out in pairs():
        if is_held_out != held_out:
            continue
        rng = random.Random(f"{seed} {kind.name} {place.name}")
        for _ in range(each):
            secret = kind.make(rng)
            text = place.write(rng.choice(kind.names), secret.text)
            made.append(Sample(kind.name, place.name, text, secret.hidden))
    return made


def leaked(sample, text):
    """Return the first part of the secret that can still be read in `text`."""
    seen = [text, *decoded(text)]
    for part in sample.hidden:
        size = 16 if len(part) >= 48 else len(part) if len(part) < 16 else len(part) // 2
        for start in range(0, len(part) - size + 1, size):
            piece = part[start : start + size]
            forms = {piece, json.dumps(piece)[1:-1], quote(piece, "")}
            if any(form in readable for form in forms for readable in seen):
                return piece
    return None


def decoded(text):
    """Yield what stands in base64 in `text`."""
    for run in re.findall(r"[A-Za-z0-9+/]{20,}(?:\n[A-Za-z0-9+/]{4,})*", text):
        plain = run.replace("\n", "")
        try:
            yield base64.b64decode(plain[: len(plain) // 4 * 4]).decode("utf-8", "replace")
        except binascii.Error:
            continue
