"""`swarm-memory doctor` as it is used: by a person, by a pipe, by a program; it always answers."""

import json
import os
import pty
import select
import subprocess
import sys
from pathlib import Path

import pytest
from doctor_processes import IN_A_WRITE

from swarm_memory import Swarm
from swarm_memory.doctor import CHECKS, SEVERITIES, Check, examine, exit_status
from swarm_memory.doctor.finding import damage, error, note, ok, warning

COMMAND = str(Path(sys.executable).with_name("swarm-memory"))
WAIT_S = 30
# What depends on the machine that the tests run on, and may be worth a note.
OF_THE_MACHINE = {"sqlite-python", "file-system", "clock"}


@pytest.fixture
def doctor(path, case):
    """Run the command in a process of its own, in a project's folder."""

    def doctor(*arguments, url=path, **options):
        return subprocess.run(
            [COMMAND, "--url", f"sqlite:///{url}", "doctor", *arguments],
            capture_output=True,
            text=True,
            timeout=WAIT_S,
            cwd=case.project,
            **options,
        )

    return doctor


def test_a_healthy_new_store_is_all_in_order(store, doctor):
    ran = doctor()

    lines = [line.split("\t") for line in ran.stdout.splitlines()]
    assert (0, "") == (ran.returncode, ran.stderr)
    assert [5] * len(lines) == [len(line) for line in lines]
    assert {"ok"} == {line[0] for line in lines if line[1] not in OF_THE_MACHINE}
    assert {"ok", "note"} >= {line[0] for line in lines}
    assert [check.name for check in CHECKS] == list(dict.fromkeys(line[1] for line in lines))


def test_json_gives_the_findings_as_data(store, doctor):
    os.chmod(store, 0o644)

    ran = doctor("--json")

    document = json.loads(ran.stdout)
    assert (1, 1) == (ran.returncode, document["status"])
    (found,) = [f for f in document["findings"] if f["check"] == "permissions"]
    assert ["check", "severity", "means", "evidence", "advice"] == list(found)
    assert ("warning", f"chmod 600 {store}") == (found["severity"], found["advice"])


def test_quiet_leaves_out_what_is_in_order(store, doctor):
    os.chmod(store, 0o644)

    lines = doctor("--quiet").stdout.splitlines()

    assert ["permissions"] == [
        line.split("\t")[1] for line in lines if line.split("\t")[1] not in OF_THE_MACHINE
    ]


def test_on_a_terminal_it_is_a_checklist(store, path, case):
    os.chmod(store, 0o644)
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        [COMMAND, "--url", f"sqlite:///{path}", "doctor"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=case.project,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "72"},
    )
    os.close(theirs)
    shown = b""
    while select.select([ours], [], [], WAIT_S)[0]:
        try:
            part = os.read(ours, 65536)
        except OSError:  # how Linux says that the other side is closed
            break
        shown += part
    os.close(ours)
    running.wait(WAIT_S)

    text = shown.decode()
    assert 1 == running.returncode
    for expected in ("✓", "!", "→ chmod 600", "1 finding to act on"):
        assert expected in text


def test_a_frozen_writer_is_named_by_the_command(store, doctor, start, stop):
    writer = start(IN_A_WRITE, store)
    stop(writer)

    ran = doctor()

    assert 1 == ran.returncode
    assert ran.stdout.startswith("error\twriter\t")
    assert f"pid {writer.pid} " in ran.stdout.splitlines()[0]


def test_a_damaged_store_ends_with_status_6(store, doctor):
    for side in ("-wal", "-shm"):
        os.unlink(store + side)
    Path(store).write_bytes(b"\0" * 4096)

    ran = doctor()

    assert 6 == ran.returncode
    assert "error\tdamage\t" in ran.stdout


def test_without_a_store_it_answers_and_makes_none(path, doctor):
    ran = doctor()

    assert (0, "") == (ran.returncode, ran.stderr)
    assert "there is no store yet" in ran.stdout
    assert not os.path.exists(path)


@pytest.mark.parametrize(
    ("url", "status", "line"),
    [("sqlite:///:memory:", 0, "note\tstore\t"), ("postgres://host/db", 1, "error\tstore\t")],
)
def test_a_store_in_no_file_is_answered_too(url, status, line, case):
    ran = subprocess.run(
        [COMMAND, "--url", url, "doctor"], capture_output=True, text=True, cwd=case.project
    )

    assert (status, "") == (ran.returncode, ran.stderr)
    assert line in ran.stdout


def test_settings_that_no_verb_would_accept_do_not_stop_it(store, doctor):
    ran = doctor(env={**os.environ, "SWARM_MEMORY_BUSY_TIMEOUT_S": "soon"})

    assert 1 == ran.returncode
    assert "error\tconfiguration\t" in ran.stdout
    assert "ok\tdamage\t" in ran.stdout


def test_a_check_that_hangs_is_said_and_the_others_go_on(case, tmp_path):
    pipe = tmp_path / "config.json"
    os.mkfifo(pipe)
    examined = case(environment={"SWARM_MEMORY_CONFIG": str(pipe)})
    wanted = [check for check in CHECKS if check.name in {"configuration", "hooks"}]
    try:
        found = examine(examined, wanted, check_s_max=0.3)
    finally:
        # Whoever waits at the pipe is let go, so that no thread outlives the test.
        os.close(os.open(pipe, os.O_WRONLY))

    assert [("configuration", "warning"), ("hooks", "ok")] == [(f.check, f.severity) for f in found]
    assert "does not come back" in found[0].means


def test_a_check_that_may_not_look_is_a_finding(case):
    def refuse(case):
        yield ok("first")
        os.scandir(case.path)

    found = examine(case("/nowhere/memory.db"), [Check("refuses", refuse)])

    assert [("refuses", "ok"), ("refuses", "warning")] == [(f.check, f.severity) for f in found]
    assert "/nowhere" in found[1].evidence


def test_a_fault_of_a_check_is_not_swallowed(case):
    def faulty(case):
        yield ok("first")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        examine(case(), [Check("faulty", faulty)])


@pytest.mark.parametrize(
    ("findings", "status"),
    [
        ([], 0),
        ([ok("a"), note("b")], 0),
        ([ok("a"), warning("b", "", "")], 1),
        ([error("b", "", "")], 1),
        ([warning("b", "", ""), damage("c", "", "")], 6),
    ],
)
def test_the_exit_status_tells_whether_there_is_something_to_do(findings, status):
    assert status == exit_status(findings)


def test_doctor_writes_nothing(store, doctor):
    folder = Path(store).parent
    with Swarm.open(store) as swarm:
        swarm.records.put("notes/2", "something")

    def state():
        files = [p for p in folder.iterdir() if not p.name.endswith("-shm")]
        return {p.name: (p.read_bytes(), p.stat().st_mtime_ns) for p in files}

    before = state()
    doctor()

    assert before == state()


def test_every_check_explains_itself(case, store):
    for finding in examine(case()):
        assert finding.severity in SEVERITIES
        assert finding.means
        assert finding.advice or finding.severity in {"ok", "note"}
    assert len(CHECKS) == len({check.name for check in CHECKS})


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
def test_every_check_is_explained(name):
    page = Path(__file__).parents[2] / "docs" / "operations.md"

    assert f"`{name}`" in page.read_text()
