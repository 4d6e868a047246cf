"""File systems between machines: their locks and syncs cannot be relied on."""

from __future__ import annotations

_BETWEEN_MACHINES = {
    "nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afs", "ceph", "9p", "glusterfs",
    "lustre", "gpfs", "beegfs", "orangefs", "ocfs2", "gfs2", "ncpfs", "coda", "davfs", "webdav",
    "vboxsf", "prl_fs", "vmhgfs", "virtiofs", "drvfs", "fakeowner",
}  # fmt: skip


def between_machines(kind: str) -> bool:
    """Tell whether a file system of this kind, as the system names it, lies between machines."""
    return kind in _BETWEEN_MACHINES or kind.startswith("fuse.")
