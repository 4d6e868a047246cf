"""Checks of what a store holds, read without changing it: schema, damage, limits, leftovers."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from swarm_memory.config import load_config
from swarm_memory.context import Context
from swarm_memory.doctor.finding import damage, error, note, ok, warning
from swarm_memory.engine import POSTGRES, look_at_server, sync
from swarm_memory.engine.mark import SUFFIX
from swarm_memory.errors import ConfigError, SchemaError, SwarmMemoryError
from swarm_memory.health import CRITICAL, HEALTHY, Health
from swarm_memory.lives import Life, Now
from swarm_memory.monitor.rules import rules_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from swarm_memory.doctor.case import Case
    from swarm_memory.doctor.finding import Finding
    from swarm_memory.engine.inspection import Inspection

ROWS_MAX = 100  # of swarms, leases, queues that are looked at
SESSIONS_MAX = 1000  # active ones that are looked at
NAMES_MAX = 5  # that are named
EVENTS_MAX = 10_000  # of the newest, in which steps of the clock are looked for
STEP_MS_MAX = 1000  # what a clock may be set back by before it is worth a word
RESTORE = "swarm-memory verify says what is damaged; swarm-memory restore brings a backup back"
POSTGRES_OLDEST = 150_000
CLOCKS_DIFFER_MS = 1000


def syncs(case: Case) -> Iterator[Finding]:
    """Whether a sync has failed since the store was last opened by somebody alone."""
    path = os.path.realpath(case.path)
    if not case.exists or not os.path.exists(path + SUFFIX):
        return
    group = sync.join(path, case.clock.boot_id())
    try:
        failed = group.poisoned
    finally:
        sync.leave(group)
    if failed:
        yield error(
            "a sync of the log has failed: what was acknowledged before is safe or was called "
            "ambiguous, and durable writes are refused",
            f"{path}{SUFFIX} says so",
            "check the disk, then close the store everywhere; whoever opens it next checks it "
            "and begins anew",
        )
    else:
        yield ok("no sync of the log has failed")


def opens(case: Case) -> Iterator[Finding]:
    """Whether the store can be opened and has the schema of this version.

    On success the case's `store` is open for the checks after this one.
    """
    from swarm_memory.engine.inspection import Inspection, InspectionError

    if not case.path:
        yield from _no_file(case.located.url)
        return
    if not os.path.exists(case.path):
        yield note("there is no store yet", f"{case.path}: {case.located.why}", "swarm-memory init")
        return
    store = None
    try:
        store = Inspection(case.path)
        number, newest = store.schema()
        wal = store.in_wal_mode()
    except SwarmMemoryError as refused:
        if store is not None:
            store.close()
        if isinstance(refused, InspectionError) and refused.damaged:
            yield damage("the file is no readable SQLite database", str(refused), RESTORE)
        else:
            kind = "has another schema" if isinstance(refused, SchemaError) else "cannot be opened"
            yield error(f"the store {kind}, so its content was not examined", *_said(refused))
        return
    if number < newest:
        store.close()
        yield note(
            "the store was made by an older version; the next call that opens it brings it up to "
            "date",
            f"schema {number}, this version has {newest}",
            "swarm-memory health",
        )
        return
    case.store = store
    if wal:
        yield ok("the store opens and has the schema of this version", f"schema {number}")
    else:
        yield warning(
            "somebody switched the store's journal mode, so writers and readers block each other",
            "the header names another mode than WAL",
            f'end all users, then: sqlite3 {case.path} "PRAGMA journal_mode = WAL"',
        )


def _no_file(url: str) -> Iterator[Finding]:
    if url.endswith(":memory:"):
        yield note("the store lies in no file and ends with its process", url)
    elif url.partition("://")[0] in POSTGRES:
        yield from _on_a_server(url)
    else:
        yield error(
            "no such store can be opened",
            url,
            "use sqlite:///relative.db, sqlite:////absolute.db or postgresql://host/name",
        )


def _on_a_server(url: str) -> Iterator[Finding]:
    """Whether the server answers, is one that can be used, and has the schema of this version."""
    try:
        seen = look_at_server(url)
    except SwarmMemoryError as refused:
        yield error("the server cannot be used", *_said(refused))
        return
    if seen.number < POSTGRES_OLDEST:
        yield error("the server is too old", f"PostgreSQL {seen.version}", "use 15 or newer")
    if not seen.safe:
        yield warning(
            "the server does not make sure that what it acknowledges is on disk",
            "fsync or full_page_writes is off",
            "turn both on, unless this is a test",
        )
    if abs(seen.ahead_ms) > CLOCKS_DIFFER_MS + seen.doubt_ms:
        yield note(
            "the server's clock, by which leases and expiry are counted, differs from this one's",
            f"by {seen.ahead_ms / 1000:+.1f} s",
            "keep both right by NTP",
        )
    if seen.schema is None:
        yield note("there is no store yet", f"PostgreSQL {seen.version}", "swarm-memory init")
    elif seen.schema > seen.newest:
        yield error(
            "the store was made by a newer version",
            f"schema {seen.schema}, this version knows up to {seen.newest}",
            "update swarm-memory",
        )
    else:
        waits = seen.standbys and f", waits for {seen.standbys}"
        yield ok(
            "the server answers and takes writes",
            f"PostgreSQL {seen.version}, {seen.bytes} bytes{waits}",
        )


def _said(refused: SwarmMemoryError) -> tuple[str, str]:
    return str(refused), refused.hint


def bytes_intact(case: Case, store: Inspection) -> Iterator[Finding]:
    """SQLite's quick check of pages and trees."""
    found = store.damage()
    if found and store.overtaken:
        # A writer came while the file was read as it lay there: ask again, with its log.
        store.reopen()
        found = store.damage()
    if found is None:
        yield ok("no damage was found in a short look; swarm-memory verify takes the time it needs")
    elif found:
        yield damage("the store is damaged", "; ".join(found), RESTORE)
    else:
        yield ok("SQLite finds no damage")


def limits(case: Case, store: Inspection) -> Iterator[Finding]:
    """What every swarm holds against its limits."""
    try:
        config = load_config(case.environment.get("SWARM_MEMORY_CONFIG"), case.environment)
        rules_of(config)
    except ConfigError:
        config = load_config()  # what is wrong there is another check's finding
    # Health reads usage by statements, of which an inspection knows as many as an engine.
    engine: Any = store
    compressor: Any = None
    near, now_ms = False, case.clock.now_ms()
    for (swarm,) in store.all("doctor_swarms", limit=ROWS_MAX):
        context = Context(swarm, case.agent, None, config, compressor)
        report = Health(engine, context).near_limits(now_ms)
        if report.overall_health == HEALTHY:
            continue
        near = True
        judge = error if report.overall_health == CRITICAL else warning
        yield judge(
            f"swarm {swarm} is near a limit, or its file needs care",
            "; ".join(report.issues),
            "; ".join(report.recommendations),
        )
    if not near:
        yield ok("every swarm, agent and session is well below its limits")


def clock(case: Case, store: Inspection) -> Iterator[Finding]:
    """Whether the wall clock is ahead of everything stored, and was never set back."""
    newest_ms, back_ms = store.one("doctor_times", rows=EVENTS_MAX) or (None, None)
    found = list(judge_clock(case.clock.now_ms(), newest_ms or 0, back_ms or 0))
    if not case.clock.boot_id():
        found.append(
            note(
                "this system does not tell one start from the next, so leases are measured by "
                "the wall clock and end early or late when it is set",
                "no boot id",
                "do not set the clock while agents run",
            )
        )
    yield from found
    if not found:
        yield ok("the clock is ahead of everything that was stored, and was not set back")


def judge_clock(now_ms: int, newest_ms: int, back_ms: int) -> Iterator[Finding]:
    if newest_ms - now_ms > STEP_MS_MAX:
        yield warning(
            "the wall clock is behind the newest record: what is written now seems older than "
            "what is there, and expires too late",
            f"{(newest_ms - now_ms) / 1000:,.0f} s behind",
            "set the clock, best by NTP",
        )
    if back_ms > STEP_MS_MAX:
        yield note(
            "the wall clock was set back while agents wrote, so times do not show the order of "
            "some changes",
            f"by {back_ms / 1000:,.0f} s within the last {EVENTS_MAX:,} changes",
            "keep the clock by NTP, and order changes by their seq",
        )


def leases(case: Case, store: Inspection) -> Iterator[Finding]:
    """Leases that lapsed, and messages taken and left, with the sessions that did so."""
    boot = case.clock.boot_id()
    known = store.one("fact_get", swarm="", name="boot_id")
    lapsed = store.all(
        "doctor_lapsed",
        now_ms=case.clock.uptime_ms(),
        earlier_boot=bool(boot) and known is not None and known != (boot,),
        limit=ROWS_MAX,
    )
    if lapsed:
        yield note(
            "these leases lapsed because their owners ended or were too slow; whoever asks next "
            "gets them",
            _named(f"{name} of {owner} in {swarm}" for swarm, name, owner, _ in lapsed),
        )
    left = store.all("doctor_abandoned", now_ms=case.clock.now_ms(), limit=ROWS_MAX)
    if left:
        yield note(
            "these agents took messages and did not finish them in time; the next one who asks "
            "gets them",
            _named(f"{count} of {consumer} in {swarm}" for swarm, consumer, _, count in left),
        )
    sessions = {row[3] for row in lapsed} | {row[2] for row in left}
    if named := sorted(session for session in sessions if session):
        yield note("these sessions seem to have ended without saying so", _named(iter(named)))
    if not lapsed and not left:
        yield ok("no lease has lapsed and no message was left")


def sessions(case: Case, store: Inspection) -> Iterator[Finding]:
    """Sessions that nobody renewed, or whose process ended, and that nobody has ended yet."""
    now = Now(case.clock.boot_id(), case.clock.uptime_ms(), case.clock.now_ms())
    over = [
        f"{life.session_id} of {life.agent} in {swarm}: {life.cause(now)}"
        for swarm, *row in store.all("doctor_sessions", limit=SESSIONS_MAX)
        if (life := Life._make(row)).left_ms(now) <= 0 or life.is_gone(now.boot_id)
    ]
    if over:
        yield note(
            "these sessions are over and still hold what they held, until somebody comes by",
            _named(iter(over)),
            "swarm-memory session list",
        )
    else:
        yield ok("every active session is alive")


def dead_letters(case: Case, store: Inspection) -> Iterator[Finding]:
    """Messages that failed every attempt."""
    dead = store.all("doctor_dead", limit=ROWS_MAX)
    if dead:
        yield warning(
            "messages failed every attempt and wait for somebody to decide",
            _named(f"{count} in {swarm}, queue {queue}" for swarm, queue, count in dead),
            f"swarm-memory dead --swarm {dead[0][0]}",
        )
    else:
        yield ok("no message has failed every attempt")


def _named(names: Iterator[str]) -> str:
    all_names = list(names)
    more = len(all_names) - NAMES_MAX
    shown = "; ".join(all_names[:NAMES_MAX])
    return f"{shown}; and {more} more" if more > 0 else shown
