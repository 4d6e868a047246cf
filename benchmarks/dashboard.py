"""What the dashboard costs: answers on a large store, a first paint, how live it is, many viewers

Everything is measured on one store of a million records. The server is a process of its own, and it
is its processor time that is counted; what writes while somebody looks is another one. The first
paint and how soon a write is seen need Chromium. A server of yours, such as one on PostgreSQL, is
measured by `python benchmarks/dashboard.py URL`, which writes nothing but what it is looked at for.
"""

import os
import random
import select
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "dashboard"))

import httpx2
from dashboard_stage import Server

from subjects import told
from swarm_memory import Swarm
from swarm_memory.doors.dashboard.files import Files

SIZE = int(os.environ.get("DASHBOARD_SIZE", "1000000"))
SWARM = "big"
BATCH = 10_000
ROUNDS = 20
VIEWERS = 100
WATCH_S = 10.0
QUESTIONS = ("now", "activity", "latest", "kinds", "level", "level?prefix=flat", "shown",
             "conflicts", "condition", "level?prefix=memory/notes",
             "record?key=flat/n0000000")  # fmt: skip
PAINTS = 5
FILES_KB_MAX, PAINT_MS_MAX, LIVE_S_MAX, SHARE_MAX = 300, 1000, 2.0, 0.05

# --- how soon a write of another process is seen ---

WRITES = 40
PAUSE_S_MAX = 1.2  # between two of them: whatever beats in the server, some fall into each part
WAIT_MS = 30_000
LIVE = ("now", "memory", "conflicts", "health")
# Prints when what was asked for was committed, in epoch milliseconds, and by what it is known.
WRITER = """
import sys, time
from swarm_memory import Swarm
with Swarm.open(sys.argv[1], agent="writer", swarm=sys.argv[2]) as swarm:
    other = swarm.as_agent("other")
    print("ready", flush=True)
    for line in sys.stdin:
        page, number = line.split()
        mark = f"live-{page}-{number}"
        key = f"live/{mark}"
        if page == "conflicts":
            base = swarm.records.put(key, 1)
            other.records.put(key, 2, expect=base.version)
            swarm.records.put(key, 3, expect=base.version, on_conflict="keep_both")
        else:
            swarm.records.put(key, {"text": mark})
        at_ms = time.time_ns() // 1_000_000
        if page == "health":
            mark = f"{swarm.health.report().metrics['records']:,} records"
        print(at_ms, mark, flush=True)
"""


def fill(url, records):
    """Write records, half of them side by side and half in a thousand branches."""
    with Swarm.open(url, agent="filler", swarm=SWARM, durability="relaxed") as swarm:
        for first in range(0, records, BATCH):
            swarm.records.put_many(
                (
                    f"memory/notes/t-{n % 1000}/n{n:07}" if n % 2 else f"flat/n{n:07}",
                    {"text": f"note {n} about topic {n % 1000}", "n": n},
                )
                for n in range(first, min(records, first + BATCH))
            )


def answers(server):
    """Return the median and the longest time of each question."""
    figures = []
    client = httpx2.Client(base_url=f"{server.base}/ui/data/swarms/{SWARM}", timeout=30)
    for question in QUESTIONS:
        times = []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            answer = client.get(f"/{question}")
            times.append(1000 * (time.perf_counter() - begun))
            assert 200 == answer.status_code, answer.text
            time.sleep(0.51)  # so that no answer is shared
        longest = f"longest {max(times):.1f} ms"
        figures.append(told(f"answer to {question}", f"{statistics.median(times):.1f} ms", longest))
    return figures


def seen(server, url):
    """Return what a browser shows when: the first page, and what another process wrote."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        return [told("first paint, and how soon a write is seen", "–", "there is no Chromium")]
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        figures = [*paint(server, browser), *live(server, browser, url)]
        browser.close()
    return figures


def paint(server, browser):
    """Return when the first page was painted, of a browser that had nothing of it."""
    firsts, filled = [], []
    for _ in range(PAINTS):
        page = browser.new_context().new_page()
        page.goto(f"{server.base}/ui/#/now?swarm={SWARM}")
        page.locator(".people, .empty").first.wait_for()
        entry = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        firsts.append(page.evaluate(entry))
        filled.append(page.evaluate("performance.now()"))
        page.context.close()
    first_ms, filled_ms = statistics.median(firsts), statistics.median(filled)
    note = f"longest {max(firsts):.0f} ms; with data {filled_ms:.0f} ms, longest {max(filled):.0f}"
    return [reached("first paint, nothing cached", first_ms, PAINT_MS_MAX, "ms", note)]


def live(server, browser, url):
    """Return how long it took until a page showed what another process had committed."""
    command = [sys.executable, "-c", WRITER, url, SWARM]
    pipe = subprocess.PIPE
    writer = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)
    choose = random.Random(1)
    try:
        assert writer.stdout.readline() == "ready\n"
        return [_live_on(where, server, browser, writer, choose) for where in LIVE]
    finally:
        writer.kill()
        writer.wait()
        writer.stdin.close()
        writer.stdout.close()


# Notes what is shown when. Both processes look at the clock of this machine.
WATCH = """() => {
  window.seen = [];
  const main = document.querySelector("main");
  new MutationObserver(() => window.seen.push([Date.now(), main.textContent]))
    .observe(main, { childList: true, subtree: true, characterData: true });
}"""
SEEN = "text => window.seen.find(([, shown]) => shown.includes(text))?.[0]"


def _live_on(where, server, browser, writer, choose):
    page = browser.new_context().new_page()
    page.goto(f"{server.base}/ui/#/{where}?swarm={SWARM}")
    page.locator("main .card").first.wait_for()
    page.locator("#live[data-state=live]").wait_for()
    page.evaluate(WATCH)
    took_s = []
    for number in range(WRITES):
        page.wait_for_timeout(1000 * choose.uniform(0, PAUSE_S_MAX))
        page.evaluate("window.seen = []")
        writer.stdin.write(f"{where} {number}\n")
        writer.stdin.flush()
        at_ms, _, mark = writer.stdout.readline().rstrip("\n").partition(" ")
        mark = mark.replace(",", "\u2009")  # as the pages write numbers
        shown = page.wait_for_function(SEEN, arg=mark, timeout=WAIT_MS)
        took_s.append((shown.json_value() - int(at_ms)) / 1000)
    page.context.close()
    took_s.sort()
    half, most = statistics.median(took_s), took_s[-(-95 * WRITES // 100) - 1]
    note = f"median {half:.2f} s, longest {took_s[-1]:.2f} s of {WRITES} writes of another process"
    return reached(f"a write is seen on {where}, 95 %", most, LIVE_S_MAX, "s", note)


def reached(what, value, most, unit, note):
    """Return a figure with a goal that it must not pass."""
    digits = 0 if unit in ("ms", "kB") else 2
    return {
        "what": what,
        "value": f"{value:.{digits}f} {unit}",
        "goal": f"≤ {most:g} {unit}",
        "reached": value <= most,
        "note": note,
    }


def viewers(server, url):
    """Return which share of a core the server takes for many who look."""
    ask = f"GET /ui/data/swarms/{SWARM}/news HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    sockets = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(VIEWERS)]
    for one in sockets:
        one.sendall(ask)
    heard, ends = [0], threading.Event()
    figures = []

    def drain():
        while not ends.is_set():
            for one in select.select(sockets, [], [], 0.2)[0]:
                heard[0] += one.recv(65_536).count(b"event: news")

    thread = threading.Thread(target=drain)
    thread.start()
    time.sleep(2)
    with Swarm.open(url, agent="writer", swarm=SWARM) as swarm:
        for rate in (0, 1, 20):
            before, begun, at = heard[0], time.monotonic(), cpu_s(server.process.pid)
            while time.monotonic() - begun < WATCH_S:
                if rate:
                    swarm.records.put("notes/live", {"at": time.time()})
                time.sleep(1 / max(rate, 1))
            share = (cpu_s(server.process.pid) - at) / (time.monotonic() - begun)
            what = f"{VIEWERS} viewers of the news, {rate} writes a second"
            note = f"{(heard[0] - before) / VIEWERS / WATCH_S:.1f} messages a second each"
            figure = reached(what, 100 * share, 100 * SHARE_MAX, "% of a core", note)
            figures.append(figure)
    ends.set()
    thread.join()
    for one in sockets:
        one.close()
    return figures


def cpu_s(pid):
    """Return the processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def run(url=None):
    """Measure on a store of its own, or on one that is given."""
    size_kb = Files().size_bytes / 1000
    figures = [reached("all files of all pages", size_kb, FILES_KB_MAX, "kB", "")]
    with tempfile.TemporaryDirectory(prefix="bench-dashboard-") as place:
        if url is None:
            url = f"sqlite:///{place}/memory.db"
            fill(url, SIZE)
        server = Server(url, place).start()
        try:
            return [*figures, *answers(server), *seen(server, url), *viewers(server, url)]
        finally:
            server.kill()


if __name__ == "__main__":
    for each in run(*sys.argv[1:]):
        print(f"{each['what']}: {each['value']} {each['goal']} {each['note']}", flush=True)
