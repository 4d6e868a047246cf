"""Nodes that are hosts: cut off from each other, with full disks, and seen from other hosts."""

import pytest
from failover_worker import SWARM
from failovers import Crew

from swarm_memory import Swarm

pytestmark = pytest.mark.cluster
FIRST_AGENT = 4  # the number of its host


@pytest.mark.long
@pytest.mark.parametrize("fault", ["primary cut off", "disk full"])
def test_agents_work_through_the_loss_of_a_network_or_a_disk(campaign, apart, fault):
    campaign(apart, fault)


@pytest.mark.long
def test_agents_on_two_hosts_notice_no_more_of_a_failover_than_a_pause(apart, tmp_path):
    apart.wait_healthy()
    url = apart.url("pause")
    with Crew(url, tmp_path) as crew, Swarm.open(url, agent="quiet", swarm=SWARM) as quiet:
        for number, roles in enumerate([("count", "send"), ("count", "receive")]):
            crew.start(*roles, inside=apart.network.inside(FIRST_AGENT + number))
        crew.get_on()
        former = apart.primary()
        apart.kill_node(former)
        with Swarm.open(url, agent="late", swarm=SWARM) as late:  # begins while nobody leads
            late.records.put("notes/late", 1)
        crew.get_on()
        # Whose connection was lost while it asked nothing.
        quiet.messages.send("after", to="late")
        apart.start_node(former)
        crew.stop()
        verdict = crew.verdict()

    assert {} == verdict.errors
    assert ([], [], []) == (verdict.lost, verdict.twice, verdict.fences)
