"""Pictures of the dashboard, light and dark: `python tools/dashboard_pictures.py FOLDER`.

Of a scene that it plays into a store of its own, or of the server whose URL and token it is given:
`FOLDER URL TOKEN SWARM`. Needs Chromium and the extra [test].
"""

import shutil
import sys
import tempfile
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
SIZE = {"width": 1440, "height": 900}


def take(folder, base, token, swarm):
    """Write FOLDER/PAGE-SCHEME.png for each page."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        path = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        for scheme in ("light", "dark"):
            context = browser.new_context(color_scheme=scheme, viewport=SIZE)
            page = context.new_page()
            page.goto(f"{base}/ui/#token={token}&swarm={swarm}")
            for name, where in PAGES.items():
                page.locator("#live[data-state=live]").wait_for()
                page.goto(f"{base}/ui/#/{where}{'&' if '?' in where else '?'}swarm={swarm}")
                page.locator("main .card").first.wait_for()
                page.wait_for_timeout(600)  # until the plot is drawn
                page.screenshot(path=folder / f"{name}-{scheme}.png")
                sys.stdout.write(f"{folder / name}-{scheme}.png\n")
        browser.close()


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
