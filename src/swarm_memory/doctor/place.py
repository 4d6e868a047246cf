"""Checks of the place that a store lies in: file system, room, permissions."""

from __future__ import annotations

import os
import stat
import sys

from swarm_memory.doctor.finding import error, note, ok, warning
from swarm_memory.doctor.machine import Mount, mount_of
from swarm_memory.engine.mounts import between_machines
from swarm_memory.locate import FOLDER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from swarm_memory.doctor.case import Case
    from swarm_memory.doctor.finding import Finding

MOVE = "keep the store on a local disk: set SWARM_MEMORY_URL=sqlite:////path/on/it/memory.db"
MEMORY = {"tmpfs", "ramfs", "devtmpfs"}
LAYERS = {"overlay", "aufs", "overlayfs"}
NO_SYNC = {"nobarrier", "barrier=0", "volatile", "fsync=volatile", "nosync"}
FREE_BYTES_MIN, FREE_BYTES_LOW = 16 * 2**20, 256 * 2**20
INODES_MIN = 100
OURS = {FOLDER, "swarm-memory"}  # folders that we make and whose mode is ours to choose


def file_system(case: Case) -> Iterator[Finding]:
    """Whether locks and syncs can be relied on where the store lies."""
    if not case.path:
        return
    place = os.path.realpath(case.folder)
    mount = mount_of(place, case.mounts)
    if place.startswith("\\\\"):
        mount = Mount(place, "smb", frozenset())
    if mount is None:
        yield note(
            "this system does not tell on which file system the store lies",
            place,
            "see to it that it is a local disk",
        )
        return
    yield from judge_mount(mount, place)
    if "eatmydata" in case.environment.get("LD_PRELOAD", ""):
        yield warning(
            "writes are not synced to the disk: power loss can take what was acknowledged",
            f"LD_PRELOAD={case.environment['LD_PRELOAD']}",
            "run without libeatmydata",
        )


def judge_mount(mount: Mount, place: str) -> Iterator[Finding]:
    where = f"{place} is on {mount.kind}, mounted at {mount.point}"
    if between_machines(mount.kind):
        yield error(
            "on a network or shared file system locks and the log's shared memory do not work "
            "between machines, so a store there can be corrupted",
            where,
            MOVE,
        )
    elif mount.kind in LAYERS:
        yield note(
            "on a container's layer the store ends with the container, and other containers that "
            "see the same file do not see its locks",
            where,
            "mount a volume for it if it is to stay",
        )
    elif mount.kind in MEMORY:
        yield note("the store lies in memory and ends with the machine's next start", where, MOVE)
    elif "ro" not in mount.options and not mount.options & NO_SYNC:
        yield ok("locks and syncs can be relied on", where)
    if "ro" in mount.options:
        yield error("the file system is mounted read-only: nothing can be written", where, MOVE)
    for option in sorted(mount.options & NO_SYNC):
        yield warning(
            "the file system does not sync when it is told to: power loss can take what was "
            "acknowledged",
            f"{where} with {option}",
            f"mount it without {option}",
        )


def room(case: Case) -> Iterator[Finding]:
    """Free bytes and inodes."""
    if not case.path:
        return
    if not hasattr(os, "statvfs"):
        import shutil

        yield from judge_room(shutil.disk_usage(case.folder).free, None, case.folder)
        return
    disk = os.statvfs(case.folder)
    # A file system without a fixed number of inodes says 0.
    inodes = disk.f_favail if disk.f_files else None
    yield from judge_room(disk.f_bavail * disk.f_frsize, inodes, case.folder)


def judge_room(free_bytes: int, inodes: int | None, folder: str) -> Iterator[Finding]:
    shown = f"{free_bytes / 2**20:,.0f} MiB free at {folder}"
    free = "free some space, or: swarm-memory optimize --apply"
    if free_bytes < FREE_BYTES_MIN:
        yield error("the disk is full: the next writes will be refused", shown, free)
    elif free_bytes < FREE_BYTES_LOW:
        yield warning("the disk is nearly full: writes will be refused when it is", shown, free)
    else:
        yield ok("there is room on the disk", shown)
    if inodes is not None and inodes < INODES_MIN:
        yield warning(
            "the file system can hold hardly any more files: the log cannot be made anew",
            f"{inodes} inodes left at {folder}",
            "delete files that nobody needs",
        )


def permissions(case: Case) -> Iterator[Finding]:
    """Who else may read or change the store's files, and who owns them."""
    if sys.platform == "win32" or not case.path:
        return  # access lists are another matter; there is no mode to look at
    found = [f for path in (case.path, *case.beside()) for f in _judge_file(path)]
    if os.path.isdir(os.path.dirname(case.path)):
        found += _judge_folder(os.path.dirname(case.path))
        found += _judge_parents(os.path.dirname(case.path))
    yield from found
    if not found:
        yield ok("nobody else may read or change the store", os.path.dirname(case.path))


def _judge_file(path: str) -> Iterator[Finding]:
    try:
        status = os.lstat(path)
    except OSError:
        return  # not there, or in a folder that may not be looked into: the folder's finding
    if stat.S_ISLNK(status.st_mode):
        yield warning(
            "a file of the store is a link: who can change where it leads can change the store, "
            "and the log is made where it leads",
            f"{path} → {os.path.realpath(path)}",
            f"name the store itself: sqlite:///{os.path.realpath(path)}",
        )
        return
    if not stat.S_ISREG(status.st_mode):
        yield error(
            "what should be a file of the store is none",
            f"{path} has mode {stat.filemode(status.st_mode)}",
            f"move {path} away, or name another store",
        )
        return
    yield from _judge_owner(path, status)
    if status.st_mode & 0o077:
        yield warning(
            "others on this machine can read the store"
            + (" and change it" if status.st_mode & 0o022 else ""),
            f"{path} has mode {stat.S_IMODE(status.st_mode):04o}",
            f"chmod 600 {path}",
        )
    if not os.access(path, os.R_OK | os.W_OK):
        yield error(
            "you may not read and write the store",
            f"{path} has mode {stat.S_IMODE(status.st_mode):04o}",
            f"chmod 600 {path}, or run as its owner",
        )


def _judge_owner(path: str, status: os.stat_result) -> Iterator[Finding]:
    if status.st_uid != os.geteuid():
        yield warning(
            "the store belongs to somebody else: files that you make beside it may shut its "
            "owner out",
            f"{path} belongs to user {status.st_uid}, you are {os.geteuid()}",
            "run as its owner, or use a store of your own",
        )


def _judge_folder(folder: str) -> Iterator[Finding]:
    status = os.stat(folder)
    mode = stat.S_IMODE(status.st_mode)
    if not os.access(folder, os.W_OK | os.X_OK):
        yield error(
            "you may not make files in the store's folder, and the log is one",
            f"{folder} has mode {mode:04o}",
            f"chmod 700 {folder}, or run as its owner",
        )
    if os.path.basename(folder) in OURS:
        if mode & 0o077:
            yield warning(
                "others on this machine can look into the store's folder",
                f"{folder} has mode {mode:04o}",
                f"chmod 700 {folder}",
            )
    elif mode & 0o022:
        yield warning(
            "others on this machine can replace the store's files",
            f"{folder} has mode {mode:04o}",
            f"chmod go-w {folder}, or keep the store in a folder of its own",
        )


def _judge_parents(folder: str) -> Iterator[Finding]:
    """Who can rename a folder above can put another store in this one's place."""
    above = os.path.dirname(os.path.realpath(folder))
    while True:
        status = os.stat(above)
        others = status.st_mode & stat.S_IWOTH and not status.st_mode & stat.S_ISVTX
        strangers = status.st_uid not in {0, os.geteuid()}
        if others or strangers:
            why = f"belongs to user {status.st_uid}" if strangers else "may be changed by all"
            yield warning(
                "others on this machine can put another store in this one's place",
                f"{above} {why} (mode {stat.S_IMODE(status.st_mode):04o})",
                f"chmod o-w {above}" if others else "keep the store in a folder of your own",
            )
        if os.path.dirname(above) == above:
            return
        above = os.path.dirname(above)
