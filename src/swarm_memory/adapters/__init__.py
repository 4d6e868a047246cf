"""Adapters: the memory interfaces of agent frameworks, on an open `Swarm`.

Each is a file of its own, `swarm_memory.adapters.NAME`, and needs its framework, which the extra
of the same name installs: `pip install 'swarm-memory[langgraph]'`. Nothing is imported here.

What all of them keep: the caller opens the swarm and closes it; a framework's namespace or path
is the path of the records' keys, so that every other framework and door sees the same records;
values are plain JSON; every change to what was read is a compare-and-set, so none is lost.
"""
