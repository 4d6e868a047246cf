"""What one framework learns, the others find: all that are installed, on one store.

A door is a way to write a text and a way to ask for it. The frameworks cannot all be installed
together, so this takes those that are, in pairs; `swarm` and `knowledge` are there always.
"""

import asyncio
import os
import sys
import warnings
from importlib import import_module
from itertools import permutations
from pathlib import Path

import pytest

from swarm_memory import Swarm, SwarmMemoryManager

ADAPTERS = "swarm_memory.adapters"
EVERYWHERE = ("",)
TEXT = "The lighthouse keeper's spare key hangs behind the barometer"
QUESTION = "where does the lighthouse keeper's key hang?"
NOISE = "Green tea is served on the sun deck"


class Knowledge:
    """What agents share by the manager, and what the swarm's own search finds."""

    def write(self, swarm, text):
        SwarmMemoryManager.of(swarm).share_knowledge_with_swarm("house", text)

    def find(self, swarm, question):
        return [str(hit.record.value) for hit in swarm.search(question)]


class Memories:
    """What MCP's tool `store` keeps, and what its `recall` finds: here without a server."""

    def write(self, swarm, text):
        swarm.memories.store(text)

    def find(self, swarm, question):
        return [hit.snippet for hit in swarm.search(question)]


class Mcp:
    """A server of its own process, spoken to by the SDK's client."""

    def __init__(self):
        import_module("mcp_types")  # which version 2 came with; CrewAI has a version 1
        self.mcp = import_module("mcp")

    def ask(self, swarm, tool, **arguments):
        async def run():
            parameters = self.mcp.StdioServerParameters(
                command=str(Path(sys.executable).with_name("swarm-memory")),
                args=["mcp"],
                env={**os.environ, "SWARM_MEMORY_URL": swarm.url},
            )
            async with self.mcp.Client(parameters) as client:
                answer = await client.call_tool(tool, arguments)
            assert not answer.is_error, answer.content
            return answer.structured_content

        return asyncio.run(run())

    def write(self, swarm, text):
        self.ask(swarm, "store", value=text)

    def find(self, swarm, question):
        return [str(hit) for hit in self.ask(swarm, "recall", query=question)["hits"]]


class Adk:
    def __init__(self):
        self.adapter = import_module(f"{ADAPTERS}.google_adk")
        self.types = import_module("google.genai.types")
        self.entry = import_module("google.adk.memory.memory_entry").MemoryEntry

    def service(self, swarm, **options):
        return self.adapter.SwarmMemoryService(swarm, **options)

    def write(self, swarm, text):
        entry = self.entry(content=self.types.Content(parts=[self.types.Part(text=text)]))
        adding = self.service(swarm).add_memory(app_name="a", user_id="u", memories=[entry])
        asyncio.run(adding)

    def find(self, swarm, question, also=EVERYWHERE):
        service = self.service(swarm, also=also)
        asking = service.search_memory(app_name="b", user_id="v", query=question)
        return [memory.content.parts[0].text for memory in asyncio.run(asking).memories]


class CrewAi:
    def __init__(self):
        self.adapter = import_module(f"{ADAPTERS}.crewai")
        self.record = import_module("crewai.memory.types").MemoryRecord

    def write(self, swarm, text):
        self.adapter.SwarmStorage(swarm).save([self.record(content=text, scope="/crew/house")])

    def find(self, swarm, question, also=EVERYWHERE):
        storage = self.adapter.SwarmStorage(swarm, embed=self.adapter.embed_words, also=also)
        (query,) = self.adapter.embed_words([question])
        # Words are near in part by chance; what does not hold the question's is far below.
        found = storage.search(query, scope_prefix="/crew/other", min_score=0.3)
        return [record.content for record, _ in found]


class LangGraph:
    def __init__(self):
        self.adapter = import_module(f"{ADAPTERS}.langgraph")

    def write(self, swarm, text):
        self.adapter.SwarmStore(swarm).put(("house", "keys"), "spare", {"text": text})

    def find(self, swarm, question):
        items = self.adapter.SwarmStore(swarm).search((), query=question)
        return [str(item.value) for item in items]


DOORS = {
    "knowledge": Knowledge,
    "memories": Memories,
    "mcp": Mcp,
    "google_adk": Adk,
    "crewai": CrewAi,
    "langgraph": LangGraph,
}


def opened(name):
    """Return a door, or skip the test if what it leads to is not installed."""
    try:
        with warnings.catch_warnings(action="ignore"):  # of what they import themselves
            return DOORS[name]()
    except ModuleNotFoundError as error:
        pytest.skip(f"{name}: {error.name} is not installed")


@pytest.fixture
def swarm(tmp_path):
    with Swarm.open(f"sqlite:///{tmp_path}/memory.db") as swarm:
        yield swarm


@pytest.mark.parametrize(("writer", "reader"), [*permutations(DOORS, 2)])
def test_what_one_writes_another_finds(swarm, writer, reader):
    writing, reading = opened(writer), opened(reader)
    writing.write(swarm, NOISE)
    writing.write(swarm, TEXT)

    found = reading.find(swarm, QUESTION)

    assert TEXT in found[0]


@pytest.mark.parametrize("reader", ["google_adk", "crewai"])
@pytest.mark.parametrize("writer", ["knowledge", "memories"])
def test_what_is_shared_is_found_without_being_asked_for(swarm, writer, reader):
    opened(writer).write(swarm, TEXT)

    assert [TEXT] == opened(reader).find(swarm, QUESTION, also=None)


@pytest.mark.parametrize(("writer", "reader"), [*permutations(["google_adk", "crewai"])])
def test_what_is_not_shared_is_found_only_where_somebody_says_so(swarm, writer, reader):
    opened(writer).write(swarm, TEXT)

    assert [] == opened(reader).find(swarm, QUESTION, also=None)
    assert [TEXT] == opened(reader).find(swarm, QUESTION)
