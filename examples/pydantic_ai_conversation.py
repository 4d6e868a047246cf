"""Conversations of pydantic-ai lie in the swarm: continued elsewhere, forked, never overwritten.

pydantic-ai's test model stands in for a real one, so no key is needed.

Run it: pip install 'swarm-memory[pydantic-ai]' && python examples/pydantic_ai_conversation.py
"""

import asyncio
import tempfile

from pydantic_ai import Agent
from pydantic_ai.conversation import Conversation
from pydantic_ai.conversation_store import ConversationConflict
from pydantic_ai.models.test import TestModel

from swarm_memory import Swarm
from swarm_memory.adapters.pydantic_ai import SwarmConversationStore


async def talk(store: SwarmConversationStore) -> None:
    agent = Agent(TestModel(custom_output_text="At the gasket."))
    first = await agent.run(
        "Where does the pump leak?", conversation=Conversation(conversation_id="pump-17")
    )
    await store.save(first, scope="workshop")
    mine, theirs = await store.load("pump-17"), await store.load("pump-17")
    await store.save(await agent.run("What do I do?", conversation=mine))
    try:  # somebody else continued what was loaded before
        await store.save(await agent.run("Is it bronze?", conversation=theirs))
    except ConversationConflict:
        print("saved meanwhile: load it again")
    fork = await store.fork("pump-17", at=2)
    whole = await store.load("pump-17")
    print(f"fork has {len(fork.messages)} messages, pump-17 has {len(whole.messages)}")
    print(len(await store.list_conversations(scope="workshop")), "conversations")


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Swarm.open(f"sqlite:///{folder}/m.db") as swarm:
        asyncio.run(talk(SwarmConversationStore(swarm)))


if __name__ == "__main__":
    main()
