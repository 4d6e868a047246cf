"""Doctor knows which SQLite can corrupt a store, and which packages were asked for."""

import sqlite3

import pytest

from swarm_memory.doctor import software
from swarm_memory.engine.inspection import library_version


def severities(findings):
    return [finding.severity for finding in findings]


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 0), True),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 54, 1), False),
    ],
)
def test_the_bug_is_known_by_version(version, expected):
    assert expected == software.has_wal_reset_bug(version)
    assert ["error" if expected else "ok"] == severities(software.judge_sqlite(version))
    assert ["note" if expected else "ok"] == severities(software.judge_python_sqlite(version))


def test_the_library_in_use_is_judged(look):
    shown = ".".join(map(str, library_version()))

    (found,) = look("sqlite")

    assert ("ok", f"SQLite {shown}") == (found.severity, found.evidence)


def test_the_interpreters_own_library_is_judged(look):
    (found,) = look("sqlite-python")

    assert sqlite3.sqlite_version in found.evidence


@pytest.mark.parametrize(
    ("version", "wanted", "expected"),
    [
        ("3.54.1.0", ">=3.53.0.0,<4", True),
        ("3.52.9", ">=3.53.0.0,<4", False),
        ("4.0", ">=3.53.0.0,<4", False),
        ("4", "<4.0", False),
        ("3.11.7", ">=3.11", True),
        ("0.25.0", ">=0.23,<0.26", True),
        ("0.26.0rc1", ">=0.23,<0.26", False),
        ("1.10", ">=1.9", True),
        ("2.0", "!=2.0", False),
        ("2.0", "==2", True),
        ("1", "", True),
    ],
)
def test_a_version_is_compared_by_its_numbers(version, wanted, expected):
    assert expected == software.satisfies(version, wanted)


def test_the_installed_packages_are_in_order_and_those_of_developers_left_out(look):
    (found,) = look("packages")

    assert "ok" == found.severity
    assert ["python", "apsw", "numpy", "orjson", "zstandard"] == [
        part.split()[0] for part in found.evidence.split(", ")[:5]
    ]
    assert "pytest" not in found.evidence


def installed(folder, name, version, *requirements):
    """Install a package that is nothing but its metadata."""
    place = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    place.mkdir()
    lines = [f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requirements]
    (place / "METADATA").write_text("\n".join(lines))


def test_a_package_out_of_range_or_missing_is_a_warning(look, tmp_path, monkeypatch):
    installed(tmp_path, "swarm-memory", "9", "apsw<4,>=3.53", "gone>=1", "rich>=1; extra == 'cli'")
    installed(tmp_path, "apsw", "3.1")
    monkeypatch.syspath_prepend(str(tmp_path))

    old, gone, fits = look("packages")

    assert ("warning", "3.1, wanted <4,>=3.53") == (old.severity, old.evidence)
    assert 'pip install "apsw<4,>=3.53"' == old.advice
    assert ("warning", "it is missing, wanted >=1") == (gone.severity, gone.evidence)
    assert "ok" == fits.severity
