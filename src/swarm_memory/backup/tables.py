"""What a backup holds besides records, their history and events: each table by its columns.

A test holds that every table of the schema is here, is one of those three, or is left out with a
reason.
"""

from __future__ import annotations

from swarm_memory.lean import NamedTuple


class Table(NamedTuple):
    """One table.

    `page` is the statement that reads its next rows, `place` how many of its columns they are
    ordered by, `restore` the one that writes a row, `at` the column that says when a row was
    made (None: rows are of no one time).
    """

    name: str
    page: str
    place: int
    restore: str
    columns: tuple[str, ...]
    at: str | None


def _table(
    name: str, page: str, place: int, restore: str, columns: str, at: str | None = None
) -> Table:
    return Table(name, page, place, restore, tuple(columns.split()), at)


DICTIONARIES = _table(
    "dictionaries",
    "backup_dictionaries",
    2,
    "dictionary_put",
    "swarm number created_ms bytes",
)
FACTS = _table("facts", "backup_facts", 2, "fact_set", "swarm name value")
CONFLICTS = _table(
    "conflicts",
    "backup_conflicts",
    2,
    "conflict_load",
    "swarm conflict_id key base_version their_version strategy outcome base theirs mine result"
    " author at_ms",
    "at_ms",
)
OTHERS = (
    DICTIONARIES,  # first: the values that follow are packed with them
    FACTS,
    _table("ops", "backup_ops", 3, "op_put", "swarm agent op_id args_digest result at_ms", "at_ms"),
    _table(
        "choices",
        "backup_choices",
        2,
        "choice_load",
        "swarm choice_id task_type strategy propensity candidates context author at_ms",
        "at_ms",
    ),
    _table(
        "outcomes",
        "backup_outcomes",
        2,
        "outcome_add",
        "swarm outcome_id seq task_type task strategy status reward label_source duration_s cost"
        " agents context signals error_class failed_agent failed_step choice_id propensity author"
        " session at_ms",
        "at_ms",
    ),
    _table(
        "relabels",
        "backup_relabels",
        2,
        "relabel_add",
        "swarm seq outcome_id status reward label_source error_class was_status was_reward"
        " was_source was_error_class author at_ms",
        "at_ms",
    ),
    _table(
        "arms",
        "backup_arms",
        3,
        "restore_arm",
        "swarm task_type strategy trials unlabelled successes duration_s cost last_ms",
    ),
    CONFLICTS,
    _table(
        "messages",
        "backup_messages",
        1,
        "restore_message",
        "seq swarm queue odd message_id rank sender type body correlation reply_to attempts_max"
        " sent_ms visible_ms expires_ms",
        "sent_ms",
    ),
    _table(
        "message_runs",
        "backup_message_runs",
        3,
        "restore_message_run",
        "swarm queue first last size log state rank attempts attempts_max claimed visible_ms"
        " expires_ms reason message_id dead_ms",
    ),
    _table(
        "message_cursors",  # after the messages
        "backup_message_cursors",
        2,
        "restore_message_cursor",
        "swarm queue own_seq all_seq odd_seq",
    ),
    _table(
        "sessions",
        "backup_sessions",
        2,
        "restore_session",
        "swarm session_id short kind state agent about ttl_ms began_ms touched_ms ended_ms reason",
        "began_ms",
    ),
    _table(
        "session_agents",  # after the sessions
        "backup_session_agents",
        3,
        "restore_session_agent",
        "swarm session_id agent_id agent_type parent started_ms ended_ms",
        "started_ms",
    ),
)
EVENTS = _table(
    "events",
    "backup_events",
    1,
    "restore_event",
    "seq swarm key version op author at_ms scope category telemetry records bytes",
    "at_ms",
)
VERSION_COLUMNS = ["swarm", "key", "version", "author", "session", "created_ms", "updated_ms"]
VERSION_COLUMNS += ["expires_ms", "provenance", "value"]
RECORD_COLUMNS = [*VERSION_COLUMNS, "scope", "category", "telemetry"]
RECORDS, HISTORY = "records", "history"
FORGOTTEN, TOMBSTONES = "forgotten", "tombstones"  # only in increments: what is no more
SEARCH = ["search_swarms", "search_docs", "search_terms", "search_index"]
SEARCH += [f"search_index_{part}" for part in ("data", "idx", "docsize", "config")]
LEFT_OUT = {
    "usage": "counted anew from the records",
    "seats": "who held a lease before a restore does not hold it after; tokens stay as a floor",
    "moved": "where swarms live now does not change by a restore",
    "routes": "where swarms live now does not change by a restore",
    "migrations": "belongs to the schema",
    "sqlite_sequence": "SQLite's own; no cursor of a queue may be past it",
    "edits": "of the moment: who changes a file is not of the store",
    "touches": "of the last days: where agents work now does not change by a restore",
    "forecasts": "learned anew from the touches",
    "meters": "what was called does not change by a restore",
    "samples": "what was measured then stays true of the time, whatever is restored since",
    "alerts": "of the moment: what is wrong after a restore the next sample tells",
    "injections": "what stands in agents' contexts does not change by a restore",
    "handles": "a number that an agent was shown never means anything else, also after a restore",
    "models": "learned anew from the outcomes by who learns next",
    **dict.fromkeys(SEARCH, "made anew from the records by who searches next"),
}
EMPTY = ("", None, None)  # before the first row: no swarm has an empty name
