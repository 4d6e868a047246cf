"""What the operating system tells about mounts, locks and processes; Linux tells most."""

from __future__ import annotations

import os
import shlex

from swarm_memory.lean import NamedTuple, suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_MOUNTS, _LOCKS = "/proc/self/mountinfo", "/proc/locks"
COMMAND_LENGTH_MAX = 60
STOPPED = {"T": "stopped", "t": "stopped by a debugger"}


class Mount(NamedTuple):
    """One mounted file system: where, of what type, with which options (also the device's)."""

    point: str
    kind: str
    options: frozenset[str]


class Process(NamedTuple):
    """A running process; `state` is the letter of proc(5): R, S, D, T, Z, …"""

    pid: int
    state: str
    command: str

    def __str__(self) -> str:
        state = STOPPED.get(self.state, f"state {self.state}" if self.state else "state unknown")
        return f"pid {self.pid} ({self.command or 'unknown'}), {state}"


def mounts() -> list[Mount]:
    """Return what is mounted, the last one on top; nothing where the system does not tell."""
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as file:
            return parse_mounts(file)
    except OSError:
        return []


def parse_mounts(lines: Iterable[str]) -> list[Mount]:
    """Return the mounts of /proc/self/mountinfo, see proc(5)."""
    found = []
    for line in lines:
        fields = line.split()
        if "-" not in fields[6:]:
            continue
        rest = fields[fields.index("-", 6) + 1 :]
        options = {*fields[5].split(","), *(rest[2].split(",") if len(rest) > 2 else ())}
        found.append(Mount(_unescaped(fields[4]), rest[0], frozenset(options)))
    return found


def _unescaped(point: str) -> str:
    for character in " \t\n\\":
        point = point.replace(f"\\{ord(character):03o}", character)
    return point


def mount_of(path: str, mounted: list[Mount]) -> Mount | None:
    """Return the mount that `path`, free of links, lies on."""
    best = None
    for mount in mounted:
        inside = path == mount.point or path.startswith(mount.point.rstrip("/") + "/")
        # Of two mounts at one point the later one hides the earlier.
        if inside and (best is None or len(mount.point) >= len(best.point)):
            best = mount
    return best


def lock_holders(path: str, within: range | None = None) -> list[int]:
    """Return the pids that hold a lock on a file, or on bytes of it; it is not opened for that."""
    try:
        status = os.stat(path)
        with open(_LOCKS, encoding="ascii") as file:
            return parse_locks(file, status, within)
    except OSError:
        return []


def parse_locks(
    lines: Iterable[str], status: os.stat_result, within: range | None = None
) -> list[int]:
    """Return who holds a lock on one file by the lines of /proc/locks; waiters are left out."""
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
    wanted = f"{device}:{status.st_ino}"
    found = []
    for line in lines:
        fields = line.split()
        # number: KIND ADVISORY READ|WRITE pid device:inode from to; "->" marks who waits
        if len(fields) != 8 or fields[5] != wanted or int(fields[4]) <= 0:
            continue
        first, last = int(fields[6]), float("inf" if fields[7] == "EOF" else fields[7])
        if within is None or (first < within.stop and last >= within.start):
            found.append(int(fields[4]))
    return sorted(set(found))


def process(pid: int) -> Process | None:
    """Return a process by its number, None if there is none."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
            # The name may hold anything, so the fields are counted from its closing bracket.
            name, _, rest = file.read().partition("(")[2].rpartition(")")
    except OSError:
        return None
    command = name
    with suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        words = file.read(4096).decode(errors="replace").split("\0")[:-1]
        command = shlex.join([os.path.basename(words[0]), *words[1:]]) if words else name
    if len(command) > COMMAND_LENGTH_MAX:
        command = command[: COMMAND_LENGTH_MAX - 1] + "…"
    return Process(pid, rest.split()[0], command)
