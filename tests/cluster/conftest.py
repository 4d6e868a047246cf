"""Clusters, each for the tests of one module: starting one takes half a minute."""

import os
import uuid

import pytest
from failovers import report, run, table

from swarm_memory.errors import EngineUnavailableError
from swarm_memory.testing.cluster import UnhealthyError, cluster

AGENTS = 2  # that have a host of their own beside those of the nodes
DISK_MB = 500


def made(**options):
    try:
        with cluster(**options) as running:
            yield running
    except UnhealthyError:
        raise
    except EngineUnavailableError as error:
        pytest.skip(f"no cluster: {error}")


@pytest.fixture(scope="module")
def three():
    """Return a cluster on this machine's loopback."""
    yield from made()


@pytest.fixture(scope="module")
def apart():
    """Return a cluster whose nodes are hosts, with two more for agents; their disks are small."""
    yield from made(hosts=3 + AGENTS, disk_mb=DISK_MB)


@pytest.fixture
def campaign(tmp_path, progress):
    """Return a function that runs a fault some times: nothing is lost, nothing done twice."""

    def campaign(running, fault):
        for number in range(int(os.environ.get("CLUSTER_RUNS", "1"))):
            folder = tmp_path / str(number)
            folder.mkdir()
            verdict = run(running, fault, f"t{uuid.uuid4().hex}", folder)
            if path := os.environ.get("CLUSTER_REPORT"):
                report(path, fault, verdict)
            line = {"fault": fault} | verdict._asdict()
            progress(table([line]).splitlines()[-1])
            assert ([], [], []) == (verdict.lost, verdict.twice, verdict.fences)

    return campaign
