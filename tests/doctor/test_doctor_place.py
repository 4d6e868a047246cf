"""Doctor knows the place: file systems, room, permissions, real ones where they can be had."""

import os
import shutil
import subprocess
import sys

import pytest

from swarm_memory.doctor import machine, place

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="files have no modes there")

MOUNTINFO = r"""22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
31 27 0:40 / /home rw,nosuid shared:5 - nfs4 server:/home rw,vers=4.2
32 31 8:1 / /home/local\040disk rw - xfs /dev/sda1 rw
33 27 0:41 / /layer rw - overlay overlay rw,lowerdir=/l,upperdir=/u,volatile
34 27 0:42 / /share rw - fuse.sshfs me@host:/ rw
35 27 0:43 / /tmp rw - tmpfs tmpfs rw,size=1g
36 27 8:2 / /old rw,noatime - ext4 /dev/sdb1 rw,barrier=0
37 27 8:3 / /cd ro - iso9660 /dev/sr0 ro
"""

MOUNTED = machine.parse_mounts(MOUNTINFO.splitlines())

# Run in a name space of its own, where a mount may be made and nobody else sees it.
ON_MOUNT = """
import os, subprocess, sys
kind, point, *options = sys.argv[1:]
subprocess.run(["mount", "-t", kind, kind, point, *options], check=True)
store = point + "/store"
os.mkdir(store, 0o700)
from swarm_memory import Swarm
from swarm_memory.doctor import CHECKS, Case, examine
from swarm_memory.model import Located
Swarm.open(store + "/memory.db").close()
case = Case(Located("sqlite:///" + store + "/memory.db", ""), store + "/memory.db",
    directory=point, environment=os.environ, agent="a", swarm="s")
for f in examine(case, [c for c in CHECKS if c.name in ("file-system", "room")]):
    print(f.check, f.severity, f.evidence, sep="|")
"""


def severities(findings):
    return [finding.severity for finding in findings]


@pytest.mark.parametrize(
    ("path", "kind", "expected"),
    [
        ("/var/lib/store", "ext4", ["ok"]),
        ("/home/me/store", "nfs4", ["error"]),
        ("/home/local disk/store", "xfs", ["ok"]),
        ("/homes/store", "ext4", ["ok"]),
        ("/layer/store", "overlay", ["note", "warning"]),
        ("/share/store", "fuse.sshfs", ["error"]),
        ("/tmp/store", "tmpfs", ["note"]),
        ("/old/store", "ext4", ["warning"]),
        ("/cd/store", "iso9660", ["error"]),
    ],
)
def test_a_file_system_is_judged_by_its_kind_and_options(path, kind, expected):
    mount = machine.mount_of(path, MOUNTED)

    assert kind == mount.kind
    assert expected == severities(place.judge_mount(mount, path))


def test_of_two_mounts_at_one_place_the_upper_one_counts():
    lines = ["1 0 8:1 / /data rw - ext4 /dev/a rw", "2 1 0:9 / /data rw - nfs a:/b rw"]

    assert "nfs" == machine.mount_of("/data/x", machine.parse_mounts(lines)).kind


def test_a_system_that_tells_nothing_is_a_note(case):
    examined = case()
    examined.mounts = []

    assert ["note"] == severities(place.file_system(examined))


def test_a_library_that_swallows_syncs_is_a_warning(store, look):
    found = look("file-system", environment={"LD_PRELOAD": "/usr/lib/libeatmydata.so"})

    assert "warning" == found[-1].severity
    assert "libeatmydata" in found[-1].evidence


@pytest.fixture
def on_mount(tmp_path):
    """Put a store on a new mount and return what is said about it: check → (severity, evidence)."""
    unshare = ["unshare", "--map-root-user", "--mount"]
    able = [*unshare, "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)]
    if not shutil.which("unshare") or subprocess.run(able, capture_output=True).returncode:
        pytest.skip("this system lets nobody mount")

    def on_mount(kind, *options):
        point = tmp_path / "mount"
        point.mkdir()
        ran = subprocess.run(
            [*unshare, sys.executable, "-c", ON_MOUNT, kind, str(point), *options],
            capture_output=True,
            text=True,
        )
        assert (0, "") == (ran.returncode, ran.stderr)
        lines = [line.split("|") for line in ran.stdout.splitlines()]
        return {check: (severity, evidence) for check, severity, evidence in lines}

    return on_mount


def test_a_real_store_in_memory_is_noted_and_its_full_disk_seen(on_mount):
    found = on_mount("tmpfs", "-o", "size=8m")

    assert "note" == found["file-system"][0]
    assert "tmpfs" in found["file-system"][1]
    assert "error" == found["room"][0]


def test_a_real_file_system_without_inodes_is_seen(on_mount):
    found = on_mount("tmpfs", "-o", "size=1g,nr_inodes=50")

    assert "warning" == found["room"][0]
    assert "inodes" in found["room"][1]


@pytest.mark.parametrize(
    ("free_mib", "inodes", "expected"),
    [
        (1000, 10_000, ["ok"]),
        (1000, None, ["ok"]),
        (200, 10_000, ["warning"]),
        (3, 10_000, ["error"]),
        (1000, 7, ["ok", "warning"]),
    ],
)
def test_room_is_judged_by_bytes_and_inodes(free_mib, inodes, expected):
    assert expected == severities(place.judge_room(free_mib * 2**20, inodes, "/x"))


# --- permissions ---


def test_a_store_of_ours_alone_is_in_order(store, look):
    assert ["ok"] == severities(look("permissions"))


@pytest.mark.parametrize("side", ["", "-wal", "-shm"])
def test_a_file_that_others_can_read_is_a_warning(store, look, side):
    os.chmod(store + side, 0o644)

    (found,) = look("permissions")

    assert "warning" == found.severity
    assert "can read the store" in found.means
    assert f"chmod 600 {store}{side}" == found.advice


def test_a_file_that_others_can_change_is_called_so(store, look):
    os.chmod(store, 0o666)

    (found,) = look("permissions")

    assert found.means.endswith("and change it")


def test_a_folder_in_which_others_can_replace_files_is_a_warning(store, look):
    os.chmod(os.path.dirname(store), 0o777)

    (found,) = look("permissions")

    assert ("warning", "0777") == (found.severity, found.evidence[-4:])


def test_a_folder_of_ours_that_others_can_look_into_is_a_warning(tmp_path, look):
    folder = tmp_path / ".swarm-memory"
    folder.mkdir(mode=0o755)
    os.chmod(folder, 0o755)

    (found,) = look("permissions", store=f"{folder}/memory.db")

    assert ("warning", f"chmod 700 {folder}") == (found.severity, found.advice)


def test_a_folder_above_that_everybody_can_change_is_a_warning(tmp_path, look):
    above = tmp_path / "open"
    (above / "store").mkdir(mode=0o700, parents=True)
    os.chmod(above, 0o777)

    (found,) = look("permissions", store=f"{above}/store/memory.db")

    assert "warning" == found.severity
    assert str(above) in found.evidence


def test_a_folder_above_where_each_may_only_touch_his_own_is_in_order(tmp_path, look):
    above = tmp_path / "sticky"
    (above / "store").mkdir(mode=0o700, parents=True)
    os.chmod(above, 0o1777)

    assert ["ok"] == severities(look("permissions", store=f"{above}/store/memory.db"))


def test_a_link_in_place_of_the_store_is_a_warning(store, look, tmp_path):
    link = tmp_path / "link"
    link.mkdir(mode=0o700)
    os.symlink(store, link / "memory.db")

    (found,) = look("permissions", store=f"{link}/memory.db")

    assert "warning" == found.severity
    assert store in found.advice


def test_a_folder_in_place_of_a_file_is_an_error(store, look):
    os.unlink(f"{store}-mark") if os.path.exists(f"{store}-mark") else None
    os.mkdir(f"{store}-mark")

    (found,) = look("permissions")

    assert "error" == found.severity


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_store_of_somebody_else_is_a_warning(store, look):
    os.chown(store, 12345, -1)

    (found,) = look("permissions")

    assert "warning" == found.severity
    assert "12345" in found.evidence


def test_a_file_that_one_may_not_read_is_an_error(store, look):
    os.chmod(store, 0o000)
    if os.access(store, os.R_OK):
        pytest.skip("root may read everything")

    assert "error" in severities(look("permissions"))
