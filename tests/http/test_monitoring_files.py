"""The dashboard and the alert rules: they load, and ask for nothing that is not told."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

pytest.importorskip("mcp", reason="the extra [server] is not installed")
pytest.importorskip("prometheus_client", reason="the extra [server] is not installed")

from scraping import ask, scrape

from swarm_memory import Swarm
from swarm_memory.monitor.facts import ANSWERS, BACKUP_FAILED, DAMAGE, WAITS
from swarm_memory.testing.filled import fill

DEPLOY = Path(__file__).resolve().parents[2] / "deploy"
RULES = DEPLOY / "prometheus-rules.yml"
DASHBOARD = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
VARIABLES = {"$__rate_interval": "5m", "$instance": ".*", "$swarm": ".*"}
WAIT_S = 60


def expressions():
    """Return what the dashboard asks, as Grafana would send it."""
    asked = [target["expr"] for panel in PANELS for target in panel["targets"]]
    for name, value in VARIABLES.items():
        asked = [text.replace(name, value) for text in asked]
    assert asked
    return asked


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """The labels of each sample that a store tells with something of everything in it."""
    folder = tmp_path_factory.mktemp("metrics")
    with Swarm.open(f"sqlite:///{folder}/memory.db", agent="a", swarm="s") as swarm:
        fill(swarm)
        swarm.messages.send({}, to="b", attempts_max=1)
        for message in swarm.as_agent("b").messages.claim(limit=10):
            message.nack()
        swarm.context.meter.count(BACKUP_FAILED)
        swarm.context.meter.failed("get", "corrupt_value")
        swarm.records.get("notes/001")
        swarm.records.get("notes/001")
        swarm.monitor.take()
        labels = {}
        for family in scrape(swarm).values():
            for sample in family.samples:
                labels.setdefault(sample.name, set()).update(sample.labels)
    return labels


@pytest.fixture(scope="module")
def promtool():
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is not installed: Debian has it in the package prometheus")

    def run(*arguments, **more):
        return subprocess.run(
            [found, *map(str, arguments)], capture_output=True, text=True, timeout=WAIT_S, **more
        )

    return run


@pytest.mark.parametrize("text", [*expressions(), RULES.read_text()])
def test_only_metrics_that_are_told_are_asked_for_by_labels_that_they_have(text, told):
    named = re.findall(r"\b(swarm_memory_\w+)(?:\{([^}]*)\})?", text)

    assert named
    for name, matchers in named:
        assert name in told
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", matchers))
        assert labels <= told[name] | {"instance", "job"}


def test_every_panel_has_a_title_of_its_own_a_place_and_a_data_source():
    titles = [panel["title"] for panel in PANELS]
    places = [
        (x, y)
        for panel in DASHBOARD["panels"]
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]

    assert sorted(set(titles)) == sorted(titles)
    assert len(places) == len(set(places))
    assert max(x for x, _ in places) < 24
    assert len(numbers) == len(set(numbers))
    assert {"${datasource}"} == {panel["datasource"]["uid"] for panel in PANELS}


def test_the_rules_know_the_same_errors_as_the_store():
    text = RULES.read_text()
    (answers,) = re.findall(r'code!~"ok\|([a-z_|]+)"', text)

    assert ANSWERS == set(answers.split("|"))
    assert {frozenset(DAMAGE)} == {
        frozenset(found.split("|")) for found in re.findall(r'code=~"([a-z_|]+)"', text)
    }
    assert {frozenset(WAITS)} == {
        frozenset(found.split("|")) for found in re.findall(r'verb!~"([a-z_|]+)"', text)
    }


def test_the_rules_load(promtool):
    run = promtool("check", "rules", RULES)

    assert 0 == run.returncode, run.stderr
    assert f"{RULES.read_text().count('- alert:')} rules found" in run.stdout


def test_what_the_dashboard_asks_is_valid(promtool, tmp_path):
    asked = tmp_path / "asked.yml"
    rules = [{"record": f"panel:{n}", "expr": text} for n, text in enumerate(expressions())]
    # JSON is YAML.
    asked.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))

    run = promtool("check", "rules", asked)

    assert 0 == run.returncode, run.stderr


def test_prometheus_finds_nothing_wrong_with_what_is_told(promtool, tmp_path):
    with Swarm.open(f"sqlite:///{tmp_path}/memory.db", agent="a", swarm="s") as swarm:
        fill(swarm)
        swarm.monitor.take()
        text = ask(swarm).text

    run = promtool("check", "metrics", input=text)

    assert (0, "") == (run.returncode, run.stdout + run.stderr)


# What is wrong: series from minute 0 to 100, and which rules tell of it at minute 90.
CALLS = "swarm_memory_calls_total"
FAULTS = {
    "nothing": (
        {
            f'{CALLS}{{verb="put",code="ok"}}': "0+600x100",
            f'{CALLS}{{verb="put",code="conflict"}}': "0+300x100",
            'swarm_memory_call_duration_seconds_bucket{verb="put",le="0.5"}': "0+600x100",
            'swarm_memory_call_duration_seconds_bucket{verb="put",le="+Inf"}': "0+600x100",
            'swarm_memory_call_duration_seconds_bucket{verb="claim",le="0.5"}': "0x100",
            'swarm_memory_call_duration_seconds_bucket{verb="claim",le="+Inf"}': "0+60x100",
            "swarm_memory_sample_timestamp_seconds": "0+60x100",
            "swarm_memory_utilization_ratio": "0.5x100",
            "swarm_memory_disk_utilization_ratio": "0.5x100",
            "swarm_memory_lease_wait_seconds": "5x100",
            'swarm_memory_queue_lapsed_seconds{queue="agent:b"}': "0x100",
            'swarm_memory_messages{state="dead"}': "0x100",
            f'{CALLS}{{verb="get",code="corrupt_value"}}': "3x100",
            'swarm_memory_backups_total{result="made"}': "0+1x100",
        },
        [],
    ),
    "an alert": (
        {'swarm_memory_alerts{rule="disk_full",severity="critical",state="open"}': "1x100"},
        ["SwarmMemoryAlert"]),
    "an alert that somebody saw": (
        {'swarm_memory_alerts{rule="disk_full",severity="critical",state="acknowledged"}': "1x100"},
        []),
    "no answer": ({'up{job="swarm-memory"}': "0x100"}, ["SwarmMemoryDown"]),
    "no samples": ({"swarm_memory_sample_timestamp_seconds": "0x100",
                    f'{CALLS}{{verb="put",code="ok"}}': "0+600x100"}, ["SwarmMemoryNotSampled"]),
    "no samples of what rests": ({"swarm_memory_sample_timestamp_seconds": "0x100",
                                  f'{CALLS}{{verb="put",code="ok"}}': "600x100"}, []),
    "a full swarm": ({"swarm_memory_utilization_ratio": "0.85x100"}, ["SwarmMemoryUsedHigh"]),
    "growth": ({"swarm_memory_utilization_ratio": "0.4+0.001x100"}, ["SwarmMemoryFullSoon"]),
    "a full disk": ({"swarm_memory_disk_utilization_ratio": "0.96x100",
                     "swarm_memory_disk_free_bytes": "1000000000x100"}, ["SwarmMemoryDiskFull"]),
    "a large disk with room": ({"swarm_memory_disk_utilization_ratio": "0.96x100",
                                "swarm_memory_disk_free_bytes": "20000000000x100"}, []),
    "errors": ({f'{CALLS}{{verb="put",code="ok"}}': "0+600x100",
                f'{CALLS}{{verb="put",code="engine_busy"}}': "0+60x100"}, ["SwarmMemoryErrors"]),
    "the first damage": ({f'{CALLS}{{verb="get",code="corrupt_value"}}': "_x80 1x20"},
                         ["SwarmMemoryDamage"]),
    "more damage": ({f'{CALLS}{{verb="get",code="damaged"}}': "1x60 2x40"}, ["SwarmMemoryDamage"]),
    "a failed backup": ({'swarm_memory_backups_total{result="failed"}': "_x80 1x20"},
                        ["SwarmMemoryBackupFailed"]),
    "slow calls": ({'swarm_memory_call_duration_seconds_bucket{verb="put",le="1.5"}': "0x100",
                    'swarm_memory_call_duration_seconds_bucket{verb="put",le="3"}': "0+60x100",
                    'swarm_memory_call_duration_seconds_bucket{verb="put",le="+Inf"}': "0+60x100"},
                   ["SwarmMemorySlow"]),
    "a wait": ({"swarm_memory_lease_wait_seconds": "0x50 90x50"}, ["SwarmMemoryLeaseWait"]),
    "a stuck consumer": ({'swarm_memory_queue_lapsed_seconds{queue="agent:b"}': "0x50 90x50"},
                         ["SwarmMemoryStuckConsumer"]),
    "dead letters": ({'swarm_memory_messages{state="dead"}': "2x100"}, ["SwarmMemoryDeadLetters"]),
}  # fmt: skip


def test_each_fault_raises_its_rule_and_no_other(promtool, tmp_path):
    alerts = re.findall(r"- alert: (\w+)", RULES.read_text())
    tried = {name for _, raised in FAULTS.values() for name in raised}
    assert set(alerts) == tried

    def series(name, value):
        about = "" if name.startswith("up") else 'swarm="s",'
        head, _, labels = name.partition("{")
        return {"series": f'{head}{{{about}instance="i",{labels or "}"}', "values": value}

    tests = [
        {
            "name": fault,
            "interval": "1m",
            "input_series": [series(name, value) for name, value in given.items()],
            "promql_expr_test": [
                {
                    "expr": f'count by (alertname) (ALERTS{{alertname="{alert}",'
                    'alertstate="firing"})',
                    "eval_time": "90m",
                    "exp_samples": [{"labels": f'{{alertname="{alert}"}}', "value": 1}]
                    if alert in raised
                    else [],
                }
                for alert in alerts
            ],
        }
        for fault, (given, raised) in FAULTS.items()
    ]
    file = tmp_path / "faults.yml"
    file.write_text(json.dumps({"rule_files": [str(RULES)], "tests": tests}))

    run = promtool("test", "rules", file)

    assert 0 == run.returncode, run.stdout + run.stderr
