"""A marked block at the end of a text that others write: AGENTS.md, CLAUDE.md, config.toml."""

from __future__ import annotations

from swarm_memory.errors import ConfigError


def insert(text: str, block: str) -> tuple[str, str]:
    """Return the text with the block at its end, and the line ends that were put before it.

    Args:
        block: Whole lines, of which the first and the last are its marks.
    """
    glue = "" if not text else "\n" if text.endswith("\n") else "\n\n"
    return text + glue + block, glue


def find(text: str, block: str) -> tuple[int, int] | None:
    """Return from where to where a block with these marks stands, whatever is between them.

    Raises:
        ConfigError: One of the marks is missing.
    """
    marks = block.splitlines()
    begin, end = _line(text, marks[0], 0), None
    if begin is not None:
        end = _line(text, marks[-1], begin)
    if begin is None and _line(text, marks[-1], 0) is None:
        return None
    if begin is None or end is None:
        raise ConfigError(
            f"of {marks[0]!r} and {marks[-1]!r} only one is there",
            hint="remove what is left of the block by hand",
        )
    stop = text.find("\n", end)
    return begin, len(text) if stop < 0 else stop + 1


def remove(text: str, block: str, glue: str | None) -> str:
    """Return the text without the block and the line ends that came with it.

    Args:
        glue: What `insert` put before it; None if nobody knows, then one empty line.
    """
    span = find(text, block)
    if span is None:
        return text
    before, after = text[: span[0]], text[span[1] :]
    if glue is None:
        glue = "\n" if before.endswith("\n\n") else ""
    if glue and before.endswith(glue):
        before = before[: -len(glue)]
    if before and after and not before.endswith("\n"):
        before += "\n"  # what was written below it meanwhile stays a line of its own
    return before + after


def _line(text: str, mark: str, start: int) -> int | None:
    """Return where a line begins that is this mark and nothing else."""
    at = text.find(mark, start)
    while at >= 0:
        alone = at == 0 or text[at - 1] == "\n"
        if alone and text[at + len(mark) :].split("\n", 1)[0].strip() == "":
            return at
        at = text.find(mark, at + 1)
    return None
