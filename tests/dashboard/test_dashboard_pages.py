"""Every page in a real browser: with something to show, with nothing, live, and by keyboard."""

import re
import threading

import pytest
from dashboard_stage import Server

WAIT_MS = 5000

PAGES = {
    "now": ("Now", "src/checkout/totals.py"),
    "memory": ("Memory", "config/"),
    "memory?prefix=memory/notes": ("Memory", "checkout/"),
    "memory?q=idempotency": ("Memory", "compare the idempotency key first"),
    "memory?key=config/payment&version=3": ("payment", "9007199254740993"),
    "shown": ("Shown", "its session began"),
    "conflicts": ("Conflicts", "orders/currency"),
    "messages": ("Messages", "the canary was not healthy"),
    "locks": ("Locks", "canary of 2.14"),
    "learning": ("Learning", "small-steps"),
    "health": ("Health", "messages that failed every attempt: 1"),
    "shown?agent=main@3f2a9c1b&kind=memory": ("Shown", "memory/notes/"),
}
EMPTY = {
    "now": ["No agent is at work", "No file is being changed", "No lock is held"],
    "memory": ["Nothing is remembered yet", "swarm-memory put"],
    "conflicts": ["No conflict waits"],
    "messages": ["No message waits", "No dead letters"],
    "locks": ["No lock is held"],
    "learning": ["No outcome is recorded yet"],
    "health": ["All is well", "No alert is open"],
    "shown": ["No agent has been shown anything yet", "swarm-memory init --claude"],
}


def findings(page):
    """Return what axe finds wrong, one line each."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    return [
        f"{each['id']}: {node['target']} {node['failureSummary']}"
        for each in axe.run(page).response["violations"]
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("where", PAGES)
def test_a_page_shows_what_there_is_and_is_accessible(where, acting, scenery, page, show):
    heading, text = PAGES[where]

    show(acting, where, scenery)

    page.get_by_role("heading", level=1, name=heading, exact=True).wait_for()
    page.locator("main").get_by_text(text).first.wait_for()
    assert [] == findings(page)
    page.emulate_media(color_scheme="dark")
    assert [] == findings(page)


@pytest.mark.parametrize("where", EMPTY)
def test_a_page_of_an_empty_swarm_says_what_would_be_there(where, acting, swarm, page, show):
    show(acting, where, swarm.context.swarm)

    for text in EMPTY[where]:
        page.locator("main").get_by_text(text).first.wait_for()
    assert [] == findings(page)


def test_what_another_process_writes_shows_up_without_a_reload(acting, swarm, page, show):
    show(acting, "now", swarm.context.swarm)
    page.get_by_text("Nothing has happened yet").wait_for()

    swarm.records.put("notes/from-elsewhere", {"text": "written while you look"})

    page.locator(".feed").get_by_text("written while you look").wait_for()
    page.locator(".people").get_by_text("writer").wait_for()


def test_a_lock_shows_up_although_it_is_no_change_of_a_record(acting, swarm, page, show):
    show(acting, "now", swarm.context.swarm)
    page.get_by_text("No lock is held").wait_for()

    lease = swarm.leases.acquire("deploy", ttl_s=600, reason="the canary")

    page.get_by_role("region", name="Locks").get_by_text("deploy").wait_for()
    lease.release()
    page.get_by_text("No lock is held").wait_for()


def test_a_record_that_is_open_follows_its_newest_version(acting, swarm, page, show):
    swarm.records.put("notes/plan", {"step": 1})
    show(acting, "memory?key=notes/plan", swarm.context.swarm)
    page.locator(".json").get_by_text("1").first.wait_for()

    swarm.records.put("notes/plan", {"step": 42})

    page.locator(".json").get_by_text("42").wait_for()
    page.locator("#news").get_by_text("notes/plan is now at version 2").wait_for(state="attached")


def test_what_is_read_does_not_move_while_the_mouse_is_over_it(acting, swarm, page, show):
    swarm.records.put("notes/first", "the first")
    show(acting, "now", swarm.context.swarm)
    page.locator(".feed").get_by_text("the first").wait_for()
    page.locator(".feed").hover()

    swarm.records.put("notes/second", "the second")

    page.get_by_role("button", name="1 new").wait_for()
    assert 0 == page.locator(".feed").get_by_text("the second").count()
    page.mouse.move(5, 5)
    page.locator(".feed").get_by_text("the second").wait_for()


def test_the_pages_say_when_they_are_cut_off_and_catch_up_afterwards(place, swarm, page, show):
    server = Server(place.url, place.folder)
    try:
        show(server.start(), "now", swarm.context.swarm)
        server.kill()
        page.get_by_text("Not connected").wait_for()
        swarm.records.put("notes/meanwhile", "while you were away")
        server.start()

        page.locator("#live[data-state=live]").wait_for(timeout=4 * WAIT_MS)
        page.locator(".feed").get_by_text("while you were away").wait_for()
        page.goto("about:blank")
    finally:
        server.kill()
    # What a browser says of a server that is not there.
    assert all("ERR_" in said for said in page.problems)
    page.problems.clear()


def test_the_chooser_shows_another_swarm(acting, scenery, swarm, page, show):
    swarm.records.put("notes/of-mine", "mine alone")
    show(acting, "memory", scenery)

    page.get_by_label("Swarm").select_option(swarm.context.swarm)

    page.get_by_text("mine alone").wait_for()
    assert f"swarm={swarm.context.swarm}" in page.url


def test_everything_can_be_reached_by_keyboard(acting, scenery, page, show):
    show(acting, "memory", scenery)
    page.get_by_role("link", name="config/", exact=True).wait_for()

    page.keyboard.press("/")
    assert "search" == page.evaluate("document.activeElement.id")
    page.keyboard.press("Escape")
    page.evaluate("document.activeElement.blur()")
    page.keyboard.press("j")
    first = page.evaluate("document.activeElement.textContent")
    page.keyboard.press("j")
    second = page.evaluate("document.activeElement.textContent")
    page.keyboard.press("k")

    assert ("config/", "memory/") == (first, second)
    assert "config/" == page.evaluate("document.activeElement.textContent")
    page.keyboard.press("Enter")
    page.locator(".level").get_by_role("link", name="payment").wait_for()


def test_the_first_key_leads_past_the_navigation(acting, scenery, page, show):
    show(acting, "now", scenery)

    page.locator(".skip").focus()
    page.keyboard.press("Enter")

    assert "main" == page.evaluate("document.activeElement.id")
    assert "#/now" in page.url


def test_the_switch_turns_dark_to_light_and_stays(acting, scenery, page, show):
    page.emulate_media(color_scheme="dark")
    show(acting, "now", scenery)
    ground = "getComputedStyle(document.body).backgroundColor"
    dark = page.evaluate(ground)

    page.get_by_role("button", name="Switch to light").click()
    light = page.evaluate(ground)
    page.reload()

    assert dark != light
    assert light == page.evaluate(ground)


def test_a_prefix_of_many_records_is_shown_page_by_page(acting, swarm, page, show):
    swarm.records.put_many((f"many/{number:04}", number) for number in range(250))
    show(acting, "memory?prefix=many", swarm.context.swarm)
    rows = page.locator(".level tbody tr")
    page.locator(".level").get_by_role("link", name="0099").wait_for()
    assert 100 == rows.count()

    page.get_by_role("button", name="Show more").click()
    page.locator(".level").get_by_role("link", name="0199").wait_for()
    page.get_by_role("button", name="Show more").click()
    page.locator(".level").get_by_role("link", name="0249").wait_for()

    assert 250 == rows.count()
    assert 0 == page.get_by_role("button", name="Show more").count()


def test_search_answers_while_one_types(acting, scenery, page, show):
    show(acting, "memory", scenery)

    page.get_by_role("searchbox").press_sequentially("rotate refresh tokens")

    page.locator(".hits").get_by_text(re.compile("Refresh tokens rotate")).wait_for()
    page.get_by_role("searchbox").fill("")
    page.get_by_role("link", name="config/", exact=True).wait_for()


def test_a_hundred_writes_at_once_do_not_upset_a_page(acting, swarm, page, show):
    show(acting, "now", swarm.context.swarm)
    page.get_by_text("Nothing has happened yet").wait_for()

    def write(number):
        for step in range(25):
            swarm.records.put(f"notes/{number}/{step}", {"step": step})

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    page.locator(".tile", has_text="Memories").get_by_text("100", exact=True).wait_for()


NARROW, WIDE = 400, 1440
# What sticks out sideways, unless it is within something that is pushed sideways or cut.
STICKING_OUT = """() => {
  const inside = (element) => {
    const above = element.parentElement;
    if (!above || above === document.body) return false;
    return getComputedStyle(above).overflowX !== "visible" || inside(above);
  };
  return [...document.querySelectorAll("body *")]
    .filter((each) => each.getBoundingClientRect().right > innerWidth + 1 && !inside(each))
    .map((each) => `${each.tagName}.${each.className}`);
}"""
# Heads of columns that were squeezed until one lies over the other.
SQUEEZED = """() => [...document.querySelectorAll("th")]
  .filter((each) => each.scrollWidth > each.clientWidth + 1)
  .map((each) => each.textContent)"""


@pytest.mark.parametrize("width", [NARROW, WIDE])
def test_every_page_fits_into_its_window(width, acting, scenery, page, show):
    page.set_viewport_size({"width": width, "height": 900})
    show(acting, "now", scenery)

    wrong = {}
    for where, (_, text) in PAGES.items():
        separator = "&" if "?" in where else "?"
        page.goto(f"{acting.base}/ui/#/{where}{separator}swarm={scenery}")
        page.locator("main").get_by_text(text).first.wait_for()
        found = page.evaluate(STICKING_OUT) + page.evaluate(SQUEEZED)
        if page.evaluate("document.documentElement.scrollWidth") > width or found:
            wrong[where] = found

    assert {} == wrong


@pytest.mark.parametrize(
    ("text", "step_s", "expected"),
    [
        ("2026-01-31T12:00:05", 5, "12:00:05"),
        ("2026-01-31T12:30:00", 1800, "12:30"),
        ("2026-02-01T00:00:00", 1800, "02-01"),
        ("2026-01-31T12:00:00", 86_400, "01-31"),
    ],
)
def test_an_axis_is_marked_by_the_clock_or_by_days(text, step_s, expected, acting, page, show):
    show(acting, "locks", "nobody")

    marked = page.evaluate(
        f"import('/ui/lib/time.js').then((time) => time.moment(+new Date('{text}'), {step_s}))"
    )

    assert expected == marked
