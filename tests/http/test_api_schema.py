"""The server keeps what its OpenAPI document says: schemathesis finds nothing.

Its examples at the edges of each schema are sent to a real server. Left out are verbs whose answer
is to wait, which are tested by themselves, and storing a memory: that `expect` goes with a key only
is more than a schema of one object says.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = "leases|claim|request|stream|memories$"


def test_schemathesis_finds_nothing(served, tmp_path):
    served.start(SWARM_MEMORY_URL=f"sqlite:///{tmp_path}/memory.db")
    command = [Path(sys.executable).with_name("schemathesis"), "--no-color"]
    command += ["--config-file", ROOT / "schemathesis.toml"]
    command += ["run", f"{served.base}/v1/openapi.json", "--phases", "coverage"]
    command += ["--exclude-path-regex", LEFT_OUT]

    ran = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)

    assert 0 == ran.returncode, ran.stdout + ran.stderr
