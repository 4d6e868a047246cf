"""What the dashboard costs: answers on a large store, a first paint, and many who look.

`python benchmarks/dashboard.py [RECORDS]`; 1,000,000 by default, which takes minutes to write. The
server is a process of its own, and it is its processor time that is counted. The first paint needs
Chromium.
"""

import os
import select
import shutil
import socket
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "dashboard"))

import httpx2
from dashboard_stage import Server

from swarm_memory import Swarm
from swarm_memory.doors.dashboard.files import Files

SWARM = "big"
BATCH = 10_000
ROUNDS = 20
VIEWERS = 100
WATCH_S = 10.0
QUESTIONS = ("now", "activity", "latest", "kinds", "level", "level?prefix=flat", "shown",
             "level?prefix=memory/notes", "record?key=flat/n0000000")  # fmt: skip


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
    """Print the median and the longest time of each question."""
    client = httpx2.Client(base_url=f"{server.base}/ui/data/swarms/{SWARM}", timeout=30)
    for question in QUESTIONS:
        times = []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            answer = client.get(f"/{question}")
            times.append(1000 * (time.perf_counter() - begun))
            assert 200 == answer.status_code, answer.text
            time.sleep(0.51)  # so that no answer is shared
        print(f"{question:32} median {statistics.median(times):6.1f} ms, max {max(times):6.1f} ms")


def paint(server):
    """Print when the first page was painted, of a browser that had nothing of it."""
    path = shutil.which("chromium")
    if path is None:
        print("no Chromium: no first paint")
        return
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        firsts, filled = [], []
        for _ in range(5):
            page = browser.new_context().new_page()
            page.goto(f"{server.base}/ui/#/now?swarm={SWARM}")
            page.locator(".people, .empty").first.wait_for()
            entry = "performance.getEntriesByName('first-contentful-paint')[0].startTime"
            firsts.append(page.evaluate(entry))
            filled.append(page.evaluate("performance.now()"))
            page.context.close()
        browser.close()
    print(f"first paint median {statistics.median(firsts):.0f} ms, max {max(firsts):.0f} ms")
    print(f"with data   median {statistics.median(filled):.0f} ms, max {max(filled):.0f} ms")


def viewers(server, url):
    """Print which share of a core the server takes for many who look."""
    ask = f"GET /ui/data/swarms/{SWARM}/news HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode()
    sockets = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(VIEWERS)]
    for one in sockets:
        one.sendall(ask)
    heard, ends = [0], threading.Event()

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
            print(
                f"{VIEWERS} viewers, {rate:2} writes a second: {share:.1%} of a core,"
                f" {(heard[0] - before) / VIEWERS / WATCH_S:.1f} messages a second each"
            )
    ends.set()
    thread.join()
    for one in sockets:
        one.close()


def cpu_s(pid):
    """Return the processor time that a process has taken."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(records=1_000_000, url=None):
    """Measure on a store of its own, or on one that is given."""
    print(f"all files: {Files().size_bytes / 1000:.0f} kB")
    with tempfile.TemporaryDirectory() as place:
        if url is None:
            url = f"sqlite:///{place}/memory.db"
            fill(url, int(records))
        server = Server(url, place).start()
        try:
            answers(server)
            paint(server)
            viewers(server, url)
        finally:
            server.kill()


if __name__ == "__main__":
    main(*sys.argv[1:])
