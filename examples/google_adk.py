"""Google ADK: what a user said in one session is remembered in the next, beside what a swarm knows.

No model and no API key: an ADK app asks `search_memory` through its tools just as this does. Run
it with `pip install swarm-memory[google-adk]`.
"""

import asyncio
import tempfile

from google.adk.events.event import Event
from google.adk.sessions.session import Session
from google.genai.types import Content, Part

from swarm_memory import Swarm, SwarmMemoryManager
from swarm_memory.adapters.google_adk import SwarmMemoryService


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Swarm.open(f"sqlite:///{folder}/m.db") as swarm:
        SwarmMemoryManager.of(swarm).share_knowledge_with_swarm("tea", "the tea room shuts at six")
        service = SwarmMemoryService(swarm)  # Runner(…, memory_service=service)
        said = Content(role="user", parts=[Part(text="I only drink green tea")])
        session = Session(
            app_name="concierge",
            user_id="ada",
            id="monday",
            events=[Event(author="ada", content=said)],
        )
        await service.add_session_to_memory(session)
        await service.add_session_to_memory(session)  # adds nothing twice
        for user in ("ada", "bob"):
            answer = await service.search_memory(app_name="concierge", user_id=user, query="tea?")
            print(user, "is told:", sorted(m.content.parts[0].text for m in answer.memories))


if __name__ == "__main__":
    asyncio.run(main())
