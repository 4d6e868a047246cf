"""A cluster of three loses what it can lose, while agents work: nothing acknowledged is lost.

CLUSTER_RUNS is how often each fault is tried, and CLUSTER_REPORT a file for what was measured.
"""

import pytest
from failovers import Crew

pytestmark = pytest.mark.cluster


@pytest.mark.parametrize("fault", ["process killed", "node killed", "switchover"])
def test_agents_work_through_a_failover(campaign, three, fault):
    campaign(three, fault)


@pytest.mark.long
@pytest.mark.parametrize(
    "fault", ["primary frozen", "leader of etcd frozen", "majority of etcd frozen"]
)
def test_agents_work_through_what_is_frozen(campaign, three, fault):
    campaign(three, fault)


@pytest.mark.long
def test_a_commit_that_was_cancelled_before_a_standby_had_it_is_not_acknowledged(campaign, three):
    campaign(three, "commits cancelled")


@pytest.mark.long
def test_who_does_not_wait_for_the_standbys_loses_what_was_acknowledged(three, tmp_path):
    # The bug that all of this is there to find, planted.
    three.wait_healthy()
    former = three.primary()
    with Crew(three.url("hasty"), tmp_path) as crew:
        crew.start("hasty")
        crew.get_on()
        three.freeze_patroni(former)
        three.cut_standbys_off(former)
        crew.get_on()
        crew.kill()
        three.kill_node(former)
        three.thaw()
        three.start_node(former)
        three.wait_healthy()
        verdict = crew.verdict()

    assert [] != verdict.lost
