"""Adapters: the memory of a swarm as the interfaces of agent frameworks, one module each."""
