"""The rest of the tools, offered with `--tools full`."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from swarm_memory.doors.mcp import default
from swarm_memory.doors.mcp.prompts import briefed
from swarm_memory.doors.mcp.tools import (
    ADDS,
    ADDS_ONCE,
    FLAG,
    JSON,
    KEY,
    OBJECT,
    OBJECTS,
    READS,
    REPLACES,
    REPLACES_ONCE,
    SECONDS,
    TEXT,
    TEXTS,
    WHOLE,
    Call,
    Tool,
    tool,
)
from swarm_memory.errors import InvalidArgumentError, NotFoundError
from swarm_memory.identity import agent_id_in
from swarm_memory.learning.observation import LABEL_SOURCES, STATUSES

if TYPE_CHECKING:
    from swarm_memory.model import Json
    from swarm_memory.monitor.alerts import Alert

FULL: list[Tool] = []
LIST, LIST_MAX = 50, 1000
_limit = WHOLE | {"minimum": 1, "maximum": LIST_MAX, "default": LIST}
_name = TEXT | {"minLength": 1}
WINDOW_S = 1800.0
ALERT_SHOWN = (
    "alert_id", "state", "severity", "text", "advice", "raised_ms", "acknowledged_by",
    "resolved_ms",
)  # fmt: skip
_window = SECONDS | {"minimum": 60, "maximum": 30 * 86_400, "default": WINDOW_S}


@tool(
    FULL,
    "Lists the kept versions of a key, newest first, deletions too.",
    effect=READS,
    required=["key"],
    returns={"versions": OBJECTS},
    key=KEY,
    limit=_limit,
)
def history(call: Call, key: str, limit: int = LIST) -> dict[str, Json]:
    kept = call.swarm.records.history(key, limit=limit)
    if not kept:
        raise NotFoundError(f"{key} has no history", hint="list shows which keys there are")
    return {"versions": [record.to_dict() for record in kept]}


@tool(
    FULL,
    "Writes the value of an older version of a key as the next one; a deleted key comes back.",
    effect=REPLACES,
    required=["key"],
    returns={"key": TEXT, "version": WHOLE},
    key=KEY,
    version=WHOLE | {"minimum": 1, "description": "By default the one before the current."},
    expect=WHOLE,
)
def rollback(
    call: Call, key: str, version: int | None = None, expect: int | None = None
) -> dict[str, Json]:
    return default.without_value(call.swarm.records.rollback(key, version, expect=expect))


@tool(
    FULL,
    "Lists records in key order, without their values.",
    effect=READS,
    returns={"records": OBJECTS, "next_after": {"type": ["string", "null"]}},
    prefix=TEXT | {"description": "Whole segments; a trailing * matches within one."},
    limit=_limit,
    after=KEY | {"description": "Goes on behind this key."},
    telemetry=FLAG,
)
def list_(
    call: Call,
    prefix: str = "",
    limit: int = LIST,
    after: str | None = None,
    telemetry: bool = False,
) -> dict[str, Json]:
    page = call.swarm.records.scan(prefix, limit=limit, after=after, telemetry=telemetry)
    records = [default.without_value(record) for record in page]
    return {"records": records, "next_after": page.next_after}


@tool(
    FULL,
    "Deletes a key. Its history stays, and rollback brings it back.",
    effect=REPLACES_ONCE,
    required=["key"],
    returns={"key": TEXT, "deleted": FLAG},
    key=KEY,
    expect=WHOLE,
)
def delete(call: Call, key: str, expect: int | None = None) -> dict[str, Json]:
    return {"key": key, "deleted": call.swarm.records.delete(key, expect=expect)}


@tool(
    FULL,
    "Lists who holds which lock, and who waits for it in which order.",
    effect=READS,
    returns={"locks": OBJECTS},
    name=_name | {"description": "Only this lock."},
    path=_name | {"description": "Only who has reserved this file or folder."},
    limit=_limit,
)
def locks(
    call: Call, name: str | None = None, path: str | None = None, limit: int = LIST
) -> dict[str, Json]:
    if name is not None and path is not None:
        raise InvalidArgumentError("both name and path", hint="give one of them, or neither")
    leases = call.swarm.leases
    seats = leases.covering(path)[:limit] if path is not None else leases.list(name, limit=limit)
    return {"locks": [seat.to_dict() for seat in seats]}


@tool(
    FULL,
    "Marks claimed messages as done, or gives them back to be tried again.",
    effect=REPLACES_ONCE,
    required=["receipts"],
    returns={"receipts": TEXTS},
    receipts=TEXTS | {"minItems": 1},
    failed=TEXT | {"description": "Why they could not be done; gives them back."},
    delay_s=SECONDS | {"description": "Seconds until they come again."},
)
def ack(
    call: Call, receipts: list[str], failed: str | None = None, delay_s: float = 0.0
) -> dict[str, Json]:
    messages = call.swarm.messages
    if failed is None:
        messages.ack(*receipts)
    else:
        for receipt in receipts:
            messages.nack(receipt, delay_s=delay_s, reason=failed)
    return {"receipts": receipts}


@tool(
    FULL,
    "Lists writes that met another one, newest first, with both sides.",
    effect=READS,
    returns={"conflicts": OBJECTS},
    parked=FLAG | {"description": "Only those that wait for a decision."},
    limit=_limit,
)
def conflicts(call: Call, parked: bool = False, limit: int = LIST) -> dict[str, Json]:
    found = call.swarm.conflicts.list("parked" if parked else None, limit=limit)
    return {"conflicts": [conflict.to_dict() for conflict in found]}


@tool(
    FULL,
    "Settles a parked conflict by writing a value to its key.",
    effect=REPLACES,
    required=["conflict_id", "value"],
    returns={"key": TEXT, "version": WHOLE},
    conflict_id=_name,
    value=JSON,
)
def resolve(call: Call, conflict_id: str, value: Json) -> dict[str, Json]:
    return default.without_value(call.swarm.resolve_conflict(conflict_id, value))


@tool(
    FULL,
    "Says how likely another agent is to touch a file or a record soon, who was there lately, and "
    "who has reserved it. Where it is not calibrated only the order counts.",
    effect=READS,
    returns={"risks": OBJECTS},
    paths=TEXTS | {"minItems": 1, "description": "Files, below their worktree."},
    keys={"type": "array", "items": KEY, "minItems": 1, "description": "Instead: keys of records."},
    window_s=_window,
)
def risk(
    call: Call,
    paths: list[str] | None = None,
    keys: list[str] | None = None,
    window_s: float = WINDOW_S,
) -> dict[str, Json]:
    if (paths is None) == (keys is None):
        raise InvalidArgumentError("paths and keys", hint="give one of them")
    swarm = call.swarm
    if keys is not None:
        found = swarm.forecast.keys(keys, window_s=window_s)
    else:
        found = swarm.forecast.risk(
            paths or [], agent_id=agent_id_in(swarm.context.agent), window_s=window_s
        )
    return {"risks": [each.to_dict() for each in found]}


@tool(
    FULL,
    "Merges the worktrees around the server with each other as they stand, and names the files and "
    "lines that would not merge, branches and agents. Changes nothing.",
    effect=READS,
    returns={"clashes": OBJECTS, "worktrees": TEXTS, "pairs": WHOLE, "skipped": OBJECTS},
)
def merges(call: Call) -> dict[str, Json]:
    from swarm_memory.worktrees import check, editors_of

    return check(os.getcwd(), os.environ, agents=editors_of(call.swarm)).to_dict()


@tool(
    FULL,
    "Says which task to give to whom, so that agents meet at the same files least.",
    effect=READS,
    required=["tasks", "agents"],
    returns={"tasks": OBJECT, "meetings": OBJECTS, "reasons": TEXTS},
    tasks=OBJECT
    | {
        "additionalProperties": TEXTS,
        "description": 'Files or globs of each, such as {"login": ["src/auth.py"]}.',
    },
    agents=TEXTS | {"minItems": 1},
    window_s=_window,
)
def plan(
    call: Call, tasks: dict[str, list[str]], agents: list[str], window_s: float = WINDOW_S
) -> dict[str, Json]:
    return dict(call.swarm.forecast.assign(tasks, agents, window_s=window_s).to_dict())


@tool(
    FULL,
    "Records how a task ended. The swarm's strategies are chosen by what is recorded.",
    effect=ADDS,
    required=["task_type", "duration_s"],
    returns={"outcome_id": TEXT, "task_type": TEXT, "status": TEXT},
    task_type=_name,
    success=FLAG | {"description": "Leave it out if nobody knows: to have finished is none."},
    status={"type": "string", "enum": ["partial", "timeout", "conflict"]},
    duration_s=SECONDS,
    agents=TEXTS,
    strategy=_name,
    cost=SECONDS | {"description": "In a unit of one's own."},
    context=OBJECT,
    choice_id=_name | {"description": "Of the recommendation that was asked for."},
    score={"type": "number", "minimum": 0, "maximum": 1},
    error_class=_name | {"description": "Of a failure, such as timeout."},
    task=_name | {"description": "What it was, if it is done several times."},
)
def outcome(
    call: Call,
    task_type: str,
    duration_s: float,
    success: bool | None = None,
    status: str | None = None,
    agents: tuple[str, ...] = (),
    strategy: str | None = None,
    cost: float | None = None,
    context: dict[str, Json] | None = None,
    choice_id: str | None = None,
    score: float | None = None,
    error_class: str | None = None,
    task: str | None = None,
) -> dict[str, Json]:
    return call.swarm.outcomes.record(
        task_type,
        agents or [call.swarm.context.agent],
        success if status is None else status,
        duration_s,
        strategy=strategy,
        cost=cost,
        context=context,
        decision=choice_id,
        score=score,
        error_class=error_class,
        task=task,
    ).to_dict()


@tool(
    FULL,
    "Says how a task ended that was recorded before; a surer label stays.",
    effect=REPLACES,
    required=["outcome_id", "status"],
    returns={"outcome_id": TEXT, "status": TEXT, "label_source": TEXT},
    outcome_id=_name,
    status={"type": "string", "enum": [*STATUSES[:-1]]},
    score={"type": "number", "minimum": 0, "maximum": 1},
    label_source={"type": "string", "enum": [*LABEL_SOURCES[:-1]]},
)
def relabel(
    call: Call,
    outcome_id: str,
    status: str,
    score: float | None = None,
    label_source: str = LABEL_SOURCES[0],
) -> dict[str, Json]:
    outcomes = call.swarm.outcomes
    return outcomes.relabel(outcome_id, status, score=score, label_source=label_source).to_dict()


@tool(
    FULL,
    "Chooses a strategy for a task from the outcomes of earlier ones, with the evidence.",
    effect=ADDS,
    required=["context"],
    returns={"strategy": {"type": ["string", "null"]}, "evidence": OBJECT, "candidates": OBJECTS},
    context=OBJECT | {"description": 'Such as {"task_type": "review"}.'},
    candidates=TEXTS | {"minItems": 1},
)
def strategy(
    call: Call, context: dict[str, Json], candidates: list[str] | None = None
) -> dict[str, Json]:
    outcomes = call.swarm.outcomes
    return outcomes.recommend(context, candidates, explore=outcomes.may_try()).to_dict()


@tool(
    FULL,
    "Tells what this session has not been told yet: messages, memories, other agents at work.",
    effect=ADDS,
    returns={"text": TEXT},
    topic=TEXT | {"description": "Only what answers this."},
)
def briefing(call: Call, topic: str | None = None) -> dict[str, Json]:
    return {"text": briefed(call.swarm, topic)}


@tool(
    FULL,
    "Lists sessions and what they hold: the active ones first.",
    effect=READS,
    returns={"sessions": OBJECTS},
    state={"enum": ["active", "lapsed", "ended"]},
    limit=_limit,
)
def sessions(call: Call, state: str | None = None, limit: int = LIST) -> dict[str, Json]:
    found = call.swarm.sessions.list(state, limit=limit)
    return {"sessions": [session.to_dict() for session in found]}


@tool(
    FULL,
    "Tells how the memory is doing: what is wrong now, what to do about it, how full it is.",
    effect=READS,
    returns={"overall_health": TEXT, "issues": TEXTS, "recommendations": TEXTS},
)
def health(call: Call) -> dict[str, Json]:
    report = call.swarm.health.report()
    # Sizes of each category and agent are for the command: a model pays for every figure.
    return {
        "overall_health": report.overall_health,
        "issues": report.issues,
        "recommendations": report.recommendations,
        "records": report.metrics["records"],
        "memory_utilization": round(report.metrics["memory_utilization"], 3),
        "days_left": report.trends["days_left"],
    }


@tool(
    FULL,
    "Lists what is wrong and who has seen it, the oldest first; resolved ones by their state.",
    effect=READS,
    returns={"alerts": OBJECTS},
    state={"enum": ["open", "acknowledged", "resolved"]},
    limit=_limit,
)
def alerts(call: Call, state: str | None = None, limit: int = LIST) -> dict[str, Json]:
    return {"alerts": [_terse(alert) for alert in call.swarm.alerts.list(state, limit=limit)]}


@tool(
    FULL,
    "Says that you have seen an alert; it stays until what it tells of is over.",
    effect=ADDS_ONCE,
    required=["alert_id"],
    returns={"alert_id": TEXT, "state": TEXT},
    alert_id=_name,
)
def acknowledge(call: Call, alert_id: str) -> dict[str, Json]:
    return _terse(call.swarm.alerts.acknowledge(alert_id))


def _terse(alert: Alert) -> dict[str, Json]:
    """Return of an alert what somebody has to know to do something about it."""
    shown = {name: alert.to_dict()[name] for name in ALERT_SHOWN}
    return {name: value for name, value in shown.items() if value is not None}


@tool(
    FULL,
    "Checks the whole store for damage.",
    effect=READS,
    returns={"ok": FLAG},
)
def verify(call: Call) -> dict[str, Json]:
    report = call.swarm.verify(progress=lambda done, total, what: call.progress(done, total, what))
    return report.to_dict()


@tool(
    FULL,
    "Backs the whole store up to a new file in the folder of its backups.",
    effect=ADDS,
    returns={"path": TEXT, "bytes": WHOLE},
    incremental=FLAG | {"description": "Only what changed since the newest backup."},
)
def backup(call: Call, incremental: bool = False) -> dict[str, Json]:
    from swarm_memory.backup import backup_folder, write_backup
    from swarm_memory.exchange.lines import make_folder

    place = backup_folder(call.swarm)
    make_folder(place)
    made = write_backup(
        call.swarm,
        place,
        incremental=incremental,
        progress=lambda done, total: call.progress(done, total or None, None),
    )
    return made.to_dict()


@tool(
    FULL,
    "Imports stores of claude-flow and others, and exports of this one. A second run imports 0.",
    effect=ADDS_ONCE,
    required=["paths"],
    returns={"files": OBJECTS},
    paths=TEXTS | {"minItems": 1, "description": "Files, or folders to search."},
    dry_run=FLAG | {"description": "Says what would come and writes nothing."},
)
def import_(call: Call, paths: list[str], dry_run: bool = False) -> dict[str, Json]:
    from swarm_memory.exchange import import_stores

    return import_stores(
        call.swarm,
        paths,
        dry_run=dry_run,
        progress=lambda at: call.progress(at.rows, None, at.path),
    ).to_dict()


TOOLS = (*default.TOOLS, *FULL)
