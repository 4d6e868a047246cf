"""CrewAI: two crews and a swarm share one memory, and CrewAI's locks are the swarm's leases.

No model and no API key: `embed_words` compares texts by their words, and a memory that is given
its scope, categories and importance asks no model for them. Run it with
`pip install swarm-memory[crewai]`.
"""

import os
import tempfile

os.environ.setdefault("CREWAI_TRACING_ENABLED", "false")  # else it asks whether to send traces

from crewai import Memory
from crewai.memory.storage.factory import set_memory_storage_factory
from crewai_core.lock_store import lock, set_lock_backend

from swarm_memory import Swarm, SwarmMemoryManager
from swarm_memory.adapters.crewai import SwarmStorage, embed_words, swarm_lock_backend


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Swarm.open(f"sqlite:///{folder}/m.db") as swarm:
        SwarmMemoryManager.of(swarm).share_knowledge_with_swarm("tides", "High tide is at noon")
        set_lock_backend(swarm_lock_backend(swarm))
        # From now on Memory(storage="swarm") of any crew is in the swarm.
        set_memory_storage_factory(
            lambda spec: SwarmStorage(swarm, embed=embed_words) if spec == "swarm" else None
        )
        crews = [
            Memory(storage="swarm", llm=object(), embedder=embed_words, root_scope=f"/crew/{name}")
            for name in ("harbour", "kitchen")
        ]
        crews[0].remember("The tide gauge is broken", "/facts", ["port"], importance=0.5)
        with lock("the gauge"):
            for crew in crews:
                found = crew.recall("What about the tide?", depth="shallow")
                print(crew.root_scope, "recalls", sorted(m.record.content for m in found))


if __name__ == "__main__":
    main()
