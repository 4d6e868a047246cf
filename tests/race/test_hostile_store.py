"""Hostile scenarios around the store itself: a writer freezes, all come at once, the machine
starts anew, and somebody gives up or prolongs what is not theirs.
"""

import json
import math
import signal
import subprocess
import sys
import time

import pytest
from hostile_processes import SWARM

from swarm_memory import Swarm
from swarm_memory.errors import EngineBusyError, LeaseLostError

# --- a process is stopped inside a write transaction ---

WRITE_AND_STAY = """
def write(tx):
    tx.records.put("x/inside", agent)
    tx.records.put("x/counter", tx.records.get("x/counter").value + 1)
    say("inside")
    go()
swarm.transact(write)
say("committed")
"""

INCREMENT = """
for _ in range(20):
    def add(tx):
        tx.records.put("x/counter", tx.records.get("x/counter").value + 1)
    while True:
        said = outcome(lambda: swarm.transact(add))
        if said == "done":
            break
        say(said)
"""

BUSY_TIMEOUT_S = 0.5


@pytest.mark.parametrize("end", [signal.SIGCONT, signal.SIGKILL], ids=["goes on", "is killed"])
def test_a_writer_that_freezes_holds_up_writers_until_they_are_told_and_readers_never(
    swarm, url, start, monkeypatch, end
):
    swarm.records.put("x/counter", 0)
    monkeypatch.setenv("SWARM_MEMORY_BUSY_TIMEOUT_S", str(BUSY_TIMEOUT_S))
    (frozen,) = start(WRITE_AND_STAY, ("frozen",))
    others = start(INCREMENT, *((f"p{number}",) for number in range(4)))
    frozen.go()
    assert "inside" == frozen.hear()
    frozen.send(signal.SIGSTOP)
    for process in others:
        process.go()

    # Each of them is told so, and not before it has waited as long as it is set to.
    assert ["engine_busy"] * 4 == [process.hear() for process in others]
    with Swarm.open(url, agent="late", swarm=SWARM) as late:
        began = time.monotonic()
        with pytest.raises(EngineBusyError) as raised:
            late.records.put("x/late", 1)
        assert BUSY_TIMEOUT_S <= time.monotonic() - began
        assert frozen.popen.pid == raised.value.pid
        assert raised.value.retryable
        assert 0 == late.records.get("x/counter").value
        assert late.records.get("x/inside") is None
    frozen.go()
    frozen.send(end)

    frozen_said = frozen.end()
    for process in others:
        assert {"engine_busy"} >= set(process.finish())
    went_on = end == signal.SIGCONT
    assert (["committed"] if went_on else []) == frozen_said
    assert 4 * 20 + went_on == swarm.records.get("x/counter").value
    assert went_on == (swarm.records.get("x/inside") is not None)


# --- somebody gives up or prolongs what is not theirs ---

MEDDLE = """
(seat,) = leases.list("x")
lease = leases.acquire("mine", ttl_s=60)
lease.name, lease.token, lease.mode = seat.name, int(arguments[0]), arguments[1]
calls = [lease.renew, lease.release, lambda: lease.upgrade(wait_s=0)]
say([outcome(call) for call in calls])
"""


def seats(swarm):
    return [seat._replace(age_ms=0) for seat in swarm.leases.list("x")]


@pytest.mark.parametrize("mode", ["read", "exclusive"])
def test_nobody_else_renews_or_releases_or_upgrades_a_lease(swarm, start, mode):
    lease = swarm.leases.acquire("x", mode, ttl_s=60)
    before, events = seats(swarm), swarm.events.newest()
    (meddler,) = start(MEDDLE, ("meddler", lease.token, mode))
    meddler.go()

    upgraded = "lease_lost" if mode == "read" else "done"  # what is exclusive stays as it is
    assert [["lease_lost", "lease_lost", upgraded]] == meddler.finish()
    # Shown times are rounded to the clock that people know.
    (was,), (now,) = before, seats(swarm)
    assert abs(was.expires_ms - now.expires_ms) <= 2
    assert was._replace(expires_ms=0, since_ms=0) == now._replace(expires_ms=0, since_ms=0)
    assert events == swarm.events.newest()
    assert lease.renew()
    assert lease.release()


def test_a_token_that_is_stale_renews_releases_and_writes_nothing_even_for_its_owner(swarm):
    stale = swarm.leases.acquire("x", ttl_s=0.1)
    with swarm.leases.hold("x", wait_s=30, ttl_s=60) as lease:
        swarm.records.put("x/a", "mine", fence=lease)
        before = seats(swarm)

        for call in (
            stale.renew,
            stale.release,
            lambda: swarm.records.put("x/a", "late", fence=stale),
            lambda: swarm.records.delete("x/a", fence=stale),
        ):
            with pytest.raises(LeaseLostError):
                call()

        assert stale.token < lease.token
        assert [seat.holder for seat in before] == [seat.holder for seat in seats(swarm)]
        assert [lease.token] == [seat.token for seat in seats(swarm)]
        assert ("mine", 1) == (swarm.records.get("x/a").value, swarm.records.get("x/a").version)


# --- the machine starts anew ---

# A time namespace has its own time since boot; the number of the boot is a file of /proc.
NEW_BOOT = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'

AFTER_BOOT = """
import json, sys, time
from swarm_memory import Swarm
url, swarm = sys.argv[1:3]
with Swarm.open(url, agent="after", swarm=swarm) as swarm:
    found = [seat.owner for seat in swarm.leases.list()]
    taken = [swarm.leases.try_acquire(name, ttl_s=60) for name in ("x", "y", "y")]
    print(json.dumps([
        time.clock_gettime(time.CLOCK_BOOTTIME), found,
        [lease.token if lease else None for lease in taken],
    ]))
"""


def after_boot(folder, uptime_s, *command):
    """Return the command as it runs on a machine that is up for `uptime_s` since another start."""
    boot_id = folder / "boot_id"
    boot_id.write_text("01234567-89ab-4cde-8f01-23456789abcd\n")
    offset_s = math.ceil(uptime_s - time.clock_gettime(time.CLOCK_BOOTTIME))
    unshare = ["unshare", "--user", "--map-root-user", "--mount", "--time"]
    return [*unshare, f"--boottime={offset_s}", "sh", "-c", NEW_BOOT, str(boot_id), *command]


@pytest.fixture(scope="module")
def _can_boot(tmp_path_factory):
    command = after_boot(tmp_path_factory.mktemp("boot"), 10, "true")
    try:
        tried = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no `unshare` here, so no other boot can be shown to a process")
    if tried.returncode:
        pytest.skip(f"no time namespace may be made here: {tried.stderr.strip()}")


@pytest.mark.usefixtures("_can_boot")
@pytest.mark.parametrize("uptime_s", [10, 1_000_000_000])
def test_leases_end_with_the_boot_they_were_taken_in_and_tokens_go_on(
    swarm, url, tmp_path, uptime_s
):
    old = swarm.leases.acquire("x", ttl_s=3600)
    readers = [swarm.leases.acquire("y", "read", ttl_s=3600) for _ in range(2)]
    command = [sys.executable, "-c", AFTER_BOOT, url, SWARM]

    def run(command):
        return json.loads(subprocess.run(command, capture_output=True, check=True).stdout)

    _, found, taken = run(command)
    assert ["test"] * 3 == found, "the same boot goes on"
    assert [None] * 3 == taken

    up_s, found, taken = run(after_boot(tmp_path, uptime_s, *command))

    assert 0 <= up_s - uptime_s < 60
    assert [] == found
    assert old.token < taken[0]
    assert max(reader.token for reader in readers) < taken[1]
    assert taken[2] is None
    for lease in (old, *readers):
        with pytest.raises(LeaseLostError):
            swarm.records.put("x/a", "late", fence=lease)
    assert swarm.records.get("x/a") is None


# --- all come at once ---

STORM = """
import threading
threads, rounds = map(int, arguments)
swarm.close()
def descriptors():
    return sorted(os.readlink(f"/proc/self/fd/{n}") for n in os.listdir("/proc/self/fd")
                  if os.path.exists(f"/proc/self/fd/{n}"))
def visit(thread, number):
    with Swarm.open(url, agent=agent, swarm="hostile", durability="relaxed") as swarm:
        key = f"x/{agent}-{thread}-{number}"
        with swarm.leases.hold(f"turn-{thread}", wait_s=60) as lease:
            swarm.records.put(key, [agent, thread, number], expect=0, fence=lease)
        assert swarm.records.get(key).version == 1
def work(thread):
    for number in range(rounds):
        said.append(outcome(lambda: visit(thread, number)))
said, before = [], descriptors()
workers = [threading.Thread(target=work, args=[thread]) for thread in range(threads)]
for each in workers:
    each.start()
for each in workers:
    each.join()
del workers
after = descriptors()
say([said, after if after != before else "as before"])
"""


@pytest.mark.parametrize(("processes", "threads", "rounds"), [(64, 2, 1), (1, 4, 50)])
def test_a_storm_of_opens_and_closes_loses_nothing_and_leaves_nothing_open(
    swarm, start, processes, threads, rounds
):
    storm = start(STORM, *((f"p{number}", threads, rounds) for number in range(processes)))
    for process in storm:
        process.go()

    said = [line for process in storm for line in process.finish()]

    assert [[["done"] * threads * rounds, "as before"]] * processes == said
    expected = {
        f"x/p{process}-{thread}-{number}": [f"p{process}", thread, number]
        for process in range(processes)
        for thread in range(threads)
        for number in range(rounds)
    }
    assert expected == {record.key: record.value for record in swarm.records.each("x")}
    assert [] == swarm.leases.list()
