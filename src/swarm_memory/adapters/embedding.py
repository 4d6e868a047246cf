"""An embedder without a model, a key or a network, for frameworks that cannot do without one."""

from __future__ import annotations

from math import sqrt
from operator import mul
from zlib import crc32

from swarm_memory.text import STOP_WORDS, terms_of

DIMENSION = 512


def embed_words(texts: list[str]) -> list[list[float]]:
    """Return a vector for each text, made of its words: an embedder without a model or a key.

    Texts are near each other if they share words, folded and stemmed as in the swarm's search;
    it knows no synonyms.
    """
    return [_embed_words(text) for text in texts]


def _embed_words(text: str) -> list[float]:
    vector = [0.0] * DIMENSION
    terms = terms_of(text)[0]
    for term in [term for term in terms if term not in STOP_WORDS] or terms:
        number = crc32(term.encode())
        # Half of the terms count down, so that two that meet in one place are no likeness.
        vector[number % DIMENSION] += 1.0 if number & 0x10000 else -1.0
    length = sqrt(sum(map(mul, vector, vector)))
    return [x / length for x in vector] if length else vector
