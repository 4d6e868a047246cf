"""Write the files of the Claude Code plugin from the tables that make the settings, too."""

import sys
from importlib.metadata import version
from pathlib import Path

from swarm_memory.wiring.plugin import contents

ROOT = Path(__file__).parent.parent


def main() -> int:
    stale = 0
    for name, text in contents(version("swarm-memory")).items():
        path = ROOT / name
        if path.exists() and path.read_text(encoding="utf-8") == text:
            continue
        stale = 1
        if "--check" not in sys.argv:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    return stale if "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
