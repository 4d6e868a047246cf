"""The workload that is recorded: processes and threads that write, read, retry, move and die.

Run as a program: `workload.py SPEC` with a JSON object (see `Spec`). It imports everything, forks
the workers and, when one killed itself, its successor, which repeats what was under way.
"""

import json
import os
import random
import sys
import threading
import time
import traceback
from collections import namedtuple
from zlib import crc32

import apsw
import mutants
from recording_vfs import Journal, RecordingVFS

from swarm_memory import Swarm
from swarm_memory.engine import checkpoint, sync
from swarm_memory.engine import mark as marks

Spec = namedtuple("Spec", "folder seed calls pages mutant deaths protocol")
Call = namedtuple("Call", "number verb key durability again")

SHARED = ("x/a", "x/b", "x/c")
CONFIG = {"categories": {"crash": {"keys": ["x/**"], "versions_max": 1000}}}
BUSY_MS = 30_000

# What the workers are: two of one agent repeat each other's calls, one has several threads with a
# door each, one opens and closes its door for each call. The first is alone and done before the
# others begin; when it closes its door a stranger unlinks the log.
WORKERS = (
    {"agent": "alone", "threads": 1, "brief": True, "alone": True},
    {"agent": "twin", "threads": 1},
    {"agent": "twin", "threads": 1},
    {"agent": "several", "threads": 3},
    {"agent": "brief", "threads": 1, "brief": True},
    {"agent": "loose", "threads": 1, "relaxed": True},
)
READERS = 1


def value_of(op):
    """Return what the call `op` writes; everything about it follows from its name."""
    return {"op": op, "pad": "v" * (crc32(op.encode()) % 700)}


def program(seed, agent, calls, relaxed=False):
    """Return the calls of one agent, the same for every life of it."""
    choose = random.Random(f"{seed} {agent}")
    made = []
    for number in range(calls):
        verb = choose.choices(("put", "many", "move"), (88, 6, 6))[0]
        key = choose.choice(SHARED) if choose.random() < 0.6 else f"x/own/{agent}/{number}"
        loose = choose.random() < (0.9 if relaxed else 0.15)
        again = choose.randrange(number) if number and choose.random() < 0.15 else None
        made.append(Call(number, verb, key, "relaxed" if loose else "full", again))
    return made


class Worker:
    """One thread of one process: it goes through its program from where the last life stood."""

    def __init__(self, spec, journal, place, agent, *, relaxed=False, brief=False, alone=False):
        self._spec, self._journal, self._agent = spec, journal, agent
        self._brief, self._alone = brief, alone
        self._url = f"sqlite:///{spec.folder}/store/memory.db"
        self._place = f"{spec.folder}/place-{place}"
        self._calls = program(spec.seed, agent, spec.calls, relaxed)
        self._door = None

    def run(self):
        """Do what is left to do."""
        for call in self._calls[self._reached() :]:
            with open(self._place, "w") as file:
                file.write(str(call.number))
            self._do(call)
        with open(self._place, "w") as file:
            file.write(str(len(self._calls)))
        self._close()

    def _reached(self):
        try:
            with open(self._place) as file:
                return int(file.read() or 0)
        except FileNotFoundError:
            return 0

    def _do(self, call):
        if self._door is None:
            self._door = Swarm.open(
                self._url, agent=self._agent, config_path=f"{self._spec.folder}/config.json"
            )
        if call.verb == "move":
            move(self._spec.folder, call.number)
        elif call.verb == "many":
            self._put_many(call)
        else:
            self._put(call)
        if call.again is not None and self._calls[call.again].verb == "put":
            self._put(self._calls[call.again]._replace(durability="full"))
        if self._brief:
            self._close()
        if self._alone:
            move(self._spec.folder, 0)

    def _put(self, call):
        op = f"{self._agent}.{call.number}"
        self._journal.note(said="ask", ops=[[op, call.key]], agent=self._agent)
        record = self._door.records.put(
            call.key, value_of(op), op_id=op, durability=call.durability
        )
        self._acknowledge(call, [(op, record)])

    def _put_many(self, call):
        # Without an op_id a repeat is another call, so each life and thread has names of its own.
        ops = [f"{self._place[-1]}.{os.getpid()}.{self._agent}.{call.number}.{i}" for i in "abc"]
        keys = [call.key, "x/a", f"x/many/{ops[0]}"]
        items = list(zip(ops, keys, strict=True))
        self._journal.note(said="ask", ops=items, agent=None)
        records = self._door.records.put_many(
            [(key, value_of(op)) for op, key in items], durability=call.durability
        )
        self._acknowledge(call, zip(ops, records, strict=True))

    def _acknowledge(self, call, done):
        rows = [[op, record.key, record.version] for op, record in done]
        self._journal.note(said="ack", rows=rows, durable=call.durability == "full")

    def _close(self):
        if self._door is not None:
            self._door.close()
            self._door = None


def move(folder, number):
    """Checkpoint by a stranger's connection, as a shell or another tool may do at any time."""
    db = apsw.Connection(f"{folder}/store/memory.db")
    db.set_busy_timeout(BUSY_MS)  # somebody may be recovering the log of a killed writer
    db.pragma("synchronous", 1)
    db.set_busy_timeout(5)  # but for a checkpoint nobody is made to wait
    mode = (
        apsw.SQLITE_CHECKPOINT_PASSIVE,
        apsw.SQLITE_CHECKPOINT_RESTART,
        apsw.SQLITE_CHECKPOINT_TRUNCATE,
    )[number % 3]
    try:
        db.wal_checkpoint(mode=mode)
    except apsw.BusyError:
        return  # somebody writes or reads: then the log stays as it is
    finally:
        db.close()


def read_long(spec, seed):
    """Hold one snapshot after another, each while the store goes on, with a time between them."""
    choose = random.Random(seed)
    db = apsw.Connection(f"{spec.folder}/store/memory.db")
    db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    db.set_busy_timeout(BUSY_MS)
    while not os.path.exists(f"{spec.folder}/over"):
        db.execute("BEGIN; SELECT count(*) FROM records")
        _let_pass(spec.folder, choose.randrange(20_000, 400_000))
        db.execute("COMMIT")
        _let_pass(spec.folder, choose.randrange(20_000, 400_000))
    db.close()


def _let_pass(folder, size):
    """Wait until the journal has grown by `size` bytes, or the workload is over."""
    until = os.stat(f"{folder}/journal").st_size + size
    while os.stat(f"{folder}/journal").st_size < until and not os.path.exists(f"{folder}/over"):
        time.sleep(0.002)


def live(spec, journal, number, life):
    """One life of one worker process."""
    choose = random.Random(f"{spec.seed} {number} {life}")
    if life < spec.deaths:
        # Half of them between a commit and its publication, where nobody else knows of it.
        journal.last_step = choose.choice((None, "committed"))
        journal.left = choose.randrange(5, 400) if journal.last_step is None else life + 1
    kind = dict(WORKERS[number])
    threads = kind.pop("threads")
    agent = kind.pop("agent")
    workers = [
        Worker(spec, journal, f"{number}-{t}", agent if threads == 1 else f"{agent}{t}", **kind)
        for t in range(threads)
    ]
    failed = []

    def work(worker):
        try:
            worker.run()
        except BaseException as error:
            failed.append(error)
            raise

    running = [threading.Thread(target=work, args=(worker,)) for worker in workers]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return 1 if failed else 0


def fork(function, *arguments):
    """Run a function in a child; return the child's id."""
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        status = function(*arguments) or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(status)


def dawdle(choose, often):
    """Return a function that does mostly nothing; now and then it lets others get ahead."""

    def wait():
        if choose.random() < often:
            time.sleep(choose.random() * 0.002)

    return wait


def prepare(spec):
    """Begin the recording: SQLite's changes and syncs, and the engine's own syncs."""
    os.mkdir(f"{spec.folder}/store")
    with open(f"{spec.folder}/config.json", "w") as file:
        json.dump(CONFIG, file)
    journal = Journal(f"{spec.folder}/journal")
    choose = random.Random(spec.seed)
    during, between = dawdle(choose, 0.3), dawdle(choose, 0.25)
    vfs = RecordingVFS(journal, during=during)

    def reached(name):
        if name in ("numbered", "committed"):
            between()
        journal.step(name)

    for name, module in list(sys.modules.items()):
        if name.startswith("swarm_memory.engine") and hasattr(module, "reached"):
            module.reached = reached
    sync.datasync = lambda descriptor: journal.sync(os.fstat(descriptor).st_ino, during)
    sync.sync_folder = lambda path: journal.sync_folder()
    shared = {"shared": lambda: True, "direct": lambda: False, "mixed": lambda: os.getpid() % 2}
    marks.supported = shared[spec.protocol]
    checkpoint.PAGES = {"full": spec.pages, "relaxed": spec.pages}
    checkpoint.COMMITS_TO_STAY = 1
    mutants.plant(spec.mutant, journal, vfs)
    return journal


def expect_clean(children):
    """Wait for children that must end well."""
    for child in children:
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if status:
            raise SystemExit(f"a process of the workload ended with {status}")


def main(spec):
    """Record one history."""
    journal = prepare(spec)
    url = f"sqlite:///{spec.folder}/store/memory.db"
    for _ in range(2):
        # A stranger that comes last unlinks the log when it goes, and the next makes it anew.
        expect_clean([fork(lambda: Swarm.open(url).close()), fork(move, spec.folder, 0)])
    first = [n for n, kind in enumerate(WORKERS) if kind.get("alone")]
    deaths = bring_through(spec, journal, first)
    readers = [fork(read_long, spec, f"{spec.seed} reader {n}") for n in range(READERS)]
    try:
        rest = [n for n in range(len(WORKERS)) if n not in first]
        deaths += bring_through(spec, journal, rest)
    finally:
        with open(f"{spec.folder}/over", "w"):
            expect_clean(readers)
    sys.stdout.write(json.dumps({"deaths": deaths}))


def bring_through(spec, journal, numbers):
    """Run workers until all have done their calls, with a next life for each that was killed."""
    lives = dict.fromkeys(numbers, 0)
    running = {fork(live, spec, journal, number, 0): number for number in numbers}
    failed = 0
    while running:
        child, status = os.wait()
        number = running.pop(child, None)
        if number is None:
            raise SystemExit("a reader ended too early")
        if os.WIFSIGNALED(status):
            lives[number] += 1
            running[fork(live, spec, journal, number, lives[number])] = number
        failed += os.WIFEXITED(status) and os.WEXITSTATUS(status)
    if failed:
        raise SystemExit("a worker failed")
    return sum(lives.values())


if __name__ == "__main__":
    main(Spec(**json.loads(sys.argv[1])))
