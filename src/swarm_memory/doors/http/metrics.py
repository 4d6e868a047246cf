"""The route of Prometheus: the metrics of the store's swarms as text, or as OpenMetrics.

Which of the two is negotiated by `Accept`. Nothing is kept between two scrapes, and nothing is
entered in a global registry: what is counted is counted in the store, over all processes.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import anyio
from anyio import to_thread
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from swarm_memory.checks import check_name
from swarm_memory.errors import HTTP_STATUS, SwarmMemoryError
from swarm_memory.monitor.metrics import BOUNDS_S, COUNTER, HISTOGRAM, families_of
from swarm_memory.swarm import NAME_BYTES_MAX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from starlette.requests import Request

    from swarm_memory.monitor.metrics import Family
    from swarm_memory.swarm import Swarm

PATH = "/metrics"
PREFIX = "swarm_memory_"
AGENT = "metrics"
SWARMS_MAX = 100  # of one scrape; ?swarm= asks for others
OPEN_METRICS = "application/openmetrics-text"
SCRAPES_MAX = 2  # at once; a third waits


class MetricsRoute:
    """Answers scrapes.

    Args:
        door: Returns the server's door to the store, which it opens if need be.
    """

    def __init__(self, door: Callable[[], Swarm]) -> None:
        self._door = door
        self._working = anyio.CapacityLimiter(SCRAPES_MAX)

    def routes(self) -> list[Route]:
        """Return `GET /metrics`."""
        return [Route(PATH, self._metrics, methods=["GET"])]

    async def _metrics(self, request: Request) -> Response:
        named = list(dict.fromkeys(request.query_params.getlist("swarm")))
        if len(named) > SWARMS_MAX:
            return PlainTextResponse(f"name {SWARMS_MAX} swarms at most\n", 400)
        encode, kind = _encoder(",".join(request.headers.getlist("accept")))
        try:
            families = await to_thread.run_sync(self._families, named, limiter=self._working)
        except SwarmMemoryError as error:
            # A scrape that fails is seen as `up` at 0, which numbers of no store would not be.
            return PlainTextResponse(f"{error}\n", HTTP_STATUS[error.code])
        return Response(encode(_Collected(families)), headers={"Content-Type": kind})

    def _families(self, named: list[str]) -> list[Family]:
        door = self._door()
        for name in named:
            check_name("swarm", name, NAME_BYTES_MAX)
        own = door.context.swarm
        known = named or [own, *(n for n in door.monitor.known_swarms() if n != own)][:SWARMS_MAX]
        doors = [door.as_agent(AGENT, swarm=name) for name in known]
        return families_of((each.context.swarm, each.monitor) for each in doors)


class _Collected:
    """Families as the client library of Prometheus takes them; stands in for its registry."""

    def __init__(self, families: list[Family]) -> None:
        self._families = families

    def collect(self) -> Iterator[Any]:
        """Return each family with its points."""
        from prometheus_client.core import InfoMetricFamily

        about = InfoMetricFamily(f"{PREFIX}build", "The server.")
        about.add_metric((), {"version": version("swarm-memory")})
        yield about
        for family in self._families:
            yield _collected(family)


def _collected(family: Family) -> Any:
    from prometheus_client.core import (
        CounterMetricFamily,
        GaugeMetricFamily,
        HistogramMetricFamily,
    )

    kinds: dict[str, Any] = {COUNTER: CounterMetricFamily, HISTOGRAM: HistogramMetricFamily}
    made: Any = kinds.get(family.kind, GaugeMetricFamily)(
        PREFIX + family.name, family.text, labels=family.labels, unit=family.unit
    )
    for labels, value in family.points.items():
        if isinstance(value, tuple):
            upto, seconds = value
            bounds = [*(repr(bound) for bound in BOUNDS_S), "+Inf"]
            made.add_metric(labels, list(zip(bounds, upto, strict=True)), seconds)
        else:
            made.add_metric(labels, value)
    return made


def _encoder(accept: str) -> tuple[Callable[[Any], bytes], str]:
    """Return what writes the format that an `Accept` would rather have, and its media type."""
    # Not before a scrape: a server that nobody scrapes does without the library.
    from prometheus_client import exposition
    from prometheus_client.openmetrics import exposition as open_metrics

    wanted = {"text/plain": 0.0, OPEN_METRICS: 0.0}
    for part in accept.split(","):
        kind, *parameters = (word.strip().lower() for word in part.split(";"))
        if kind in wanted:
            wanted[kind] = max(wanted[kind], _quality(parameters))
    if wanted[OPEN_METRICS] and wanted[OPEN_METRICS] >= wanted["text/plain"]:
        return open_metrics.generate_latest, open_metrics.CONTENT_TYPE_LATEST
    return exposition.generate_latest, exposition.CONTENT_TYPE_PLAIN_0_0_4


def _quality(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name == "q":
            try:
                return float(value)
            except ValueError:
                return 0.0
    return 1.0
