"""What the tests of the adapters share."""

import pytest


@pytest.fixture(params=["file", "postgresql"])
def shared_url(request, tmp_path):
    """Return the URL of a store that several processes can open, on each engine."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path}/memory.db"
