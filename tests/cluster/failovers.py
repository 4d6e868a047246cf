"""Faults of a cluster, under agents that work on; and what the judge says of each run.

python failovers.py FILE    the table of what CLUSTER_REPORT=FILE has collected
"""

import json
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import psycopg
from failover_judge import judge, read
from failover_worker import SWARM

from swarm_memory import Swarm
from swarm_memory.testing.cluster import TTL_S

WORKER = Path(__file__).parent / "failover_worker.py"
CREW = ("put", "put", "count", "count", "hold", "hold", "send", "receive")
CANCELS = 20  # more than there are agents: some are cancelled when they ask again
STEPS = 3  # by which each agent has to get on before, after and once more after a fault
WAIT_S = 180.0
LOOK_S = 0.1
COLUMNS = ("fault", "runs", "longest gap p50", "p95", "max", "longest wait of an agent", "acked")
COLUMNS += ("lost", "twice", "fences", "in doubt: committed / not", "errors that reached an agent")


class Crew:
    """The agents of one run, each a process with a ledger."""

    def __init__(self, url, folder):
        self.url = url
        self.folder = Path(folder)
        self.running = {}  # name: (process, ledger)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.kill()

    def start(self, *roles, inside=()):
        """Start an agent for each role; `inside` stands before its command."""
        for role in roles:
            name = f"{role}{len(self.running)}"
            ledger = self.folder / name
            ledger.touch()
            command = [*inside, sys.executable, WORKER, role, self.url, name, ledger]
            with open(self.said(name), "wb") as said:
                process = subprocess.Popen([str(word) for word in command], stderr=said)
            self.running[name] = process, ledger

    def said(self, name):
        return self.folder / f"{name}-said"

    def done(self):
        """Return how many acknowledgements each agent has had."""
        return {
            name: sum(line["what"] == "ok" for line in read(ledger))
            for name, (_, ledger) in self.running.items()
        }

    def get_on(self, but=()):
        """Wait until each agent has been acknowledged some more, except those of `but`."""
        before = self.done()
        self.until(
            lambda: all(
                self.done()[name] >= count + STEPS
                for name, count in before.items()
                if name not in but
            )
        )

    def until(self, holds):
        deadline = time.monotonic() + WAIT_S
        while not holds():
            self.check_alive()
            assert time.monotonic() < deadline, f"nobody gets on: {self.done()} {self.last()}"
            time.sleep(LOOK_S)

    def told(self, code):
        """Tell whether an agent was told an error of this code."""
        ledgers = [ledger for _, ledger in self.running.values()]
        return any(line.get("code") == code for ledger in ledgers for line in read(ledger))

    def last(self):
        """Return the last errors that reached agents."""
        lines = [line for _, ledger in self.running.values() for line in read(ledger)]
        return [line for line in lines if line["what"] == "error"][-STEPS:]

    def check_alive(self):
        for name, (process, _) in self.running.items():
            assert process.poll() is None, f"{name}: {self.said(name).read_text()}"

    def stop(self):
        """Let each come to an end with what it has begun."""
        for process, _ in self.running.values():
            process.send_signal(signal.SIGTERM)
        for name, (process, _) in self.running.items():
            assert 0 == process.wait(WAIT_S), f"{name}: {self.said(name).read_text()}"

    def kill(self):
        for process, _ in self.running.values():
            process.kill()
            process.wait()

    def verdict(self):
        """Return what the judge says once all have ended."""
        with Swarm.open(self.url, agent="judge", swarm=SWARM) as swarm:
            return judge(swarm, [read(ledger) for _, ledger in self.running.values()])


# --- faults: each happens, agents get on, and it is undone --------------------------------------


def kill_postmaster(cluster, crew):
    cluster.kill_postmaster(cluster.primary())
    crew.get_on()


def kill_node(cluster, crew):
    former = cluster.primary()
    cluster.kill_node(former)
    crew.get_on()
    cluster.start_node(former)


def freeze_primary(cluster, crew):
    cluster.freeze_node(cluster.primary())
    crew.get_on()
    cluster.thaw()  # it believes to be the primary still


def switchover(cluster, crew):
    cluster.switchover()
    crew.get_on()


def freeze_etcd_leader(cluster, crew):
    cluster.freeze_etcd("leader")
    time.sleep(TTL_S)  # in which a primary without a lock would be replaced
    crew.get_on()
    cluster.thaw()


def freeze_etcd_majority(cluster, crew):
    primary = cluster.primary()
    cluster.freeze_etcd("majority")
    crew.until(lambda: cluster.states()[primary].get("failsafe_mode_is_active"))
    time.sleep(TTL_S)
    crew.get_on()
    cluster.thaw()


def partition(cluster, crew):
    former = cluster.primary()
    # One agent is where the lost primary is: nothing may be acknowledged to it there.
    there = cluster.nodes[former].number
    crew.start("count", inside=cluster.network.inside(there))
    crew.get_on()
    lonely = list(crew.running)[-1]
    cluster.partition(former)
    crew.get_on(but=(lonely,))
    cluster.heal(former)


def fill_disk(cluster, crew):
    """Either the server stops and another takes over, or agents are told that the disk is full."""
    former = cluster.primary()
    cluster.fill_disk(former)
    crew.start("fill", "fill")
    crew.until(lambda: crew.told("storage_full") or leads_without(cluster, former))
    cluster.free_disk(former)
    crew.get_on()


def leads_without(cluster, former):
    return any(node.leads() for name, node in cluster.nodes.items() if name != former)


def cancel_commits(cluster, crew):
    """Cancel commits that wait for standbys which nobody can reach, and lose the primary.

    What was written is on the lost server alone. A client that takes the answer to such a commit
    for a success loses it, and so does one that asks again and is told that it is there.
    """
    former = cluster.primary()
    cluster.freeze_patroni(former)  # else it would take the standbys out of the reckoning
    cluster.cut_standbys_off(former)
    waiting = "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'"
    with psycopg.connect(cluster.url_of(former), autocommit=True) as admin:
        cancelled = []
        crew.until(
            lambda: cancelled.extend(admin.execute(waiting).fetchall()) or len(cancelled) >= CANCELS
        )
    cluster.kill_node(former)
    cluster.thaw()
    crew.get_on()
    cluster.start_node(former)


FAULTS = {
    "process killed": kill_postmaster,
    "node killed": kill_node,
    "switchover": switchover,
    "primary frozen": freeze_primary,
    "leader of etcd frozen": freeze_etcd_leader,
    "majority of etcd frozen": freeze_etcd_majority,
    "primary cut off": partition,
    "disk full": fill_disk,
    "commits cancelled": cancel_commits,
}


def run(cluster, fault, schema, folder):
    """Let a crew work through a fault, and return the verdict."""
    cluster.wait_healthy()
    with Crew(cluster.url(schema), folder) as crew:
        crew.start(*CREW)
        crew.get_on()
        FAULTS[fault](cluster, crew)
        cluster.wait_healthy()
        crew.get_on()
        crew.stop()
        return crew.verdict()


# --- the table -----------------------------------------------------------------------------------


def report(path, fault, verdict):
    """Append what one run came to."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(f"{json.dumps({'fault': fault} | verdict._asdict())}\n")


def table(lines):
    """Return the runs of a report, put together by fault, as a table in Markdown."""
    by_fault = {}
    for line in lines:
        by_fault.setdefault(line["fault"], []).append(line)
    rows = [COLUMNS, ("---",) * len(COLUMNS), *(row(*item) for item in by_fault.items())]
    return "\n".join(f"| {' | '.join(map(str, each))} |" for each in rows)


def row(fault, runs):
    gaps = sorted(run["gap_s"] for run in runs)
    errors = {}
    for run in runs:
        for code, times in run["errors"].items():
            errors[code] = errors.get(code, 0) + times
    said = ", ".join(f"{times} {code}" for code, times in sorted(errors.items())) or "0"
    doubt = f"{sum(r['committed'] for r in runs)} / {sum(r['uncommitted'] for r in runs)}"
    wrong = [sum(len(run[what]) for run in runs) for what in ("lost", "twice", "fences")]
    percentile = gaps[max(0, -(-len(gaps) * 95 // 100) - 1)]
    figures = [statistics.median(gaps), percentile, gaps[-1], max(run["pause_s"] for run in runs)]
    shown = [f"{figure:.1f} s" for figure in figures]
    acked = f"{sum(run['acked'] for run in runs):,}"
    return (fault, len(runs), *shown, acked, *wrong, doubt, said)


if __name__ == "__main__":
    collected = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    sys.stdout.write(f"{table(map(json.loads, collected))}\n")
