"""A real Prometheus scrapes a real `serve`: what the dashboard and the rules ask for is answered.

In a swarm at work every panel shows something and no rule holds; in one in which things go wrong
those rules hold that should, and each metric that any rule names is there.
"""

import contextlib
import json
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import apsw
import pytest

pytest.importorskip("mcp", reason="the extra [server] is not installed")
pytest.importorskip("prometheus_client", reason="the extra [server] is not installed")

import httpx2

from swarm_memory import Swarm
from swarm_memory.clock import SystemClock
from swarm_memory.errors import CorruptValueError, EngineBusyError, SwarmMemoryError
from swarm_memory.testing import ManualClock
from swarm_memory.testing.filled import fill
from swarm_memory.ticker import Ticker

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "prometheus-rules.yml"
DASHBOARD = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
VARIABLES = {"$__rate_interval": "30s", "$instance": ".*", "$swarm": ".*"}
TOKEN = "for-prometheus"
WAIT_S = 60
LIMIT_BYTES = 1_000_000
SLOW_S = 1.2  # longer than a bound of the histogram that is longer than what the rule allows

# Of what goes wrong only in a minute or more, or with a full disk: their metrics are looked at.
SLOWLY = {"SwarmMemoryNotSampled", "SwarmMemoryDiskFull", "SwarmMemoryLeaseWait"}
# What a panel shows only of a swarm in which something is wrong.
OF_TROUBLE = {"Alerts", "Age of messages B"}


def expressions():
    """Return what the dashboard asks as Grafana would send it, by panel and number of the line."""
    asked = {}
    for panel in DASHBOARD["panels"]:
        for target in panel.get("targets", []):
            text = target["expr"]
            for name, value in VARIABLES.items():
                text = text.replace(name, value)
            number = "" if target["refId"] == "A" else f" {target['refId']}"
            asked[panel["title"] + number] = text
    return asked


class Prometheus:
    """One that scrapes one server every second, as docs/metrics.md configures it."""

    def __init__(self, folder, target):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{free.getsockname()[1]}"
        (folder / "token").write_text(TOKEN)
        job = {
            "job_name": "swarm-memory",
            "authorization": {"credentials_file": str(folder / "token")},
            "static_configs": [{"targets": [target]}],
        }
        often = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        # JSON is YAML.
        config = {"global": often, "scrape_configs": [job], "rule_files": [str(RULES)]}
        (folder / "prometheus.yml").write_text(json.dumps(config))
        self.log = (folder / "prometheus.log").open("w")
        self.process = subprocess.Popen(
            [shutil.which("prometheus"), f"--config.file={folder}/prometheus.yml",
             f"--storage.tsdb.path={folder}/tsdb", f"--web.listen-address={self.address}"],
            stdout=self.log, stderr=self.log,
        )  # fmt: skip

    def get(self, path, **parameters):
        answer = httpx2.get(f"http://{self.address}/api/v1/{path}", params=parameters, timeout=10)
        assert 200 == answer.status_code, answer.text
        return answer.json()["data"]

    def ask(self, expression):
        """Return the values of an instant query that are numbers."""
        found = self.get("query", query=expression)["result"]
        return [point["value"][1] for point in found if point["value"][1] != "NaN"]

    def rules(self):
        """Return the alert rules by their names, each with its expression and its health."""
        (group,) = self.get("rules")["groups"]
        return {rule["name"]: rule for rule in group["rules"]}

    def until(self, *expressions):
        """Wait until all expressions are answered with something."""
        ends_s = time.monotonic() + WAIT_S
        left = list(expressions)
        while left:
            assert time.monotonic() < ends_s, f"no answer to {left}"
            with contextlib.suppress(httpx2.TransportError):  # it has only been started
                left = [each for each in left if not self.ask(each)]
            time.sleep(0.1)

    def said(self):
        return Path(self.log.name).read_text()[-2000:]

    def end(self):
        self.process.kill()
        self.process.wait(10)
        self.log.close()


@pytest.fixture
def served(url, tmp_path, monkeypatch):
    """A server of the store, as a process; yields what is to be scraped, and how to end it."""
    monkeypatch.setenv("SWARM_MEMORY_TOKEN", TOKEN)
    monkeypatch.setenv("SWARM_MEMORY_MONITOR_INTERVAL_S", "1")
    monkeypatch.setenv("SWARM_MEMORY_TOTAL_BYTES_MAX", str(LIMIT_BYTES))
    main = "from swarm_memory.doors.command import main; main()"
    command = [sys.executable, "-c", main, "--url", url, "serve", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    monkeypatch.undo()
    address = process.stdout.readline().split()[1].removeprefix("http://")
    yield address, process
    process.kill()
    process.wait(10)
    process.stdout.close()


@pytest.fixture
def swarm(url):
    with Swarm.open(url, agent="a", swarm="s", durability="relaxed") as swarm:
        fill(swarm)
        yield swarm


@pytest.fixture
def prometheus(swarm, served, tmp_path):
    if shutil.which("prometheus") is None:
        pytest.skip("prometheus is not installed: Debian has it in the package prometheus")
    prometheus = Prometheus(tmp_path, served[0])
    yield prometheus
    prometheus.end()


def work(swarm, times=10):
    for n in range(times):
        swarm.records.put(f"notes/{n:03}", {"work": n})
        for _ in range(3):  # a cache keeps what was read twice
            swarm.records.get("notes/400")
    with pytest.raises(SwarmMemoryError):
        swarm.records.put("notes/short", 1, expect=99)
    swarm.context.meter.hand_in()


def let_a_message_lapse(url):
    """A consumer that took a message five minutes ago and was never heard of again."""
    clock = ManualClock(SystemClock().now_ms() - 300_000)
    with Swarm.open(url, agent="gone", swarm="s", clock=clock) as past:
        past.messages.send("job", topic="left")
        past.messages.claim("left", visible_after_s=20)


def fail_to_back_up(url):
    """Somebody whose clock says that the next backup is due, and a place where none can be."""
    folder = Path(url.removeprefix("sqlite:///")).with_name("backups")
    if folder.exists():
        folder.rename(folder.with_name("backups-made"))
    folder.write_text("no folder")
    clock = ManualClock(SystemClock().now_ms() + 2 * 86_400_000)
    with Swarm.open(url, agent="a", swarm="s", clock=clock) as late:
        ticker = Ticker(late)
        with pytest.raises(SwarmMemoryError):
            ticker._back_up()
        ticker.stop()
        late.context.meter.hand_in()


def be_busy(url, keeper, times):
    """Try to write while another process keeps the store."""
    with Swarm.open(url, agent="b", swarm="s", busy_timeout_s=0.01) as impatient:
        _say(keeper, "keep", "kept")
        for _ in range(times):
            with pytest.raises(EngineBusyError):
                impatient.records.put("notes/short", 1)
        _say(keeper, "let go", "free")
        impatient.context.meter.hand_in()


def be_slow(swarm, keeper):
    """Write while another process keeps the store for longer than a second."""
    _say(keeper, "keep", "kept")
    threading.Timer(SLOW_S, _say, [keeper, "let go", "free"]).start()
    swarm.records.put("notes/slow", 1)


def _say(process, said, answer):
    process.stdin.write(f"{said}\n")
    process.stdin.flush()
    assert f"{answer}\n" == process.stdout.readline()


def go_wrong(swarm, url, keeper):
    """Let happen what the rules tell of, as far as it does not take minutes."""
    let_a_message_lapse(url)
    be_busy(url, keeper, 10)
    be_slow(swarm, keeper)
    for n in range(17):
        swarm.records.put(f"large/{n}", random.Random(n).randbytes(50_000).hex())
    swarm.messages.send({}, topic="dead", attempts_max=1)
    swarm.messages.claim("dead")[0].nack()
    database = apsw.Connection(url.removeprefix("sqlite:///"))
    database.execute("UPDATE records SET author = 'forged' WHERE key = 'notes/100'")
    database.close()
    with pytest.raises(CorruptValueError):
        swarm.records.get("notes/100")
    fail_to_back_up(url)
    swarm.context.meter.hand_in()


def test_panels_show_a_swarm_at_work_and_rules_hold_of_what_goes_wrong_and_of_nothing_else(
    swarm, url, served, prometheus, started
):
    keeper = started("keeper")
    panels = expressions()
    # Prometheus sees a counter rise only if it has seen it before.
    be_busy(url, keeper, 2)
    work(swarm)
    prometheus.until('swarm_memory_calls_total{verb="put",code="conflict"}')
    work(swarm)
    prometheus.until(
        'rate(swarm_memory_calls_total{verb="put",code="conflict"}[30s]) > 0',
        'rate(swarm_memory_cache_reads_total{result="hit"}[30s]) > 0',
        "swarm_memory_sample_timestamp_seconds",
    )

    assert 30 < len(panels)
    assert OF_TROUBLE == {panel for panel, text in panels.items() if not prometheus.ask(text)}
    rules = prometheus.rules()
    queries = {name: rule["query"] for name, rule in rules.items()}
    assert {"ok"} == {rule["health"] for rule in rules.values()}
    assert set() == {name for name, text in queries.items() if prometheus.ask(text)}
    # What Grafana offers to choose from.
    assert "s" in prometheus.get("label/swarm/values")
    assert 1 == len(prometheus.get("label/instance/values"))

    go_wrong(swarm, url, keeper)

    expected = {*rules} - SLOWLY - {"SwarmMemoryDown"}
    prometheus.until(*[queries[name] for name in expected])
    assert expected == {name for name, text in queries.items() if prometheus.ask(text)}
    assert set() == {panel for panel, text in panels.items() if not prometheus.ask(text)}
    named = re.findall(r"swarm_memory_\w+(?:\{[^}]*\})?", " ".join(queries.values()))
    assert [] == [selector for selector in named if not prometheus.ask(selector)]

    served[1].kill()
    prometheus.until(queries["SwarmMemoryDown"])
