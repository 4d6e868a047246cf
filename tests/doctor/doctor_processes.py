"""Programs that stay where a test wants them: inside a write, inside a read, at a lock file."""

IN_A_WRITE = """
import sys
from swarm_memory import Swarm
def stay(tx):
    tx.records.put("notes/theirs", "unfinished")
    print("in", flush=True)
    sys.stdin.readline()
with Swarm.open(sys.argv[1], agent="writer") as swarm:
    swarm.transact(stay)
    print("done", flush=True)
"""

IN_A_READ = """
import sys
from swarm_memory import Swarm
def stay(tx):
    tx.records.get("notes/1")
    print("in", flush=True)
    sys.stdin.readline()
with Swarm.open(sys.argv[1], agent="reader") as swarm:
    swarm.read(stay)
"""

AT_A_LOCK_FILE = """
import fcntl, sys
file = open(sys.argv[1], "a")
fcntl.flock(file, fcntl.LOCK_EX)
print("in", flush=True)
sys.stdin.readline()
"""
