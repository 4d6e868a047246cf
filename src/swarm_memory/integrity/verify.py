"""Verifying: every value against its checksum, every row against what the others say about it.

All checks see the store at one moment while others go on writing. Where the file is so damaged
that a check cannot read on, that is a finding too, and the checks after it go on at a later moment.
"""

from __future__ import annotations

import time

from swarm_memory.errors import CorruptValueError, DamagedError
from swarm_memory.integrity import checks
from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from swarm_memory.engine import Tx
    from swarm_memory.model import Json
    from swarm_memory.swarm import Swarm

    Progress = Callable[[int, int, str], object]

FINDINGS_MAX = 1000  # shown; all are counted
DAMAGE, WASTE = "damage", "waste"


class Finding(NamedTuple):
    """One thing that is wrong.

    `check` names the check, `level` is "damage" (something is lost or cannot be trusted) or
    "waste" (something is there that nobody needs), `swarm` and `key` say where, as far as that
    is known; for a lease, message or counter `key` is its name.
    """

    check: str
    level: str
    swarm: str
    key: str
    problem: str
    remedy: str


class VerifyReport(NamedTuple):
    """What a check of the whole store found; `ok` unless something is damaged.

    `findings` holds the first `FINDINGS_MAX`, `counts` how many there are by check, `rows` how
    many rows were read by table, `bytes` the size of the store.
    """

    ok: bool
    findings: list[Finding]
    counts: dict[str, int]
    rows: dict[str, int]
    bytes: int
    duration_s: float

    def __bool__(self) -> bool:
        return self.ok

    def to_dict(self) -> dict[str, Json]:
        """Return the report as every door shows it."""
        return self._asdict() | {"findings": [finding._asdict() for finding in self.findings]}


class Log:
    """Collects what the checks find, and tells how far they are."""

    def __init__(self, progress: Progress | None = None) -> None:
        self.findings: list[Finding] = []
        self.counts: dict[str, int] = {}
        self.rows: dict[str, int] = {}
        self.check = ""
        self.damaged = False
        self.expected_rows = 0
        self._progress = progress

    def damage(self, swarm: str, key: str, problem: str, remedy: str) -> None:
        """Note that something is lost or cannot be trusted."""
        self.damaged = True
        self._add(DAMAGE, swarm, key, problem, remedy)

    def waste(self, swarm: str, key: str, problem: str, remedy: str) -> None:
        """Note that something is there which nobody needs."""
        self._add(WASTE, swarm, key, problem, remedy)

    def _add(self, level: str, swarm: str, key: str, problem: str, remedy: str) -> None:
        self.counts[self.check] = self.counts.get(self.check, 0) + 1
        if len(self.findings) < FINDINGS_MAX:
            # What is damaged may be of any type; a report is text.
            where = (swarm if isinstance(swarm, str) else ascii(swarm), str(key))
            self.findings.append(Finding(self.check, level, *where, problem, remedy))

    def read(self, table: str, rows: int) -> None:
        """Count rows that were looked at."""
        self.rows[table] = self.rows.get(table, 0) + rows
        if self._progress is not None:
            self._progress(sum(self.rows.values()), self.expected_rows, self.check)


def verify_store(swarm: Swarm, *, progress: Progress | None = None) -> VerifyReport:
    """Check the whole store, all swarms of it, and return what is wrong.

    Looked at: SQLite's own structure and our schema; the checksum of every value and every older
    version; the chains of versions; the change log against the records; the counters against a
    recount; leases, messages and cursors for what cannot be. Nothing is changed.

    Args:
        progress: Called with rows read, rows expected (0 if unknown) and the name of the check.

    Raises:
        EngineBusyError: The store stayed locked.
    """
    began = time.monotonic()
    log = Log(progress)
    waiting = list(checks.ALL)

    def run(tx: Tx) -> None:
        while waiting:
            check = waiting.pop(0)
            log.check = check.__name__
            if progress is not None:
                progress(sum(log.rows.values()), log.expected_rows, log.check)
            check(tx, log)

    while waiting:
        try:
            swarm.read(lambda transaction: run(transaction.tx))
        except (DamagedError, CorruptValueError, TypeError) as error:
            # One of a page, a text that is no text, or a number that is none: all of it damage.
            log.damage("", "", f"cannot be read any further: {error}", checks.SALVAGE)
    size = swarm.file_bytes()
    return VerifyReport(
        not log.damaged, log.findings, log.counts, log.rows, size, time.monotonic() - began
    )
