"""A cluster of three loses what it can lose, while agents work: nothing acknowledged is lost.

CLUSTER_RUNS is how often each fault is tried, and CLUSTER_REPORT a file for what was measured.
"""

import pytest

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
