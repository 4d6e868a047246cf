"""Changes as server-sent events: all of them, in order, whatever happens to the connection."""

import json
import threading

import pytest

from swarm_memory import Swarm, errors
from swarm_memory.doors.http.api import feed


def test_events_come_in_order_each_with_where_to_go_on(ask, opened):
    swarm = opened()
    for number in range(3):
        swarm.records.put(f"x/{number}", number)
    swarm.records.put("y/0", 0)

    streamed = ask.get("/events/stream", params={"prefix": "x", "since": 0, "timeout_s": 0})

    assert "text/event-stream" == streamed.headers["content-type"].partition(";")[0]
    lines = streamed.text.splitlines()
    ids = [int(line[4:]) for line in lines if line.startswith("id: ")]
    shown = [json.loads(line[6:]) for line in lines if line.startswith("data: ")]
    assert ["x/0", "x/1", "x/2"] == [event["key"] for event in shown]
    assert ids == [event["seq"] for event in shown]
    rest = ask.get(
        "/events/stream",
        params={"prefix": "x", "timeout_s": 0},
        headers={"Last-Event-ID": str(ids[0])},
    )
    assert ids[1:] == [int(line[4:]) for line in rest.text.splitlines() if line[:4] == "id: "]


def test_what_another_agent_writes_is_seen_while_it_is_watched(opened):
    swarm, other = opened("a"), opened("b")
    watch = swarm.watch("x", timeout_s=60)
    other.records.put("x/a", 1)
    other.records.put("y/a", 1)

    assert "x/a" == next(watch).key
    other.records.put("x/b", 1)
    other.records.delete("x/b")
    assert [("x/b", "put"), ("x/b", "delete")] == [next(watch)[1:4:2] for _ in range(2)]


def test_all_who_listen_are_told_everything_once(opened):
    writer = opened("w")
    readers = [opened(f"r{number}") for number in range(8)]
    heard = [[] for _ in readers]
    watches = [reader.watch("x", since=0, timeout_s=120) for reader in readers]

    def listen(watch, events):
        for event in watch:
            events.append(event.version)
            if event.key == "x/end":
                return

    threads = [
        threading.Thread(target=listen, args=pair) for pair in zip(watches, heard, strict=True)
    ]
    for thread in threads:
        thread.start()
    for _ in range(200):
        writer.records.put("x/a", 1)
    writer.records.put("x/end", 1)
    for thread in threads:
        thread.join()

    assert [[*range(1, 201), 1]] * 8 == heard


def test_who_hears_too_slowly_reads_for_himself(opened, monkeypatch):
    monkeypatch.setattr(feed, "BEHIND_MAX", 1)
    monkeypatch.setattr(feed, "PAGE", 3)
    writer, reader = opened("w"), opened("r")
    watch = reader.watch("x", timeout_s=60)
    writer.records.put("x/a", 0)
    assert 1 == next(watch).version
    for number in range(100):
        writer.records.put("x/a", number)

    assert list(range(2, 102)) == [next(watch).version for _ in range(100)]


def test_a_watch_goes_on_where_it_was_when_the_server_is_another_one(served, tmp_path):
    url = f"sqlite:///{tmp_path}/memory.db"
    served.start(SWARM_MEMORY_URL=url)
    with (
        Swarm.open(served.base, swarm="s", agent="r") as reader,
        Swarm.open(url, swarm="s", agent="w") as writer,
    ):
        watch = reader.watch("x", timeout_s=120)
        for number in range(1, 4):
            writer.records.put("x/a", number)
            assert number == next(watch).version
        served.kill()
        writer.records.put("x/a", 4)
        served.start(port=served.port, SWARM_MEMORY_URL=url)
        writer.records.put("x/a", 5)

        assert [4, 5] == [next(watch).version for _ in range(2)]
        watch.close()


def test_a_place_that_is_not_there_is_refused(ask, opened):
    with pytest.raises(errors.CursorExpiredError):
        next(opened().watch(since=10_000, timeout_s=0))
    refused = [
        ask.get("/events/stream", params=query)
        for query in ({"since": "x"}, {"timeout_s": "-1"}, {"prefix": "//"}, {"more": "1"})
    ]
    assert [400] * 4 == [response.status_code for response in refused]
