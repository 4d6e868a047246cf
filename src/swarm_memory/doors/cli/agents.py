"""The verbs of agents: decide, decisions, progress, share, knowledge, state, sync."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from swarm_memory.doors.cli.frame import Door, verb
from swarm_memory.doors.cli.show import cell, one_line, preview, table, time_of
from swarm_memory.doors.cli.values import (
    StrictFlag,
    TextFlag,
    Value,
    object_of,
    value_of,
)

if TYPE_CHECKING:
    from rich.console import Console

    from swarm_memory.model import Record
    from swarm_memory.reports import CoordinationState

AGENTS = "Agents"
Limit = Annotated[int, typer.Option(metavar="N", min=1, help="Rows at most.")]
Context = Annotated[
    str | None, typer.Option(metavar="JSON", help="An object that says more about the task.")
]


def _written(door: Door, record: Record, sentence: str) -> None:
    door.show.result(
        record.to_dict(),
        [[record.key, record.version]],
        lambda console: console.print(cell(f"{sentence}: {record.key}")),
    )


def _records(door: Door, records: list[Record], field: str, nothing: str) -> None:
    """Show records of one kind of memory, of each what `field` of its value holds."""

    def pretty(console: Console) -> None:
        if not records:
            console.print(cell(nothing))
            return
        shown = table("when", "what", "by", "content", right=["when"])
        for record in records:
            value = record.value if isinstance(record.value, dict) else {}
            what = str(value.get(f"{field}_type", ""))
            content = preview(value.get(f"{field}_data", record.value))
            age = cell(door.show.age(record.updated_ms), "dim")
            shown.add_row(age, cell(what, "bold"), cell(record.author, "green"), cell(content))
        console.print(shown)

    door.show.result(
        [record.to_dict() for record in records],
        ([r.key, r.version, time_of(r.updated_ms), r.author, one_line(r.value)] for r in records),
        pretty,
    )


@verb("decide", AGENTS)
def decide(
    door: Door,
    decision_type: Annotated[str, typer.Argument(metavar="TYPE", help="Kind of decision.")],
    value: Value = None,
    context: Context = None,
    text: TextFlag = False,
    strict_json: StrictFlag = False,
) -> None:
    """Keep a decision of this agent; none replaces another.

    Example: swarm-memory decide task_assignment '{"task": "parse", "to": "agent-2"}'
    """
    data = value_of(value, text=text, strict=strict_json)
    about = object_of("--context", context)
    with door.manager() as manager:
        record = manager.store_agent_decision(decision_type, data, about)
    _written(door, record, "kept")


@verb("decisions", AGENTS)
def decisions(
    door: Door,
    decision_type: Annotated[
        str | None, typer.Argument(metavar="TYPE", help="Only of this kind.")
    ] = None,
    of: Annotated[
        str | None, typer.Option(metavar="AGENT", help="Another agent's instead of one's own.")
    ] = None,
    limit: Limit = 100,
) -> None:
    """List decisions, newest first.

    In a pipe each line is key, version, time, author and the value as JSON.

    Example: swarm-memory decisions task_assignment --of agent-2
    """
    with door.manager(create=False) as manager:
        records = manager.get_agent_decisions(decision_type, agent_name=of, limit=limit)
    _records(door, records, "decision", f"no decisions of {of or door.agent}")


@verb("progress", AGENTS)
def progress(
    door: Door,
    task_id: Annotated[str, typer.Argument(metavar="TASK", help="The task's name.")],
    value: Value = None,
    text: TextFlag = False,
    strict_json: StrictFlag = False,
) -> None:
    """Write how far this agent is with TASK; history keeps the steps before.

    Example: swarm-memory progress task-7 '{"percent": 40}'
    """
    data = value_of(value, text=text, strict=strict_json)
    with door.manager() as manager:
        record = manager.update_agent_progress(task_id, data)
    _written(door, record, "written")


@verb("share", AGENTS)
def share(
    door: Door,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="Kind of knowledge.")],
    value: Value = None,
    text: TextFlag = False,
    strict_json: StrictFlag = False,
) -> None:
    """Share a piece of knowledge with the swarm; none replaces another.

    Example: swarm-memory share optimization '{"strategy": "parallel"}'
    """
    data = value_of(value, text=text, strict=strict_json)
    with door.manager() as manager:
        record = manager.share_knowledge_with_swarm(kind, data)
    _written(door, record, "shared")


@verb("knowledge", AGENTS)
def knowledge(
    door: Door,
    kind: Annotated[str | None, typer.Argument(metavar="KIND", help="Only of this kind.")] = None,
    limit: Limit = 100,
) -> None:
    """List what the swarm's agents shared, newest first.

    In a pipe each line is key, version, time, author and the value as JSON.

    Example: swarm-memory knowledge optimization --limit 5
    """
    with door.manager(create=False) as manager:
        records = manager.get_shared_knowledge(kind, limit=limit)
    _records(door, records, "knowledge", f"nothing was shared in the swarm '{door.swarm}'")


@verb("state", AGENTS)
def state(door: Door) -> None:
    """Show who is in the swarm and how far its memory has come.

    Example: swarm-memory state --json
    """
    with door.manager(create=False) as manager:
        found = manager.get_swarm_coordination_state()
    door.show.result(
        found.to_dict(),
        [
            ["swarm_id", found.swarm_id],
            ["coordination_version", found.coordination_version],
            ["last_sync_ms", found.last_sync_ms],
            *(["agent", agent] for agent in found.active_agents),
        ],
        lambda console: _print_state(door, found, console),
    )


def _print_state(door: Door, found: CoordinationState, console: Console) -> None:
    agents = ", ".join(found.active_agents) or "nobody yet"
    when = "never" if found.last_sync_ms is None else f"{door.show.age(found.last_sync_ms)} ago"
    console.print(cell(f"swarm {found.swarm_id}", "bold"))
    console.print(cell(f"  agents       {agents}"))
    console.print(cell(f"  last change  {when} (event {found.coordination_version})"))


@verb("sync", AGENTS)
def sync(door: Door) -> None:
    """Print what changed in the swarm since this agent last asked, and remember that.

    In a pipe each line is the event's number, time, operation, key, version and author.

    Example: swarm-memory sync --agent agent-1
    """
    with door.manager() as manager:
        changes = manager.synchronize_with_swarm()

    def pretty(console: Console) -> None:
        if not changes.events:
            console.print(cell(f"nothing changed (event {changes.seq})"))
            return
        shown = table("event", "when", "what", "by", "key", right=["event", "when"])
        for e in changes.events:
            age = cell(door.show.age(e.at_ms), "dim")
            key = cell(f"{e.key} v{e.version}")
            shown.add_row(str(e.seq), age, cell(e.op, "bold"), cell(e.author, "green"), key)
        console.print(shown)

    door.show.result(
        changes.to_dict(),
        ([e.seq, time_of(e.at_ms), e.op, e.key, e.version, e.author] for e in changes.events),
        pretty,
    )
