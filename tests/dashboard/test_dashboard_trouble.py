"""What waits for a person: conflicts, dead letters, locks and alerts, in a real browser."""

import threading

HOSTILE = '<img src=x onerror="window.hit=1"><script>window.hit=1</script>'


def parked(swarm, key="notes/plan", mine=None):
    """Leave a conflict at `key`; return nothing."""
    base = swarm.records.put(key, {"step": 1})
    swarm.as_agent("other").records.put(key, {"step": 2}, expect=base.version)
    value = {"step": 3} if mine is None else mine
    swarm.records.put(key, value, expect=base.version, on_conflict="keep_both")


def dead_letter(swarm, body):
    swarm.messages.send(body, topic="jobs", attempts_max=1)
    for message in swarm.as_agent("consumer").messages.claim("jobs"):
        message.nack(reason="it would not")


def test_a_conflict_is_settled_with_what_the_person_writes(acting, swarm, page, show):
    big = 9_007_199_254_740_993  # what a browser's numbers cannot hold
    parked(swarm, mine={"step": 3, "n": big})
    show(acting, "conflicts", swarm.context.swarm)

    area = page.get_by_label("What shall hold, as JSON")
    area.fill(area.input_value().replace('"step": 3', '"step": 4'))
    page.get_by_role("button", name="Settle").click()

    page.get_by_text("Settled: notes/plan").wait_for()
    page.get_by_text("No conflict waits").wait_for()
    assert {"step": 4, "n": big} == swarm.records.get("notes/plan").value
    assert [] == swarm.conflicts.list("parked")


def test_a_side_of_a_conflict_is_taken_as_it_is(acting, swarm, page, show):
    parked(swarm)
    show(acting, "conflicts", swarm.context.swarm)

    page.get_by_role("button", name="Take what holds").click()
    page.get_by_role("button", name="Settle").click()

    page.get_by_text("No conflict waits").wait_for()
    assert {"step": 2} == swarm.records.get("notes/plan").value


def test_a_settlement_that_is_no_json_is_not_sent_and_stays(acting, swarm, page, show):
    parked(swarm)
    show(acting, "conflicts", swarm.context.swarm)

    page.get_by_label("What shall hold, as JSON").fill('{"step": ')
    page.get_by_role("button", name="Settle").click()

    page.get_by_text("That is no JSON").wait_for()
    swarm.records.put("notes/other", 1)  # the page is drawn anew around it
    page.get_by_label("What shall hold, as JSON").wait_for()
    assert '{"step": ' == page.get_by_label("What shall hold, as JSON").input_value()
    assert 1 == len(swarm.conflicts.list("parked"))


def test_a_conflict_shows_up_without_a_reload(acting, swarm, page, show):
    show(acting, "conflicts", swarm.context.swarm)
    page.get_by_text("No conflict waits").wait_for()

    writing = threading.Thread(target=parked, args=(swarm,))
    writing.start()

    page.get_by_label("What shall hold, as JSON").wait_for()
    writing.join()


def test_a_dead_letter_is_revived(acting, swarm, page, show):
    dead_letter(swarm, {"job": 7})
    show(acting, "messages", swarm.context.swarm)

    page.get_by_text("it would not").wait_for()
    page.get_by_role("button", name="Revive").click()

    page.get_by_text("No dead letters").wait_for()
    assert ["jobs"] == [m.topic for m in swarm.as_agent("c").messages.claim("jobs")]


def test_who_waits_for_a_lock_stands_behind_who_holds_it(acting, swarm, page, show):
    lease = swarm.leases.acquire("deploy", ttl_s=60)
    waiter = swarm.as_agent("patient")
    waiting = threading.Thread(target=lambda: waiter.leases.acquire("deploy", wait_s=30).release())
    waiting.start()
    show(acting, "locks", swarm.context.swarm)

    page.locator(".queue").get_by_text("patient").wait_for()
    assert ["writer", "patient"] == page.locator(".queue .agent").all_inner_texts()

    lease.release()
    waiting.join()
    page.get_by_text("No lock is held").wait_for()


def test_an_alert_is_acknowledged_by_the_dashboard(acting, swarm, page, show):
    dead_letter(swarm, {"job": 7})
    swarm.monitor.take()
    show(acting, "health", swarm.context.swarm)

    page.get_by_role("button", name="I have seen it").click()

    page.get_by_text("seen by").wait_for()
    (alert,) = swarm.alerts.list()
    assert ("acknowledged", "dashboard") == (alert.state, alert.acknowledged_by)


def test_without_a_token_nothing_can_be_settled_or_revived(reading, swarm, page, show):
    parked(swarm)
    dead_letter(swarm, {"job": 7})
    swarm.monitor.take()

    show(reading, "conflicts", swarm.context.swarm)
    page.get_by_text("To settle it:").wait_for()
    assert 0 == page.get_by_role("button", name="Settle").count()
    show(reading, "messages", swarm.context.swarm)
    page.get_by_text("it would not").wait_for()
    assert 0 == page.get_by_role("button", name="Revive").count()
    show(reading, "health", swarm.context.swarm)
    page.locator(".feed").get_by_text("dead letters").wait_for()
    assert 0 == page.get_by_role("button", name="I have seen it").count()


def test_markup_in_what_agents_wrote_stays_text(acting, swarm, page, show):
    parked(swarm, mine={"text": HOSTILE})
    dead_letter(swarm, HOSTILE)
    for reward in (True, False) * 3:
        swarm.outcomes.record(HOSTILE, [HOSTILE], reward, 1.0, strategy=HOSTILE)
    swarm.leases.acquire("deploy", ttl_s=60, reason=HOSTILE)
    swarm.monitor.take()

    for where in ("conflicts", "messages", "locks", "learning", "health"):
        show(acting, where, swarm.context.swarm)
        page.locator("main .card").first.wait_for()
        if where != "health":
            page.locator("main").get_by_text("<img src=x").first.wait_for()
        assert page.evaluate("window.hit === undefined")
        assert 0 == page.locator("main img, main script").count()
