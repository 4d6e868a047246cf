"""Metrics: what Prometheus is told is what happened, whoever did it and whoever is asked."""

import contextlib
from pathlib import Path

import pytest

pytest.importorskip("mcp", reason="the extra [server] is not installed")
pytest.importorskip("prometheus_client", reason="the extra [server] is not installed")

import httpx2
from hook_replay import WAIT_S
from prometheus_client.openmetrics import parser as open_metrics
from scraping import ask, scrape, values

from swarm_memory import NotFoundError, Swarm
from swarm_memory.doors.http.metrics import SWARMS_MAX
from swarm_memory.meter import bucket_of
from swarm_memory.monitor.metrics import BOUNDS_S, GAUGES, LEFT_OUT, STATES, _histogram
from swarm_memory.monitor.sample import GROUP_MAX
from swarm_memory.testing import ManualClock
from swarm_memory.testing.filled import fill

DOCS = Path(__file__).resolve().parents[2] / "docs"


@pytest.fixture
def swarm(engine_url):
    with Swarm.open(engine_url, agent="a", swarm="s") as swarm:
        yield swarm


@pytest.fixture
def stored(tmp_path):
    """What opens doors of other processes to one store: each has a meter of its own."""
    with contextlib.ExitStack() as doors:
        yield lambda: doors.enter_context(
            Swarm.open(f"sqlite:///{tmp_path}/memory.db", agent="a", swarm="s")
        )


def calls(families, **labels):
    return values(families, "swarm_memory_calls_total", **labels)


# --- what is told ---


def test_calls_are_counted_by_verb_and_by_how_they_ended(swarm):
    for n in range(3):
        swarm.records.put(f"notes/{n}", n)
    swarm.records.get("notes/0")
    with pytest.raises(NotFoundError):
        swarm.records.rollback("notes/none", 1)
    swarm.context.meter.hand_in()

    families = scrape(swarm)

    assert {("ok", "get"): 1, ("ok", "put"): 3, ("not_found", "rollback"): 1} == calls(
        families, swarm="s"
    )
    durations = values(families, "swarm_memory_call_duration_seconds_count", swarm="s")
    assert {("get",): 1, ("put",): 3} == durations


def test_no_counter_falls_when_a_sample_takes_what_was_called(swarm):
    def counters():
        swarm.context.meter.hand_in()
        families = scrape(swarm).values()
        return {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in families
            if family.type in ("counter", "histogram")
            for sample in family.samples
        }

    swarm.records.put("notes/1", 1)
    first = counters()
    swarm.monitor.take()
    second = counters()
    swarm.records.put("notes/1", 2)
    third = counters()
    swarm.monitor.take()

    assert all(second[point] >= value for point, value in first.items())
    assert all(third[point] >= value for point, value in second.items())
    assert 2 == calls(scrape(swarm), verb="put", code="ok", swarm="s")[()]


def test_each_sample_has_what_was_called_since_the_one_before(swarm):
    swarm.records.put("notes/1", 1)
    first = swarm.monitor.take().sample
    swarm.records.put("notes/1", 2)
    swarm.records.put("notes/1", 3)
    second = swarm.monitor.take().sample
    third = swarm.monitor.take().sample

    assert (1, 2, 0) == (first.calls("put"), second.calls("put"), third.calls("put"))


def test_the_calls_of_all_processes_are_told_whoever_is_asked(stored):
    one, other = stored(), stored()
    one.records.put("notes/1", 1)
    other.records.put("notes/2", 2)
    for door in (one, other):
        door.context.meter.hand_in()

    assert [{("ok", "put"): 2}] * 2 == [calls(scrape(door), swarm="s") for door in (one, other)]


def test_gauges_are_those_of_the_newest_sample(swarm):
    swarm.records.put("notes/1", 1)
    sample = swarm.monitor.take().sample
    swarm.records.put("notes/2", 2)

    families = scrape(swarm)

    assert {(): 1} == values(families, "swarm_memory_records", swarm="s")
    taken = values(families, "swarm_memory_sample_timestamp_seconds", swarm="s")[()]
    assert sample.at_ms / 1000 == pytest.approx(taken, abs=0.001)


def test_where_nobody_takes_samples_gauges_are_those_of_the_moment(swarm):
    swarm.records.put("notes/1", 1)

    families = scrape(swarm)

    assert {(): 1} == values(families, "swarm_memory_records", swarm="s")
    assert {} == values(families, "swarm_memory_sample_timestamp_seconds")


def test_gauges_of_an_old_sample_are_not_told(tmp_path):
    clock = ManualClock()
    with Swarm.open(f"sqlite:///{tmp_path}/memory.db", swarm="s", clock=clock) as swarm:
        swarm.monitor.take()
        swarm.records.put("notes/1", 1)
        clock.advance(120)
        assert {(): 0} == values(scrape(swarm), "swarm_memory_records", swarm="s")
        clock.advance(0.001)

        assert {(): 1} == values(scrape(swarm), "swarm_memory_records", swarm="s")


def test_every_swarm_in_which_something_is_called_has_its_own_points(swarm):
    for name in ("t", "u"):
        swarm.as_agent("b", swarm=name).records.put("notes/1", 1)
    for meter in swarm._meters.values():
        meter.hand_in()

    assert {("s",), ("t",), ("u",)} == set(values(scrape(swarm), "swarm_memory_records"))
    assert {("u",)} == set(values(scrape(swarm, "?swarm=u"), "swarm_memory_records"))


def test_agents_are_labels_only_as_far_as_a_sample_tells_of_them(swarm):
    for n in range(GROUP_MAX + 5):
        swarm.records.put(f"swarm-s/agent-{n:02}/state", {"n": n})

    families = scrape(swarm)

    assert GROUP_MAX == len(values(families, "swarm_memory_agent_records", swarm="s"))
    assert GROUP_MAX == len(values(families, "swarm_memory_agent_used_bytes", swarm="s"))


def test_alerts_are_told_by_their_rule(swarm):
    swarm.messages.send({}, to="b", attempts_max=1)
    swarm.as_agent("b").messages.claim()[0].nack()
    swarm.monitor.take()

    told = values(scrape(swarm), "swarm_memory_alerts", swarm="s", state="open")

    assert {("dead_letters", "warning"): 1} == told


def test_a_duration_is_counted_on_its_own_side_of_every_bound():
    for octave, bound_s in zip(range(14, 35), BOUNDS_S, strict=True):
        below, above = bucket_of(2**octave - 1), bucket_of(2**octave)
        upto, seconds = _histogram({below: 1, above: 1})
        within = sum(1 for bound in BOUNDS_S if bound < bound_s)

        assert [0] * within + [1] + [2] * (len(BOUNDS_S) - within) == upto
        assert 2 * bound_s == pytest.approx(seconds, rel=0.125)


# --- how it is told ---


@pytest.mark.parametrize(
    ("accept", "kind"),
    [
        (None, "text/plain; version=0.0.4; charset=utf-8"),
        ("*/*", "text/plain; version=0.0.4; charset=utf-8"),
        ("application/openmetrics-text; version=1.0.0", "application/openmetrics-text"),
        ("application/openmetrics-text;q=0.5,text/plain;q=0.6", "text/plain"),
        ("application/openmetrics-text;version=1.0.0;q=0.8,text/plain;q=0.5,*/*;q=0.1",
         "application/openmetrics-text"),
        ("application/openmetrics-text;q=0", "text/plain"),
        ("application/openmetrics-text;version=none;q=x", "text/plain"),
    ],
)  # fmt: skip
def test_the_format_is_the_one_that_is_asked_for(accept, kind, stored):
    response = ask(stored(), **({} if accept is None else {"Accept": accept}))

    assert 200 == response.status_code
    assert response.headers["content-type"].startswith(kind)


def test_a_store_with_something_of_everything_is_valid_open_metrics(stored):
    swarm = stored()
    fill(swarm)
    swarm.monitor.take()

    response = ask(swarm, Accept="application/openmetrics-text")

    families = list(open_metrics.text_string_to_metric_families(response.text))
    assert {"gauge", "counter", "histogram", "info"} == {family.type for family in families}
    assert response.text.endswith("# EOF\n")


def test_names_with_quotes_and_line_ends_stay_within_their_label(stored):
    swarm = stored()
    name = 'b"} 1\nswarm_memory_records{swarm="\\x'
    swarm.messages.send({}, to=name)

    assert {(f"agent:{name}",): 1} == values(
        scrape(swarm), "swarm_memory_queue_messages", swarm="s"
    )


def test_too_many_swarms_and_names_that_are_none_are_refused(stored):
    swarm = stored()
    many = "&".join(f"swarm=s{n}" for n in range(SWARMS_MAX + 1))

    assert [400, 400] == [ask(swarm, query).status_code for query in (f"?{many}", "?swarm=")]


def test_a_store_that_cannot_be_asked_is_a_failed_scrape(stored):
    swarm = stored()
    swarm.close()

    assert 503 == ask(swarm).status_code


def test_the_server_tells_its_metrics_only_to_those_who_bear_the_token(served):
    served.start(SWARM_MEMORY_TOKEN="secret")
    url = f"{served.base}/metrics"

    refused = httpx2.get(url, timeout=WAIT_S)
    told = httpx2.get(url, headers={"Authorization": "Bearer secret"}, timeout=WAIT_S)

    assert (401, 200) == (refused.status_code, told.status_code)
    assert "swarm_memory_build_info{" in told.text


# --- what people read ---


def test_every_gauge_of_a_sample_has_a_name_a_unit_and_a_text(stored):
    swarm = stored()
    fill(swarm)

    gauges = {g for g in swarm.monitor.take().sample.gauges if not g.startswith(STATES)}

    assert set() == gauges - GAUGES.keys() - LEFT_OUT


def test_every_metric_is_explained(stored):
    swarm = stored()
    fill(swarm)
    swarm.messages.send({}, to="b", attempts_max=1)
    swarm.as_agent("b").messages.claim(limit=10)
    swarm.monitor.take()
    explained = (DOCS / "metrics.md").read_text()

    families = scrape(swarm)

    told = {name + ("_total" if f.type == "counter" else "") for name, f in families.items()}
    assert [] == sorted(name for name in told if f"`{name}`" not in explained)
