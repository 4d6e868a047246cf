"""File systems between machines: their locks and syncs cannot be relied on."""

from __future__ import annotations

import os
import sys

_BETWEEN_MACHINES = {
    "nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afs", "ceph", "9p", "glusterfs",
    "lustre", "gpfs", "beegfs", "orangefs", "ocfs2", "gfs2", "ncpfs", "coda", "davfs", "webdav",
    "vboxsf", "prl_fs", "vmhgfs", "virtiofs", "drvfs", "fakeowner",
}  # fmt: skip


def between_machines(kind: str) -> bool:
    """Tell whether a file system of this kind, as the system names it, lies between machines."""
    return kind in _BETWEEN_MACHINES or kind.startswith("fuse.")


def on_network(path: str) -> bool:
    """Tell whether a file lies, or would lie, where locks and syncs cannot be relied on."""
    if not sys.platform.startswith("linux"):
        return False
    while not os.path.exists(path):
        path = os.path.dirname(path)
    device = os.stat(path).st_dev
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                fields, _, kind = line.partition(" - ")
                if fields.split(" ", 3)[2] == wanted:
                    return between_machines(kind.split(" ", 1)[0])
    except OSError:
        return True
    return False
