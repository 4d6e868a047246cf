"""Two agents of the OpenAI Agents SDK carry on one conversation that lies in the swarm.

The SDK's scripted model stands in for a real one, so no key is needed.

Run it: pip install 'swarm-memory[openai-agents]' && python examples/openai_session.py
"""

import asyncio
import tempfile

from agents import Agent, Runner, set_tracing_disabled
from agents.testing import ScriptedModel, assistant_message

from swarm_memory import Swarm
from swarm_memory.adapters.openai_agents import SwarmSession


async def talk(swarm: Swarm) -> None:
    model = ScriptedModel(
        [[assistant_message("At the gasket.")], [assistant_message("Tighten it.")]]
    )
    clerk, fitter = Agent(name="clerk", model=model), Agent(name="fitter", model=model)
    session = SwarmSession(swarm.as_agent("clerk"), "pump-17")
    await Runner.run(clerk, "Where does the pump leak?", session=session)
    # Elsewhere, or after a restart: the name of the session is all it takes.
    same = SwarmSession(swarm.as_agent("fitter"), "pump-17")
    await same.add_items([{"role": "user", "content": "It is a bronze one."}])
    result = await Runner.run(fitter, "What do I do?", session=same)
    print(result.final_output)
    print("the model was given", len(model.calls[-1].input), "items")
    await same.pop_item()  # the answer was no good; whoever reads now sees it no more
    print("last is now:", (await session.get_items(limit=1))[0]["content"])


def main() -> None:
    set_tracing_disabled(True)
    with tempfile.TemporaryDirectory() as folder, Swarm.open(f"sqlite:///{folder}/m.db") as swarm:
        asyncio.run(talk(swarm))


if __name__ == "__main__":
    main()
