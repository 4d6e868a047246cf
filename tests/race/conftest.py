"""What the hostile scenarios share: a store, and processes that none outlives its test."""

import pytest
from hostile_processes import SWARM, Process

from swarm_memory import Swarm


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/memory.db"


@pytest.fixture
def swarm(url):
    with Swarm.open(url, agent="test", swarm=SWARM, durability="relaxed") as swarm:
        yield swarm


@pytest.fixture
def start(url):
    """Start processes that have opened the store, and let none outlive the test."""
    running = []

    def start(program, *parties):
        """`parties` are (agent, *arguments); all are waiting to be told to go on the return."""
        processes = [Process(program, url, *party) for party in parties]
        running.extend(processes)
        for process in processes:
            assert "ready" == process.hear()
        return processes

    yield start
    for process in running:
        process.popen.kill()
        process.popen.communicate()
