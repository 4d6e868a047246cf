"""What a hook prints: nothing, or one JSON object as Claude Code's contract has it."""

from __future__ import annotations

CHARS_MAX = 10_000  # of one context; Claude Code puts more into a file


def context(event: str, text: str) -> str:
    """Return the answer that shows `text` to the agent; nothing for an empty one."""
    return _answer(event, {"additionalContext": text[:CHARS_MAX]}) if text else ""


def denial(event: str, text: str) -> str:
    """Return the answer that keeps a tool from running, with the reason; nothing for an empty one.

    A denial never asks the user: an agent that works alone would wait for nobody.
    """
    reason = {"permissionDecision": "deny", "permissionDecisionReason": text[:CHARS_MAX]}
    return _answer(event, reason) if text else ""


def _answer(event: str, fields: dict[str, str]) -> str:
    import json  # few hooks have anything to say

    # ASCII, so that it arrives whatever the console's encoding is.
    return json.dumps({"hookSpecificOutput": {"hookEventName": event, **fields}})
