"""Eight threads of four agents count up one record; no update is lost.

Run it: python examples/shared_counter.py
"""

import tempfile
import threading

from swarm_memory import ConflictError, Swarm

THREADS, STEPS = 8, 50


def count_up(swarm: Swarm) -> None:
    """Read, add one, write back, and begin again whenever somebody else was first."""
    for _ in range(STEPS):
        while True:
            record = swarm.records.get("examples/counter")
            try:
                swarm.records.put("examples/counter", record.value + 1, expect=record.version)
                break
            except ConflictError:
                continue


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Swarm.open(f"sqlite:///{folder}/m.db") as swarm:
        swarm.records.put("examples/counter", 0)
        agents = [swarm.as_agent(f"agent-{number % 4}") for number in range(THREADS)]
        threads = [threading.Thread(target=count_up, args=(agent,)) for agent in agents]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        print(swarm.records.get("examples/counter").value, "of", THREADS * STEPS)


if __name__ == "__main__":
    main()
