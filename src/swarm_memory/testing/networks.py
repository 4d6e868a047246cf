"""Where the nodes of a cluster are: ports of this machine, or hosts of their own.

A host is a network namespace. All are plugged into one bridge, which lies in a namespace, too, so
that no rule of this machine's own network is asked. This machine is plugged in as well.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess

from swarm_memory.errors import EngineUnavailableError
from swarm_memory.testing.programs import succeeds

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

PORTS = range(20_000, 32_000)  # below those from which the system takes any
PG, REST, CLIENT, PEER = "pg", "rest", "client", "peer"
USUAL_PORTS = {PG: 5432, REST: 8008, CLIENT: 2379, PEER: 2380}
LIMIT_S = 20


class Loopback:
    """All nodes on this machine's loopback, told apart by their ports."""

    def __init__(self) -> None:
        self._ports: dict[tuple[int, str], int] = {}

    def start(self) -> None:
        pass

    def address(self, number: int) -> str:
        """Return the address of host `number`."""
        return "127.0.0.1"

    def port(self, number: int, kind: str) -> int:
        """Return the port of host `number` for a kind of service; it was free when first asked."""
        if (number, kind) not in self._ports:
            self._ports[number, kind] = self._free()
        return self._ports[number, kind]

    def _free(self) -> int:
        taken = self._ports.values()
        for port in random.sample(PORTS, len(PORTS)):
            with socket.socket() as probe:
                if port not in taken and probe.connect_ex(("127.0.0.1", port)) != 0:
                    return port
        raise EngineUnavailableError("no port is free", hint="end other programs")

    def inside(self, number: int) -> list[str]:
        """Return what stands before a command that runs on host `number`."""
        return []

    def removal(self) -> list[tuple[Sequence[str], dict[str, Any]]]:
        """Return the commands that leave nothing of it."""
        return []


class Hosts:
    """A network of its own for each of `count` hosts, which can be cut off; needs root."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.name = f"sm{os.urandom(3).hex()}"
        # Of the addresses that are set aside for tests of networks (RFC 2544).
        self._net = f"198.{random.randrange(18, 20)}.{random.randrange(256)}"

    def start(self) -> None:
        """Make it.

        Raises:
            EngineUnavailableError: We are not root, or may not.
        """
        if os.geteuid() != 0 or not succeeds(["ip", "netns", "list"]):
            raise EngineUnavailableError(
                "network namespaces need root and iproute2", hint="run this test as root"
            )
        hub = self._hub
        _run("ip", "netns", "add", hub)
        _run("ip", "-n", hub, "link", "add", "bridge", "type", "bridge")
        _run("ip", "-n", hub, "link", "set", "bridge", "up")
        for number in range(1, self.count + 1):
            self._add(number)
        _run("ip", "link", "add", self.name, "type", "veth", "peer", "name", "here", "netns", hub)
        self._plug("here")
        _run("ip", "addr", "add", f"{self._net}.254/24", "dev", self.name)
        _run("ip", "link", "set", self.name, "up")

    def _add(self, number: int) -> None:
        host, port = self._host(number), self._plug_of(number)
        _run("ip", "netns", "add", host)
        _run("ip", "-n", host, "link", "set", "lo", "up")
        made = ("link", "add", "eth0", "type", "veth", "peer", "name", port, "netns", self._hub)
        _run("ip", "-n", host, *made)
        self._plug(port)
        _run("ip", "-n", host, "addr", "add", f"{self.address(number)}/24", "dev", "eth0")
        _run("ip", "-n", host, "link", "set", "eth0", "up")

    def _plug(self, port: str) -> None:
        _run("ip", "-n", self._hub, "link", "set", port, "master", "bridge", "up")

    def cut(self, number: int) -> None:
        """Let nothing through from or to host `number`, without a word to anybody."""
        _run("ip", "-n", self._hub, "link", "set", self._plug_of(number), "nomaster")

    def join(self, number: int) -> None:
        """Undo `cut`."""
        _run("ip", "-n", self._hub, "link", "set", self._plug_of(number), "master", "bridge")

    @property
    def _hub(self) -> str:
        return f"{self.name}-hub"

    def _host(self, number: int) -> str:
        return f"{self.name}-{number}"

    def _plug_of(self, number: int) -> str:
        return f"port{number}"

    def address(self, number: int) -> str:
        """Return the address of host `number`."""
        return f"{self._net}.{number}"

    def port(self, number: int, kind: str) -> int:
        """Return the port for a kind of service, which is the usual one."""
        return USUAL_PORTS[kind]

    def inside(self, number: int) -> list[str]:
        """Return what stands before a command that runs on host `number`."""
        return ["ip", "netns", "exec", self._host(number)]

    def removal(self) -> list[tuple[Sequence[str], dict[str, Any]]]:
        """Return the commands that leave nothing of it."""
        names = [self._hub, *(self._host(number) for number in range(1, self.count + 1))]
        commands = [["ip", "link", "del", self.name]]
        commands += [["ip", "netns", "del", name] for name in names]
        return [(command, {}) for command in commands]


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=LIMIT_S, text=True)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or str(error)
        raise EngineUnavailableError(
            f"{' '.join(command)}: {said.strip()}", hint="network namespaces cannot be had here"
        ) from error
