"""Failures by kind: who failed, at which step, with which class of error, and what goes together.

Classes come from the error's text by a few expressions, tried in order; nothing is sent anywhere.
Shares have intervals clustered by task, since a task that is tried ten times fails ten times in
the same way.
"""

from __future__ import annotations

import re

import numpy as np

from swarm_memory.lean import NamedTuple
from swarm_memory.learning import statistics
from swarm_memory.learning.observation import CONFLICT, FAILURE, TIMEOUT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from swarm_memory.learning.observation import Observation
    from swarm_memory.learning.statistics import Integers

FAILURES = (FAILURE, TIMEOUT, CONFLICT)
OTHER, UNNAMED = "other", "not named"
ERROR_CHARS_MAX = 4000
SHARES_MAX = 30  # of a kind
EVIDENCE_MAX = 10
TOGETHER_MIN = 5  # failures in which both occur
TOGETHER_ALPHA = 0.05
TOGETHER_NAMES_MAX = 12
CLASS, STATUS, AGENT, STEP = "error class", "status", "agent", "step"
STRATEGY, TASK_TYPE = "strategy", "task type"
KINDS = (CLASS, STATUS, AGENT, STEP, STRATEGY, TASK_TYPE)
# The telling ones first: "ImportError … timed out" is a timeout of an import.
_CLASSES = (
    ("out of memory", r"out of memory|memoryerror|\boom\b|oom-?kill|cannot allocate|heap limit"),
    ("disk full", r"no space left|disk (?:is )?full|quota exceeded|enospc"),
    ("rate limit", r"rate.?limit|too many requests|\b429\b|overloaded|\b529\b"),
    ("timeout", r"time[sd]?.?out|deadline exceeded|took too long|timeouterror"),
    (
        "conflict",
        r"merge conflict|conflict(?:ing|ed|s)?\b|conflicterror|database is locked|"
        r"lock(?:ed)? (?:by|held)|non-fast-forward|stale (?:version|token)|\b409\b",
    ),
    (
        "permission",
        r"permission|access denied|not permitted|forbidden|unauthori[sz]ed|\b40[13]\b|\beacces\b|"
        r"\beperm\b|authentication",
    ),
    (
        "network",
        r"connection|network|unreachable|could not resolve|name resolution|\bdns\b|econn\w+|"
        r"\bssl\b|certificate|\b50[234]\b|socket",
    ),
    (
        "missing dependency",
        r"modulenotfounderror|no module named|importerror|cannot find (?:module|package)|"
        r"command not found|unresolved import|not recognized as",
    ),
    (
        "not found",
        r"no such file|filenotfounderror|not found|does not exist|\benoent\b|\b404\b|keyerror|"
        r"no match|not exist",
    ),
    (
        "syntax",
        r"syntaxerror|syntax error|indentationerror|unexpected (?:token|indent|eof)|parse error|"
        r"parsing|jsondecodeerror|invalid json|unterminated",
    ),
    (
        "type",
        r"typeerror|type error|attributeerror|incompatible types?|mismatched types|"
        r"has no attribute|is not a function|not assignable|nameerror|"
        r"undefined (?:variable|name|symbol)|cannot find name",
    ),
    ("value", r"valueerror|indexerror|out of (?:range|bounds)|overflow|zerodivision|invalid value"),
    (
        "assertion",
        r"assert|tests? failed|failed tests?|\bfailed\b.*\btest|expected .* (?:got|but|to)|"
        r"comparison failed|snapshot",
    ),
    ("lint", r"\blint|\bruff\b|\beslint\b|\bflake8\b|would reformat|formatting"),
    ("crash", r"segmentation fault|sigsegv|core dumped|panick?(?:ed)?\b|abort(?:ed)?\b|killed"),
    ("cancelled", r"cancell?ed|interrupt|keyboardinterrupt|sigterm|\bstopped by\b"),
)
_COMPILED: list[tuple[str, re.Pattern[str]]] = []


class Share(NamedTuple):
    """How many failures are of one `name` of a `kind`, of those where that kind is known.

    `share` in [0, 1] with its 95 % interval; `tasks` is how many tasks they are of;
    `outcome_ids` are the newest.
    """

    kind: str
    name: str
    failures: int
    tasks: int
    share: float
    interval: tuple[float, float]
    outcome_ids: tuple[str, ...]
    first_ms: int
    last_ms: int


class Together(NamedTuple):
    """Two names that fail together more often than apart.

    `share` of the failures of `one` are also of `other`, against `elsewhere` of the other
    failures; `difference` between the two has the 95 % `interval`, `q` is over all pairs.
    """

    one: tuple[str, str]
    other: tuple[str, str]
    failures: int
    share: float
    elsewhere: float
    interval: tuple[float, float]
    q: float
    outcome_ids: tuple[str, ...]


class Taxonomy(NamedTuple):
    """The failures of a log by kind, most frequent first, and what goes together.

    `rate` is the share of failures among the rows with a known end, `left_out` the rows without;
    `known` says of how many failures each kind is known.
    """

    failures: int
    rate: float
    interval: tuple[float, float]
    left_out: int
    known: dict[str, int]
    shares: tuple[Share, ...]
    together: tuple[Together, ...]

    def of(self, kind: str) -> list[Share]:
        """Return the shares of a kind, most frequent first."""
        return [share for share in self.shares if share.kind == kind]


class Attribution(NamedTuple):
    """The agent that a failed run is most likely due to, its first step, and its share of text."""

    agent: str
    step: int
    share: float


def error_class_of(text: str | None, status: str | None = None) -> str:
    """Return the coarse class of a free-text error, "other" if none fits, "not named" without.

    `status` decides where the text says nothing: a timeout is one without any message.
    """
    if text:
        if not _COMPILED:
            _COMPILED.extend((name, re.compile(pattern)) for name, pattern in _CLASSES)
        lowered = text[:ERROR_CHARS_MAX].lower()
        for name, pattern in _COMPILED:
            if lowered == name or pattern.search(lowered):
                return name
    if status in (TIMEOUT, CONFLICT):
        return status
    return OTHER if text and text.strip() else UNNAMED


def _class_of(row: Observation) -> str | None:
    name = error_class_of(row.error_class, row.status)
    return None if name == UNNAMED else name


def _step_of(row: Observation) -> str | None:
    return None if row.failed_step is None else str(row.failed_step)


_NAMES: dict[str, Callable[[Observation], str | None]] = {
    CLASS: _class_of,
    STATUS: lambda row: row.status,
    AGENT: lambda row: row.failed_agent or None,
    STEP: _step_of,
    STRATEGY: lambda row: row.strategy or None,
    TASK_TYPE: lambda row: row.task_type,
}


def name_of(kind: str, row: Observation) -> str | None:
    """Return what a failure is called in a kind, None where that is not known."""
    return _NAMES[kind](row)


def taxonomy(observations: Sequence[Observation]) -> Taxonomy:
    """Return what kinds of failures there are, how often, by whom, where, and what goes together.

    A row is a failure if its status is failure, timeout or conflict; rows without a reward are
    left out and counted.
    """
    ended = [row for row in observations if row.reward is not None]
    failed = [row for row in ended if row.status in FAILURES]
    left_out = len(observations) - len(ended)
    if not ended:
        return Taxonomy(0, 0.0, (0.0, 1.0), left_out, dict.fromkeys(KINDS, 0), (), ())
    indicator = np.array([row.status in FAILURES for row in ended], dtype=np.float64)
    rate, interval = statistics.clustered_rate(indicator, _tasks(ended))
    names = {kind: [name(row) for row in failed] for kind, name in _NAMES.items()}
    known = {kind: sum(name is not None for name in some) for kind, some in names.items()}
    shares = [share for kind in KINDS for share in _shares(kind, names[kind], failed)]
    together = _together(names, failed)
    return Taxonomy(len(failed), rate, interval, left_out, known, tuple(shares), together)


def _tasks(rows: Sequence[Observation]) -> Integers:
    return statistics.numbered([row.task or row.outcome_id for row in rows])


def _newest(rows: Sequence[Observation]) -> tuple[str, ...]:
    ordered = sorted(rows, key=lambda row: (row.at_ms, row.outcome_id), reverse=True)
    return tuple(row.outcome_id for row in ordered[:EVIDENCE_MAX])


def _shares(kind: str, names: Sequence[str | None], rows: Sequence[Observation]) -> list[Share]:
    told = [(name, row) for name, row in zip(names, rows, strict=True) if name is not None]
    members: dict[str, list[Observation]] = {}
    for name, row in told:
        members.setdefault(name, []).append(row)
    ranked = sorted(members, key=lambda name: (-len(members[name]), name))[:SHARES_MAX]
    tasks = _tasks([row for _, row in told])
    found = []
    for name in ranked:
        mine = members[name]
        indicator = np.array([other == name for other, _ in told], dtype=np.float64)
        share, interval = statistics.clustered_rate(indicator, tasks)
        times = [row.at_ms for row in mine]
        different = len({row.task or row.outcome_id for row in mine})
        found.append(
            Share(
                kind,
                name,
                len(mine),
                different,
                share,
                interval,
                _newest(mine),
                min(times),
                max(times),
            )
        )
    return found


def _together(
    names: dict[str, list[str | None]], rows: Sequence[Observation]
) -> tuple[Together, ...]:
    """Return the pairs of names of two kinds that occur together more often than apart."""
    if not rows:
        return ()
    order = np.argsort(_tasks(rows), kind="stable")
    tasks = _tasks(rows)[order]
    kinds = (CLASS, AGENT, STEP, STRATEGY, TASK_TYPE)
    tested = []
    for place, kind in enumerate(kinds):
        for other in kinds[place + 1 :]:
            tested += _pairs(names, (kind, other), order, tasks)
    q = statistics.adjusted([p for p, *_ in tested])
    found = []
    for (_, one, two, effect, half, inside, outside, both), value in zip(tested, q, strict=True):
        if value <= TOGETHER_ALPHA:
            mine = [rows[i] for i in both]
            interval = (max(-1.0, effect - half), min(1.0, effect + half))
            found.append(
                Together(one, two, len(mine), inside, outside, interval, value, _newest(mine))
            )
    return tuple(sorted(found, key=lambda pair: (pair.q, pair.one, pair.other)))


_Tested = tuple[float, tuple[str, str], tuple[str, str], float, float, float, float, list[int]]


def _pairs(
    names: dict[str, list[str | None]], kinds: tuple[str, str], order: Integers, tasks: Integers
) -> list[_Tested]:
    """Return the test of each pair of frequent names of two kinds, where both are known."""
    first, second = ([names[kind][i] for i in order] for kind in kinds)
    pairs = zip(first, second, strict=True)
    known = [i for i, pair in enumerate(pairs) if None not in pair]
    tested: list[_Tested] = []
    for one in _frequent([first[i] for i in known]):
        for two in _frequent([second[i] for i in known]):
            x = np.array([first[i] == one for i in known], dtype=np.float64)
            y = np.array([second[i] == two for i in known], dtype=np.float64)
            both = [int(order[i]) for i in known if first[i] == one and second[i] == two]
            if len(both) < TOGETHER_MIN or x.sum() == len(x):
                continue
            test = statistics.contrasts((x - x.mean())[:, None], y - y.mean(), tasks[known])
            tested.append(
                (
                    test.tails([1])[0],
                    (kinds[0], one),
                    (kinds[1], two),
                    float(test.effect[0]),
                    test.half_width(0, 0.95),
                    float(y[x == 1].mean()),
                    float(y[x == 0].mean()),
                    both,
                )
            )
    return tested


def _frequent(names: Sequence[str | None]) -> list[str]:
    counts: dict[str, int] = {}
    for name in names:
        if name is not None:
            counts[name] = counts.get(name, 0) + 1
    enough = [name for name, count in counts.items() if count >= TOGETHER_MIN]
    return sorted(enough, key=lambda name: (-counts[name], name))[:TOGETHER_NAMES_MAX]


def attribute(steps: Sequence[tuple[str, int]]) -> Attribution | None:
    """Return whom a failed run of several agents is most likely due to; None without steps.

    The agent that wrote the most, at its first step. That is right for about half of the runs:
    better than chance, the last or the most frequent speaker, and no proof.

    Args:
        steps: The agent and the number of characters it wrote, in order.
    """
    written: dict[str, int] = {}
    for agent, chars in steps:
        written[agent] = written.get(agent, 0) + max(int(chars), 0)
    if not written:
        return None
    agent = max(written, key=lambda name: written[name])
    total = sum(written.values())
    step = next(place for place, (name, _) in enumerate(steps) if name == agent)
    return Attribution(agent, step, written[agent] / total if total else 1 / len(written))
