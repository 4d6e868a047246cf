"""How many agents one store on PostgreSQL carries: a model against a played swarm

The model (`capacity_model.py`) has the cost of each call alone, measured first; then
`swarm_load.py` plays as many agents as the prediction was for, with pauses, mix and sizes as they
were counted in stores of real agents. Server and agents share the cores of one machine, so what is
predicted is for all of it. D: every write is on disk before its caller goes on.
"""

from __future__ import annotations

import os
import random
import statistics
import threading
import time
from pathlib import Path

import psycopg

import capacity_page
import load_profile as profile
from capacity_model import Cost, Prediction, agents_max, predict
from subjects import told
from swarm_load import Agents, Load, Meter, Report, catch_up, percentile, play
from swarm_memory.errors import EngineUnavailableError
from swarm_memory.testing.postgres import Server, server

PLAYED = (100, 1_000, 2_000, 4_000, 6_000, 8_000, 10_000)
ALONE_AGENTS, ALONE_S, QUANTILES = 200, 3.0, 20
SECONDS, PROCESSES, THREADS = 15.0, 4, 6
POINTS = 60  # of the curve
LOOK_S = 0.002
CORES = os.cpu_count() or 1
PLOT = "capacity.svg"

Figure = dict[str, object]


def run() -> list[Figure]:
    try:
        with server() as running:
            costs = measure_costs(running)
            for verb, cost in costs.items():
                print(f"  {verb}: {_shown(cost)}", flush=True)
            played = _played(running)
    except EngineUnavailableError as error:
        return [told("capacity", f"skipped: {error}")]
    rows = [_row(report) for report in played]
    capacity_page.keep(costs, rows, {"cores": CORES, "think_s": profile.THINK_S})
    capacity_page.write()
    return [*_costs(costs), *_compared(costs, played), _plot(costs, played)]


# --- what each call costs alone ---


def measure_costs(running: Server) -> dict[str, Cost]:
    """Return what each verb costs, measured one after the other with nothing else going on."""
    url = running.url("alone")
    agents = Agents(Load(url, ALONE_AGENTS, 0, 1, 1, profile.THINK_S, "full"), 0, ALONE_AGENTS)
    agents.fill()
    catch_up(agents.root)
    found: dict[str, Cost] = {}
    with psycopg.connect(running.url(), autocommit=True) as db, TurnWatch(url) as watch:
        for verb, share in profile.shares().items():
            _calls(agents, verb, ALONE_S / 5)  # prepares its statements
            catch_up(agents.root)
            began_s = _cores_s(db)
            took = _calls(agents, verb, ALONE_S)
            cores_ms = 1000 * (_cores_s(db) - began_s) / len(took)
            other, times = _before(verb)
            cores_ms -= times * found[other].cores_ms if times else 0
            catch_up(agents.root)
            watch.reset()
            _calls(agents, verb, ALONE_S, watch)
            found[verb] = Cost(share, _quantiles(took), watch.share(), max(0.0, cores_ms))
    agents.root.close()
    return found


def _calls(
    agents: Agents, verb: str, seconds: float, watch: TurnWatch | None = None
) -> list[float]:
    """Call for a while, and what goes before; return the ms of each call."""
    pick, took = random.Random(verb), []
    end = time.monotonic() + seconds
    other, times = _before(verb)
    while time.monotonic() < end or len(took) < QUANTILES:
        for _ in range(times):
            agents.do(other, pick.randrange(ALONE_AGENTS), pick)
        number, began = pick.randrange(ALONE_AGENTS), time.monotonic()
        if watch is not None:
            watch.inside = True
        agents.do(verb, number, pick)
        if watch is not None:
            watch.inside = False
        took.append(1000 * (time.monotonic() - began))
    return took


def _before(verb: str) -> tuple[str, int]:
    """Return what others do, and how often, between two calls of a kind that catches up with it."""
    shares = profile.shares()
    other = {"search": "put", "claim": "send"}.get(verb)
    return ("", 0) if other is None else (other, round(shares[other] / shares[verb]))


class TurnWatch:
    """Looks now and then, while `inside` is set, whether anybody has the turn to write."""

    def __init__(self, url: str) -> None:
        self.inside = False
        self._url = url
        self._ended = threading.Event()
        self._seen: list[int] = []
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> TurnWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def reset(self) -> None:
        self._seen = []

    def share(self) -> float:
        """Return the share of the looks since the reset that found the turn taken."""
        return statistics.mean(min(1, held) for held in self._seen) if self._seen else 0.0

    def _watch(self) -> None:
        with psycopg.connect(self._url, autocommit=True) as db:
            while not self._ended.wait(LOOK_S):
                before = self.inside
                row = db.execute(Meter.ASKED).fetchone()
                if before and self.inside:
                    self._seen.append(row[0])


def _cores_s(db: psycopg.Connection) -> float:
    """Return the seconds of the cores that this process and the server have used."""
    total = time.process_time()
    for (pid,) in db.execute("SELECT pid FROM pg_stat_activity").fetchall():
        try:
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        except OSError:
            continue
        total += (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
    return total


def _quantiles(took: list[float]) -> tuple[float, ...]:
    """Return evenly spaced quantiles, each the middle of its share."""
    ordered = sorted(took)
    return tuple(percentile(ordered, (n + 0.5) / QUANTILES) for n in range(QUANTILES))


# --- what a swarm meets ---


def _played(running: Server) -> list[Report]:
    """Play swarms of all sizes on one store, which is filled for the largest."""
    found = []
    for number, agents in enumerate(sorted(PLAYED, reverse=True)):
        load = Load(
            running.url("played"),
            agents,
            SECONDS,
            PROCESSES,
            THREADS,
            profile.THINK_S,
            "full",
            filled=number > 0,
        )
        report = play(load)
        print("  " + _point(report), flush=True)
        found.append(report)
    return found[::-1]


def _row(report: Report) -> dict[str, float]:
    late = report.late()
    return {
        "agents": report.load.agents,
        "rate": round(report.rate, 1),
        "p50_ms": round(percentile(late, 0.5), 2),
        "p99_ms": round(percentile(late, 0.99), 2),
        "turns": round(report.turns or 0, 3),
        "cores": round(report.cores or 0, 3),
        "backlog": report.backlog,
        "errors": sum(report.errors.values()),
    }


def _point(report: Report) -> str:
    late = report.late()
    p50, p99 = percentile(late, 0.5), percentile(late, 0.99)
    return (
        f"{report.load.agents:,} agents: {report.rate:,.0f} calls/s, p50 {p50:.1f} ms,"
        f" p99 {p99:.1f} ms, turn {100 * (report.turns or 0):.0f} %,"
        f" cores {report.cores or 0:.2f}, undone {report.backlog}, errors {report.errors or 0}"
    )


def expected(costs: dict[str, Cost], agents: int) -> Prediction:
    return predict(agents, list(costs.values()), think_s=profile.THINK_S, cores=CORES)


def _shown(cost: Cost) -> str:
    mean = statistics.mean(cost.alone_ms)
    return (
        f"{100 * cost.share:.1f} % of calls, {mean:.2f} ms alone (p50 {cost.alone_ms[10]:.2f}),"
        f" {mean * cost.turn:.2f} ms of the turn, {cost.cores_ms:.2f} ms of the cores"
    )


def _costs(costs: dict[str, Cost]) -> list[Figure]:
    return [told(f"{verb} alone", _shown(cost)) for verb, cost in costs.items()]


def _compared(costs: dict[str, Cost], played: list[Report]) -> list[Figure]:
    figures = []
    for report in played:
        said = expected(costs, report.load.agents)
        late = report.late()
        p50, p99 = percentile(late, 0.5), percentile(late, 0.99)
        figures.append(
            told(
                f"{report.load.agents:,} agents, predicted → played",
                f"p99 {said.p99_ms:,.1f} → {p99:,.1f} ms",
                f"p50 {said.p50_ms:,.1f} → {p50:,.1f} ms, {said.rate:,.0f} → {report.rate:,.0f}"
                f" calls/s, turn {100 * said.turns:.0f} → {100 * (report.turns or 0):.0f} %,"
                f" cores {CORES * said.cores:.2f} → {report.cores or 0:.2f},"
                f" errors {sum(report.errors.values())}, undone {report.backlog}",
            )
        )
    limit = agents_max(list(costs.values()), think_s=profile.THINK_S, cores=CORES)
    figures.append(told("agents at which turn or cores are 70 % used", f"{limit:,}"))
    return figures


def _plot(costs: dict[str, Cost], played: list[Report]) -> Figure:
    """Draw p50 and p99 against the number of agents, predicted and played."""
    try:
        import matplotlib
    except ImportError:
        return told("plot", "skipped: matplotlib is not installed")
    matplotlib.use("svg")
    matplotlib.rcParams.update({"svg.hashsalt": PLOT, "font.size": 11})
    from matplotlib import pyplot

    low, high = min(PLAYED), 1.3 * max(PLAYED)
    numbers = [round(low * (high / low) ** (n / POINTS)) for n in range(POINTS + 1)]
    said = [expected(costs, number) for number in numbers]
    figure, panel = pyplot.subplots(figsize=(8, 4.6), layout="constrained")
    for name, colour, at in (("p50", "#1f5fa8", 0.5), ("p99", "#c2571a", 0.99)):
        curve = [getattr(each, f"{name}_ms") for each in said]
        panel.plot(numbers, curve, "-", color=colour, label=f"{name}, predicted")
        points = [percentile(report.late(), at) for report in played]
        panel.plot(PLAYED, points, "o", color=colour, label=f"{name}, played")
    panel.set(xscale="log", yscale="log", xlabel="agents", ylabel="ms from when a call was due")
    panel.grid(alpha=0.3)
    panel.legend(frameon=False, fontsize=10)
    path = Path(__file__).parent.parent / "docs" / PLOT
    figure.savefig(path, metadata={"Date": None})
    return told("plot", f"[{PLOT}]({PLOT})")
