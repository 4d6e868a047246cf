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
# Lines that only a summary has, by the program that writes them. What says failed is asked first.
_FAILED = (
    r"=+ (?:.{0,80}, )?\d+ (?:failed|errors?)\b.{0,120}=+|\d+ failed\b.{0,120} in [\d.]+s.{0,20}",
    r"!+ .{0,60}errors? during collection !+",  # pytest
    r"FAILED \((?:failures|errors|skipped)=.{0,60}",  # unittest
    r"Tests:\s+(?:\d+ [a-z]+, )?\d+ failed.{0,80}|Test Suites:\s+\d+ failed.{0,80}",  # jest
    r"\s*Tests\s+\d+ failed.{0,60}|\s*Test Files\s+\d+ failed.{0,60}",  # vitest
    r"\s*[1-9]\d* failing",  # mocha
    r"test result: FAILED\..{0,120}|error: could not compile .{0,120}|error: test failed.{0,80}",
    r"FAIL(?:\t.{0,200})?|--- FAIL: .{0,200}",  # go
    r"[1-9]\d* examples?, [1-9]\d* failures?.{0,60}",  # rspec
    r"Found [1-9]\d* errors? .{0,80}|Found [1-9]\d* errors?\.?|[1-9]\d* errors?, .{0,60}",
    r"\s*✖ [1-9]\d* problems? \([1-9].{0,60}",  # eslint
    r"npm (?:ERR!|error) .{0,200}|make(?:\[\d+\])?: \*\*\* .{0,200}",
    r"BUILD FAILED.{0,60}|\[INFO\] BUILD FAILURE",
    r"\S{1,200}\(\d+,\d+\): error TS\d+.{0,200}",  # tsc
)
_PASSED = (
    r"=+ .{0,60}\b\d+ passed\b.{0,120} =+|\d+ passed\b.{0,80} in [\d.]+s.{0,20}",
    r"OK(?: \(.{0,40}\))?",
    r"Tests:\s+(?:\d+ [a-z]+, )?\d+ passed, \d+ total",
    r"\s*Tests\s+\d+ passed.{0,60}",
    r"\s*[1-9]\d* passing.{0,40}",
    r"test result: ok\..{0,120}",
    r"ok  \t.{0,200}",
    r"[1-9]\d* examples?, 0 failures.{0,60}",
    r"All checks passed!|Success: no issues found.{0,60}|0 errors, 0 warnings.{0,60}",
    r"BUILD SUCCESSFUL.{0,60}|\[INFO\] BUILD SUCCESS",
)
_FILE = r"((?:\./)?(?:[\w.@+-]{1,80}/){0,10}[\w.@+-]{1,80}\.[A-Za-z]{1,6})"
_PLACES = (
    rf"(?:FAILED|ERROR) {_FILE}\b.*",  # pytest
    rf"\s*FAIL\s+{_FILE}\b.*",  # jest, vitest
    rf"\s*--> {_FILE}:\d+:\d+",  # rustc
    rf"{_FILE}:\d+(?::\d+)?:? (?:error|fatal error|[A-Z]+\d+|[A-Z]\w+(?:Error|Exception))\b.*",
    rf"{_FILE}\(\d+,\d+\): error .*",  # tsc
    rf'\s*File "{_FILE}", line \d+.*',  # a traceback
    rf"rspec {_FILE}:\d+.*",
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
    lines = [line.rstrip() for line in text.splitlines()]
    for verdict, patterns in ((FAILED, _FAILED), (PASSED, _PASSED)):
        whole = compiled("|".join(f"(?:{pattern})" for pattern in patterns))
        if any(whole.fullmatch(line) for line in lines):
            return verdict
    return None


def places_of(text: str) -> list[str]:
    """Return the files that an output names as those that failed, at most three, as written.

    Those of a summary count before those of a traceback, of which the last is where it happened.
    """
    lines = [line.rstrip() for line in text.splitlines()]
    for pattern in _PLACES:
        whole = compiled(pattern)
        found = [match[1] for line in lines if (match := whole.fullmatch(line))]
        named = [path for path in found if not any(part in path for part in _FOREIGN)]
        if named:
            unique = list(dict.fromkeys(named))
            return unique[-1:] if "File" in pattern[:12] else unique[:PLACES_MAX]
    return []
