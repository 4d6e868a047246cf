"""Which process this is, and whether another one has ended, as far as the system tells.

A pid alone says little: it is used again, and in another namespace it means another process. So a
process is known by its pid, the time it started at, and the namespaces that both were read in.
"""

from __future__ import annotations

import os

_ENDED_STATES = {b"Z", b"X"}  # it has ended and its parent has not asked how yet
_STATE, _START = 0, 19  # fields of /proc/PID/stat behind the name, which may hold anything
_UNKNOWN = "?"  # the namespaces of a system that does not tell
_mine = os.urandom(8).hex()


def this_process() -> str:
    """Return the identity of this process; no other has the same."""
    pid = os.getpid()
    try:
        if os.readlink("/proc/self") == str(pid):  # else /proc is that of another namespace
            return f"{pid} {_stat(pid)[_START].decode()} {_namespaces()}"
    except (OSError, IndexError):
        pass  # no system that tells; then nobody will say of this process that it has ended
    return f"{pid} {_mine} {_UNKNOWN}"


def has_ended(process: str) -> bool:
    """Tell whether a process of this start of the machine has ended; False if that is unknown.

    What has ended stays so: nobody can be given its identity again.
    """
    pid, start, namespaces = process.split(" ")
    try:
        if namespaces == _UNKNOWN or namespaces != _namespaces():
            return False
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it is there, and somebody else's
    except OSError:
        return False
    try:
        fields = _stat(int(pid))
        return fields[_STATE] in _ENDED_STATES or fields[_START].decode() != start
    except (OSError, IndexError):
        return False  # it ends just now, or it is hidden


def pid_of(process: str) -> int:
    """Return the pid within an identity."""
    return int(process.partition(" ")[0])


def _stat(pid: int) -> list[bytes]:
    with open(f"/proc/{pid}/stat", "rb") as file:
        return file.read().rpartition(b")")[2].split()


def _namespaces() -> str:
    """Return what pids and times of starting are relative to."""
    return f"{_namespace('pid')}.{_namespace('time')}"


def _namespace(kind: str) -> int:
    path = f"/proc/self/ns/{kind}"
    return os.stat(path).st_ino if os.path.exists(path) else 0  # older kernels have fewer kinds
