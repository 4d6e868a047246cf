"""What breaks a swarm: processes that freeze, hold and keep; and a look at what is told of it."""

HELD_S = 0.05
PROGRAMS = {
    "holder": """
lease = swarm.leases.acquire("deploy", ttl_s=3600)
print("ready", flush=True)
time.sleep(60)
""",
    "waiter": """
print("ready", flush=True)
swarm.leases.acquire("deploy", wait_s=60)
""",
    "consumer": """
(message,) = swarm.messages.claim("work", visible_after_s=20)
print("ready", flush=True)
time.sleep(60)
message.ack()
""",
    "blocker": f"""
def hold(tx):
    print("ready", flush=True)
    time.sleep({HELD_S})
print("ready", flush=True)
for line in sys.stdin:
    swarm.transact(hold)
""",
    "keeper": """
def keep(tx):
    print("kept", flush=True)
    sys.stdin.readline()
print("ready", flush=True)
while sys.stdin.readline():
    swarm.transact(keep)
    print("free", flush=True)
""",
    "reader": """
import apsw
reader = apsw.Connection(sys.argv[1].removeprefix("sqlite:///"))
reader.execute("BEGIN")
list(reader.execute("SELECT count(*) FROM records"))
print("ready", flush=True)
sys.stdin.readline()
""",
}
BEGIN = """
import sys, time
from swarm_memory import Swarm
swarm = Swarm.open(sys.argv[1], agent=sys.argv[2], swarm="s")
"""


def raised(swarm):
    """Take the next sample, and return the rules and subjects of all alerts after it."""
    swarm.monitor.take()
    return [(alert.rule, alert.subject) for alert in swarm.alerts.list()]
