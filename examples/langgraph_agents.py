"""Two LangGraph graphs on one swarm: what one notes the other finds, and a thread goes on.

Run it: python examples/langgraph_agents.py
"""

import tempfile
from typing import TypedDict

from langgraph.graph import START, StateGraph
from langgraph.store.base import BaseStore

from swarm_memory import Swarm
from swarm_memory.adapters.langgraph import SwarmStore
from swarm_memory.adapters.langgraph_checkpoint import SwarmSaver


class State(TypedDict):
    task: str
    seen: list[str]


def note(state: State, *, store: BaseStore) -> dict[str, object]:
    """Stands for a model: look up what others noted, and note the task for them."""
    found = store.search(("team", "notes"), query=state["task"])
    store.put(("team", "notes"), state["task"].partition(" ")[0], {"text": state["task"]})
    return {"seen": [*state.get("seen", []), *[item.key for item in found]]}


def main() -> None:
    thread = {"configurable": {"thread_id": "deploy"}}
    with tempfile.TemporaryDirectory() as folder:
        for task in ("migration of the database failed", "why did the migration fail?"):
            with Swarm.open(f"sqlite:///{folder}/memory.db", agent="planner") as swarm:
                builder = StateGraph(State).add_node(note).add_edge(START, "note")
                graph = builder.compile(store=SwarmStore(swarm), checkpointer=SwarmSaver(swarm))
                print(task, "->", graph.invoke({"task": task}, thread)["seen"])
        with Swarm.open(f"sqlite:///{folder}/memory.db") as swarm:
            store = SwarmStore(swarm)
            for _ in range(3):
                store.update(("team",), "count", lambda value: {"n": (value or {"n": 0})["n"] + 1})
            print("counted", store.get(("team",), "count").value, "at", swarm.records.keys("team"))


if __name__ == "__main__":
    main()
