"""Nodes that are hosts: cut off from each other, with full disks, and seen from other hosts."""

import pytest
from failovers import Crew

pytestmark = pytest.mark.cluster
FIRST_AGENT = 4  # the number of its host


@pytest.mark.long
@pytest.mark.parametrize("fault", ["primary cut off", "disk full"])
def test_agents_work_through_the_loss_of_a_network_or_a_disk(campaign, apart, fault):
    campaign(apart, fault)


@pytest.mark.long
def test_agents_on_two_hosts_notice_no_more_of_a_failover_than_a_pause(apart, tmp_path):
    apart.wait_healthy()
    with Crew(apart.url("pause"), tmp_path) as crew:
        for number, roles in enumerate([("count", "send"), ("count", "receive")]):
            crew.start(*roles, inside=apart.network.inside(FIRST_AGENT + number))
        crew.get_on()
        former = apart.primary()
        apart.kill_node(former)
        crew.get_on()
        apart.start_node(former)
        crew.stop()
        verdict = crew.verdict()

    assert {} == verdict.errors
    assert ([], [], []) == (verdict.lost, verdict.twice, verdict.fences)
