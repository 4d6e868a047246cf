"""A million leases, taken in all ways by processes that are stopped and killed: no two inside."""

from types import SimpleNamespace

import pytest
from campaign import SWARM, WRITTEN, Board, Campaign, Player, now_ns

from swarm_memory import Swarm

SECOND_NS = 1_000_000_000


def check(result, acquisitions):
    assert [] == result.errors
    assert [] == result.violations
    assert [] == result.inversions
    assert acquisitions <= result.counts["acquisitions"]
    assert all(result.counts[name] > 0 for name in ("writes", "upgrades", "renewals", "ended"))
    assert result.kills > 0
    assert result.stops > 0


def test_eight_processes_take_20_000_leases_and_none_meets_another_inside(tmp_path):
    campaign = Campaign(tmp_path, processes=8, names=32, acquisitions=20_000, disturb_every=4_500)

    check(campaign.run(), 20_000)


@pytest.mark.long
@pytest.mark.parametrize(
    ("processes", "names", "acquisitions", "disturb_every"),
    [(8, 24, 700_000, 5_000), (16, 32, 200_000, 5_000), (64, 128, 100_000, 1_000)],
)
def test_a_million_leases_and_none_meets_another_inside(
    tmp_path, progress, processes, names, acquisitions, disturb_every
):
    campaign = Campaign(
        tmp_path,
        processes=processes,
        names=names,
        acquisitions=acquisitions,
        disturb_every=disturb_every,
    )

    result = campaign.run(progress)

    progress(
        f"{result.counts}, {len(result.violations)} violations, {result.kills} killed, "
        f"{result.stops} stopped"
    )
    check(result, acquisitions)
    assert result.counts["lost"] > 0
    assert result.counts["refused"] > 0


# --- the detector itself ---


@pytest.fixture
def players(tmp_path):
    board = Board(f"{tmp_path}/board", 2, 1)
    with Swarm.open(f"sqlite:///{tmp_path}/memory.db", swarm=SWARM, session="s") as swarm:
        yield [Player(swarm, board, process, tmp_path, process) for process in range(2)]


def lease(mode, token):
    return SimpleNamespace(name="0", mode=mode, token=token, ttl_s=1.0)


@pytest.mark.parametrize(
    ("first", "second", "first_age_ns", "second_age_ns", "accused"),
    [
        (lease("read", 1), lease("read", 2), 0, 0, False),
        (lease("read", 1), lease("write", 2), 0, 0, True),
        (lease("write", 1), lease("read", 2), 0, 0, True),
        (lease("exclusive", 1), lease("exclusive", 2), 0, 0, True),
        (lease("exclusive", 1), lease("exclusive", 2), 2 * SECOND_NS, 0, False),  # lapsed
        (lease("exclusive", 2), lease("exclusive", 1), 2 * SECOND_NS, 0, True),  # token fell
        (lease("exclusive", 1), lease("exclusive", 1), 2 * SECOND_NS, 0, True),  # token again
        (lease("read", 2), lease("read", 1), 0, 0, False),  # let in together
        (lease("exclusive", 2), lease("exclusive", 1), 0, 2 * SECOND_NS, False),  # came late
    ],
)
def test_who_meets_whom_inside_is_seen(
    players, tmp_path, first, second, first_age_ns, second_age_ns, accused
):
    players[0].enter(first, now_ns() - first_age_ns)
    players[1].enter(second, now_ns() - second_age_ns)

    assert accused == bool((tmp_path / "violations").read_text())


@pytest.mark.parametrize(
    ("mine", "theirs", "inversions"),
    [
        ([(0, 1, 5), (0, 3, 5)], [(0, 2, 5), (1, 4, 1)], 0),
        ([(0, 1, 5), (0, 3, 6)], [(0, 2, 6)], 0),
        ([(0, 1, 5), (0, 3, 5)], [(0, 2, 6)], 1),  # 5 wrote after 6
        ([(0, 1, 5)], [(0, 1, 6)], 1),  # one version was given twice
    ],
)
def test_a_write_that_came_too_late_is_seen(tmp_path, mine, theirs, inversions):
    campaign = Campaign(tmp_path, processes=2, names=2, acquisitions=1, disturb_every=1)
    for process, writes in enumerate([mine, theirs]):
        lines = b"".join(WRITTEN.pack(*write) for write in writes)
        (tmp_path / f"written-{process}").write_bytes(lines)

    assert inversions == len(campaign.inversions())
