"""Doctor names who holds a store up: real processes, stopped in a write, at a lock, in a read."""

import os
import signal
import subprocess
import sys
import time

import pytest
from doctor_processes import AT_A_LOCK_FILE, IN_A_READ, IN_A_WRITE

from swarm_memory import Swarm
from swarm_memory.doctor import locks, machine

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")

NAMED_S_MAX = 2.0


def severities(findings):
    return [finding.severity for finding in findings]


def test_a_process_that_is_frozen_inside_a_write_is_named_soon(store, look, start, stop):
    writer = start(IN_A_WRITE, store)
    stop(writer)

    began = time.monotonic()
    (found,) = look("writer")
    took_s = time.monotonic() - began

    assert "error" == found.severity
    assert f"pid {writer.pid} " in found.evidence
    assert f"kill -CONT {writer.pid}" in found.advice
    assert took_s < NAMED_S_MAX


def test_what_doctor_advises_lets_the_frozen_writer_finish(store, look, start, stop):
    writer = start(IN_A_WRITE, store)
    stop(writer)
    assert ["error"] == severities(look("writer"))

    os.kill(writer.pid, signal.SIGCONT)
    writer.stdin.write("\n")
    writer.stdin.flush()

    assert "done\n" == writer.stdout.readline()
    with Swarm.open(store) as swarm:
        assert "unfinished" == swarm.records.get("notes/theirs").value
    assert ["ok"] == severities(look("writer"))


def test_a_process_that_stays_in_one_write_is_named(store, look, start):
    writer = start(IN_A_WRITE, store)

    (found,) = look("writer")

    assert "warning" == found.severity
    assert f"pid {writer.pid} " in found.evidence


def test_nobody_is_named_when_nobody_has_the_store_open(store, look):
    assert ["ok", "ok", "ok"] == severities(look("writer", "lock-files", "readers"))


def test_a_store_that_is_not_there_has_no_writer(look):
    (found,) = look("writer")

    assert ("ok", "nobody has the store open") == (found.severity, found.means)


def test_that_the_kernel_does_not_say_is_said(path, look):
    os.mkfifo(f"{path}-shm")

    assert ["note"] == severities(look("writer"))


def test_a_process_that_is_frozen_with_a_lock_file_is_named(store, look, start, stop):
    holder = start(AT_A_LOCK_FILE, f"{store}-mark")
    assert ["ok"] == severities(look("lock-files"))
    stop(holder)

    (found,) = look("lock-files")

    assert "warning" == found.severity
    assert f"pid {holder.pid} " in found.evidence
    assert f"{store}-mark" in found.evidence


def test_a_writer_that_is_frozen_at_the_gate_is_named(store, look):
    program = (
        "import sys\nfrom swarm_memory import Swarm\n"
        "from swarm_memory.engine.sync import arm\n"
        "with Swarm.open(sys.argv[1]) as swarm:\n"
        "    arm('gate-held:stop')\n"
        "    swarm.records.put('notes/2', 'at the gate')\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", program, store])
    try:
        os.waitpid(writer.pid, os.WUNTRACED)

        (found,) = look("lock-files")
    finally:
        writer.kill()
        writer.wait()

    assert "warning" == found.severity
    assert f"pid {writer.pid} " in found.evidence


def test_who_is_frozen_with_the_store_open_and_nothing_else_orders_nobody(store, look, start, stop):
    stop(start(IN_A_READ, store))

    assert ["ok"] == severities(look("lock-files"))


def test_a_read_that_holds_the_log_back_is_named(store, look, start):
    reader = start(IN_A_READ, store)
    assert ["ok"] == severities(look("readers"))
    size = 2**19  # of one value, as it is stored
    with Swarm.open(store) as swarm:
        for number in range(locks.FRAMES_BEHIND_MAX * 4096 // size + 2):
            swarm.records.put(f"notes/{number}", os.urandom(size).hex())

    (found,) = look("readers")

    assert "warning" == found.severity
    assert f"pid {reader.pid} " in found.evidence
    assert f"kill {reader.pid}" in found.advice


def test_the_log_of_a_database_that_is_gone_is_an_error(store, look):
    os.unlink(store)

    (found,) = look("log")

    assert "error" == found.severity
    assert f"{store}-wal" in found.evidence


def test_a_journal_beside_a_store_is_a_warning(store, look):
    with open(f"{store}-journal", "wb") as file:
        file.write(b"journal")

    assert ["warning"] == severities(look("log"))


def test_the_log_of_a_store_is_in_order(store, look):
    assert ["ok"] == severities(look("log"))


def test_lines_of_the_kernel_are_read_as_proc_says(tmp_path):
    status = os.stat(tmp_path)
    device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}:{status.st_ino}"
    lines = [
        f"1: POSIX  ADVISORY  WRITE 71 {device} 4096 4096",
        f"1: -> POSIX  ADVISORY  WRITE 72 {device} 4096 4096",
        f"2: FLOCK  ADVISORY  WRITE 73 {device} 0 EOF",
        f"3: OFDLCK ADVISORY  READ -1 {device} 0 EOF",
        f"4: FLOCK  ADVISORY  WRITE 74 {device}9 0 EOF",
    ]

    assert [71, 73] == machine.parse_locks(lines, status)
    assert [73] == machine.parse_locks(lines, status, range(4097, 4098))


def test_a_process_is_read_whatever_its_name_is(tmp_path):
    odd = tmp_path / "a) T (b"
    os.symlink(sys.executable, odd)
    program = "print('in', flush=True); input()"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    running = subprocess.Popen([odd, "-c", program], **pipes)
    try:
        assert b"in\n" == running.stdout.readline()
        found = machine.process(running.pid)
    finally:
        running.communicate(b"\n")

    assert found.state in "RSD"
    assert "input()" in found.command


def test_a_process_that_has_ended_is_none():
    ended = subprocess.Popen(["true"])
    ended.wait()

    assert machine.process(ended.pid) is None
