"""What the command `swarm-memory` starts: the hooks of agents, or the command line for all else.

A hook runs at every step of an agent, and the command line's own imports cost ten times what a
hook does. So which of the two is meant is decided before either is imported.
"""

from __future__ import annotations

import os
import sys


def main() -> None:
    """Run what the command's arguments ask for, and exit the process."""
    # What is learned is in small matrices: a BLAS that shares them out waits for busy cores, up to
    # a fifth of a second where it needs a millisecond.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    words = sys.argv[1:]
    if words[:1] == ["hook"] and not any(word.startswith("-") for word in words):
        import gc

        gc.disable()  # the process ends before there is any garbage worth looking for
        from swarm_memory.doors import hooks

        hooks.main(words[1:])
    elif words[:1] == ["flow-hook"]:
        from swarm_memory.doors import flow_hook

        flow_hook.main(words[1:])
    else:
        from swarm_memory.doors import cli

        cli.main()
