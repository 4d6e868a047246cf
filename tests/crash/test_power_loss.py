"""Power loss at any moment: nothing acknowledged as durable is lost, nothing is half or twice.

Processes write, read, retry, move the log and die while a VFS records every change. Then images
of what a disk may hold after a power loss are made and opened by the engine (`images`,
`examine`). The planted faults prove that the simulator would see.
"""

import mutants
import pytest
from simulation import simulate

HISTORIES, IMAGES = 12, 430
FAULT_ROUNDS_MAX = 12  # a planted fault shows in some histories only


def test_power_loss_loses_nothing_that_was_acknowledged(quick_path):
    tally, examples = simulate(quick_path, histories=HISTORIES, images=IMAGES)

    assert ([], 0, 0) == (examples, tally["lost"], tally["broken"])
    assert tally["images"] >= 5000
    assert tally["deaths"] >= 2 * HISTORIES


@pytest.mark.long
def test_power_loss_in_many_histories(quick_path):
    tally, examples = simulate(quick_path, histories=200, images=510, calls=40, seed=2)

    assert ([], 0, 0) == (examples, tally["lost"], tally["broken"])
    assert tally["images"] >= 100_000


@pytest.mark.parametrize("mutant", mutants.ALL)
def test_the_simulator_sees_a_planted_fault(quick_path, mutant):
    for turn in range(FAULT_ROUNDS_MAX):
        tally, _ = simulate(quick_path, histories=2, images=150, mutant=mutant, seed=turn)
        if tally["lost"]:
            return
    pytest.fail(f"{mutant} was not found in {2 * FAULT_ROUNDS_MAX} histories")
