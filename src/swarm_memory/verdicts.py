"""Verdicts: what the output of a check says about it, where its exit status does not.

Agents run `pytest … | tail -20`, which ends with 0 whatever the tests did. Of an output only this
is kept: whether the summary of a known program says passed or failed, and which files of the
project it names as those that failed.
"""

from __future__ import annotations

from swarm_memory.redact.named import compiled

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Json = Any

PASSED, FAILED = "passed", "failed"
CHARS_READ_MAX = 20_000  # of an output's end: a summary comes last
PLACES_MAX = 3
_COLOUR = r"\x1b\[[0-9;?]{0,20}[A-Za-z]"
# Lines that only a summary has, by a text that each has in it: a pattern is compiled only where
# that text is, since compiling all would cost a hook 5 ms. What says failed is asked first.
_FAILED = (
    (" failed", r"=+ (?:.{0,80}, )?\d+ failed\b.{0,120}=+|\d+ failed\b.{0,120} in [\d.]+s.{0,20}"),
    (" error", r"=+ (?:.{0,80}, )?\d+ errors?\b.{0,120}=+|!+ .{0,60}errors? during collection !+"),
    ("FAILED (", r"FAILED \((?:failures|errors|skipped)=.{0,60}"),  # unittest
    ("failed", r"Test(?:s| Suites):\s+(?:\d+ [a-z]+, )?\d+ failed.{0,80}"),  # jest
    ("failed", r"\s*Test(?:s| Files)\s+\d+ failed.{0,60}"),  # vitest
    (" failing", r"\s*[1-9]\d* failing"),  # mocha
    ("test result: F", r"test result: FAILED\..{0,120}"),  # cargo
    ("error: ", r"error: (?:could not compile|test failed).{0,120}"),
    ("FAIL", r"FAIL(?:\t.{0,200})?|--- FAIL: .{0,200}"),  # go
    (" failure", r"[1-9]\d* examples?, [1-9]\d* failures?.{0,60}"),  # rspec
    ("Found ", r"Found [1-9]\d* errors? .{0,80}|Found [1-9]\d* errors?\.?"),  # mypy, ruff
    (" errors, ", r"[1-9]\d* errors?, .{0,60}"),  # pyright
    ("✖", r"\s*✖ [1-9]\d* problems? \([1-9].{0,60}"),  # eslint
    ("npm ", r"npm (?:ERR!|error) .{0,200}"),
    ("***", r"make(?:\[\d+\])?: \*\*\* .{0,200}"),
    ("BUILD FAIL", r"BUILD FAILED.{0,60}|\[INFO\] BUILD FAILURE"),
    ("error TS", r"\S{1,200}\(\d+,\d+\): error TS\d+.{0,200}"),
)
_PASSED = (
    (" passed", r"=+ .{0,60}\b\d+ passed\b.{0,120} =+|\d+ passed\b.{0,80} in [\d.]+s.{0,20}"),
    ("OK", r"OK(?: \(.{0,40}\))?"),
    ("passed, ", r"Tests:\s+(?:\d+ [a-z]+, )?\d+ passed, \d+ total"),
    ("passed", r"\s*Tests\s+\d+ passed.{0,60}"),
    (" passing", r"\s*[1-9]\d* passing.{0,40}"),
    ("test result: o", r"test result: ok\..{0,120}"),
    ("ok  \t", r"ok  \t.{0,200}"),
    (" 0 failures", r"[1-9]\d* examples?, 0 failures.{0,60}"),
    ("All checks passed", r"All checks passed!"),
    ("no issues found", r"Success: no issues found.{0,60}"),
    ("0 errors", r"0 errors, 0 warnings.{0,60}"),
    ("BUILD SUCC", r"BUILD SUCCESSFUL.{0,60}|\[INFO\] BUILD SUCCESS"),
)
_FILE = r"((?:\./)?(?:[\w.@+-]{1,80}/){0,10}[\w.@+-]{1,80}\.[A-Za-z]{1,6})"
_TRACEBACK = 'File "'
_PLACES = (
    ("FAILED ", rf"FAILED {_FILE}\b.*"),  # pytest
    ("ERROR ", rf"ERROR {_FILE}\b.*"),
    ("FAIL ", rf"\s*FAIL\s+{_FILE}\b.*"),  # jest, vitest
    ("--> ", rf"\s*--> {_FILE}:\d+:\d+"),  # rustc
    (": error", rf"{_FILE}(?:\(\d+,\d+\)|:\d+(?::\d+)?)?: (?:fatal )?error\b.*"),  # gcc, mypy, tsc
    ("Error", rf"{_FILE}:\d+(?::\d+)?: \w+Error\b.*"),
    (_TRACEBACK, rf'\s*File "{_FILE}", line \d+.*'),
    ("rspec ", rf"rspec {_FILE}:\d+.*"),
)
_FOREIGN = ("site-packages/", "node_modules/", "/usr/", "lib/python", ".cargo/", "dist-packages/")


def text_of(output: Json) -> str:
    """Return the text of what a tool answered, its end if it is long, without colours."""
    if isinstance(output, dict):
        said = (output.get(name) for name in ("stdout", "stderr", "output"))
        output = "\n".join(text for text in said if isinstance(text, str))
    text = output[-CHARS_READ_MAX:] if isinstance(output, str) else ""
    return compiled(_COLOUR).sub("", text) if "\x1b" in text else text


def verdict_of(text: str) -> str | None:
    """Return "passed" or "failed" as the summary in an output says, None if there is none."""
    lines: list[str] = []
    for verdict, patterns in ((FAILED, _FAILED), (PASSED, _PASSED)):
        for mark, pattern in patterns:
            if mark not in text:
                continue
            lines = lines or [line.rstrip() for line in text.splitlines()]
            whole = compiled(pattern)
            if any(mark in line and whole.fullmatch(line) for line in lines):
                return verdict
    return None


def places_of(text: str) -> list[str]:
    """Return the files that an output names as those that failed, at most three, as written.

    Those of a summary count before those of a traceback, of which the last is where it happened.
    """
    for mark, pattern in _PLACES:
        if mark not in text:
            continue
        whole = compiled(pattern)
        lines = (line.rstrip() for line in text.splitlines() if mark in line)
        found = [match[1] for line in lines if (match := whole.fullmatch(line))]
        named = [path for path in found if not any(part in path for part in _FOREIGN)]
        if named:
            unique = list(dict.fromkeys(named))
            return unique[-1:] if mark == _TRACEBACK else unique[:PLACES_MAX]
    return []
