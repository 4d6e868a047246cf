"""Runs: who has which messages of a queue, kept by the run and not message by message.

A message is written once. A queue is read from a cursor, so what is new in it needs no row, and a
claim of new messages is one row however many they are: the run from the first to the last one. To
acknowledge all of it deletes that row. Only what is treated alone (acknowledged, given back,
extended or dead by itself) is carved out of its run. An agent's queue reads two logs side by side:
its own, and that of what is said to everyone, of which there is one copy.

What is odd (a priority, a delay, a number of attempts of its own) has a run of its own from the
beginning: it does not keep to the order of the log or to the fate of its neighbours.
"""

from __future__ import annotations

from bisect import bisect_right

from swarm_memory.lean import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from typing import Any

    from swarm_memory.engine import Reader, Row, Tx

EVERYONE = "everyone"  # the log of what is said to everyone
TO_AGENT = "agent:"
SEQ_MAX = 2**63 - 1
EVER = -1  # a time before anything expires
# Columns of a message as it is read: of message_plain, and of run_ready behind those of its run.
SEQ, LOG, MESSAGE_ID, RANK, EXPIRES_MS, ATTEMPTS_MAX = 0, 1, 2, 6, 8, 11
_RUN_COLUMNS = 15


class Run(NamedTuple):
    """One row of message_runs, but for the swarm; the columns stand in the migration."""

    queue: str
    first: int
    last: int
    size: int
    log: str
    state: str
    rank: int
    attempts: int
    attempts_max: int
    receipt: str | None
    consumer: str | None
    session: str | None
    visible_ms: int
    expires_ms: int | None
    reason: str | None
    message_id: str | None = None
    dead_ms: int | None = None


class Hand(NamedTuple):
    """Who takes messages, and until when."""

    receipt: str | None
    consumer: str | None
    session: str | None
    visible_ms: int


NOBODY = Hand("", None, None, 0)


class Offer(NamedTuple):
    """Messages that were read to be claimed, and the parameters of what would be written."""

    rows: list[Row]
    first_end_ms: int | None
    advance: dict[str, Any]
    runs: list[dict[str, Any]]


class Place(NamedTuple):
    """Where a queue stands: its cursors, and what there is; see the statement message_place."""

    own_seq: int
    all_seq: int
    odd_seq: int
    ready: int
    own: int
    all: int
    odd: int
    shows_ms: int | None
    lapses_ms: int | None

    def due(self, now_ms: int) -> bool:
        """Tell whether something must be given a run, shown or buried before anybody looks."""
        shows = self.shows_ms is not None and self.shows_ms <= now_ms
        lapses = self.lapses_ms is not None and self.lapses_ms <= now_ms
        return bool(self.odd) or shows or lapses

    def pause_s(self, now_ms: int, longest_s: float) -> float:
        """Return after how many seconds to look again, at most `longest_s`."""
        if self.shows_ms is None:
            return longest_s
        left_ms: int = max(0, self.shows_ms - now_ms)
        return min(longest_s, left_ms / 1000)

    def filled(self, now_ms: int) -> bool:
        """Tell whether a claim would find something."""
        return bool(self.ready or self.own or self.all) or self.due(now_ms)


# --- a queue ---


def place_of(db: Reader, swarm: str, queue: str) -> Place:
    """Return where a queue stands."""
    # Only agents hear what is said to everyone.
    everyone = EVERYONE if queue.startswith(TO_AGENT) else ""
    row = db.one("message_place", swarm=swarm, queue=queue, everyone=everyone)
    return Place._make(row or ())


def look(db: Reader, swarm: str, queue: str, limit: int) -> list[Row]:
    """Return the messages that a claim would find, in its order; what is due must be shown."""
    place = place_of(db, swarm, queue)
    return _next(db, swarm, queue, place, limit, db.now_ms)[0]


def offer(db: Reader, swarm: str, queue: str, place: Place, limit: int) -> Offer | None:
    """Return what is new in a queue, for `accept`; None if there is nothing or more to do.

    Only reads: the lock to write is what everybody waits for.
    """
    if place.ready or place.due(db.now_ms):
        return None
    rows, _ = _next(db, swarm, queue, place, limit, EVER)
    if not rows:
        return None
    where = {"swarm": swarm, "queue": queue}
    moved, last = _behind(place, queue, rows), rows[-1]
    advance = {
        "own_was": place.own_seq,
        "own_seq": moved.own_seq,
        "all_was": place.all_seq,
        "all_seq": moved.all_seq,
        "seq": last[SEQ],
        "message_id": last[MESSAGE_ID],
    }
    new = [where | run._asdict() for run in _fresh_runs(queue, rows, (), NOBODY)]
    return Offer(rows, _first_end(row[EXPIRES_MS] for row in rows), where | advance, new)


def accept(tx: Tx, offered: Offer, hand: Hand) -> bool:
    """Give `hand` what was offered; False, and nothing is done, if it cannot have it any more.

    It counts as claimed when it was offered: what has come since then comes next.
    """
    if offered.first_end_ms is not None and offered.first_end_ms <= tx.now_ms:
        return False
    if not tx.run("message_advance", **offered.advance):
        return False
    mine = hand._asdict()
    for run in offered.runs:
        tx.run("run_put", **(run | mine))
    return True


def take(tx: Tx, swarm: str, queue: str, limit: int, hand: Hand, *, strict: bool) -> list[Row]:
    """Give up to `limit` messages to `hand`; the writer does so, thus nobody else has them."""
    place = place_of(tx, swarm, queue)
    if place.due(tx.now_ms):
        refresh(tx, swarm, queue)
        place = place_of(tx, swarm, queue)
    if strict and tx.one("run_in_hand", swarm=swarm, queue=queue) is not None:
        return []
    taken: list[Row] = []
    while len(taken) < limit and (place.ready or place.own or place.all):
        rows, again = _next(tx, swarm, queue, place, limit - len(taken), EVER)
        gone = {row[SEQ] for row in rows if (row[EXPIRES_MS] or SEQ_MAX) <= tx.now_ms}
        fresh = [row for row in rows if row[SEQ] not in again] if again else rows
        if fresh:
            for run in _fresh_runs(queue, fresh, gone, hand):
                _put(tx, swarm, run)
            # Nobody claimed what is gone and nobody will: nothing would ever point at it again.
            own = [row[SEQ] for row in fresh if row[SEQ] in gone and row[LOG] == queue]
            tx.many("message_drop", [{"seq": seq} for seq in own])
            _move(tx, swarm, queue, _behind(place, queue, fresh))
        if again:
            seqs = [row[SEQ] for row in rows if row[SEQ] in again]
            _claim_again(tx, swarm, seqs, again, gone, hand)
        if not gone:
            return taken + rows
        # Behind what has expired there may be more.
        taken += [row for row in rows if row[SEQ] not in gone]
        place = place_of(tx, swarm, queue)
    return taken


def refresh(tx: Tx, swarm: str, queue: str) -> None:
    """Show what is no longer hidden, bury what may not come again, spread what is odd for all."""
    now_ms = tx.now_ms
    where = {"swarm": swarm, "queue": queue}
    place = place_of(tx, swarm, queue)
    if place.odd:
        odd = {"everyone": EVERYONE, "after": place.odd_seq, "now_ms": now_ms}
        tx.run("run_spread", **where, **odd)
        newest = tx.one("message_newest") or (0,)
        _move(tx, swarm, queue, place._replace(odd_seq=newest[0]))
    if not place._replace(odd=0).due(now_ms):
        return
    tx.run("run_return", **where, now_ms=now_ms, reason=_LATE)
    for row in tx.all("run_failing", **where, now_ms=now_ms):
        run = Run(*row)
        reason = _LATE + str(run.consumer) if run.receipt else run.reason
        members = _members(tx, swarm, run)
        if run.state == "hidden" and run.attempts >= run.attempts_max:
            dying, why = members, reason
        else:
            dying = [each for each in members if (each[1] or SEQ_MAX) <= now_ms]
            why = expired_for(reason)
        rest = run._replace(state="ready", receipt="", reason=reason)
        _carve(tx, swarm, run, members, {seq for seq, _ in dying}, rest)
        for seq, expires_ms in dying:
            _bury(tx, swarm, _single(run, seq, expires_ms), why)


_LATE = "not acknowledged in time by "


def expired_for(reason: str | None) -> str:
    """Return why a message died that was tried before it expired."""
    return "expired" if reason is None else f"expired: {reason}"


def _next(
    db: Reader, swarm: str, queue: str, place: Place, limit: int, alive_ms: int
) -> tuple[list[Row], dict[int, Run]]:
    """Return the first messages by priority and age, and the runs of those with one by their seq.

    Those that expire at `alive_ms` or before are left out.
    """
    found: list[Row] = []
    logs = ((place.own, queue, place.own_seq), (place.all, EVERYONE, place.all_seq))
    where = {"swarm": swarm, "alive_ms": alive_ms, "limit": limit}
    for filled, log, after in logs:
        if filled:
            found += db.all("message_plain", **where, log=log, after=after, upto=SEQ_MAX)
    again: dict[int, Run] = {}
    if place.ready:
        for row in db.all("run_ready", **where, queue=queue):
            run = Run(*row[:_RUN_COLUMNS])
            rows = [row[_RUN_COLUMNS:]]
            if run.size > 1:
                span = {"log": run.log, "after": run.first - 1, "upto": run.last}
                state = (run.attempts, run.reason, run.visible_ms, None)
                rows = [(*each[:12], *state) for each in db.all("message_plain", **where, **span)]
            found += rows
            again |= dict.fromkeys((each[SEQ] for each in rows), run)
    if again or (place.own and place.all):
        found.sort(key=lambda row: (row[RANK], row[SEQ]))
    return found[:limit], again


def _fresh_runs(queue: str, rows: list[Row], gone: Collection[int], hand: Hand) -> list[Run]:
    """Return one run per unbroken stretch of each log."""
    found = []
    for log in (queue, EVERYONE):
        for stretch in _stretches([row for row in rows if row[LOG] == log], gone):
            expires_ms = _first_end(row[EXPIRES_MS] for row in stretch)
            first = stretch[0]
            run = Run(
                queue, first[SEQ], stretch[-1][SEQ], len(stretch), log, "hidden", first[RANK], 1,
                first[ATTEMPTS_MAX], *hand, expires_ms, None,
            )  # fmt: skip
            found.append(run)
    return found


def _behind(place: Place, queue: str, rows: list[Row]) -> Place:
    """Return the place with its cursors behind the rows."""
    own_seq = max((row[SEQ] for row in rows if row[LOG] == queue), default=place.own_seq)
    all_seq = max((row[SEQ] for row in rows if row[LOG] != queue), default=place.all_seq)
    return place._replace(own_seq=own_seq, all_seq=all_seq)


def _claim_again(
    tx: Tx, swarm: str, seqs: list[int], again: dict[int, Run], gone: set[int], hand: Hand
) -> None:
    """Take messages out of their ready runs, each run's first ones."""
    for run in {again[seq].first: again[seq] for seq in seqs}.values():
        mine = [seq for seq in seqs if again[seq] is run]
        members = _members(tx, swarm, run)
        _carve(tx, swarm, run, members, set(mine), run)
        if gone.intersection(mine):  # only what was never tried expires here, and is alone
            if run.log == run.queue:
                tx.run("message_drop", seq=run.first)
            continue
        ends = [expires_ms for seq, expires_ms in members[: len(mine)]]
        _put(
            tx,
            swarm,
            run._replace(
                last=mine[-1],
                size=len(mine),
                state="hidden",
                attempts=run.attempts + 1,
                expires_ms=_first_end(ends),
                **hand._asdict(),
            ),
        )


# --- what somebody has in hand ---


def claimed(db: Reader, swarm: str, claims: Iterable[str]) -> dict[str, list[Run]]:
    """Return what claims have in hand, by their receipts; for `acknowledge`."""
    return {
        receipt: [Run(*row) for row in db.all("run_claimed", swarm=swarm, receipt=receipt)]
        for receipt in claims
        if receipt
    }


def acknowledge(
    tx: Tx, swarm: str, claims: dict[str, set[int]], known: dict[str, list[Run]]
) -> list[str]:
    """Delete messages by the receipts of their claims; return those that are not current.

    `known` is what the claims were seen to have in hand before the lock was taken.
    """
    stale = []
    for receipt, seqs in claims.items():
        left = set(seqs)
        for run in known.get(receipt, ()):
            mine = {seq for seq in left if run.first <= seq <= run.last}
            if _is_whole(run, mine) and _drop_as_seen(tx, swarm, run):
                left -= mine
        if left and receipt:
            left = _acknowledge_apart(tx, swarm, receipt, left)
        stale += [f"{seq}-{receipt}" for seq in sorted(left)]
    return stale


def _acknowledge_apart(tx: Tx, swarm: str, receipt: str, seqs: set[int]) -> set[int]:
    """Carve messages out of what a claim has in hand; return those that it has not."""
    left = set(seqs)
    for run in claimed(tx, swarm, [receipt])[receipt]:
        mine = {seq for seq in left if run.first <= seq <= run.last}
        if not mine:
            continue
        members = _members(tx, swarm, run)
        mine &= {seq for seq, _ in members}
        _carve(tx, swarm, run, members, mine, run)
        if run.log == run.queue:
            tx.many("message_drop", [{"seq": seq} for seq in mine])
        left -= mine
    return left


def _is_whole(run: Run, seqs: set[int]) -> bool:
    return len(seqs) == run.size and run.first in seqs and run.last in seqs


def _drop_as_seen(tx: Tx, swarm: str, run: Run) -> bool:
    """Delete a run with its messages, if it is still what it was."""
    seen = {"first": run.first, "last": run.last, "size": run.size}
    where = {"receipt": run.receipt, "queue": run.queue}
    if not tx.run("run_done", swarm=swarm, **where, **seen):
        return False
    if run.log == run.queue:
        _drop_messages(tx, swarm, run)
    return True


def give_back(
    tx: Tx, swarm: str, receipt: str, seq: int, *, visible_ms: int, reason: str | None
) -> bool:
    """Show a message again at `visible_ms`, or bury it; tell whether the receipt was current."""
    run = _take_out(tx, swarm, receipt, seq)
    if run is None:
        return False
    if run.attempts >= run.attempts_max:
        _bury(tx, swarm, run, reason)
    elif run.expires_ms is not None and run.expires_ms <= tx.now_ms:
        _bury(tx, swarm, run, expired_for(reason))
    else:
        state = "hidden" if visible_ms > tx.now_ms else "ready"
        back = run._replace(state=state, receipt="", visible_ms=visible_ms, reason=reason)
        _put(tx, swarm, back)
    return True


def extend(tx: Tx, swarm: str, receipt: str, seq: int, visible_ms: int) -> bool:
    """Hide a message until `visible_ms`; tell whether the receipt was current."""
    run = _take_out(tx, swarm, receipt, seq)
    if run is None:
        return False
    _put(tx, swarm, run._replace(visible_ms=visible_ms))
    return True


def _take_out(tx: Tx, swarm: str, receipt: str, seq: int) -> Run | None:
    """Carve one message out of what a claim has in hand; return it as a run to be put again."""
    for row in tx.all("run_claimed", swarm=swarm, receipt=receipt) if receipt else ():
        run = Run(*row)
        if run.first <= seq <= run.last:
            members = _members(tx, swarm, run)
            for member, expires_ms in members:
                if member == seq:
                    _carve(tx, swarm, run, members, {seq}, run)
                    return _single(run, seq, expires_ms)
    return None


# --- the dead, and figures ---


def counts(tx: Tx, swarm: str) -> tuple[dict[str, int], int | None]:
    """Return how many messages are in which state, and when the oldest ready one was sent."""
    now = {"swarm": swarm, "now_ms": tx.now_ms}
    number = {"ready": 0, "delayed": 0, "claimed": 0, "dead": 0}
    oldest = []
    fresh = tx.one("message_fresh_count", **now, everyone=EVERYONE) or (0, None)
    for state, count, sent_ms in [*tx.all("run_counts", **now), ("ready", *fresh)]:
        number[state] += count
        if state == "ready":
            oldest.append(sent_ms)
    for row in tx.all("run_lapsed", **now):
        run = Run(*row)
        for seq, expires_ms in _members(tx, swarm, run):
            alive = expires_ms is None or expires_ms > tx.now_ms
            number["ready" if alive else "dead"] += 1
            if alive:
                oldest += [sent_ms for (sent_ms,) in tx.all("message_sent", seq=seq)]
    return number, _first_end(oldest)


def prune(tx: Tx, swarm: str, *, dead_ms: int, rows: int) -> int:
    """Delete what expired unclaimed and what died before `dead_ms`; return how many messages."""
    now = {"swarm": swarm, "now_ms": tx.now_ms}
    pruned = tx.all("run_prunable", **now, dead_ms=dead_ms, rows=rows)
    for queue, first, log, receipt in pruned:
        tx.run("run_drop", swarm=swarm, receipt=receipt, queue=queue, first=first)
        if log == queue:
            tx.run("message_drop", seq=first)
    forgotten = tx.run("message_prune", **now, everyone=EVERYONE, rows=rows)
    # What was said to everyone goes when no agent has it in hand or among its dead any more.
    expired = tx.all("message_expired_for_all", **now, everyone=EVERYONE)
    spans = sorted(tx.all("run_spans_for_all", swarm=swarm, everyone=EVERYONE)) if expired else []
    unused = _outside([seq for (seq,) in expired], spans)[:rows]
    tx.many("message_drop", [{"seq": seq} for seq in unused])
    tx.run("message_cursor_prune", swarm=swarm, everyone=EVERYONE)
    return len(pruned) + forgotten + len(unused)


def _outside(seqs: list[int], spans: Sequence[Row]) -> list[int]:
    """Return those of `seqs` that are in none of the sorted spans (first, last)."""
    reach, ends = 0, []
    for _, last in spans:
        reach = max(reach, last)
        ends.append(reach)
    firsts = [first for first, _ in spans]

    def free(seq: int) -> bool:
        before = bisect_right(firsts, seq)
        return before == 0 or ends[before - 1] < seq

    return [seq for seq in seqs if free(seq)]


# --- rows ---


def _members(tx: Tx, swarm: str, run: Run) -> list[tuple[int, int | None]]:
    """Return (seq, expires_ms) of each message of a run."""
    if run.size == 1:
        return [(run.first, run.expires_ms)]
    span = {"log": run.log, "first": run.first, "last": run.last}
    return [(row[0], row[1]) for row in tx.all("message_members", swarm=swarm, **span)]


def _carve(
    tx: Tx,
    swarm: str,
    run: Run,
    members: Sequence[tuple[int, int | None]],
    leave: Collection[int],
    rest: Run,
) -> None:
    """Take the messages `leave` out of a run; what remains becomes like `rest`, in as many runs
    as it takes."""
    _drop(tx, swarm, run)
    for stretch in _stretches(members, leave):
        (first, _), (last, _), size = stretch[0], stretch[-1], len(stretch)
        expires_ms = _first_end(each[1] for each in stretch)
        _put(tx, swarm, rest._replace(first=first, last=last, size=size, expires_ms=expires_ms))


def _stretches(rows: Sequence[Row], without: Collection[int]) -> list[list[Row]]:
    """Split rows, which begin with their seq, at those that are left out."""
    stretches: list[list[Row]] = [[]]
    if not without:
        stretches = [list(rows)]
        rows = ()
    for row in rows:
        if row[SEQ] in without:
            stretches.append([])
        else:
            stretches[-1].append(row)
    return [stretch for stretch in stretches if stretch]


def _single(run: Run, seq: int, expires_ms: int | None) -> Run:
    return run._replace(first=seq, last=seq, size=1, expires_ms=expires_ms)


def _bury(tx: Tx, swarm: str, run: Run, reason: str | None) -> None:
    """Put a run of one message among the dead."""
    (message_id,) = tx.one("message_id", seq=run.first) or (None,)
    dead = run._replace(state="dead", receipt="", reason=reason, dead_ms=tx.now_ms)
    _put(tx, swarm, dead._replace(message_id=message_id))


def _put(tx: Tx, swarm: str, run: Run) -> None:
    tx.run("run_put", swarm=swarm, **run._asdict())


def _drop(tx: Tx, swarm: str, run: Run) -> None:
    where = {"receipt": run.receipt, "queue": run.queue, "first": run.first}
    tx.run("run_drop", swarm=swarm, **where)


def _drop_messages(tx: Tx, swarm: str, run: Run) -> None:
    if run.size == 1:
        tx.run("message_drop", seq=run.first)
    else:
        span = {"log": run.log, "first": run.first, "last": run.last}
        tx.run("message_drop_run", swarm=swarm, **span)


def _move(tx: Tx, swarm: str, queue: str, place: Place) -> None:
    seqs = {"own_seq": place.own_seq, "all_seq": place.all_seq, "odd_seq": place.odd_seq}
    tx.run("message_cursor", swarm=swarm, queue=queue, **seqs)


def _first_end(ends: Iterable[int | None]) -> int | None:
    return min((end for end in ends if end is not None), default=None)
