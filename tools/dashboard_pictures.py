"""Pictures of every page of the dashboard: `python tools/dashboard_pictures.py FOLDER`.

Light and dark, 1440 and 400 pixels wide, of a scene that it plays into a store of its own, and of
a swarm in which nothing has happened; or of the server whose URL and token it is given:
`FOLDER URL TOKEN SWARM`. Needs Chromium and the extra [test]; takes a few seconds.
"""

import shutil
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

TESTS = Path(__file__).resolve().parents[1] / "tests" / "dashboard"
PAGES = {
    "now": "now",
    "memory": "memory",
    "record": "memory?key=config/payment&version=3",
    "search": "memory?q=payment%20callbacks",
    "shown": "shown",
    "conflicts": "conflicts",
    "messages": "messages",
    "locks": "locks",
    "learning": "learning",
    "health": "health",
}
EMPTY = "nothing-yet"
WIDTHS = (1440, 400)
HEIGHT = 900
DRAWN_S, LOOKS, LOOK_MS = 30, 4, 40
# A plot is drawn when its code has come, and what outcomes say is asked for last.
DRAWN = """[...document.querySelectorAll('.canvas')].every((each) => each.querySelector('canvas'))
  && !document.body.textContent.includes('Reading the outcomes')"""


def take(folder, base, token, swarm):
    """Write FOLDER/PAGE-SCHEME-WIDTH.png for each page, and EMPTY-PAGE-… of a swarm without all."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_context(reduced_motion="reduce").new_page()
        page.goto(f"{base}/ui/#token={token}&swarm={swarm}")
        page.locator("#live[data-state=live]").wait_for()
        for name, where in PAGES.items():
            _show(page, base, where, swarm)
            _picture(page, folder, name)
        for name, where in PAGES.items():
            if name not in ("record", "search"):
                _show(page, base, where, EMPTY)
                _picture(page, folder, f"empty-{name}")
        browser.close()


def _show(page, base, where, swarm):
    page.goto(f"{base}/ui/#/{where}{'&' if '?' in where else '?'}swarm={swarm}")
    page.locator("main .card").first.wait_for()
    page.locator("#live[data-state=live]").wait_for()


def _picture(page, folder, name):
    for width in WIDTHS:
        page.set_viewport_size({"width": width, "height": HEIGHT})
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            _until_drawn(page)
            file = folder / f"{name}-{scheme}-{width}.png"
            # What is narrow is long: all of it is looked at.
            page.screenshot(path=file, full_page=width < HEIGHT)
            sys.stdout.write(f"{file}\n")


def _until_drawn(page):
    # Not `wait_for_function`: what it polls with is evaluated in the page, whose policy forbids it.
    # Several times in a row: what has not been begun looks as what is done.
    deadline, drawn = time.monotonic() + DRAWN_S, 0
    while drawn < LOOKS:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{page.url} is not drawn after {DRAWN_S} s")
        drawn = drawn + 1 if page.evaluate(DRAWN) else 0
        page.wait_for_timeout(LOOK_MS)


def main(folder, *served):
    """Take the pictures of a server, or of one that is started here."""
    if served:
        take(Path(folder), *served)
        return
    sys.path.insert(0, str(TESTS))
    import scene
    from dashboard_stage import Server

    with tempfile.TemporaryDirectory() as place:
        url = f"sqlite:///{place}/memory.db"
        scene.play(url)
        server = Server(url, place, "for-pictures").start()
        try:
            take(Path(folder), server.base, server.token, scene.SWARM)
        finally:
            server.kill()


if __name__ == "__main__":
    main(*sys.argv[1:])
