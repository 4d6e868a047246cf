"""One store with a manual clock, and its services for as many agents as a test needs."""

from swarm_memory.codec import Compressor
from swarm_memory.config import load_config
from swarm_memory.context import Context
from swarm_memory.engine import open_engine
from swarm_memory.leases import Leases
from swarm_memory.messages import Messages


class Services:
    """The services of one store, on an engine of its own."""

    def __init__(self, url, clock):
        self.clock = clock
        self.engine = open_engine(url, clock=clock)
        self.config = load_config()

    def context(self, agent="a", session=None, swarm="s"):
        compressor = Compressor(lambda number: b"", lambda: 0, self.config.value_bytes_max)
        return Context(swarm, agent, session, self.config, compressor)

    def leases(self, agent="a", session=None, swarm="s"):
        return Leases(self.engine, self.context(agent, session, swarm), self.engine)

    def messages(self, agent="a", session=None, swarm="s"):
        return Messages(self.engine, self.context(agent, session, swarm), self.engine)
