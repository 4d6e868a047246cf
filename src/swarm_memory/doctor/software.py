"""Checks of the software that a store runs on: SQLite, Python and the packages."""

from __future__ import annotations

import re
import sys

from swarm_memory.doctor.finding import error, note, ok, warning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarm_memory.doctor.case import Case
    from swarm_memory.doctor.finding import Finding

PACKAGE = "swarm-memory"
# https://sqlite.org/wal.html#walresetbug: from the first release with a WAL, but for the fixes
# that were taken back into older branches.
_BUG_SINCE, _BUG_FIXED = (3, 7, 0), (3, 51, 3)
_BACKPORTS = (((3, 44, 6), (3, 45, 0)), ((3, 50, 7), (3, 51, 0)))
_BUG = "has a bug that can corrupt a store when two processes write and move the log at once"
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)(?:\[[^\]]*\])?\s*([^;]*)(;.*)?")
_RANGE = re.compile(r"(>=|<=|==|!=|<|>)\s*([0-9.]+)")


def has_wal_reset_bug(version: tuple[int, ...]) -> bool:
    """Tell whether a SQLite version has the WAL-reset bug."""
    if not _BUG_SINCE <= version < _BUG_FIXED:
        return False
    return not any(since <= version < until for since, until in _BACKPORTS)


def sqlite_library(case: Case) -> Iterator[Finding]:
    """The SQLite that opens the stores."""
    from swarm_memory.engine.inspection import library_version

    yield from judge_sqlite(library_version())


def judge_sqlite(version: tuple[int, ...]) -> Iterator[Finding]:
    shown = ".".join(map(str, version))
    if has_wal_reset_bug(version):
        yield error(
            f"the SQLite library that opens the stores {_BUG}",
            f"apsw brings SQLite {shown}, fixed in 3.51.3",
            "pip install --upgrade apsw",
        )
    else:
        yield ok("the SQLite library has no known bug that corrupts stores", f"SQLite {shown}")


def sqlite_of_python(case: Case) -> Iterator[Finding]:
    """The SQLite of the interpreter, with which nobody should write to a store."""
    try:
        from sqlite3 import sqlite_version_info
    except ImportError:
        return  # an interpreter without it cannot harm a store
    yield from judge_python_sqlite(sqlite_version_info)


def judge_python_sqlite(version: tuple[int, ...]) -> Iterator[Finding]:
    shown = ".".join(map(str, version))
    if has_wal_reset_bug(version):
        yield note(
            f"Python's own sqlite3, which swarm-memory does not use, {_BUG}",
            f"sqlite3 {shown}, fixed in 3.51.3",
            "never write to the store with sqlite3 of Python or a tool that uses it",
        )
    else:
        yield ok("Python's own sqlite3 has no known bug that corrupts stores", f"SQLite {shown}")


def packages(case: Case) -> Iterator[Finding]:
    """The versions of Python and of the packages that were asked for at installation."""
    from importlib import metadata

    try:
        known = metadata.metadata(PACKAGE)
    except metadata.PackageNotFoundError:
        yield note("swarm-memory runs from a folder, so its packages are not checked")
        return
    fits = []
    python = f"python {known['Requires-Python'] or ''}"
    version = "{}.{}.{}".format(*sys.version_info[:3])
    for line in [python, *(metadata.requires(PACKAGE) or [])]:
        name, wanted, extra = _parts(line)
        if extra not in {"", "cli"}:
            continue  # what only those who work on swarm-memory need
        try:
            found = version if name == "python" else metadata.version(name)
        except metadata.PackageNotFoundError:
            found = ""
        if not found and extra:
            continue
        if found and satisfies(found, wanted):
            fits.append(f"{name} {found}")
        else:
            yield from _misfit(name, found, wanted)
    if fits:
        yield ok("these packages are in the range they were tested in", ", ".join(fits))


def _misfit(name: str, found: str, wanted: str) -> Iterator[Finding]:
    yield warning(
        f"{name} is not a version that swarm-memory was tested with",
        f"{found or 'it is missing'}, wanted {wanted}",
        f'pip install "{name}{wanted}"' if name != "python" else f"use Python {wanted}",
    )


def _parts(requirement: str) -> tuple[str, str, str]:
    """Return the name, the range, and the extra it belongs to, `` for what all need."""
    match = _REQUIREMENT.fullmatch(requirement)
    if match is None:
        return requirement, "", "unknown"
    name, wanted, marker = match.groups()
    extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", marker or "")
    return name, wanted.strip(), extra[1] if extra else ""


def satisfies(version: str, wanted: str) -> bool:
    """Tell whether a version lies in a range such as `>=3.10,<4`; by its leading numbers."""
    found = _numbers(version)
    for operator, text in _RANGE.findall(wanted):
        bound = _numbers(text)
        width = max(len(found), len(bound))
        a, b = (n + (0,) * (width - len(n)) for n in (found, bound))
        holds = {
            ">=": a >= b, "<=": a <= b, "==": a == b, "!=": a != b, "<": a < b, ">": a > b,
        }  # fmt: skip
        if not holds[operator]:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in match.group().split(".")) if match else ()
