"""Power loss at any moment: nothing acknowledged as durable is lost, nothing is half or twice.

Processes write, read, retry, move the log and die while a VFS records every change (`workload`,
`recording_vfs`). Then images of what a disk may hold after a power loss are made (`images`) and
opened by the engine (`examine`). The planted faults prove that the simulator would see.
"""

import mutants
import pytest
from simulation import simulate

HISTORIES, IMAGES = 12, 430
FAULT_ROUNDS_MAX = 15  # a planted fault does not show in every history


def assert_nothing_lost(tally, examples):
    assert ([], 0, 0) == (examples, tally["lost"], tally["broken"])


def test_power_loss_loses_nothing_that_was_acknowledged(tmp_path, quick_path):
    tally, examples = simulate(tmp_path, quick_path, histories=HISTORIES, images=IMAGES)

    assert_nothing_lost(tally, examples)
    assert tally["images"] >= 5000
    assert tally["deaths"] >= 5 * HISTORIES


@pytest.mark.parametrize("protocol", ["direct", "mixed"])
def test_power_loss_where_some_or_all_processes_sync_for_themselves(tmp_path, quick_path, protocol):
    assert_nothing_lost(*simulate(tmp_path, quick_path, histories=3, images=150, protocol=protocol))


@pytest.mark.long
@pytest.mark.parametrize("protocol", ["shared", "mixed"])
def test_power_loss_in_many_histories(tmp_path, quick_path, protocol):
    histories, images = (200, 510) if protocol == "shared" else (40, 510)
    tally, examples = simulate(
        tmp_path,
        quick_path,
        histories=histories,
        images=images,
        calls=40,
        seed=2,
        protocol=protocol,
    )

    assert_nothing_lost(tally, examples)
    assert tally["images"] == histories * images


@pytest.mark.parametrize("mutant", mutants.ALL)
def test_the_simulator_sees_a_planted_fault(tmp_path, quick_path, mutant):
    for turn in range(FAULT_ROUNDS_MAX):
        tally, _ = simulate(tmp_path, quick_path, histories=2, images=300, mutant=mutant, seed=turn)
        if tally["lost"] or tally["broken"]:
            return
    pytest.fail(f"{mutant} was not found in {2 * FAULT_ROUNDS_MAX} histories")
