"""Merges: the probability that a branch does not merge, from what both sides announce or touched.

Without a common file there is no textual conflict; so the common files come first: how many there
are, how often each of them stopped a merge before (drawn to the rate of all files, and combined as
1 − product of (1 − rate)), and how much each side has changed since they parted. A logistic model
that follows the log makes a probability of it.
"""

from __future__ import annotations

import math

from swarm_memory.lean import NamedTuple
from swarm_memory.learning.conflicts import sigmoid
from swarm_memory.learning.forecaster import Regression

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

TERMS = ("one", "common", "history", "branch", "main", "age", "people")
WEIGHTS = (-2.5, 1.0, 0.5, 0.3, 0.0, 0.0, 0.0)  # before there is any log
CERTAINTY = (2.0, 5.0, 5.0, 5.0, 5.0, 5.0, 5.0)  # in merges
RATE_PRIOR = 3.0  # merges: what a file's own rate must outweigh
RATE_FIRST = 0.2  # of all files, before there is any log
RATE_MIN = 0.001
NO_COMMON_FILE = 0.002  # git stops there for renames and folders only
MEMORY = 2000


class Merge(NamedTuple):
    """A merge to come: how long ago the sides parted, what each changed, and what both did.

    `common` may be cut, `common_files` counts all; `people` have worked on the main side since.
    """

    age_s: float
    main_files: int
    branch_files: int
    common: tuple[str, ...]
    common_files: int
    people: int = 1


class MergeModel:
    """Which merges stopped, file by file, and what that says of the next one."""

    def __init__(self) -> None:
        self.examples = 0
        self._files: dict[str, tuple[int, int]] = {}  # merges with it on both sides, stopped ones
        self._met, self._stopped = 0, 0
        self._regression = Regression(WEIGHTS, CERTAINTY, MEMORY)

    def risk(self, merge: Merge) -> float:
        """Return the probability in (0, 1) that a merge stops at a textual conflict."""
        if not merge.common_files:
            return NO_COMMON_FILE
        return sigmoid(self._regression.logit(self._terms(merge)))

    def history(self, paths: Sequence[str]) -> float:
        """Return how likely it is that one of the files stops a merge, by their history.

        1 − product of (1 − (stopped + 3 r) / (merges + 3)), with r the rate of all files.
        """
        rate = (self._stopped + RATE_FIRST * RATE_PRIOR) / (self._met + RATE_PRIOR)
        goes_well = 1.0
        for path in paths:
            met, stopped = self._files.get(path, (0, 0))
            goes_well *= 1 - (stopped + RATE_PRIOR * rate) / (met + RATE_PRIOR)
        return 1 - goes_well

    def learn(self, merge: Merge, stopped: Sequence[str]) -> None:
        """Take in how a merge went: `stopped` are the files that had to be settled by hand."""
        self.examples += 1
        if merge.common_files:
            self._regression.learn(self._terms(merge), bool(stopped))
        stops = set(stopped)
        for path in {*merge.common, *stops}:
            met, before = self._files.get(path, (0, 0))
            self._files[path] = (met + 1, before + (path in stops))
            self._met += 1
            self._stopped += path in stops

    def _terms(self, merge: Merge) -> tuple[float, ...]:
        chance = min(max(self.history(merge.common), RATE_MIN), 1 - RATE_MIN)
        return (
            1.0,
            math.log(merge.common_files),
            math.log(chance / (1 - chance)),
            math.log1p(merge.branch_files) - 2,
            math.log1p(merge.main_files) - 4,
            math.log1p(merge.age_s / 3600) - 4,
            math.log1p(merge.people) - 1,
        )
