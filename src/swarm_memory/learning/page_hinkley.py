"""An alarm soon after a rate has changed, from a state of a hundred bytes."""

from __future__ import annotations

import math
import struct

from swarm_memory.lean import NamedTuple

# Chosen on simulated rates so that at most 2 % of streams of 150 raise a false alarm at any rate
# from 0.3 to 0.9, and a fall from 0.7 to 0.4 is noticed within a median of 35 outcomes.
TRIALS_MIN = 30
DRIFT = 0.25  # standard deviations that the mean may be off without being counted
THRESHOLD = 14.5  # standard deviations
DEVIATION_MIN = 0.1
_FORMAT = struct.Struct("<BIIdddIddIddd")
_FORMAT_VERSION = 1


class Alarm(NamedTuple):
    """The mean has changed: `since` is the number of outcomes ago that it seems to have.

    `before` and `after` are the mean rewards on either side; `after` is of so few outcomes that
    it exaggerates.
    """

    since: int
    before: float
    after: float


class Drift(NamedTuple):
    """The state of the two-sided Page-Hinkley test; the empty one is `Drift()`.

    `seen` outcomes in all, `trials` of them since the last alarm with their `mean` and sum of
    squares `spread`; each side has its sum and the number and total of the outcomes since that
    sum was last zero, which is where the change is if there is one.
    """

    seen: int = 0
    trials: int = 0
    mean: float = 0.0
    spread: float = 0.0
    rise: float = 0.0
    rise_count: int = 0
    rise_total: float = 0.0
    fall: float = 0.0
    fall_count: int = 0
    fall_total: float = 0.0
    rise_squares: float = 0.0
    fall_squares: float = 0.0

    def to_bytes(self) -> bytes:
        """Return the state for storing, 81 bytes."""
        return _FORMAT.pack(_FORMAT_VERSION, *self)

    @staticmethod
    def from_bytes(stored: bytes) -> Drift:
        """Return a stored state.

        Raises:
            ValueError: The bytes are no state, or of another version.
        """
        if len(stored) != _FORMAT.size or stored[0] != _FORMAT_VERSION:
            raise ValueError("no state of a Page-Hinkley test of this version; start with Drift()")
        return Drift(*_FORMAT.unpack(stored)[1:])


def advance(state: Drift, reward: float) -> tuple[Drift, Alarm | None]:
    """Return the state after one more reward, and an alarm if the mean has changed.

    rise ← max(0, rise + (x − mean) / s − 0.25), fall likewise, s the standard deviation so far
    with two outcomes of variance ¼ added; above 14.5 from the 30th outcome on it is an alarm, and
    the state begins anew with the outcomes since the change.

    Args:
        reward: In [0, 1].

    Raises:
        ValueError: The reward is no number in [0, 1].

    Source:
        Page 1954; Hinkley 1971.
    """
    if not 0 <= reward <= 1:
        raise ValueError(f"reward {reward!r} is not in [0, 1]")
    count = state.trials + 1
    mean = state.mean + (reward - state.mean) / count
    spread = state.spread + (reward - state.mean) * (reward - mean)
    deviation = max(math.sqrt((spread + 0.5) / (count + 2)), DEVIATION_MIN)
    step = (reward - mean) / deviation
    rise = _side(state.rise + step, state.rise_count, state.rise_total, state.rise_squares, reward)
    fall = _side(state.fall - step, state.fall_count, state.fall_total, state.fall_squares, reward)
    after = Drift(state.seen + 1, count, mean, spread, *rise[:3], *fall[:3], rise[3], fall[3])
    if count < TRIALS_MIN or max(rise[0], fall[0]) <= THRESHOLD:
        return after, None
    _, since, total, squares = rise if rise[0] > fall[0] else fall
    earlier = count - since
    before = (mean * count - total) / earlier if earlier else mean
    now = total / since
    fresh = Drift(after.seen, since, now, max(squares - since * now * now, 0.0))
    return fresh, Alarm(since, min(max(before, 0.0), 1.0), now)


def _side(
    reached: float, count: int, total: float, squares: float, reward: float
) -> tuple[float, int, float, float]:
    reached -= DRIFT
    if reached <= 0:
        return 0.0, 0, 0.0, 0.0
    return reached, count + 1, total + reward, squares + reward * reward
