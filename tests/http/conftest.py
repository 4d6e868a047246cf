"""A server as somebody starts it: a real process on a free port."""

import pytest

pytest.importorskip("mcp", reason="the extra [server] is not installed")

from http_stage import HttpStage


@pytest.fixture
def served(tmp_path):
    stage = HttpStage(tmp_path / "stage")
    yield stage
    stage.kill()


@pytest.fixture
def server(served):
    """A stage whose server runs."""
    return served.start()
