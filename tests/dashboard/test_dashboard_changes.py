"""What people may change with a token, how it is refused without one, and what stays inert."""

import pytest

HOSTILE = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>'
INERT = "'\"><svg onload=window.hit=1>{{7*7}}javascript:window.hit=1"


def opened(show, server, swarm, key):
    return show(server, f"memory?key={key}", swarm.context.swarm)


def test_an_edit_is_a_new_version_by_the_dashboard_with_all_digits(acting, swarm, page, show):
    big = 9_007_199_254_740_993  # what a browser's numbers cannot hold
    swarm.records.put(
        "notes/plan", {"n": big, "x": 1.0}, ttl_s=5000, provenance={"kind": "decision"}
    )
    opened(show, acting, swarm, "notes/plan")

    page.get_by_role("button", name="Edit").click()
    editor = page.get_by_label("Value, as JSON")
    editor.fill(editor.input_value().replace('"x": 1.0', '"x": 1.0, "more": [1]'))
    page.get_by_role("button", name="Save").click()

    page.get_by_text("Saved").wait_for()
    record = swarm.records.get("notes/plan")
    assert {"n": big, "x": 1.0, "more": [1]} == record.value
    assert (2, "dashboard") == (record.version, record.author)
    assert {"kind": "decision", "via": "dashboard"} == record.provenance
    assert 5000 == pytest.approx((record.expires_ms - record.updated_ms) / 1000, abs=1)


def test_an_edit_of_what_somebody_changed_meanwhile_is_refused_and_kept(acting, swarm, page, show):
    swarm.records.put("notes/plan", {"step": 1})
    opened(show, acting, swarm, "notes/plan")
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Value, as JSON").fill('{"step": "mine"}')

    swarm.records.put("notes/plan", {"step": 2})
    page.get_by_text("Meanwhile it is at version 2").wait_for()
    page.get_by_role("button", name="Save").click()

    page.get_by_text("Somebody wrote a newer version").wait_for()
    assert '{"step": "mine"}' == page.get_by_label("Value, as JSON").input_value()
    assert {"step": 2} == swarm.records.get("notes/plan").value
    assert all("412" in said for said in page.problems)  # Chromium's own line on the refusal
    page.problems.clear()


def test_an_edit_that_is_no_json_is_not_sent(acting, swarm, page, show):
    swarm.records.put("notes/plan", {"step": 1})
    opened(show, acting, swarm, "notes/plan")
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Value, as JSON").fill('1, "version": 7')

    page.get_by_role("button", name="Save").click()

    page.get_by_text("That is no JSON").wait_for()
    assert 1 == swarm.records.get("notes/plan").version


def test_forgetting_asks_first_and_bringing_back_undoes_it(acting, swarm, page, show):
    swarm.records.put("notes/plan", {"step": 1})
    opened(show, acting, swarm, "notes/plan")

    page.get_by_role("button", name="Forget").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    assert swarm.records.get("notes/plan") is not None
    page.get_by_role("button", name="Forget").click()
    page.get_by_role("dialog").get_by_role("button", name="Forget").click()

    page.get_by_text("Its earlier versions are below").wait_for()
    assert swarm.records.get("notes/plan") is None
    page.get_by_role("button", name="Bring back").click()
    page.locator(".json").get_by_text("step").wait_for()
    assert {"step": 1} == swarm.records.get("notes/plan").value


def test_a_pin_keeps_a_record_through_an_edit(acting, swarm, page, show):
    swarm.records.put("notes/plan", {"step": 1}, ttl_s=3600)
    opened(show, acting, swarm, "notes/plan")

    page.get_by_role("button", name="Pin", exact=True).click()
    page.get_by_text("never (pinned)").wait_for()
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Value, as JSON").fill("2")
    page.get_by_role("button", name="Save").click()

    page.get_by_text("Saved").wait_for()
    record = swarm.records.get("notes/plan")
    assert 2 == record.value
    assert record.expires_ms - record.updated_ms > 40 * 365 * 86_400_000


def test_what_is_marked_as_stale_is_not_shown_to_agents_until_it_is_unmarked(
    acting, swarm, page, show
):
    key = "memory/notes/lesson"
    swarm.records.put(key, "Backups run at night only.", provenance={"kind": "lesson"})
    assert "Backups run" in swarm.briefing.preview("somebody")
    opened(show, acting, swarm, key)

    page.get_by_role("button", name="Mark stale").click()
    page.get_by_label("Why (others will read it)").fill("they run hourly now")
    page.get_by_role("dialog").get_by_role("button", name="Mark as stale").click()

    page.get_by_text("they run hourly now").first.wait_for()
    assert "Backups run" not in swarm.briefing.preview("somebody")
    about = swarm.records.get(key).provenance
    assert {"reason": "they run hourly now", "author": "writer"} == about["stale"]
    page.get_by_role("button", name="No longer stale").click()
    page.get_by_text("No longer marked").wait_for()
    assert "Backups run" in swarm.briefing.preview("somebody")


def test_without_a_token_nothing_to_change_it_with_is_there(reading, swarm, page, show):
    swarm.records.put("notes/plan", {"step": 1}, ttl_s=3600)
    swarm.records.put("notes/plan", {"step": 2}, ttl_s=3600)

    opened(show, reading, swarm, "notes/plan")
    page.get_by_role("button", name="Difference").first.wait_for()

    for name in ("Edit", "Pin", "Mark stale", "Forget", "Bring back"):
        assert 0 == page.get_by_role("button", name=name).count()
    page.get_by_text("To change anything, end this server and run swarm-memory ui").wait_for()


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "records/notes/plan"),
        ("DELETE", "records/notes/plan"),
        ("POST", "touch/notes/plan"),
        ("POST", "leases"),
    ],
)
def test_without_a_token_a_page_is_refused_every_change(method, path, reading, swarm, page, show):
    swarm.records.put("notes/plan", {"step": 1})
    show(reading, "now", swarm.context.swarm)

    status = page.evaluate(
        """([method, url]) => fetch(url, {
            method, headers: {"Content-Type": "application/json"},
            body: method === "DELETE" ? undefined : '{"value": 2, "ttl_s": 9, "name": "x"}',
        }).then((response) => response.status)""",
        [method, f"/v1/swarms/{swarm.context.swarm}/{path}"],
    )

    assert 403 == status
    assert {"step": 1} == swarm.records.get("notes/plan").value
    page.problems.clear()  # Chromium's own line on the refusal


def test_without_a_token_programs_may_write_as_before(reading, swarm):
    path = f"/v1/swarms/{swarm.context.swarm}/records/notes/plan"

    assert 200 == reading.ask(path, "PUT", json={"value": 1}).status_code


def test_the_frame_asks_for_the_token_and_says_when_it_is_wrong(acting, swarm, page):
    swarm.records.put("notes/secret", "nobody without a token reads this")
    page.goto(f"{acting.base}/ui/#/now?swarm={swarm.context.swarm}")
    page.get_by_role("heading", name="This server asks for a token").wait_for()
    assert 0 == page.get_by_text("nobody without").count()

    page.get_by_label("Token").fill("wrong")
    page.get_by_role("button", name="Open").click()
    page.get_by_text("That token is missing or wrong").wait_for()
    page.get_by_label("Token").fill(acting.token)
    page.get_by_role("button", name="Open").click()

    page.locator(".feed").get_by_text("nobody without").wait_for()
    assert all("401" in said for said in page.problems)
    page.problems.clear()


def test_the_token_leaves_the_address_and_stays_in_the_tab(acting, swarm, page, show):
    show(acting, "now", swarm.context.swarm)

    assert acting.token not in page.url
    page.reload()
    page.locator("#live[data-state=live]").wait_for()
    assert acting.token not in page.content()


def _name(text):
    """Return a name that the API can take, as like to `text` as that allows."""
    return text.replace("/", "").replace(" ", "")[:90]


@pytest.mark.parametrize("text", [HOSTILE, INERT])
def test_what_agents_write_is_never_markup(text, acting, place, page, show):
    from swarm_memory import Swarm

    agent, session = text[:60], "session-" + text[:40]
    with Swarm.open(place.url, agent=agent, swarm=_name(text)) as swarm:
        swarm.records.put("notes/hostile", {text: text}, provenance={"kind": "lesson", text: text})
        swarm.records.put("notes/hostile", {text: [text]})
        swarm.records.put("memory/notes/said", text, provenance={"kind": "lesson"})
        value = {"operation": text, "path": text, "exit": text}
        swarm.records.put("memory/operations/s/call", value)
        swarm.leases.acquire(text, ttl_s=600, reason=text)
        swarm.sessions.begin(session, agent=agent, about={"branch": text})
        swarm.sessions.agent_started(session, text[:50], text[:50])
        who = {"session_id": session, "agent": agent, "worktree": "/w", "branch": text}
        swarm.edits.edited([text], **who, tool=text)
        swarm.briefing.session(session, "reader " + agent, source="startup")
        pages = ["now", "memory", "memory?key=notes/hostile", "memory?q=window", "shown"]
        pages += ["memory?key=notes/hostile&version=2", "memory?key=memory/operations/s/call"]
        from urllib.parse import quote

        for where in pages:
            show(acting, where, quote(swarm.context.swarm, safe=""))
            page.locator("main").get_by_text("window.hit").first.wait_for()
            assert 0 == page.locator("main img, main script, main svg").count()
            assert page.evaluate("window.hit === undefined")
