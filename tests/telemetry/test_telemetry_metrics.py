"""Metrics by OpenTelemetry: durations of what this process does, and what the store is like."""

import subprocess
import sys

import pytest

pytest.importorskip("opentelemetry.sdk", reason="opentelemetry-sdk is not installed")

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from swarm_memory import ConflictError, InvalidArgumentError, Swarm
from swarm_memory.monitor.metrics import catalogue, families_of
from swarm_memory.telemetry import instrument, observe
from swarm_memory.testing.filled import fill


@pytest.fixture
def reader():
    return InMemoryMetricReader()


@pytest.fixture
def provider(reader):
    provider = MeterProvider(metric_readers=[reader])
    yield provider
    provider.shutdown()


@pytest.fixture
def swarm(tmp_path):
    with Swarm.open(f"sqlite:///{tmp_path}/memory.db", agent="a", swarm="s") as swarm:
        yield swarm


def collected(reader):
    """Return the metrics of a collection by their names."""
    data = reader.get_metrics_data()
    scopes = [s for r in data.resource_metrics for s in r.scope_metrics] if data else []
    return {metric.name: metric for scope in scopes for metric in scope.metrics}


def test_how_long_operations_take_is_told_by_what_they_are_and_how_they_fail(
    swarm, provider, reader
):
    instrument(swarm, meter_provider=provider)
    swarm.records.put("a", 1, expect=0)
    swarm.as_agent("b").records.put("b", 1, expect=0)
    with pytest.raises(ConflictError):
        swarm.records.put("a", 2, expect=0)

    metric = collected(reader)["gen_ai.client.operation.duration"]

    counts = {frozenset(p.attributes.items()): p.count for p in metric.data.data_points}
    about = {
        ("gen_ai.operation.name", "create_memory"),
        ("gen_ai.memory.store.id", "s"),
    }
    assert {
        frozenset(about): 2,
        frozenset({*about, ("error.type", "conflict")}): 1,
    } == counts
    assert "s" == metric.unit
    assert all(0 < point.sum < 60 for point in metric.data.data_points)


def test_the_store_is_observed_as_it_is(swarm, provider, reader):
    swarm.records.put("notes/1", 1)
    swarm.records.put("notes/1", 2)
    swarm.context.meter.hand_in()
    observe(swarm, meter_provider=provider)

    metrics = collected(reader)

    (records,) = metrics["swarm_memory.records"].data.data_points
    assert (1, {"swarm_memory.swarm": "s"}) == (records.value, dict(records.attributes))
    (calls,) = metrics["swarm_memory.calls"].data.data_points
    assert (2, "put", "ok") == (
        calls.value,
        calls.attributes["swarm_memory.verb"],
        calls.attributes["swarm_memory.code"],
    )
    assert metrics["swarm_memory.calls"].data.is_monotonic
    assert ("By", "s", "1") == tuple(
        metrics[f"swarm_memory.{name}"].unit for name in ("used", "message_age", "utilization")
    )


def test_a_store_that_cannot_be_asked_has_no_numbers_and_that_is_said_once(
    swarm, provider, reader, caplog
):
    observe(swarm, meter_provider=provider)
    swarm.close()

    assert {} == collected(reader)
    assert 1 == len([r for r in caplog.records if "Callback failed" in r.getMessage()])


def test_the_swarm_of_a_server_is_not_observed_here(tmp_path, provider):
    pytest.importorskip("uvicorn", reason="the extra [server] is not installed")
    from swarm_memory.testing.served import Server

    server = Server(lambda: Swarm.open(f"sqlite:///{tmp_path}/served.db"))
    with Swarm.open(server.url) as swarm, pytest.raises(InvalidArgumentError, match=server.url):
        observe(swarm, meter_provider=provider)
    server.close()


def test_the_catalogue_has_every_family_that_a_store_tells(swarm):
    fill(swarm)
    swarm.messages.send({}, to="z", attempts_max=1)
    swarm.as_agent("z").messages.claim()[0].nack()
    swarm.monitor.take()
    known = {family.name: family for family in catalogue()}

    told = families_of([("s", swarm.monitor)])

    assert len(known) == len(catalogue())
    assert [] == [f.name for f in told if f._replace(points={}) != known.get(f.name)]


def test_nothing_of_opentelemetry_is_imported_by_who_does_not_ask_for_it(tmp_path):
    program = (
        "import sys\nfrom swarm_memory import Swarm\n"
        f"with Swarm.open('sqlite:///{tmp_path}/memory.db') as swarm:\n"
        "    swarm.records.put('a', 1)\n    swarm.monitor.take()\n"
        "print([n for n in sys.modules if n.startswith(('opentelemetry', 'prometheus'))])"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert ("[]\n", "") == (run.stdout, run.stderr)
