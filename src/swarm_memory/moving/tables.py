"""What moves with a swarm besides records, their history and events: each table by its columns.

A test holds that every table of the schema is here, is one of those three, or stays with a reason.
"""

from __future__ import annotations

from swarm_memory.lean import NamedTuple


class Table(NamedTuple):
    """One table.

    `page` is the statement that reads the next rows of a swarm, in the order of their first
    `place` columns, which name a row; these begin after `first`. `enter` writes a row, `drop`
    removes one. `shifted` are the columns that hold numbers of messages.
    """

    name: str
    page: str
    place: int
    first: tuple[str | int, ...]
    enter: str
    drop: str
    columns: tuple[str, ...]
    shifted: tuple[str, ...] = ()


def _table(
    name: str,
    page: str,
    first: tuple[str | int, ...],
    enter: str,
    drop: str,
    columns: str,
    shifted: tuple[str, ...] = (),
) -> Table:
    return Table(name, page, len(first), first, enter, drop, tuple(columns.split()), shifted)


BEFORE = -(2**62)
FACTS = _table("facts", "move_facts", ("",), "fact_set", "forget_fact", "name value")
SESSIONS = _table(
    "sessions",
    "move_sessions",
    ("",),
    "move_session",
    "forget_session",
    "session_id short kind state agent about process ttl_ms boot_id began_ms touched_ms ended_ms"
    " reason",
)
COPIED = (
    _table(
        "dictionaries",  # first: the values that follow are packed with them
        "move_dictionaries",
        (BEFORE,),
        "dictionary_put",
        "move_dictionary_drop",
        "number created_ms bytes",
    ),
    FACTS,
    _table(
        "ops", "move_ops", ("", ""), "op_put", "forget_op", "agent op_id args_digest result at_ms"
    ),
    _table(
        "choices",
        "move_choices",
        ("",),
        "choice_load",
        "forget_choice",
        "choice_id task_type strategy propensity candidates context author at_ms",
    ),
    _table(
        "outcomes",
        "move_outcomes",
        ("",),
        "outcome_add",
        "forget_outcome",
        "outcome_id seq task_type task strategy status reward label_source duration_s cost agents"
        " context signals error_class failed_agent failed_step choice_id propensity author session"
        " at_ms",
    ),
    _table(
        "relabels",
        "move_relabels",
        (BEFORE,),
        "relabel_add",
        "move_relabel_drop",
        "seq outcome_id status reward label_source error_class was_status was_reward was_source"
        " was_error_class author at_ms",
    ),
    _table(
        "arms",
        "move_arms",
        ("", ""),
        "restore_arm",
        "move_arm_drop",
        "task_type strategy trials unlabelled successes duration_s cost last_ms",
    ),
    _table(
        "conflicts",
        "move_conflicts",
        ("",),
        "conflict_load",
        "forget_conflict",
        "conflict_id key base_version their_version strategy outcome base theirs mine result"
        " author at_ms",
    ),
    _table(
        "messages",
        "move_messages",
        (BEFORE,),
        "move_message",
        "move_message_drop",
        "seq queue odd message_id rank sender type body correlation reply_to attempts_max sent_ms"
        " visible_ms expires_ms",
        ("seq",),
    ),
    _table(
        "message_runs",
        "move_runs",
        ("", BEFORE),
        "move_run",
        "move_run_drop",
        "queue first last size log state rank attempts attempts_max claimed visible_ms expires_ms"
        " reason message_id dead_ms",
        ("first", "last"),
    ),
    _table(
        "message_cursors",
        "move_cursors",
        ("",),
        "message_cursor",
        "forget_cursor",
        "queue own_seq all_seq odd_seq",
        ("own_seq", "all_seq", "odd_seq"),
    ),
    SESSIONS,
    _table(
        "session_agents",
        "move_session_agents",
        ("", ""),
        "move_session_agent",
        "forget_session_agent",
        "session_id agent_id agent_type parent started_ms ended_ms",
    ),
    _table("handles", "move_handles", (BEFORE,), "move_handle", "move_handle_drop",
           "number kind item"),
)  # fmt: skip
# Only at the switch, in one go: a row has no name that is the same in both stores.
INJECTIONS = _table(
    "injections",
    "move_injections",
    (BEFORE,),
    "move_injection",
    "move_wipe_injections",
    "id session_id agent_id agent kind item version number event score tokens at_ms present"
    " cited_ms",
)
RECORD_TABLES = ("records", "history", "events")
WIPE = (
    "move_wipe_records",
    "move_wipe_history",
    "move_wipe_events",
    "move_wipe_usage",
    "move_wipe_dictionaries",
    "move_wipe_facts",
    "move_wipe_ops",
    "move_wipe_choices",
    "move_wipe_outcomes",
    "move_wipe_relabels",
    "move_wipe_arms",
    "move_wipe_models",
    "move_wipe_conflicts",
    "move_wipe_seats",
    "move_wipe_messages",
    "move_wipe_message_runs",
    "move_wipe_message_cursors",
    "move_wipe_sessions",
    "move_wipe_session_agents",
    "move_wipe_edits",
    "move_wipe_touches",
    "move_wipe_forecasts",
    "move_wipe_meters",
    "move_wipe_samples",
    "move_wipe_alerts",
    "move_wipe_injections",
    "move_wipe_handles",
    "move_wipe_search",
)
STAYS = {
    "models": "learned anew from the outcomes",
    "usage": "counted while the records are copied",
    "seats": "who held a lease before the move does not hold it after; tokens go on above",
    "edits": "of the moment: who changes a file says so again with the next change",
    "touches": "of the last days: where agents work is learned anew in the other store",
    "forecasts": "learned anew from the touches",
    "meters": "what was called in this store",
    "samples": "what was measured is of this store: its disk, its latencies",
    "alerts": "of the moment: what is wrong in the other store its next sample tells",
    "moved": "says what this store has given away",
    "routes": "of the store that is a directory",
    "migrations": "belongs to the schema",
    "sqlite_sequence": "SQLite's own; numbers of messages go on above it",
    "search_swarms": "made anew from the records by who searches next",
    "search_docs": "made anew from the records by who searches next",
    "search_index": "made anew from the records by who searches next",
    "search_terms": "made anew from the records by who searches next",
}
