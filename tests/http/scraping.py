"""What Prometheus does: ask for the metrics of a store, and read what it is told."""

import anyio
import httpx2
from prometheus_client.parser import text_string_to_metric_families
from starlette.applications import Starlette

from swarm_memory.doors.http.metrics import MetricsRoute


def ask(swarm, query="", **headers):
    """Return the response of the route of a swarm's door."""
    app = Starlette(routes=MetricsRoute(lambda: swarm).routes())

    async def get():
        transport = httpx2.ASGITransport(app)
        async with httpx2.AsyncClient(transport=transport, base_url="http://here") as client:
            return await client.get(f"/metrics{query}", headers=headers)

    return anyio.run(get)


def scrape(swarm, query=""):
    """Return the families of a scrape by their names."""
    response = ask(swarm, query)
    assert 200 == response.status_code, response.text
    return {f.name: f for f in text_string_to_metric_families(response.text)}


def values(families, name, **labels):
    """Return the values of a sample by the labels that were not given."""
    found = {}
    for family in families.values():
        for sample in family.samples:
            if sample.name == name and labels.items() <= sample.labels.items():
                rest = tuple(v for k, v in sorted(sample.labels.items()) if k not in labels)
                found[rest] = sample.value
    return found
