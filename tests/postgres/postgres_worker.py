"""Processes of the tests of PostgreSQL: each counts one record up, or says what it was told.

python postgres_worker.py count URL TIMES
python postgres_worker.py put URL NAME      for ever; each acknowledged number on a line
python postgres_worker.py churn URL NAME    40 records among few keys
python postgres_worker.py hold URL          stops inside a transaction, and says so
"""

import sys
import time

from swarm_memory import Swarm
from swarm_memory.errors import AmbiguousCommitError, ConflictError, SwarmMemoryError

KEY = "notes/count"


def say(what):
    sys.stdout.write(f"{what}\n")
    sys.stdout.flush()


def count(url, times):
    with Swarm.open(url, agent="a", swarm="s") as swarm:
        done = 0
        while done < int(times):
            record = swarm.records.get(KEY)
            try:
                swarm.records.put(KEY, record.value + 1, expect=record.version)
            except ConflictError:
                continue
            done += 1


def put(url, name):
    """Write numbers with an op_id each; what is in doubt is repeated until it is settled."""
    with Swarm.open(url, agent=name, swarm="s", busy_timeout_s=60) as swarm:
        number = 0
        while True:
            try:
                swarm.records.put(f"notes/{name}/{number}", number, op_id=f"{name}-{number}")
            except AmbiguousCommitError:
                continue
            except SwarmMemoryError as error:
                if not error.retryable:
                    raise
                time.sleep(0.05)
                continue
            say(number)
            number += 1


def churn(url, name):
    with Swarm.open(url, agent=name, swarm="s") as swarm:
        for n in range(40):
            swarm.records.put(f"notes/churn/{n % 5}", n)


def hold(url):
    with Swarm.open(url, agent="a", swarm="s") as swarm:

        def wait(tx):
            tx.records.put("notes/held", 1)
            tx.records.get("notes/held")  # sends what waits to be sent
            say("inside")
            time.sleep(600)

        swarm.transact(wait)


if __name__ == "__main__":
    {"count": count, "put": put, "churn": churn, "hold": hold}[sys.argv[1]](*sys.argv[2:])
