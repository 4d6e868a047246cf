"""Whole sessions are remembered by a server as they are by processes."""

import pytest
from hook_replay import DEVELOPED, HELD_OUT, Stage, memory, recorded, replay


@pytest.mark.parametrize("path", [*DEVELOPED, *HELD_OUT], ids=lambda path: path.stem)
def test_a_server_remembers_what_processes_do(path, server, tmp_path):
    _, lines = recorded(path)
    by_processes = Stage(tmp_path / "other")  # as long a name: what is kept counts bytes of paths

    replay(server, lines, processes=True)
    replay(by_processes, lines, processes=True)

    assert [] == server.failures()
    assert memory(by_processes) == memory(server)
