"""What a check says: a severity, what it means in one sentence, the evidence, what to do."""

from __future__ import annotations

from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.model import Json

OK, NOTE, WARNING, ERROR = SEVERITIES = ("ok", "note", "warning", "error")
DAMAGE = "damage"  # the name of the check whose errors mean that the store's bytes are damaged


class Finding(NamedTuple):
    """What one check found.

    `severity` is ok, note (worth knowing, nothing to do), warning (something to do, the store
    works) or error (something to do, the store does not work or may lose data). `means` is one
    sentence, `evidence` what was seen, `advice` what to do; those two may be empty.
    """

    check: str
    severity: str
    means: str
    evidence: str
    advice: str

    def to_dict(self) -> dict[str, Json]:
        """Return the finding as every door shows it."""
        return self._asdict()


def ok(means: str, evidence: str = "") -> Finding:
    return Finding("", OK, means, evidence, "")


def note(means: str, evidence: str = "", advice: str = "") -> Finding:
    return Finding("", NOTE, means, evidence, advice)


def warning(means: str, evidence: str, advice: str) -> Finding:
    return Finding("", WARNING, means, evidence, advice)


def error(means: str, evidence: str, advice: str) -> Finding:
    return Finding("", ERROR, means, evidence, advice)


def damage(means: str, evidence: str, advice: str) -> Finding:
    """Return an error that says that the store's bytes are damaged, whatever check found it."""
    return Finding(DAMAGE, ERROR, means, evidence, advice)


def exit_status(findings: list[Finding]) -> int:
    """Return 0 if there is nothing to do, 1 if there is, 6 if the store is damaged."""
    if any(f.check == DAMAGE and f.severity == ERROR for f in findings):
        return 6
    return 1 if any(f.severity in {WARNING, ERROR} for f in findings) else 0
