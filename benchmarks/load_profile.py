"""What an agent does: how often, how much of what, and how large.

Counted in 14,084 rows that agents of 45 public projects left in stores of claude-flow 2 between
July 2025 and May 2026. They hold what was recorded of each event, not what this library was asked,
so each kind of event stands for the call that an agent of ours makes at it. How long agents pause
is from the times of 447 events of three of these stores. Counts are all that was taken over.
"""

from __future__ import annotations

import random
from bisect import bisect
from itertools import accumulate
from typing import NamedTuple


class Event(NamedTuple):
    """A kind of event as it was recorded, and what it stands for."""

    what: str
    count: int
    verb: str


EVENTS = (
    Event("before a command: is anything known about it", 2067, "get"),
    Event("after a command: what came of it", 1524, "put"),
    Event("before an edit: is anything known about the file", 520, "get"),
    Event("after an edit: what was changed, for the others", 803, "put"),
    Event("a file is given to an agent", 244, "lock"),
    Event("a session begins: what the agent had kept", 450, "list"),
    Event("a session ends: its state is kept", 449, "put"),
    Event("an agent enters the swarm", 165, "put"),
    Event("somebody is told something", 195, "send"),
    Event("and reads it", 195, "claim"),
    Event("a task begins: what is known about it", 139, "search"),
    Event("a task ends: how it went", 109, "outcome"),
)
VERBS = ("put", "get", "list", "lock", "send", "claim", "search", "outcome")
WRITES = ("put", "lock", "send", "claim", "outcome")  # these take turns
THINK_S = 20.0  # between two events of an agent; gaps of over ten minutes are no pauses
# The share of values up to so many bytes. The largest had 135,086; one in a hundred is of 28 KB.
SIZES = ((0.0, 29), (0.5, 238), (0.9, 589), (0.95, 705), (0.99, 28_238), (1.0, 28_238))
# Words, by how often they occur: as natural language has them, the n-th one every n times.
VOCABULARY = 10_000
COMMON = 50  # words that nobody asks for


def shares() -> dict[str, float]:
    """Return the share of each verb."""
    total = sum(event.count for event in EVENTS)
    found = dict.fromkeys(VERBS, 0.0)
    for event in EVENTS:
        found[event.verb] += event.count / total
    return found


_CUMULATIVE = tuple(accumulate(shares().values()))


def draw_verb(pick: random.Random) -> str:
    """Draw what an agent does next."""
    return VERBS[min(bisect(_CUMULATIVE, pick.random()), len(VERBS) - 1)]


def draw_pause_s(pick: random.Random, think_s: float = THINK_S) -> float:
    """Draw the time between two events of an agent."""
    return pick.expovariate(1 / think_s)


def draw_bytes(pick: random.Random) -> int:
    """Draw the size of a value; between the sizes that were counted it grows evenly by factors."""
    at = pick.random()
    above = next(n for n, (share, _) in enumerate(SIZES) if share >= at and n)
    (low, small), (high, large) = SIZES[above - 1], SIZES[above]
    return round(small * (large / small) ** ((at - low) / (high - low)))


_WEIGHTS = tuple(accumulate(1 / n for n in range(1, VOCABULARY + 1)))


def draw_text(pick: random.Random, size: int) -> str:
    """Draw words that have about `size` bytes together."""
    numbers = pick.choices(range(VOCABULARY), cum_weights=_WEIGHTS, k=max(1, size // 7))
    return " ".join(map(word, numbers))


def draw_question(pick: random.Random, words: int = 4) -> str:
    """Draw words that somebody would ask for."""
    return " ".join(word(COMMON + draw) for draw in _rare(pick, words))


def _rare(pick: random.Random, words: int) -> list[int]:
    weights = _WEIGHTS[: VOCABULARY - COMMON]
    return pick.choices(range(VOCABULARY - COMMON), cum_weights=weights, k=words)


def word(number: int) -> str:
    """Return the word of a number, made of syllables."""
    out = ""
    for _ in range(3):
        number, at = divmod(number, len(_SYLLABLES))
        out += _SYLLABLES[at]
    return out


_SYLLABLES = [consonant + vowel for consonant in "bdfgklmnprstvz" for vowel in "aeiou"]
