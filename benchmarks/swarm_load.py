"""Plays a swarm: agents that pause, work and pause, from many processes, on a store of yours.

    python benchmarks/swarm_load.py --agents 1000 --store postgresql://me@db/load --seconds 30

Each agent does something every `--think` seconds on average, drawn from `load_profile`, whether or
not what it did before has ended: nobody waits for a slow server before sending it more. A latency
counts from when the call was due, so the time that it waited for a free thread is in it. Give it a
store of its own: it writes into the swarm `--swarm`, and removes nothing.
"""

from __future__ import annotations

import argparse
import heapq
import json
import multiprocessing
import random
import sys
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

import load_profile as profile
from swarm_memory import Swarm
from swarm_memory.errors import SwarmMemoryError

SWARM = "load"
RECORDS_EACH = 3  # that an agent has before it begins
FILES = 2000  # that agents work on
LISTED, CLAIMED, FOUND = 20, 10, 5
LOCK_WAIT_S = 10.0
BATCH = 500
SETTLE_S = 2.0  # until connections are open and statements are prepared; not counted
LIMIT_S = 600.0
SAMPLE_S = 0.02


class Load(NamedTuple):
    """What is to be played."""

    store: str
    agents: int
    seconds: float
    processes: int
    threads: int
    think_s: float
    durability: str
    swarm: str = SWARM
    filled: bool = False  # by a load before it


class Call(NamedTuple):
    """One call: its verb, ms from when it was due to its end, ms of it in the call itself."""

    verb: str
    late_ms: float
    took_ms: float
    error: str | None


class Report(NamedTuple):
    """What was measured; latencies by verb and, as "all", of all."""

    load: Load
    due: int
    calls: list[Call]
    seconds: float
    backlog: int  # calls that were due and had not begun at the end
    turns: float | None  # share of the time in which somebody had the turn to write
    waiting: float | None  # writers that waited for it, on average
    cores: float | None  # of this machine, busy on average

    def late(self, verb: str = "all") -> list[float]:
        return sorted(c.late_ms for c in self.calls if verb in ("all", c.verb) and c.error is None)

    @property
    def errors(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for call in self.calls:
            if call.error:
                found[call.error] = found.get(call.error, 0) + 1
        return found

    @property
    def rate(self) -> float:
        return sum(call.error is None for call in self.calls) / self.seconds


# --- what an agent does ---


class Agents:
    """Some of the agents, in one process, on one open store."""

    def __init__(self, load: Load, first: int, count: int) -> None:
        self.load, self.first, self.count = load, first, count
        self.root = Swarm.open(
            load.store, agent="load", swarm=load.swarm, durability=load.durability
        )
        self.doors: dict[int, Swarm] = {}

    def door(self, number: int) -> Swarm:
        """Return the door of an agent to the store that all of this process share."""
        if number not in self.doors:
            self.doors[number] = self.root.as_agent(f"agent-{number}")
        return self.doors[number]

    def fill(self) -> None:
        """Write what the agents know before they begin."""
        pick = random.Random(self.first)
        items = [
            (key(self.load.swarm, number, n), value(pick))
            for number in range(self.first, self.first + self.count)
            for n in range(RECORDS_EACH)
        ]
        for start in range(0, len(items), BATCH):
            self.root.records.put_many(items[start : start + BATCH])

    def do(self, verb: str, number: int, pick: random.Random) -> None:
        """Let an agent do something."""
        getattr(self, f"_{verb}")(self.door(number), number, pick)

    def _put(self, swarm: Swarm, number: int, pick: random.Random) -> None:
        swarm.records.put(self._key(number, pick), value(pick))

    def _get(self, swarm: Swarm, number: int, pick: random.Random) -> None:
        swarm.records.get(self._key(self._other(pick), pick))

    def _list(self, swarm: Swarm, number: int, pick: random.Random) -> None:
        swarm.records.scan(folder(self.load.swarm, number), limit=LISTED)

    def _lock(self, swarm: Swarm, number: int, pick: random.Random) -> None:
        name = f"work-{pick.randrange(FILES)}"
        with swarm.leases.hold(name, ttl_s=30, wait_s=LOCK_WAIT_S):
            pass

    def _send(self, swarm: Swarm, number: int, pick: random.Random) -> None:
        swarm.messages.send(value(pick), to=f"agent-{self._other(pick)}")

    def _claim(self, swarm: Swarm, number: int, pick: random.Random) -> None:
        found = swarm.messages.claim(limit=CLAIMED)
        if found:
            swarm.messages.ack(*found)

    def _search(self, swarm: Swarm, number: int, pick: random.Random) -> None:
        swarm.search(profile.draw_question(pick), limit=FOUND)

    def _outcome(self, swarm: Swarm, number: int, pick: random.Random) -> None:
        kind, strategy = f"task-{pick.randrange(20)}", f"way-{pick.randrange(4)}"
        swarm.outcomes.record(kind, [], pick.random() < 0.8, pick.random() * 60, strategy=strategy)

    def _other(self, pick: random.Random) -> int:
        return pick.randrange(self.load.agents)

    def _key(self, number: int, pick: random.Random) -> str:
        return key(self.load.swarm, number, pick.randrange(RECORDS_EACH))


def folder(swarm: str, number: int) -> str:
    return f"swarm-{swarm}/agent-{number}/knowledge/"


def key(swarm: str, number: int, n: int) -> str:
    return f"{folder(swarm, number)}item-{n}"


def value(pick: random.Random) -> dict[str, object]:
    """Return a value of words, as large as values of agents are."""
    return {"note": profile.draw_text(pick, profile.draw_bytes(pick))}


# --- when they do it ---


class Schedule:
    """When which agent is due: each at random, and none of them because another call ended."""

    def __init__(self, agents: range, think_s: float, seed: int) -> None:
        self._pick = random.Random(seed)
        self._think_s = think_s
        self._lock = threading.Lock()
        self._due = [(profile.draw_pause_s(self._pick, think_s), number) for number in agents]
        heapq.heapify(self._due)

    def take(self, until_s: float) -> tuple[float, int, int] | None:
        """Return when the next one is due, which agent, and a seed; None if all are due later."""
        with self._lock:
            due_s, number = self._due[0]
            if due_s >= until_s:
                return None
            pause_s = profile.draw_pause_s(self._pick, self._think_s)
            heapq.heapreplace(self._due, (due_s + pause_s, number))
            return due_s, number, self._pick.getrandbits(32)

    def count_until(self, until_s: float) -> int:
        """Return how many are due before a time, without those that were taken."""
        count = 0
        while self.take(until_s) is not None:
            count += 1
        return count


def played(
    schedule: Schedule,
    do: Callable[[str, int, random.Random], None],
    *,
    from_s: float,
    until_s: float,
    clock: Callable[[], float],
    sleep: Callable[[float], None],
) -> list[Call]:
    """Do what is due, one after the other, until it is `until_s` by `clock`; see `Call`.

    What is due before `from_s` is done and not counted. What is due and was not begun by
    `until_s` stays in the schedule.
    """
    calls: list[Call] = []
    while clock() < until_s:
        taken = schedule.take(until_s)
        if taken is None:
            break
        due_s, number, seed = taken
        if (early_s := due_s - clock()) > 0:
            sleep(early_s)
        pick = random.Random(seed)
        verb, error, began_s = profile.draw_verb(pick), None, clock()
        try:
            do(verb, number, pick)
        except SwarmMemoryError as failed:
            error = type(failed).__name__
        now_s = clock()
        if due_s >= from_s:
            calls.append(Call(verb, 1000 * (now_s - due_s), 1000 * (now_s - began_s), error))
    return calls


# --- many processes ---


def _process(number: int, load: Load, ready, go, results) -> None:
    first = load.agents * number // load.processes
    last = load.agents * (number + 1) // load.processes
    agents = Agents(load, first, last - first)
    if not load.filled:
        agents.fill()
    schedule = Schedule(range(first, last), load.think_s, seed=number)
    ready.put(number)
    start_s = go.recv()

    def clock() -> float:
        return time.monotonic() - start_s

    calls: list[Call] = []
    until_s = SETTLE_S + load.seconds

    def work() -> None:
        calls.extend(
            played(
                schedule,
                agents.do,
                from_s=SETTLE_S,
                until_s=until_s,
                clock=clock,
                sleep=time.sleep,
            )
        )

    threads = [threading.Thread(target=work) for _ in range(load.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.put((calls, schedule.count_until(until_s)))
    agents.root.close()


def play(load: Load, show: Callable[[str], None] = print) -> Report:
    """Play a swarm and return what was measured.

    Raises:
        TimeoutError: A process did not come to its end.
    """
    context = multiprocessing.get_context("spawn")
    ready, results = context.Queue(), context.Queue()
    Swarm.open(load.store, agent="load", swarm=load.swarm).close()  # one makes the tables
    pipes, members = [], []
    for number in range(load.processes):
        theirs, ours = context.Pipe(duplex=False)
        arguments = (number, load, ready, theirs, results)
        members.append(context.Process(target=_process, args=arguments, daemon=True))
        pipes.append(ours)
    for member in members:
        member.start()
    for _ in members:
        ready.get(timeout=LIMIT_S)
    show(f"  {load.agents:,} agents in {load.processes} processes begin")
    with Swarm.open(load.store, agent="load", swarm=load.swarm) as swarm:
        catch_up(swarm)
    start_s = time.monotonic() + 0.5
    for pipe in pipes:
        pipe.send(start_s)
    meter = Meter(load.store, start_s + SETTLE_S, start_s + SETTLE_S + load.seconds)
    found = [results.get(timeout=LIMIT_S) for _ in members]
    for member in members:
        member.join(LIMIT_S)
    turns, waiting, cores = meter.read()
    calls = [call for each, _ in found for call in each]
    backlog = sum(left for _, left in found)
    due = len(calls) + backlog
    return Report(load, due, calls, load.seconds, backlog, turns, waiting, cores)


def catch_up(swarm: Swarm) -> None:
    """Bring the index of the search up to date, which the first who search would do else."""
    swarm.search(profile.word(0), limit=1)
    while not swarm.finder.keep_up():
        pass


class Meter:
    """Watches from outside: how busy this machine is, and the turn to write on PostgreSQL."""

    ASKED = (
        "SELECT count(*) FILTER (WHERE granted), count(*) FILTER (WHERE NOT granted)"
        " FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ExclusiveLock' AND database ="
        " (SELECT oid FROM pg_database WHERE datname = current_database())"
    )

    def __init__(self, store: str, from_s: float, until_s: float) -> None:
        self._span = (from_s, until_s)
        self._held: list[tuple[int, int]] = []
        self._busy_s = 0.0
        self._store = store
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def read(self) -> tuple[float | None, float | None, float | None]:
        """Return the share of time in which the turn was had, how many waited, and busy cores."""
        self._thread.join(LIMIT_S)
        from_s, until_s = self._span
        cores = self._busy_s / (until_s - from_s) if self._busy_s else None
        if not self._held:
            return None, None, cores
        count = len(self._held)
        held = sum(min(granted, 1) for granted, _ in self._held) / count
        return held, sum(waiting for _, waiting in self._held) / count, cores

    def _watch(self) -> None:
        from_s, until_s = self._span
        time.sleep(max(0.0, from_s - time.monotonic()))
        began = _busy_s()
        if self._store.startswith("postgres"):
            import psycopg

            with psycopg.connect(self._store, autocommit=True) as db:
                while time.monotonic() < until_s:
                    row = db.execute(self.ASKED).fetchone()
                    self._held.append((row[0], row[1]))
                    time.sleep(SAMPLE_S)
        else:
            time.sleep(max(0.0, until_s - time.monotonic()))
        self._busy_s = _busy_s() - began


def _busy_s() -> float:
    """Return for how many seconds the cores of this machine have been busy; 0 if unknown."""
    import os

    try:
        with open("/proc/stat", encoding="ascii") as file:
            user, nice, system, _, _, irq, soft, *_ = map(int, file.readline().split()[1:])
    except OSError:
        return 0.0
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


# --- on the command line ---


def percentile(ordered: list[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else float("nan")


def to_dict(report: Report) -> dict[str, object]:
    verbs = ["all", *profile.VERBS]
    return {
        **report.load._asdict(),
        "store": None,  # may hold a password
        "due": report.due,
        "done_per_s": report.rate,
        "backlog": report.backlog,
        "errors": report.errors,
        "turns_utilisation": report.turns,
        "waiting_for_the_turn": report.waiting,
        "cores_busy": report.cores,
        "ms": {
            verb: {
                "calls": len(late),
                **{f"p{share}": percentile(late, share / 100) for share in (50, 90, 99)},
            }
            for verb in verbs
            if (late := report.late(verb))
        },
    }


def lines(report: Report) -> list[str]:
    load = report.load
    out = [
        f"{load.agents:,} agents, one event each in {load.think_s:g} s: {report.rate:,.1f} calls a"
        f" second of {report.due / report.seconds:,.1f} that were due, {report.backlog:,} left"
        " undone",
        f"{'':8} {'calls':>8} {'p50 ms':>9} {'p99 ms':>9}",
    ]
    for verb in ["all", *profile.VERBS]:
        if late := report.late(verb):
            p50, p99 = percentile(late, 0.5), percentile(late, 0.99)
            out.append(f"{verb:8} {len(late):8,} {p50:9.2f} {p99:9.2f}")
    if report.turns is not None:
        out.append(f"the turn to write: had {100 * report.turns:.0f} % of the time")
        out.append(f"waiting for it: {report.waiting:.2f} writers on average")
    if report.cores is not None:
        out.append(f"cores of this machine that were busy: {report.cores:.2f}")
    out.append(f"errors: {report.errors or 'none'}")
    return out


def main() -> int:
    about = (__doc__ or "").splitlines()[0]
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--store", required=True, help="its URL; one that is for this alone")
    parser.add_argument("--agents", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=30, help="that are measured")
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--threads", type=int, default=4, help="of each, with a connection each")
    parser.add_argument("--think", type=float, default=profile.THINK_S, metavar="SECONDS")
    parser.add_argument("--durability", choices=("full", "relaxed"), default="full")
    parser.add_argument("--swarm", default=SWARM)
    parser.add_argument(
        "--filled", action="store_true", help="a load with as many agents was played on it before"
    )
    parser.add_argument("--json", action="store_true")
    said = parser.parse_args()
    processes = min(said.processes, said.agents)
    load = Load(
        said.store,
        said.agents,
        said.seconds,
        processes,
        said.threads,
        said.think,
        said.durability,
        said.swarm,
        said.filled,
    )
    report = play(load, lambda line: print(line, file=sys.stderr, flush=True))
    print(json.dumps(to_dict(report), indent=1) if said.json else "\n".join(lines(report)))
    return 1 if report.errors else 0


if __name__ == "__main__":
    sys.exit(main())
