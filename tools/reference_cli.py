"""Write docs/reference-cli.md from the command line itself: `python tools/reference_cli.py`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import typer

from swarm_memory.doors.cli import app
from swarm_memory.doors.cli.frame import EVERYWHERE

PAGE = Path(__file__).resolve().parent.parent / "docs" / "reference-cli.md"
HEAD = """# The command line

Made by `./dev docs` from the command line itself; a test holds that it is current.

`--url`, `--swarm`, `--agent` and `--json` go with every verb, before or after it. Without them
`SWARM_MEMORY_URL`, `SWARM_MEMORY_SWARM` and `SWARM_MEMORY_AGENT` hold, then the project's store,
the swarm `default` and the agent `main`. Output to a pipe is plain: one line a row, columns
separated by tabs; `--json` prints JSON. Notes, warnings and progress go to stderr, and bars are
drawn only on a terminal.

| exit status | means |
|---|---|
| 0 | done |
| 1 | not found, or refused with a reason on stderr |
| 2 | usage: an argument, a key, a value or a setting is wrong |
| 3 | conflict: another version, a used op_id, a stale receipt |
| 4 | held by somebody else, lost, or timed out |
| 5 | the store is unavailable, full, of another version, or a commit is in doubt |
| 6 | a stored value is damaged |
| 130 | interrupted; what was acknowledged is there |
"""


def main() -> int:
    page = render()
    if "--check" in sys.argv:
        return int(PAGE.read_text() != page)
    PAGE.write_text(page)
    return 0


def render() -> str:
    """Return the page."""
    group = typer.main.get_command(app)
    parts = [HEAD]
    panel = None
    for name, command in group.commands.items():
        if command.rich_help_panel != panel:
            panel = command.rich_help_panel
            parts.append(f"## {panel}\n")
        parts.append(_verb(name, command))
    return "\n".join(parts)


def _verb(name: str, command: Any) -> str:
    own = [p for p in command.params if getattr(p, "rich_help_panel", None) != EVERYWHERE]
    arguments = [p for p in own if p.param_type_name == "argument"]
    options = [p for p in own if p.param_type_name == "option" and p.name != "help"]
    usage = " ".join(
        [f"swarm-memory {name}", *(str(a.metavar or a.name).upper() for a in arguments)]
    )
    out = [f"### {name}\n", f"`{usage}`\n"]
    for paragraph in (command.help or "").split("\n\n"):
        text = " ".join(paragraph.split())
        if text.startswith("Example: "):
            out.append(f"```\n{text.removeprefix('Example: ')}\n```\n")
        else:
            out.append(f"{text}\n")
    rows = [f"| `{', '.join(o.opts)}{_metavar(o)}` | {o.help or ''} |" for o in options]
    rows = [f"| `{a.metavar or a.name}` | {a.help} |" for a in arguments if a.help] + rows
    if rows:
        out += ["| | |", "|---|---|", *rows, ""]
    return "\n".join(out)


def _metavar(option: Any) -> str:
    return "" if getattr(option, "is_flag", False) else f" {option.metavar or ''}".rstrip()


if __name__ == "__main__":
    sys.exit(main())
