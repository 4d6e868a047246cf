"""Files that go missing, are replaced, may not be written, or have no room: clear errors only."""

import json
import os
import shutil
import subprocess
import sys

import apsw
import pytest

from swarm_memory import (
    AmbiguousCommitError,
    EngineUnavailableError,
    StorageFullError,
    Swarm,
)

REFUSALS = (EngineUnavailableError, AmbiguousCommitError)


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/memory.db"


def files(folder):
    return sorted(name for name in os.listdir(folder) if not name.startswith("."))


def remove(folder, *names):
    for name in names or [name for name in files(folder) if name.startswith("memory.db")]:
        os.unlink(folder / name)


def run(program, *arguments, before=()):
    """Run a program in a process of its own and return what it says."""
    command = [*before, sys.executable, "-W", "error", "-c", program, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (0, "") == (done.returncode, done.stderr[-3000:])
    return json.loads(done.stdout)


# --- missing and replaced ---


@pytest.mark.parametrize("names", [(), ("memory.db",)], ids=["all-files", "only-the-database"])
def test_a_deleted_store_takes_no_write_and_comes_back_as_no_empty_one(tmp_path, url, names):
    with Swarm.open(url) as swarm:
        swarm.records.put("x/a", 1)
        remove(tmp_path, *names)

        with pytest.raises(EngineUnavailableError) as caught:
            swarm.records.put("x/a", 2)

        assert caught.value.hint
        assert "memory.db" not in files(tmp_path)


def test_a_replaced_store_is_not_written_by_who_has_the_old_one_open(tmp_path, url):
    with Swarm.open(f"sqlite:///{tmp_path}/other.db") as other:
        other.records.put("x/other", 1)
    with Swarm.open(url) as swarm:
        swarm.records.put("x/a", 1)
        remove(tmp_path)
        for name in files(tmp_path):
            os.rename(tmp_path / name, tmp_path / name.replace("other", "memory"))

        with pytest.raises(EngineUnavailableError) as caught:
            swarm.records.put("x/a", 2)

        assert "open it again" in caught.value.hint
    with Swarm.open(url) as swarm:
        assert ["x/other"] == [record.key for record in swarm.records.each()]
        assert 1 == swarm.records.put("x/a", 1).version


@pytest.mark.parametrize("replaced", [False, True])
def test_a_log_that_was_taken_away_takes_no_durable_write(tmp_path, url, replaced):
    with Swarm.open(url) as swarm:
        swarm.records.put("x/a", 1)
        remove(tmp_path, "memory.db-wal")
        if replaced:
            (tmp_path / "memory.db-wal").write_bytes(b"")

        with pytest.raises(REFUSALS) as caught:
            swarm.records.put("x/a", 2)

        assert caught.value.hint


# --- not to be written ---

READ_ONLY = """
import json, os, sys
from swarm_memory import Swarm, SwarmMemoryError
folder, name = sys.argv[1:]
Swarm.open("sqlite:///:memory:").records.put("x/a", 1)  # what is imported late is there now
os.chmod(folder, 0o555)
if os.getuid() == 0:
    os.setuid(65534)  # nobody: the superuser may write anywhere
try:
    with Swarm.open(f"sqlite:///{folder}/{name}") as swarm:
        swarm.records.put("x/a", 2)
    said = ["wrote", ""]
except SwarmMemoryError as error:
    said = [error.code, error.hint]
print(json.dumps(said))
"""


@pytest.mark.parametrize("name", ["memory.db", "new.db"])
def test_a_folder_that_may_not_be_written_is_a_clear_error(quick_path, name):
    folder = f"{quick_path}/store"
    os.mkdir(folder)
    os.chmod(quick_path, 0o755)
    with Swarm.open(f"sqlite:///{folder}/memory.db") as swarm:
        swarm.records.put("x/a", 1)
    for file in os.listdir(folder):
        os.chmod(f"{folder}/{file}", 0o644)
    before = files(folder)

    code, hint = run(READ_ONLY, folder, name)

    assert "engine_unavailable" == code
    assert "director" in hint
    assert before == files(folder)
    os.chmod(folder, 0o755)


# --- a full disk ---

FILL = """
import json, os, random, sys
from swarm_memory import AmbiguousCommitError, StorageFullError, Swarm
folder = sys.argv[1]
ballast = os.open(f"{folder}/ballast", os.O_CREAT | os.O_WRONLY)
os.write(ballast, bytes(2 * 2**20))
os.close(ballast)
choose = random.Random(1)
told, refused = {}, []
with Swarm.open(f"sqlite:///{folder}/memory.db", agent="a") as swarm:
    for number in range(4000):
        value = choose.randbytes(3000).hex()
        try:
            told[f"x/{number}"] = swarm.records.put(f"x/{number}", value, op_id=str(number)).value
        except (StorageFullError, AmbiguousCommitError) as error:
            refused.append([error.code, error.hint, str(error)])
            failed = number, value
            if len(refused) == 3:
                break
    readable = all(swarm.records.get(key).value == value for key, value in told.items())
    os.unlink(f"{folder}/ballast")
    swarm.records.put(f"x/{failed[0]}", failed[1], op_id=str(failed[0]))
    deleted = swarm.records.delete("x/0")
with Swarm.open(f"sqlite:///{folder}/memory.db", agent="a") as swarm:
    there = {record.key: record.value for record in swarm.records.each()}
    version = swarm.records.get(f"x/{failed[0]}").version
missing = [key for key, value in told.items() if there.get(key) != value and key != "x/0"]
print(json.dumps([refused, readable, deleted, missing, version, len(told)]))
"""


def test_a_full_disk_is_told_and_reading_goes_on(quick_path):
    before = ("unshare", "--map-root-user", "--mount", "--propagation", "private")
    mount = f'mount -t tmpfs -o size=8m none {quick_path} && exec "$@"'
    own = [*before, "sh", "-c", mount, "sh"]
    if shutil.which("unshare") is None or subprocess.run([*own, "true"]).returncode:
        pytest.skip("a file system of 8 MiB cannot be mounted here")

    refused, readable, deleted, missing, version, count = run(FILL, quick_path, before=own)

    assert 3 == len(refused)
    for code, hint, message in refused:
        assert code in (StorageFullError.code, AmbiguousCommitError.code)
        assert hint
        assert "full" in message
    assert (True, True, []) == (readable, deleted, missing)
    assert 1 == version
    assert count > 100


# --- no descriptors, no memory ---

NO_DESCRIPTORS = """
import json, os, resource, sys
from swarm_memory import Swarm, SwarmMemoryError
url, used_first = sys.argv[1], sys.argv[2] == "used"
said = []
def attempt(call):
    try:
        said.append(["ok", call()])
    except SwarmMemoryError as error:
        said.append([error.code, error.hint])
resource.setrlimit(resource.RLIMIT_NOFILE, (32, 32))
swarm = Swarm.open(url, agent="a")
if used_first:
    swarm.records.put("x/a", 1)
taken = []
try:
    while True:
        taken.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
attempt(lambda: swarm.records.put("x/a", 2, op_id="2").version)
attempt(lambda: Swarm.open(url, agent="b").records.put("x/b", 1).version)
for descriptor in taken:
    os.close(descriptor)
attempt(lambda: swarm.records.put("x/a", 2, op_id="2").version)
attempt(lambda: len(swarm.records.history("x/a")))
with Swarm.open(url, agent="b") as other:
    attempt(lambda: other.records.get("x/a").value)
print(json.dumps(said))
"""


@pytest.mark.parametrize("used", [True, False])
def test_without_descriptors_calls_fail_clearly_and_work_again_later(url, used):
    said = run(NO_DESCRIPTORS, url, "used" if used else "new")

    for code, hint in said[:2]:
        assert code in ("ok", "engine_unavailable", "ambiguous_commit", "config")
        assert hint
    assert "ok" != said[1][0], "there were descriptors left: the test shows nothing"
    version = 2 if used else 1
    assert [["ok", version], ["ok", version], ["ok", 2]] == said[2:]


NO_MEMORY = """
import os, resource, sys
from swarm_memory import Swarm, SwarmMemoryError
url, spare = sys.argv[1], int(sys.argv[2])
swarm = Swarm.open(url, agent="a", durability="relaxed")
value = "v" * 700_000
swarm.records.put("x/first", value, op_id="first")  # what is imported late is there now
with open("/proc/self/statm") as file:
    size = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (size + spare, size + spare))
for number in range(5):
    try:
        swarm.records.put(f"x/{number}", [value, number], op_id=str(number))
        os.write(1, b"%d\\n" % number)
    except (SwarmMemoryError, MemoryError):
        os.write(1, b"failed\\n")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_AS is Linux")
def test_a_process_without_memory_leaves_a_whole_store(url, tmp_path):
    told, failures = set(), 0
    for spare in range(0, 12 * 2**20, 1_300_000):
        command = [sys.executable, "-c", NO_MEMORY, url, str(spare)]
        # It may also die: not every library looks whether it was given what it asked for.
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        lines = done.stdout.split()
        told |= set(lines) - {b"failed"}
        failures += done.returncode != 0 or b"failed" in lines

    assert told, "nothing fitted: the test shows nothing"
    assert failures, "everything fitted: the test shows nothing"
    value = "v" * 700_000
    with Swarm.open(url, agent="a") as swarm:
        for number in range(5):
            assert str(number).encode() not in told or swarm.records.get(f"x/{number}")
            record = swarm.records.put(f"x/{number}", [value, number], op_id=str(number))
            assert (1, [value, number]) == (record.version, record.value)
    assert "ok" == apsw.Connection(f"{tmp_path}/memory.db").pragma("integrity_check")


NO_HEAP = """
import json, sys
import apsw
from swarm_memory import Swarm, SwarmMemoryError
url = sys.argv[1]
said, told = [], {}
with Swarm.open(url, agent="a") as swarm:
    swarm.records.put("x/first", 1)
    for spare in range(0, 200_000, 2_000):
        value = "v" * spare
        apsw.hard_heap_limit(apsw.memory_used() + spare)
        try:
            told[spare] = swarm.records.put(f"x/{spare}", value, op_id=str(spare)).version
        except SwarmMemoryError as error:
            said.append([error.code, error.hint])
        finally:
            apsw.hard_heap_limit(0)
    for spare in range(0, 200_000, 2_000):
        told[spare] = swarm.records.put(f"x/{spare}", "v" * spare, op_id=str(spare)).version
print(json.dumps([said, sorted(set(told.values())), len(told)]))
"""


def test_a_database_without_memory_says_so_and_goes_on(url):
    said, versions, count = run(NO_HEAP, url)

    assert said, "everything fitted: the test shows nothing"
    for code, hint in said:
        assert code in ("engine_unavailable", "ambiguous_commit")
        assert hint
    assert ([1], 100) == (versions, count)


# --- forks ---

FORK_INSIDE = """
import json, os, sys
os.environ["SWARM_MEMORY_BUSY_TIMEOUT_S"] = "0.5"
from swarm_memory import EngineBusyError, EngineUnavailableError, Swarm
url = sys.argv[1]
swarm = Swarm.open(url, agent="parent")
swarm.records.put("x/before", 1)
def attempt(key):
    try:
        swarm.records.put(key, 1)
        return 1
    except (EngineBusyError, EngineUnavailableError):
        return 0
def child(call):
    pid = os.fork()
    if not pid:
        status = 9
        try:
            status = call()
        finally:
            os._exit(status)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
said = []
def inside(tx):
    tx.records.put("x/inside", 1)
    said.append(child(lambda: attempt("x/child")))  # our lock holds against it too
    said.append(child(lambda: swarm.close() or 0))  # and its going does not take the lock away
    said.append(child(lambda: attempt("x/child")))
swarm.transact(inside)
said.append(child(lambda: attempt("x/child")))
swarm.records.put("x/after", 1)
said.append(sorted(record.key for record in swarm.records.each()))
print(json.dumps(said))
"""


def test_a_child_forked_inside_a_write_is_refused_and_frees_nothing(url):
    before, closed, again, later, keys = run(FORK_INSIDE, url)

    assert [0, 0, 0, 1] == [before, closed, again, later]
    assert ["x/after", "x/before", "x/child", "x/inside"] == keys
