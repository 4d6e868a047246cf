"""Prompts: whether a user says in one that what was done is wrong. Nothing else of it is kept.

Only the beginning counts, and only what is said in one of a few usual ways: of what it does not
know it says nothing.
"""

from __future__ import annotations

CORRECTION = "correction"
CHARS_READ_MAX = 160
_WRONG = (
    r"(?:no|nope|wrong|stop|undo|revert)\b[\s,.!:;–-].*|(?:no|nope|wrong|stop|undo|revert)[.!]*",
    r"(?:that|this|it)(?:'s| is| was)? (?:not|isn't|wrong|incorrect|still|doesn't|does not|didn't)"
    r"\b.*",
    r"(?:that|this|it|the \w+) (?:still )?(?:broke|breaks|crashes|fails|failed)\b.*",
    r"(?:please )?(?:undo|revert|roll back|take back)\b.*",
    r"you (?:broke|forgot|misunderstood|removed|deleted|should not have|shouldn't have)\b.*",
    r"(?:still|that did not|that didn't|this did not|this didn't) (?:not |doesn't |work|fail|the )"
    r".*",
    r"i (?:said|asked|told you|meant|didn't ask|did not ask)\b.*",
)


def correction_of(prompt: str) -> str | None:
    """Return "correction" if a prompt begins by saying that what was done is wrong, else None."""
    head = " ".join(prompt[:CHARS_READ_MAX].lower().replace("’", "'").split())
    if not head:
        return None
    from swarm_memory.redact.named import compiled

    return CORRECTION if compiled("|".join(_WRONG)).fullmatch(head) else None
