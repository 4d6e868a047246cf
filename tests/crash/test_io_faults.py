"""Failing disks: every I/O call fails once, or from then on, and nobody is told a falsehood.

What was acknowledged is there, what was refused is not, what is ambiguous is settled by repeating
it with its op_id, and the store opens and is whole when the disk works again (`faults`).
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("faults.py")

# operation, error, how many calls of that kind the scenario has at least
FAULTS = (
    ("write", "eio", 40),
    ("write", "full", 40),
    ("write", "short", 40),
    ("read", "eio", 10),
    ("sync", "eio", 3),
    ("truncate", "eio", 1),
    ("open", "eio", 2),
    ("size", "eio", 3),
    ("datasync", "eio", 5),
    ("datasync", "full", 5),
)


@pytest.mark.parametrize("sticky", [False, True], ids=["once", "from-then-on"])
@pytest.mark.parametrize(("operation", "error", "least"), FAULTS)
def test_a_failing_call_loses_nothing_and_says_so(quick_path, operation, error, least, sticky):
    spec = {"folder": quick_path, "operation": operation, "error": error, "sticky": sticky}
    run = subprocess.run(
        [sys.executable, str(PROGRAM), json.dumps(spec)], capture_output=True, text=True
    )

    assert (0, "") == (run.returncode, run.stderr)
    found = json.loads(run.stdout)
    assert [] == found["problems"]
    assert found["points"] >= least
    # A log that cannot be cut is cut later, and nobody has to know.
    assert (operation != "truncate") == bool(found["errors"])
