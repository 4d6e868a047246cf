"""A boss sends work to a topic, two workers share it, and what fails is kept with its reason.

Run it: python examples/work_queue.py
"""

import tempfile

from swarm_memory import Swarm


def resize(message) -> None:
    """Do one piece of work; the second picture is broken."""
    if message.body["picture"] == 2:
        raise ValueError("not a picture")
    print(message.body["picture"], "done in attempt", message.attempts)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, Swarm.open(f"sqlite:///{folder}/m.db") as swarm:
        boss = swarm.as_agent("boss")
        for number in range(1, 5):
            boss.messages.send({"picture": number}, topic="resize", type="work", attempts_max=2)
        for name in ("worker-1", "worker-2"):
            swarm.as_agent(name).dispatcher("resize").on("work", resize).run(timeout_s=0.2)
        for message in boss.messages.dead("resize"):
            print(message.body["picture"], "failed:", message.reason)


if __name__ == "__main__":
    main()
