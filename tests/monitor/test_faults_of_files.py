"""Each fault of what lies on the disk raises the right alert with the next sample, and none other.

The faults are on the disk: bytes that were changed, a file with holes, a log that somebody keeps
from being reset, a disk of 16 MiB that is filled, a place where no backup can be written.
"""

import json
import os
import random
import subprocess
import sys

import apsw
import pytest
from faulty import raised

from swarm_memory import Swarm
from swarm_memory.errors import CorruptValueError, DamagedError, SwarmMemoryError
from swarm_memory.ticker import Ticker

PAGE_BYTES = 4096
RECORDS = 500
HURT = "notes/0250"


def text(number):
    return random.Random(number).randbytes(100).hex()


@pytest.fixture
def path(url):
    """The file of a store of many records, all of which is in that file; nobody has it open."""
    path = url.removeprefix("sqlite:///")
    with Swarm.open(url, swarm="s") as swarm:
        swarm.records.put_many((f"notes/{n:04}", text(n)) for n in range(RECORDS))
    database = apsw.Connection(path)
    database.pragma("user_version")  # a connection that has read nothing does not know of a log
    database.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    database.close()
    for side in ("-wal", "-shm", "-mark"):
        if os.path.exists(path + side):
            os.unlink(path + side)
    return path


def place_of(path, key):
    """Return where in its file the value of a record lies."""
    database = apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY)
    value = database.execute("SELECT value FROM records WHERE key = ?", (key,)).get
    database.close()
    with open(path, "rb") as file:
        content = file.read()
    assert 1 == content.count(value)
    return content.index(value)


def turn_a_bit(path):
    at = place_of(path, HURT) + 10
    with open(path, "r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1]))


def tear_a_page(path):
    at = place_of(path, HURT)
    with open(path, "r+b") as file:
        file.seek(at - at % PAGE_BYTES)
        file.write(b"\xff" * PAGE_BYTES)


@pytest.mark.parametrize(
    ("hurt", "error"), [(turn_a_bit, CorruptValueError), (tear_a_page, DamagedError)]
)
def test_damage_is_told_until_a_person_says_that_it_is_over(hurt, error, path, opened, monkeypatch):
    # By chance a look at how well values are compressed would meet it, too.
    monkeypatch.setattr("swarm_memory.monitor.collect.VALUES", 0)
    hurt(path)
    swarm = opened()
    assert [] == raised(swarm)
    with pytest.raises(error):
        swarm.records.get(HURT)

    for _ in range(10):
        assert [("damage", "")] == raised(swarm)

    (alert,) = swarm.alerts.list()
    assert "reads that met damaged data: 1" == alert.text
    swarm.alerts.resolve(alert.alert_id)
    assert [] == raised(swarm)


@pytest.mark.parametrize("hurt", [turn_a_bit, tear_a_page])
def test_a_sample_that_meets_damage_itself_is_taken_and_tells_of_it(
    hurt, path, opened, monkeypatch
):
    monkeypatch.setattr("swarm_memory.monitor.collect.VALUES", RECORDS)
    hurt(path)
    swarm = opened()

    # It begins at another record each time, so that one or the other meets the damaged one.
    told = [raised(swarm) for _ in range(20)]

    assert [("damage", "")] == told[-1]
    assert 20 == len(swarm.monitor.series())
    assert all(alerts in ([], [("damage", "")]) for alerts in told)


def test_a_file_that_is_mostly_free_space_is_told_until_it_is_given_back(url, path, opened):
    swarm = opened()
    assert [] == raised(swarm)
    database = apsw.Connection(path)
    database.execute("CREATE TABLE left_over (bytes)")
    database.execute("INSERT INTO left_over VALUES (randomblob(4000000))")
    assert [] == raised(swarm)
    database.execute("DROP TABLE left_over")

    assert [("file_loose", "")] == raised(swarm)

    swarm.close()
    database.execute("VACUUM")
    database.close()
    assert [] == raised(opened())


def test_a_log_that_a_reader_keeps_from_being_reset_is_told(url, path, tmp_path, started):
    settings = tmp_path / "settings.json"
    # As shipped, but for the size: 256 MiB would take half a minute to write.
    settings.write_text('{"alerts": {"log_growing": {"above": 8000000, "until": 4000000}}}')
    with Swarm.open(url, swarm="s", durability="relaxed", config_path=settings) as swarm:
        assert [] == raised(swarm)
        started("reader")
        for n in range(40):
            swarm.records.put(f"notes/large/{n}", random.Random(n).randbytes(200_000).hex())
        assert [] == raised(swarm)  # one sample may be taken just before it is reset

        assert [("log_growing", "")] == raised(swarm)


def test_a_backup_that_could_not_be_made_is_told_until_one_was(path, opened):
    swarm = opened()
    ticker = Ticker(swarm)
    folder = os.path.join(os.path.dirname(path), "backups")
    with open(folder, "w") as file:
        file.write("no folder")
    with pytest.raises(SwarmMemoryError):
        ticker._back_up()

    assert [("backup_failed", "")] == raised(swarm)

    os.unlink(folder)
    ticker._back_up()
    ticker.stop()
    assert [] == raised(swarm)


FILLED = """
import json, os, sys
sys.path.insert(0, sys.argv[2])
from faulty import raised
from swarm_memory import AmbiguousCommitError, StorageFullError, Swarm
folder = sys.argv[1]
told = []
with Swarm.open(f"sqlite:///{folder}/memory.db", swarm="s", durability="relaxed") as swarm:
    for n in range(40):
        swarm.records.put(f"x/{n}", n)
    told.append(raised(swarm))
    disk = os.statvfs(folder)
    spare = open(f"{folder}/spare", "wb")
    spare.write(bytes(disk.f_bavail * disk.f_frsize - 600_000))
    spare.flush()
    told.append(raised(swarm))
    refused = 0
    for n in range(60):
        try:
            swarm.records.put(f"x/large/{n}", os.urandom(20_000).hex())
        except (StorageFullError, AmbiguousCommitError):
            refused += 1
    spare.truncate(0)
    for n in range(40):
        swarm.records.put(f"x/{n}", n)
    told.append(raised(swarm))
    for n in range(40):
        swarm.records.put(f"x/{n}", n)
    told.append(raised(swarm))
print(json.dumps([told, refused]))
"""


def test_a_disk_that_fills_is_told_before_writes_fail_and_these_are_told_when_there_is_room(
    tmp_path,
):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = 'mount -t tmpfs -o size=16m none "$1" && exec "$2" -c "$3" "$1" "$4"'
    here = os.path.dirname(__file__)
    command = ["unshare", "-m", "sh", "-c", mount, "sh", disk, sys.executable, FILLED, here]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if "mount" in ran.stderr or "unshare" in ran.stderr:
        pytest.skip("a small disk needs the right to mount one")

    assert "" == ran.stderr
    told, refused = json.loads(ran.stdout)
    assert [[], [["disk_full", ""]], [["errors", "put"]], []] == told
    assert 3 <= refused
