"""Two agents keep their notes with Anthropic's memory tool in one swarm, and edit one file.

With a key, `client.beta.messages.tool_runner(tools=[SwarmMemoryTool(swarm)], …)` lets Claude make
these calls; here they are made as the SDK makes them, with the input that the model gives.

Run it: pip install 'swarm-memory[anthropic]' && python examples/anthropic_memory.py
"""

import tempfile

from anthropic.tools import ToolError

from swarm_memory import Swarm
from swarm_memory.adapters.anthropic_memory import SwarmMemoryTool

PATH = "/memories/pump.md"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Swarm.open(f"sqlite:///{folder}/m.db") as swarm:
        clerk = SwarmMemoryTool(swarm.as_agent("clerk"))
        fitter = SwarmMemoryTool(swarm.as_agent("fitter"))
        clerk.call({"command": "create", "path": PATH, "file_text": "It leaks at the gasket.\n"})
        line = {"insert_line": 1, "insert_text": "The gasket is a DN50."}
        fitter.call({"command": "insert", "path": PATH, **line})
        print(clerk.call({"command": "view", "path": PATH}))
        try:
            clerk.call({"command": "view", "path": "/memories/../etc/passwd"})
        except ToolError as error:
            print(error)
        for record in swarm.records.history("memories/pump.md"):  # who wrote what, to roll back to
            print(record.version, record.author, record.value["content"].splitlines()[-1])


if __name__ == "__main__":
    main()
