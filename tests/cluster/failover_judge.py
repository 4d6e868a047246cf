"""Compares what agents were told with what the store holds afterwards."""

import itertools
import json
from collections import Counter, namedtuple

from failover_worker import COUNT, GUARDED, TOPIC

WRITES = ("put", "count")  # of which the gaps are measured
SECOND_NS = 1_000_000_000

# `lost`, `twice`, `fences` name what went wrong; `gap_s` is the longest time in which nobody's
# write was acknowledged, `pause_s` the longest that one agent had to wait.
Verdict = namedtuple(
    "Verdict", "acked lost twice fences gap_s pause_s committed uncommitted errors"
)


def judge(swarm, ledgers):
    """Return the verdict on a store in which nobody works any more.

    Args:
        ledgers: The lines of each agent's, in their order.
    """
    lines = [line for ledger in ledgers for line in ledger]
    oks = [line for line in lines if line["what"] == "ok"]
    doubts = Counter(line["committed"] for line in lines if line["what"] == "doubt")
    lost, twice = [], []
    for check in (puts, counts, messages):
        check(swarm, lines, lost, twice)
    fences = guards(swarm, of_kind(oks, "guarded"), lost)
    fences += shared_tokens([line for line in lines if "token" in line])
    times = [[ok["at"] for ok in ledger if ok.get("kind") in WRITES] for ledger in ledgers]
    return Verdict(
        acked=len(oks),
        lost=lost,
        twice=twice,
        fences=fences,
        gap_s=longest_s(sorted(itertools.chain(*times))),
        pause_s=max(map(longest_s, times), default=0.0),
        committed=doubts[True],
        uncommitted=doubts[False],
        errors=dict(Counter(line["code"] for line in lines if line["what"] == "error")),
    )


def of_kind(oks, kind):
    return [ok for ok in oks if ok.get("kind") == kind]


def longest_s(times):
    return max((b - a for a, b in itertools.pairwise(times)), default=0) / SECOND_NS


def puts(swarm, lines, lost, twice):
    """Each record is there, and was written once."""
    for ok in of_kind(lines, "put"):
        record = swarm.records.get(ok["key"])
        if record is None:
            lost.append(ok["key"])
        elif record.version != 1:
            twice.append(ok["key"])


def counts(swarm, lines, lost, twice):
    """The counter is the number of those who counted, each of whom saw a number of its own."""
    told = {ok["key"]: ok["value"] for ok in of_kind(lines, "count")}
    tried = {line["key"] for line in lines if line["what"] == "try" and line["key"][:4] == "ops/"}
    found = {}
    for key in tried:
        record = swarm.records.get(key)
        if record is not None:
            found[key] = record.value
            twice += [key] if record.version != 1 else []
    lost += [key for key, value in told.items() if found.get(key) != value]
    record = swarm.records.get(COUNT)
    reached = 0 if record is None else record.value
    numbers = Counter(found.values())
    lost += [f"{COUNT} {n}" for n in range(1, reached + 1) if not numbers[n]]
    twice += [f"{COUNT} {n}" for n, times in numbers.items() if times > 1]
    lost += [f"{COUNT} {n}" for n in numbers if n > reached]


def messages(swarm, lines, lost, twice):
    """Each message was delivered or waits, under one id, and not once it was acknowledged."""
    got = [line for line in lines if line["what"] == "got"]
    waiting = drained(swarm)
    ids = {}
    for id, body in [(line["id"], line["body"]) for line in got] + waiting:
        ids.setdefault(body, set()).add(id)
    sent = [ok["body"] for ok in of_kind(lines, "sent")]
    lost += [f"message {body}" for body in sent if body not in ids]
    twice += [f"message {body}" for body, known in ids.items() if len(known) > 1]
    done = {ok["id"]: ok["at"] for ok in of_kind(lines, "received")}
    twice += [f"message {m['body']}" for m in got if done.get(m["id"], m["began"]) < m["began"]]
    twice += [f"message {body}" for id, body in waiting if id in done]


def drained(swarm):
    """Return (id, body) of what nobody has acknowledged, and of what is dead."""
    found = [(message.message_id, message.body) for message in swarm.messages.dead(TOPIC)]
    while swarm.messages.counts().ready or swarm.messages.counts().claimed:
        claimed = swarm.messages.claim(TOPIC, limit=100, wait_s=20.0)
        if not claimed:
            break
        found += [(message.message_id, message.body) for message in claimed]
        swarm.messages.ack(*claimed)
    return found


def guards(swarm, oks, lost):
    """Return where a token was accepted after a newer one."""
    wrong = []
    ordered = sorted(oks, key=lambda ok: ok["version"])
    for before, after in itertools.pairwise(ordered):
        if before["version"] == after["version"] or before["token"] > after["token"]:
            wrong.append((before, after))
    record = swarm.records.get(GUARDED)
    reached = 0 if record is None else record.version
    lost += [f"{GUARDED} {ok['version']}" for ok in oks if ok["version"] > reached]
    for version in swarm.records.history(GUARDED) if record else []:
        told = [ok for ok in oks if ok["version"] == version.version]
        lost += [
            f"{GUARDED} {ok['version']}" for ok in told if ok["token"] != version.value["token"]
        ]
    return wrong


def shared_tokens(lines):
    """Return the tokens that were given to two holders."""
    holders = {}
    for line in lines:
        holders.setdefault(line["token"], set()).add(line["holder"])
    return [(token, sorted(who)) for token, who in holders.items() if len(who) > 1]


def read(path):
    """Return the lines of a ledger, but one that is just being written."""
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.endswith("\n")]
