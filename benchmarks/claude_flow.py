"""claude-flow from npm, as it is installed today."""

from __future__ import annotations

import os
import shutil
import subprocess

PACKAGE = "claude-flow@3.43.0"
INSTALL_S = 600


def command(folder: str) -> str | None:
    """Return its command, installed below `folder` unless CLAUDE_FLOW names one; None if none."""
    named = os.environ.get("CLAUDE_FLOW")
    if named:
        return named
    npm = shutil.which("npm")
    if npm is None:
        return None
    options = ["--no-audit", "--no-fund", "--silent", "--prefix", folder]
    try:
        subprocess.run([npm, "install", *options, PACKAGE], check=True, timeout=INSTALL_S)
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired):
        return None
    return f"{folder}/node_modules/.bin/claude-flow"
