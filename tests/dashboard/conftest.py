"""The dashboard in a real Chromium, on servers that are processes, on one store.

Each test has a swarm of its own, so that all share the servers and the browser, which take seconds
to start.
"""

import itertools
import shutil
from types import SimpleNamespace

import pytest

pytest.importorskip("mcp", reason="the extra [server] is not installed")

import scene
from dashboard_stage import Server

from swarm_memory import Swarm

TOKEN = "a-token-for-tests"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
WAIT_MS = 5000
numbers = itertools.count(1)


@pytest.fixture(scope="session")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dashboard")
    return SimpleNamespace(folder=folder, url=f"sqlite:///{folder}/memory.db")


def _serving(place, token):
    server = Server(place.url, place.folder, token)
    try:
        yield server.start()
    finally:
        server.kill()


@pytest.fixture(scope="session")
def acting(place):
    """A server with a token: people may change something."""
    yield from _serving(place, TOKEN)


@pytest.fixture(scope="session")
def reading(place):
    """A server without a token."""
    yield from _serving(place, None)


@pytest.fixture
def swarm(place):
    """A door to a swarm that nobody else has."""
    with Swarm.open(place.url, agent="writer", swarm=f"test-{next(numbers)}") as door:
        yield door


@pytest.fixture(scope="session")
def scenery(place):
    """The name of a swarm at work."""
    scene.play(place.url)
    return scene.SWARM


# Not for the whole session: as long as it is there, playwright keeps an event loop running, and no
# test of another module could begin one.
@pytest.fixture(scope="module")
def browser():
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("there is no Chromium: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        # Root, as which tests run in containers, has no sandbox.
        opened = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def page(browser):
    """A page; at the end nothing may stand in its console that the test did not take out."""
    context = browser.new_context(viewport={"width": 1400, "height": 900})
    page = context.new_page()
    page.set_default_timeout(WAIT_MS)
    page.problems = []
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on(
        "console",
        lambda said: said.type in ("error", "warning") and page.problems.append(said.text),
    )
    page.on("dialog", lambda dialog: (page.problems.append("a dialog"), dialog.dismiss()))
    yield page
    context.close()
    assert [] == page.problems


@pytest.fixture
def show(page):
    """What opens a page of the dashboard and waits until it is live."""

    def show(server, where, swarm):
        separator = "&" if "?" in where else "?"
        if server.token:
            page.goto(f"{server.base}/ui/#token={server.token}&swarm={swarm}")
            page.locator("#live[data-state=live]").wait_for()
        page.goto(f"{server.base}/ui/#/{where}{separator}swarm={swarm}")
        page.locator("#live[data-state=live]").wait_for()
        return page

    return show
