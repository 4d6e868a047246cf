"""The Claude Agent SDK keeps its sessions in the swarm: one process writes, any other resumes.

With a key, `ClaudeAgentOptions(session_store=SwarmSessionStore(swarm), resume=…)` is all it takes;
here the SDK's own functions read what an agent would have written.

Run it: pip install 'swarm-memory[claude-sdk]' && python examples/claude_sessions.py
"""

import asyncio
import tempfile

from swarm_memory import Swarm
from swarm_memory.adapters.claude_sdk import SwarmSessionStore

KEY = {"project_key": "-pump", "session_id": "4b6f9f0e-6f3a-4f39-9d7b-0d3a5d6c1a2b"}
QUESTION = {"role": "user", "content": "Where does the pump leak?"}
ANSWER = {"role": "assistant", "content": [{"type": "text", "text": "At the gasket."}]}


async def talk(store: SwarmSessionStore) -> None:
    await store.append(KEY, [{"type": "user", "uuid": "1", "message": QUESTION}])
    batch = [{"type": "assistant", "uuid": "2", "message": ANSWER}, {"type": "mode"}]
    await asyncio.gather(store.append(KEY, batch), store.append(KEY, batch[:1]))  # told twice
    sessions = await store.list_session_summaries("-pump")
    entries = await store.load(KEY)
    prompt = sessions[0]["data"]["first_prompt"]
    print(f"{len(sessions)} session: {prompt!r} with {len(entries)} entries")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Swarm.open(f"sqlite:///{folder}/m.db") as swarm:
        asyncio.run(talk(SwarmSessionStore(swarm)))
        for hit in swarm.search("gasket"):  # what every other agent of the swarm finds
            print(hit.record.value["entry"]["message"]["content"][0]["text"])


if __name__ == "__main__":
    main()
