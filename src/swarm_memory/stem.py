"""The stem of an English word, so that `caching`, `cached` and `caches` are one term.

Porter's algorithm with the two rules that its author added later (`-bli`, `-logi`), as SQLite's
own tokenizer has it: an ending is one only behind something. A test compares the two. Words of
other languages pass through it unharmed as long as the same is done to both sides. The packages
there are would cost a hook more than its whole search (snowballstemmer: 320 ms to import, 170 µs a
word) or the core a compiled dependency.

Source: M. F. Porter 1980, "An algorithm for suffix stripping", Program 14(3).
"""

from __future__ import annotations

import re

_C, _V = "[^aeiou][^aeiouy]*", "[aeiouy][aeiou]*"
_HAS_VOWEL = re.compile(f"({_C})?[aeiouy]").match
_ABOVE_0 = re.compile(f"({_C})?{_V}{_C}").match
_IS_1 = re.compile(f"({_C})?{_V}{_C}({_V})?$").match
_ABOVE_1 = re.compile(f"({_C})?{_V}{_C}{_V}{_C}").match
_SHORT = re.compile("[^aeiou][^aeiouy]*[aeiouy][^aeiouwxy]$").match
_DOUBLE = re.compile(r"([^aeioulsz])\1$", re.IGNORECASE).search

_STEP_2 = {
    "ational": "ate",
    "tional": "tion",
    "enci": "ence",
    "anci": "ance",
    "izer": "ize",
    "logi": "log",
    "bli": "ble",
    "alli": "al",
    "entli": "ent",
    "eli": "e",
    "ousli": "ous",
    "ization": "ize",
    "ation": "ate",
    "ator": "ate",
    "alism": "al",
    "iveness": "ive",
    "fulness": "ful",
    "ousness": "ous",
    "aliti": "al",
    "iviti": "ive",
    "biliti": "ble",
}
_STEP_3 = {
    "icate": "ic",
    "ative": "",
    "alize": "al",
    "iciti": "ic",
    "ical": "ic",
    "ful": "",
    "ness": "",
}
_STEP_4 = "al|ance|ence|er|ic|able|ible|ant|ement|ment|ent|ion|ou|ism|ate|iti|ous|ive|ize"


def _longest(endings: list[str]) -> re.Pattern[str]:
    return re.compile(f"({'|'.join(sorted(endings, key=len, reverse=True))})$")


_ENDS_2, _ENDS_3 = _longest(list(_STEP_2)), _longest(list(_STEP_3))
_ENDS_4 = _longest(_STEP_4.split("|"))


def stem(word: str) -> str:
    """Return the stem of a word of lower-case ASCII letters; shorter than 3 it is the word."""
    if len(word) < 3:
        return word
    if word.startswith("y"):
        word = "Y" + word[1:]  # a consonant there
    word = _past(_plural(word))
    if word.endswith("y") and _HAS_VOWEL(word[:-1]):
        word = word[:-1] + "i"
    for ends, becomes in ((_ENDS_2, _STEP_2), (_ENDS_3, _STEP_3)):
        found = ends.search(word)
        if found and _ABOVE_0(word[: found.start()]):
            word = word[: found.start()] + becomes[found[1]]
    return _final(_derived(word)).lower()


def _plural(word: str) -> str:
    if word.endswith(("sses", "ies")) and word not in ("sses", "ies"):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word


def _past(word: str) -> str:
    if word.endswith("eed") and word != "eed":
        return word[:-1] if _ABOVE_0(word[:-3]) else word
    for ending in ("ed", "ing"):
        root = word.removesuffix(ending)
        if root != word and _HAS_VOWEL(root):
            if root.endswith(("at", "bl", "iz")) or (_SHORT(root) and not _DOUBLE(root)):
                return root + "e"
            return root[:-1] if _DOUBLE(root) else root
    return word


def _derived(word: str) -> str:
    found = _ENDS_4.search(word)
    if found is None:
        return word
    root = word[: found.start()]
    if not _ABOVE_1(root) or (found[1] == "ion" and not root.endswith(("s", "t"))):
        return word
    return root


def _final(word: str) -> str:
    if word.endswith("e"):
        root = word[:-1]
        if _ABOVE_1(root) or (_IS_1(root) and not _SHORT(root)):
            word = root
    if word.endswith("ll") and _ABOVE_1(word):
        word = word[:-1]
    return word
