"""What all verbs share: the options that hold everywhere, opening the store, errors, exits."""

from __future__ import annotations

import inspect
import json
import os
import sys
import time
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from swarm_memory.doors.cli.show import Show, safe
from swarm_memory.errors import EXIT_STATUS, NotFoundError, SwarmMemoryError
from swarm_memory.locate import file_of, locate
from swarm_memory.manager import SwarmMemoryManager
from swarm_memory.swarm import DEFAULT_AGENT, DEFAULT_SWARM, Swarm

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from swarm_memory.model import Located

EXIT_INTERRUPTED = 130
EXIT_PIPE_CLOSED = 141  # what a shell reports of a program that SIGPIPE ended
EVERYWHERE = "On every verb, before or after it"
IN_MEMORY = "sqlite:///:memory:"

app = typer.Typer(
    name="swarm-memory",
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_COMMON: dict[str, tuple[Any, Any]] = {
    "url": (
        Annotated[
            str | None,
            typer.Option(
                "--url",
                metavar="URL",
                help="The store: sqlite:///relative.db, sqlite:////absolute.db, "
                "postgresql://host/name or routes:FILE. Else SWARM_MEMORY_URL, else the project's.",
                rich_help_panel=EVERYWHERE,
            ),
        ],
        None,
    ),
    "swarm": (
        Annotated[
            str | None,
            typer.Option(
                "--swarm",
                metavar="NAME",
                help=f"The swarm. Else SWARM_MEMORY_SWARM, else '{DEFAULT_SWARM}'.",
                rich_help_panel=EVERYWHERE,
            ),
        ],
        None,
    ),
    "agent": (
        Annotated[
            str | None,
            typer.Option(
                "--agent",
                metavar="NAME",
                help=f"Who acts. Else SWARM_MEMORY_AGENT, else '{DEFAULT_AGENT}'.",
                rich_help_panel=EVERYWHERE,
            ),
        ],
        None,
    ),
    "as_json": (
        Annotated[
            bool,
            typer.Option("--json", help="Print JSON.", rich_help_panel=EVERYWHERE),
        ],
        False,
    ),
}


class Door:
    """One call of the command line: who calls, on which store, and where output goes."""

    def __init__(
        self, url: str | None, swarm: str | None, agent: str | None, as_json: bool
    ) -> None:
        environment = os.environ
        self.url = url
        self.swarm = swarm or environment.get("SWARM_MEMORY_SWARM") or DEFAULT_SWARM
        self.named_agent = agent  # by an option, and not by the environment
        self.agent = agent or environment.get("SWARM_MEMORY_AGENT") or DEFAULT_AGENT
        self.session = environment.get("SWARM_MEMORY_SESSION") or None
        self.as_json = as_json
        self.missing: str | None = None
        self.show = Show(as_json, now_ms=int(time.time() * 1000))

    def located(self) -> Located:
        """Return which store is meant and why; nothing is created."""
        return locate(self.url, os.getcwd(), os.environ)

    @contextmanager
    def open(self, *, create: bool = True, url: str | None = None) -> Iterator[Swarm]:
        """Open the store. With `create=False` one that is missing reads as empty."""
        url = url or self.url
        if not create:
            located = self.located()
            path = file_of(located.url)
            if path is not None and not os.path.exists(path):
                self.missing = f"there is no store yet at {path}: swarm-memory init makes one"
                url = IN_MEMORY
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            swarm = Swarm.open(url, agent=self.agent, swarm=self.swarm, session=self.session)
        with swarm:
            for warning in caught:
                self.show.note(f"warning: {warning.message}")
            if create and self.session is not None:
                swarm.sessions.touch()  # whoever writes in a session says that it lives
            yield swarm

    @contextmanager
    def manager(self, *, create: bool = True) -> Iterator[SwarmMemoryManager]:
        """Open the store as the agent's memory."""
        with self.open(create=create) as swarm:
            yield SwarmMemoryManager.of(swarm)


def verb(
    name: str, panel: str, *, others: bool = False
) -> Callable[[Callable[..., int | None]], Callable[..., int | None]]:
    """Register a function of (door, …) as a verb; it returns its exit status, None for 0.

    With `others` options that it does not know are among its arguments.
    """

    def register(fn: Callable[..., int | None]) -> Callable[..., int | None]:
        own = list(inspect.signature(fn, eval_str=True).parameters.values())[1:]
        invocation = _parameter("invocation", typer.Context)
        common = [_parameter(n, kind, default) for n, (kind, default) in _COMMON.items()]
        parameters = [invocation, *(p.replace(kind=p.KEYWORD_ONLY) for p in own), *common]

        def call(invocation: typer.Context, **arguments: Any) -> None:
            before = invocation.obj or {}
            chosen: dict[str, Any] = {n: arguments.pop(n) or before.get(n) for n in _COMMON}
            door = Door(**chosen)
            raise typer.Exit(_run(door, lambda: fn(door, **arguments)))

        call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        call.__annotations__ = {p.name: p.annotation for p in parameters}
        call.__doc__ = _unwrapped(fn.__doc__ or "")
        settings = {"ignore_unknown_options": others}
        app.command(name, rich_help_panel=panel, context_settings=settings)(call)
        return fn

    return register


def _unwrapped(text: str) -> str:
    """Return text with one line a paragraph, so that help breaks lines where the reader's end."""
    paragraphs = inspect.cleandoc(text).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _parameter(name: str, kind: Any, default: Any = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)


def _run(door: Door, call: Callable[[], int | None]) -> int:
    """Run a verb; return the exit status, whatever foreseeable happens."""
    try:
        status = call() or 0
        sys.stdout.flush()
    except SwarmMemoryError as error:
        if door.missing is not None and isinstance(error, NotFoundError):
            error.hint = door.missing
        return fail(door, error)
    except BrokenPipeError:
        # The reader went away. Nobody is left to tell, and closing must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE_CLOSED
    except KeyboardInterrupt:
        door.show.note("interrupted")
        return EXIT_INTERRUPTED
    if door.missing is not None and not door.as_json:
        door.show.note(door.missing)
    return status


def fail(door: Door, error: SwarmMemoryError) -> int:
    """Say what went wrong on stderr; return the exit status that belongs to it."""
    if door.as_json:
        print(json.dumps(error.to_dict(), ensure_ascii=False), file=sys.stderr)
    else:
        hint = f"; {error.hint}" if error.hint else ""
        print(safe(f"swarm-memory: {error}{hint}"), file=sys.stderr)
    return EXIT_STATUS[error.code]


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"swarm-memory {version('swarm-memory')}")
        raise typer.Exit


def _before(
    context: typer.Context,
    url: Any = None,
    swarm: Any = None,
    agent: Any = None,
    as_json: Any = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """One shared, persistent memory for a swarm of AI agents.

    Values are JSON under keys such as notes/1. Output to a pipe is plain: one line a row, columns
    separated by tabs; with --json it is JSON. Exit status: 0 done, 1 not found or refused,
    2 usage, 3 conflict, 4 held or timed out, 5 store unavailable, 6 damaged.

    swarm-memory VERB --help explains each verb.
    """
    context.obj = {"url": url, "swarm": swarm, "agent": agent, "as_json": as_json}


_before.__annotations__ |= {name: kind for name, (kind, _) in _COMMON.items()} | {
    "context": typer.Context,
    "version": inspect.signature(_before, eval_str=True).parameters["version"].annotation,
}
_before.__doc__ = _unwrapped(_before.__doc__ or "")
app.callback()(_before)


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit the process."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a character gets its number instead of a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    app(arguments, prog_name="swarm-memory")
