"""The verbs that enter swarm-memory in agents' tools: init uninstall pause resume."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from swarm_memory import pausing
from swarm_memory.doors.cli.frame import IN_MEMORY, Door, verb
from swarm_memory.doors.cli.show import cell
from swarm_memory.doors.cli.store import PANEL as STORE
from swarm_memory.errors import InvalidArgumentError
from swarm_memory.locate import FILE, file_of, own_store, project_folder
from swarm_memory.wiring import claude as claude_code
from swarm_memory.wiring import claude_flow as flow
from swarm_memory.wiring import codex as codex_cli
from swarm_memory.wiring import hooks, removal, trial
from swarm_memory.wiring.ledger import Ledger
from swarm_memory.wiring.places import place_of
from swarm_memory.wiring.plan import apply, once, take_out

if TYPE_CHECKING:
    from rich.console import Console

    from swarm_memory.wiring.plan import Change
    from swarm_memory.wiring.trial import Trial

PANEL = "Claude Code and Codex"
_STYLES = {"+": "green", "-": "red", "@": "cyan"}


@verb("init", STORE)
def init(
    door: Door,
    claude: Annotated[
        bool, typer.Option("--claude", help="Enter hooks, MCP server and skill in Claude Code.")
    ] = False,
    project: Annotated[
        bool,
        typer.Option("--project", help="In the project's settings; silent for who lacks us."),
    ] = False,
    team: Annotated[
        bool, typer.Option("--team", help="As --project, and the skill for everybody.")
    ] = False,
    local: Annotated[
        bool, typer.Option("--local", help="For yourself in this project only.")
    ] = False,
    codex: Annotated[
        bool, typer.Option("--codex", help="Enter hooks, MCP server and skill in Codex.")
    ] = False,
    claude_flow: Annotated[
        bool,
        typer.Option("--claude-flow", help="Call us where claude-flow is; import its memory."),
    ] = False,
    block: Annotated[
        bool, typer.Option("--block", help="A few lines in CLAUDE.md or AGENTS.md, too.")
    ] = False,
    http: Annotated[
        bool, typer.Option("--http", help="Send Claude Code's hooks to `swarm-memory serve`.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, max=65535, help=f"With --http, else {hooks.HTTP_PORT}."),
    ] = None,
    extract: Annotated[
        bool,
        typer.Option("--extract", help="Ask a model after each turn what is worth keeping."),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; write nothing.")
    ] = False,
) -> int | None:
    """Make the project's store, and enter it in Claude Code or Codex if asked.

    The project is the git repository around this directory (its worktrees share the store), else
    the nearest directory above with a .swarm-memory, else this directory; with --claude or --codex
    outside of any project it is your own store. With --url or SWARM_MEMORY_URL it is that store.

    --claude writes your own settings for all projects, unless --project, --team or --local says
    otherwise. The change is shown first, everything else in these files stays as it is, and one
    session is tried through the real command. A second call changes nothing; uninstall takes all
    of it out.

    --http writes the same events as requests to a server that you keep running, which costs less
    than a process each; SessionStart stays a command. A second call without it takes that back.

    --extract adds a hook of type prompt to the end of each turn: a model of Claude Code's own looks
    for a decision or a lesson that was not stored, and tells the agent, which decides. It costs a
    model call for each turn, and is off unless chosen; a second call without it takes it out.

    --claude-flow replaces `npx claude-flow hooks` by `swarm-memory flow-hook` in the project's
    settings, CLAUDE.md, agents, commands and scripts, and imports the old stores.

    Example: swarm-memory init --claude --dry-run
    """
    chosen = [name for name, on in (("project", project), ("team", team), ("local", local)) if on]
    if len(chosen) > 1 or (chosen and not claude):
        raise typer.BadParameter("give one of --project, --team, --local, together with --claude")
    if (http and (not claude or {"project", "team"} & {*chosen})) or (port and not http):
        raise typer.BadParameter("--http goes with --claude, for yourself; --port with --http")
    if extract and not claude:
        raise typer.BadParameter("--extract goes with --claude")
    if block and not claude and not codex:
        raise typer.BadParameter("--block goes with --claude or --codex")
    scope = chosen[0] if chosen else "user"
    http_port = (port or hooks.HTTP_PORT) if http else None
    place = place_of(os.getcwd(), os.environ)
    ledger = Ledger(place.records)

    def planned() -> list[Change]:
        return once(
            [
                *(
                    claude_code.plan(
                        ledger, place, scope, block=block, http_port=http_port, extract=extract
                    )
                    if claude
                    else ()
                ),
                *(codex_cli.plan(ledger, place, block=block) if codex else ()),
            ]
        )

    changes = planned()  # what cannot be understood is refused before anything is written
    flowed = flow.enter(flow.ledger_of(place), place.root) if claude_flow else []
    _show_diffs(door, flowed)
    if flowed and not dry_run:
        apply(flow.ledger_of(place), flowed)
        changes = planned()  # anew, on what is there now
    _show_diffs(door, changes)
    url, made = _store(door, wiring=(claude or codex) and scope == "user", dry_run=dry_run)
    if not dry_run:
        apply(ledger, changes)
    tried = None
    if claude and not dry_run:
        with door.show.progress("trying a hook"):
            tried = trial.fire(
                claude_code.handler(quiet=bool({"project", "team"} & {scope})),
                os.environ,
                os.getcwd(),
            )
    if claude_flow:
        _bring_over(door, url, place.root, dry_run)
    _show_init(door, url, made, [*flowed, *changes], tried, dry_run)
    if http_port is not None and not dry_run:
        door.show.note(f"hooks now need a server: swarm-memory serve --port {http_port}")
    return 1 if tried is not None and not tried.works else None


def _store(door: Door, *, wiring: bool, dry_run: bool) -> tuple[str, str]:
    """Make the store if it is not there; return its URL and whether it was made or exists."""
    url = door.url or os.environ.get("SWARM_MEMORY_URL")
    if url is None and wiring:
        # Somebody who sets up a tool in his home folder does not mean to make that a project.
        url = door.located().url
    url = url or f"sqlite:///{os.path.join(project_folder(os.getcwd()), FILE)}"
    path = file_of(url)
    there = path is not None and os.path.exists(path)
    if dry_run:
        return url, "exists" if there else "missing"
    with door.open(url=url) as swarm:
        return swarm.url, "exists" if there else "created"


def _bring_over(door: Door, url: str, root: str, dry_run: bool) -> None:
    """Import claude-flow's memory of the project, and say how much it is."""
    from swarm_memory.exchange import import_stores

    with door.open(url=IN_MEMORY if dry_run else url) as swarm:
        report = import_stores(swarm, flow.stores(root), dry_run=dry_run)
    done = "would be imported" if dry_run else "imported"
    read = f"{report.memories} memories, {report.telemetry} telemetry"
    door.show.note(f"claude-flow: {read}; {report.imported} {done}")
    for file in report.files:
        if file.error is not None:
            door.show.note(f"claude-flow: {file.error}")


def _show_diffs(door: Door, changes: list[Change]) -> None:
    """Show what changes in which file, unless JSON was asked for, which has it inside.

    A diff is for reading: where no person does, stdout is for the list of what was changed.
    """
    if door.as_json:
        return
    for change in changes:
        for line in change.diff():
            if door.show.terminal:
                style = _STYLES.get(line[:1], "")
                door.show.console.print(cell(line, style), soft_wrap=True)
            else:
                door.show.note(line)


def _show_init(
    door: Door, url: str, made: str, changes: list[Change], tried: Trial | None, dry_run: bool
) -> None:
    path = file_of(url)

    def pretty(console: Console) -> None:
        said = {"created": "made", "exists": "it is there already", "missing": "would be made"}
        console.print(cell(f"{said[made]}: {path or url}", "bold"), soft_wrap=True)
        for change in changes:
            console.print(cell(f"{change.verb}: {change.path}"), soft_wrap=True)
        if dry_run:
            console.print(cell("nothing was written: leave out --dry-run to do it", "bold"))
            return
        if tried is not None:
            style = "green" if tried.works else "bold red"
            console.print(cell(f"trial: {tried.shown} ({tried.slowest_ms} ms)", style))
        console.print("next:")
        for line in _next(changes, tried):
            console.print(cell(f"  {line}"), soft_wrap=True)

    door.show.result(
        {
            "url": url,
            "path": path,
            "created": made == "created",
            "dry_run": dry_run,
            "changes": [change.to_dict() for change in changes],
            "trial": tried._asdict() if tried is not None else None,
        },
        [
            [url, made],
            *([change.path, change.verb] for change in changes),
            *([["trial", "works" if tried.works else "fails", tried.shown]] if tried else ()),
        ],
        pretty,
    )


def _next(changes: list[Change], tried: Trial | None) -> list[str]:
    if not changes:
        return [
            "swarm-memory put notes/1 'what to remember'",
            "swarm-memory ls",
            "swarm-memory init --claude   to let Claude Code use it",
            "swarm-memory import PATH   to bring in the memory of claude-flow or ruflo",
        ]
    first = ["start Claude Code anew, then: swarm-memory doctor --claude"] if tried else []
    codex = [*codex_cli.MISSING] if any("hooks.json" in change.path for change in changes) else []
    return [
        *first,
        *codex,
        "swarm-memory pause   stops showing and recording here; resume goes on",
        "SWARM_MEMORY_INJECT=off   shows agents nothing, and records on",
        "swarm-memory uninstall   takes all of this out again",
    ]


@verb("uninstall", PANEL)
def uninstall(
    door: Door,
    keep_store: Annotated[
        bool, typer.Option("--keep-store", help="Do not ask: the memory stays.")
    ] = False,
    delete_store: Annotated[
        bool, typer.Option("--delete-store", help="Do not ask: the memory is deleted, too.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change; write nothing.")
    ] = False,
) -> None:
    """Take swarm-memory out of Claude Code and Codex: exactly what init wrote, here and elsewhere.

    The change is shown first. Then it asks whether the store of this project goes, too; without a
    terminal it stays unless --delete-store is given.

    Example: swarm-memory uninstall --dry-run
    """
    if keep_store and delete_store:
        raise typer.BadParameter("--keep-store and --delete-store exclude each other")
    place = place_of(os.getcwd(), os.environ)
    ledger = Ledger(place.records)
    changes = removal.plan(ledger, place)  # refuses what it must before anything is written
    flowed = flow.restore(flow.ledger_of(place), place.root)
    _show_diffs(door, flowed)
    if flowed and not dry_run:
        take_out(flow.ledger_of(place), flowed)
        changes = removal.plan(ledger, place)
    shown = [change for change in changes if change.verb != "kept"]
    _show_diffs(door, shown)
    path = file_of(own_store(door.located().url))
    there = path is not None and os.path.exists(path)
    if not dry_run:
        take_out(ledger, changes)
    if not keep_store and not delete_store and there and not dry_run and sys.stdin.isatty():
        delete_store = typer.confirm(f"Delete the memory in {path}, too?", default=False, err=True)
    deleted = removal.store_files(path) if delete_store and path is not None else []
    if not dry_run:
        removal.delete(deleted)

    shown = [*(change for change in flowed if change.verb != "kept"), *shown]

    def pretty(console: Console) -> None:
        for change in shown:
            console.print(cell(f"{change.verb}: {change.path}"), soft_wrap=True)
        if not shown:
            console.print(cell("nothing of swarm-memory is in the settings"))
        if there:
            what = "deleted" if deleted else "kept"
            console.print(cell(f"store {what}: {path}"), soft_wrap=True)
        if dry_run:
            console.print(cell("nothing was written: leave out --dry-run to do it", "bold"))

    door.show.result(
        {
            "changes": [change.to_dict() for change in shown],
            "store": path if there else None,
            "deleted": deleted,
            "dry_run": dry_run,
        },
        [
            *([change.path, change.verb] for change in shown),
            *([[path, "deleted" if deleted else "kept"]] if there else ()),
        ],
        pretty,
    )


@verb("pause", PANEL)
def pause(door: Door) -> None:
    """Stop the hooks of this store: agents are shown nothing and nothing is recorded.

    Commands and the MCP server go on. SWARM_MEMORY_INJECT=off only stops what is shown.

    Example: swarm-memory pause
    """
    path = _file(door)
    _show_switch(door, path, pausing.pause(path), paused=True)


@verb("resume", PANEL)
def resume(door: Door) -> None:
    """Let the hooks of this store go on.

    Example: swarm-memory resume
    """
    path = _file(door)
    _show_switch(door, path, pausing.resume(path), paused=False)


def _file(door: Door) -> str:
    url = door.located().url
    path = file_of(own_store(url))
    if path is None:
        raise InvalidArgumentError(f"{url} is no file", hint="hooks use a store in a file")
    return path


def _show_switch(door: Door, path: str, changed: bool, *, paused: bool) -> None:
    state = "paused" if paused else "running"

    def pretty(console: Console) -> None:
        again = "" if changed else " already"
        console.print(cell(f"{state}{again}: {path}", "bold"), soft_wrap=True)
        if paused:
            console.print(cell("swarm-memory resume lets it go on"))

    document = {"path": path, "paused": paused, "changed": changed}
    door.show.result(document, [[path, state]], pretty)
