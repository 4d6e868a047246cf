"""Reading, writing and watching over HTTP, 8 clients

One server on the machine, durable (D). Its 8 clients are connections of one process that sends
what was made before and counts the answers, since 8 real ones would need the cores that the
server needs. Beside it runs a server of the same Starlette and uvicorn that answers with a
constant of the same size: what is left for us to win or to lose.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from subjects import value

CLIENTS = 8
ROUNDS, SECONDS = 5, 3.0
WATCHED = 200
KEYS = 200
PAUSE_S = 0.005
COMMAND = str(Path(sys.executable).with_name("swarm-memory"))
BARE = """
import sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route
body = sys.argv[2].encode()

async def answer(request):
    await request.body()
    return Response(body, media_type="application/json")

app = Starlette(routes=[Route("/{rest:path}", answer, methods=["GET", "PUT"])])
uvicorn.run(app, port=int(sys.argv[1]), log_level="error", access_log=False)
"""
LOAD = """
import json, socket, sys, selectors, time
port, seconds = int(sys.argv[1]), float(sys.argv[2])
requests = sys.stdin.buffer.read().split(b"\\0")
waiting = selectors.DefaultSelector()
for number in range(int(sys.argv[3])):
    one = socket.create_connection(("127.0.0.1", port))
    waiting.register(one, selectors.EVENT_READ, [number, b"", 0.0])
sent = 0
def send(key):
    global sent
    key.data[1], key.data[2] = b"", time.perf_counter()
    key.fileobj.sendall(requests[sent % len(requests)])
    sent += 1
for key in list(waiting.get_map().values()):
    send(key)
end, took, failed = time.perf_counter() + seconds, [], 0
while time.perf_counter() < end:
    for key, _ in waiting.select(1):
        key.data[1] += key.fileobj.recv(65536)
        head, _, body = key.data[1].partition(b"\\r\\n\\r\\n")
        lower = head.lower()
        if not head or b"content-length: " not in lower:
            continue
        length = int(lower.split(b"content-length: ")[1].split(b"\\r\\n")[0])
        if len(body) < length:
            continue
        failed += not head.startswith(b"HTTP/1.1 200")
        took.append(time.perf_counter() - key.data[2])
        send(key)
print(json.dumps({"count": len(took), "failed": failed, "p50": sorted(took)[len(took) // 2]}))
"""
WRITE = """
import sys, time
from swarm_memory import Swarm
with Swarm.open(sys.argv[1], swarm="bench", agent="writer") as swarm:
    for number in range(int(sys.argv[2])):
        time.sleep(float(sys.argv[3]))
        swarm.records.put("watched", time.monotonic())
"""


def run() -> list[dict[str, object]]:
    folder = tempfile.mkdtemp(prefix="bench-http-")
    servers: list[subprocess.Popen[bytes]] = []
    try:
        return _measured(folder, servers)
    finally:
        for server in servers:
            server.terminate()
            server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _measured(folder: str, servers: list[subprocess.Popen[bytes]]) -> list[dict[str, object]]:
    port, bare = _free_port(), _free_port()
    environment = {**os.environ, "SWARM_MEMORY_URL": f"sqlite:///{folder}/memory.db"}
    serve = [COMMAND, "serve", "--port", str(port)]
    servers.append(subprocess.Popen(serve, env=environment, stdout=subprocess.DEVNULL))
    shown = json.dumps({"key": "k/000", "value": value(0), "version": 1, "author": "main"})
    servers.append(subprocess.Popen([sys.executable, "-c", BARE, str(bare), shown]))
    for each in (port, bare):
        _wait_for(each)
    puts = [_request("PUT", f"k/{n:03}", {"value": value(n)}) for n in range(KEYS)]
    gets = [_request("GET", f"k/{n:03}") for n in range(KEYS)]
    _load(port, puts, 1.0)
    subjects = {
        "put": (port, puts),
        "get": (port, gets),
        "bare put": (bare, puts),
        "bare get": (bare, gets),
    }
    rows = [
        {name: _load(*subject, SECONDS) for name, subject in subjects.items()}
        for _ in range(ROUNDS)
    ]
    return [
        _rate("put", rows, 1000),
        _rate("get", rows, 3000),
        _watch(port),
    ]


def _rate(what: str, rows: list[dict[str, float]], goal: float) -> dict[str, object]:
    rate = statistics.median(row[what] for row in rows)
    share = statistics.median(row[what] / row[f"bare {what}"] for row in rows)
    bare = statistics.median(row[f"bare {what}"] for row in rows)
    return {
        "what": f"{what}, 8 clients, D",
        "value": f"{rate:,.0f} /s",
        "goal": f"≥ {goal:,.0f} /s",
        "reached": rate >= goal,
        "note": f"{share:.2f} × a server that answers a constant ({bare:,.0f} /s)",
    }


def _watch(port: int) -> dict[str, object]:
    """Measure how long after the call of a write its event is heard over the stream."""
    from swarm_memory import Swarm

    url = f"http://127.0.0.1:{port}"
    with Swarm.open(url, swarm="bench", agent="reader") as swarm:
        watch = swarm.watch("watched", timeout_s=30)
        late: list[float] = []
        written: list[float] = []

        def read() -> None:
            for event in watch:
                heard = time.monotonic()
                late.append(heard)
                if event.version == WATCHED:
                    return

        reading = threading.Thread(target=read)
        reading.start()
        writer = [sys.executable, "-c", WRITE, url, str(WATCHED), str(PAUSE_S)]
        subprocess.run(writer, check=True)
        reading.join()
        kept = {r.version: r.value for r in swarm.records.history("watched")}
        written = [kept[version] for version in sorted(kept)]
        waits = [h - w for h, w in zip(late[-len(written) :], written, strict=True)]
    p50 = statistics.median(waits) * 1000
    return {
        "what": "from a put over HTTP to its event over the stream, p50",
        "value": f"{p50:.1f} ms",
        "goal": "≤ 10 ms",
        "reached": p50 <= 10,
        "note": f"the put itself included, of the last {len(waits)}",
    }


def _request(method: str, key: str, body: object = None) -> bytes:
    raw = b"" if body is None else json.dumps(body).encode()
    lines = [
        f"{method} /v1/swarms/bench/records/{key} HTTP/1.1",
        "Host: localhost",
        "Content-Type: application/json",
        f"Content-Length: {len(raw)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + raw


def _load(port: int, requests: list[bytes], seconds: float) -> float:
    command = [sys.executable, "-c", LOAD, str(port), str(seconds), str(CLIENTS)]
    ran = subprocess.run(command, input=b"\0".join(requests), capture_output=True, check=True)
    counted = json.loads(ran.stdout)
    if counted["failed"]:
        raise RuntimeError(f"{counted['failed']} of {counted['count']} requests failed")
    return counted["count"] / seconds


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def _wait_for(port: int) -> None:
    for _ in range(600):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError("a server did not start")
