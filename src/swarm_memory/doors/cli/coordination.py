"""The verbs of working together: lock, locks, send, inbox, ack, dead, watch, conflicts."""

from __future__ import annotations

import os
import subprocess
import threading
from typing import TYPE_CHECKING, Annotated

import typer

from swarm_memory.doors.cli.frame import Door, verb
from swarm_memory.doors.cli.show import cell, one_line, preview, table, time_of
from swarm_memory.doors.cli.values import StrictFlag, TextFlag, Value, value_of
from swarm_memory.errors import LeaseLostError
from swarm_memory.locate import root_of
from swarm_memory.patterns import FILES, below

if TYPE_CHECKING:
    from rich.console import Console

    from swarm_memory.letters import Message
    from swarm_memory.seats import Lease

PANEL = "Working together"
EXIT_NOT_RUNNABLE = 127  # as a shell says of a command that it cannot find
RENEW_PART = 3  # a lease is renewed when a third of its time is over
STOP_S = 5.0  # between asking a command to stop and stopping it
Limit = Annotated[int, typer.Option(metavar="N", min=1, help="Rows at most.")]
Topic = Annotated[
    str | None, typer.Option(metavar="NAME", help="Of this topic instead of one's own inbox.")
]


@verb("lock", PANEL)
def lock(
    door: Door,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Any text, or file:PATH or file:GLOB.")
    ],
    command: Annotated[
        list[str] | None, typer.Argument(metavar="-- COMMAND", help="What to run.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep it until unlock or its end, and run nothing.")
    ] = False,
    mode: Annotated[str, typer.Option(metavar="MODE", help="read, write or exclusive.")] = (
        "exclusive"
    ),
    ttl_s: Annotated[
        float, typer.Option(metavar="S", help="Seconds until it lapses if we die; renewed.")
    ] = 30.0,
    wait_s: Annotated[
        float | None, typer.Option(metavar="S", help="Seconds to wait in line; 0 asks once.")
    ] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="Shown to others.")] = None,
) -> int:
    """Run COMMAND while holding the lease NAME, and give it up afterwards.

    With file: a path or a glob is reserved, as seen from the current folder; whatever overlaps it
    is kept out. A folder is meant with all below it; in a glob ** stands for any folders.

    The command finds the fencing token in SWARM_MEMORY_LEASE_TOKEN. The exit status is the
    command's own; 4 if the lease was not to be had, or was lost while the command ran, which then
    is stopped.

    With --keep nothing is run: the token is printed, and unlock gives the lease back.

    Example: swarm-memory lock 'file:src/**/*.py' --wait-s 60 -- ruff format src
    """
    if keep == bool(command):
        raise typer.BadParameter("give -- COMMAND to run, or --keep")
    if command is None or keep:
        with door.open() as swarm:
            lease = swarm.leases.acquire(
                _named(name), mode, ttl_s=ttl_s, wait_s=wait_s, reason=reason
            )
        door.show.result(lease.to_dict(), [[lease.name, lease.token]])
        return 0
    with (
        door.open() as swarm,
        swarm.leases.hold(_named(name), mode, ttl_s=ttl_s, wait_s=wait_s, reason=reason) as lease,
    ):
        environment = {**os.environ, "SWARM_MEMORY_LEASE_TOKEN": str(lease.token)}
        try:
            process = subprocess.Popen(command, env=environment)
        except OSError as error:
            door.show.note(f"swarm-memory: cannot run {command[0]}: {error.strerror}")
            return EXIT_NOT_RUNNABLE
        return _guard(process, lease)


@verb("unlock", PANEL)
def unlock(
    door: Door,
    name: Annotated[str, typer.Argument(metavar="NAME", help="As it was locked.")],
    token: Annotated[int, typer.Argument(metavar="TOKEN", help="As lock --keep printed it.")],
) -> None:
    """Give back a lease that this agent took with lock --keep.

    Example: swarm-memory unlock deploy 7
    """
    with door.open() as swarm:
        lease = swarm.leases.held(_named(name), token)
        released = lease.release()
    door.show.result(
        {"name": lease.name, "released": released},
        [[lease.name, "released"]],
        lambda console: console.print(cell(f"{lease.name} is free")),
    )


def _guard(process: subprocess.Popen[bytes], lease: Lease) -> int:
    """Renew the lease until the process ends; stop the process if the lease is lost."""
    ended = threading.Event()
    lost: list[LeaseLostError] = []

    def renew() -> None:
        while not ended.wait(lease.ttl_s / RENEW_PART):
            try:
                lease.renew()
            except LeaseLostError as error:
                lost.append(error)
                _stop(process)
                return

    keeper = threading.Thread(target=renew, daemon=True)
    keeper.start()
    try:
        status = process.wait()
    except KeyboardInterrupt:
        _stop(process)
        raise
    finally:
        ended.set()
        keeper.join()
    if lost:
        raise lost[0]
    # A shell tells of a command that a signal ended in the same way.
    return status if status >= 0 else 128 - status


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()


@verb("locks", PANEL)
def locks(
    door: Door,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="Only who is at this lease.")
    ] = None,
    path: Annotated[
        str | None, typer.Option(metavar="PATH", help="Only who has reserved this file or folder.")
    ] = None,
    limit: Limit = 100,
) -> None:
    """List who holds which lease, and who waits for it in which order.

    Paths are shown from the project's root. In a pipe each line is name, state, mode, owner,
    token, age in ms, expiry and reason.

    Example: swarm-memory locks --path src/app.py
    """
    if name is not None and path is not None:
        raise typer.BadParameter("give NAME or --path, not both")
    with door.open(create=False) as swarm:
        if path is not None:
            seats = swarm.leases.covering(_from_root(path))[:limit]
        else:
            seats = swarm.leases.list(None if name is None else _named(name), limit=limit)

    def pretty(console: Console) -> None:
        if not seats:
            console.print(cell("nobody holds a lease"))
            return
        shown = table("lease", "state", "mode", "who", "for", right=["for"])
        for seat in seats:
            age = door.show.age(seat.since_ms)
            style = "bold" if seat.state == "held" else "dim"
            who = f"{seat.owner} ({seat.reason})" if seat.reason else seat.owner
            shown.add_row(
                cell(seat.name, style), cell(seat.state), cell(seat.mode), cell(who), cell(age)
            )
        console.print(shown)

    door.show.result(
        [seat.to_dict() for seat in seats],
        (
            [s.name, s.state, s.mode, s.owner, s.token, s.age_ms, time_of(s.expires_ms), s.reason]
            for s in seats
        ),
        pretty,
    )


def _named(typed: str) -> str:
    """Return the name of the lease that is meant."""
    path = typed.removeprefix(FILES)
    return typed if path == typed else FILES + _from_root(path)


def _from_root(typed: str) -> str:
    """Return a path or a glob, typed in the current folder, as it is called from the root."""
    folder = os.getcwd()
    path = typed and below(typed, root=root_of(folder), folder=folder)
    return f"{path}/" if os.path.isdir(typed) and not path.endswith(("/", "**")) else path


@verb("send", PANEL)
def send(
    door: Door,
    value: Value = None,
    to: Annotated[str | None, typer.Option(metavar="AGENT", help="To one agent.")] = None,
    topic: Annotated[
        str | None, typer.Option(metavar="NAME", help="To a topic, of which one consumer gets it.")
    ] = None,
    kind: Annotated[
        str | None, typer.Option("--type", metavar="TYPE", help="What kind of message it is.")
    ] = None,
    priority: Annotated[int, typer.Option(metavar="N", help="What is higher comes first.")] = 0,
    delay_s: Annotated[float, typer.Option(metavar="S", help="Seconds until it is seen.")] = 0.0,
    ttl_s: Annotated[
        float | None, typer.Option(metavar="S", help="Seconds until it is dropped unclaimed.")
    ] = None,
    op_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Makes a retry send once.")
    ] = None,
    text: TextFlag = False,
    strict_json: StrictFlag = False,
) -> None:
    """Send a message to an agent, to a topic, or (with neither) to everyone.

    Example: swarm-memory send '{"please": "review", "file": "a.py"}' --topic reviews
    """
    body = value_of(value, text=text, strict=strict_json)
    with door.open() as swarm:
        sent = swarm.messages.send(
            body,
            to=to,
            topic=topic,
            type=kind,
            priority=priority,
            delay_s=delay_s,
            ttl_s=ttl_s,
            op_id=op_id,
        )
    door.show.result(
        sent.to_dict(),
        [[sent.message_id]],
        lambda console: console.print(cell(f"sent: {sent.message_id}")),
    )


@verb("inbox", PANEL)
def inbox(
    door: Door,
    topic: Topic = None,
    claim: Annotated[
        bool, typer.Option("--claim", help="Take them, so that nobody else gets them.")
    ] = False,
    visible_after_s: Annotated[
        float, typer.Option(metavar="S", help="Seconds until a claimed one comes again.")
    ] = 60.0,
    wait_s: Annotated[
        float, typer.Option(metavar="S", help="With --claim: seconds to wait for a first one.")
    ] = 0.0,
    limit: Limit = 10,
) -> None:
    """List this agent's messages, or with --claim take them to work on.

    What was claimed is done with ack RECEIPT; without that it comes again. In a pipe each line
    is id, receipt, sender, type, attempts, sent and the body as JSON.

    Example: swarm-memory inbox --topic reviews --claim --limit 1
    """
    with door.open(create=claim) as swarm:
        if claim:
            messages = swarm.messages.claim(
                topic, limit=limit, visible_after_s=visible_after_s, wait_s=wait_s
            )
        else:
            messages = swarm.messages.inbox(topic, limit=limit)
    _messages(door, messages, "no messages")


@verb("ack", PANEL)
def ack(
    door: Door,
    receipts: Annotated[list[str], typer.Argument(metavar="RECEIPT…", help="Of claimed ones.")],
    fail: Annotated[
        str | None,
        typer.Option(metavar="REASON", help="Give them back instead, to be tried again."),
    ] = None,
    delay_s: Annotated[
        float, typer.Option(metavar="S", help="With --fail: seconds until they come again.")
    ] = 0.0,
) -> None:
    """Say that claimed messages are done; with --fail, that they could not be done.

    Example: swarm-memory ack 7-3f2a9c0d1e4b5a68
    """
    with door.open() as swarm:
        if fail is None:
            swarm.messages.ack(*receipts)
        else:
            for receipt in receipts:
                swarm.messages.nack(receipt, delay_s=delay_s, reason=fail)
    verb_done = "done" if fail is None else "given back"
    door.show.result(
        {"receipts": receipts, "state": verb_done},
        [[receipt, verb_done] for receipt in receipts],
        lambda console: console.print(cell(f"{verb_done}: {', '.join(receipts)}")),
    )


@verb("dead", PANEL)
def dead(
    door: Door,
    topic: Topic = None,
    revive: Annotated[
        str | None, typer.Option(metavar="ID", help="Let this one be tried anew instead.")
    ] = None,
    limit: Limit = 100,
) -> None:
    """List messages that failed every attempt, with the reason; --revive lets one be tried anew.

    Example: swarm-memory dead --topic reviews
    """
    if revive is not None:
        with door.open() as swarm:
            revived = swarm.messages.revive(revive)
        door.show.result({"revived": revived}, [["revived", revived]])
        return
    with door.open(create=False) as swarm:
        messages = swarm.messages.dead(topic, limit=limit)
    _messages(door, messages, "no dead messages")


def _messages(door: Door, messages: list[Message], nothing: str) -> None:
    def pretty(console: Console) -> None:
        if not messages:
            console.print(cell(nothing))
            return
        shown = table("when", "from", "type", "try", "receipt", "message", right=["when", "try"])
        for message in messages:
            said = preview(message.body)
            shown.add_row(
                cell(door.show.age(message.sent_ms), "dim"),
                cell(message.sender, "green"),
                cell(message.type or ""),
                cell(str(message.attempts)),
                cell(message.receipt or "", "dim"),
                cell(f"{said} ({message.reason})" if message.reason else said),
            )
        console.print(shown)

    door.show.result(
        [message.to_dict() for message in messages],
        (
            [
                message.message_id,
                message.receipt,
                message.sender,
                message.type,
                message.attempts,
                time_of(message.sent_ms),
                one_line(message.body),
            ]
            for message in messages
        ),
        pretty,
    )


@verb("watch", PANEL)
def watch(
    door: Door,
    prefix: Annotated[
        str, typer.Argument(metavar="PREFIX", help="Only keys under it; all without.")
    ] = "",
    since: Annotated[
        int | None, typer.Option(metavar="SEQ", help="Begin after this event, not now.")
    ] = None,
    timeout_s: Annotated[
        float | None, typer.Option(metavar="S", help="End when nothing happened for so long.")
    ] = None,
) -> None:
    """Print changes as they are committed, by whatever process, until interrupted.

    Each line is seq, key, version, what happened, author and time; with --json one object a line.

    Example: swarm-memory watch swarm-default/global/knowledge
    """
    with door.open() as swarm:
        for event in swarm.watch(prefix, since=since, timeout_s=timeout_s):
            if door.as_json:
                print(one_line(event.to_dict()), flush=True)
            else:
                when = time_of(event.at_ms)
                columns = [event.seq, event.key, event.version, event.op, event.author, when]
                print("\t".join(map(str, columns)), flush=True)
