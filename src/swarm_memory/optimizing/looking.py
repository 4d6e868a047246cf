"""What there is to do, from counters and a sample: cheap on a store of any size."""

from __future__ import annotations

from swarm_memory.codec import DICTIONARY_VALUE_BYTES_MAX
from swarm_memory.optimizing.archive import sessions_over
from swarm_memory.packing import SCALE_MIN, WHOLE_RECORDS_MAX, Packing
from swarm_memory.reports import Advice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.engine import Engine
    from swarm_memory.model import Json
    from swarm_memory.packing import Sampled
    from swarm_memory.swarm import Swarm

SWEEP, HISTORY, COMPRESS = "sweep", "history", "compress"
INDEX, STATISTICS, VACUUM, ARCHIVE = "index", "statistics", "vacuum", "archive"
APPLY = "swarm-memory optimize --apply --only"
# `optimize` is asked for, so it begins earlier than the daily upkeep (dictionary_values_min).
DICTIONARY_VALUES_LEAST = 100
PLAN_BYTES_MAX = 512 * 1024  # of values that a plan packs to see what that gives: half a second
CHAINS_MAX = 1000  # keys of a sample whose older versions are counted
PACK_RATIO = 0.02  # of what values take; less is what is always left
FREE_RATIO = 0.2
FREE_BYTES_MIN = 1024 * 1024  # a store with nothing in it has half-empty pages, too
SAVED_RATIO = 0.05  # of the file
SLACK_LEFT = 0.1  # of pages in use that stays unused whatever is done, until that is known better
SLACK_FACT = "slack_left"  # how many thousandths stayed when the file was last written anew


def slack_left(engine: Engine, used: int) -> int:
    """Return how much of `used` bytes of pages stays unused when they are written anew."""
    row = engine.one("fact_get", swarm="", name=SLACK_FACT)
    return round(used * (SLACK_LEFT if row is None else row[0] / 1000))


class Look:
    """One look at the store; a sample is taken once for all questions."""

    def __init__(self, swarm: Swarm, engine: Engine) -> None:
        self._swarm = swarm
        self._engine = engine
        self._packing = Packing(engine, swarm.context)
        self._taken: Sampled | None = None

    @property
    def _sample(self) -> Sampled:
        if self._taken is None:
            self._taken = self._packing.sample()
        return self._taken

    def sweep(self) -> Advice | None:
        """Look for records that have expired."""
        now_ms, sampled = self._engine.now_ms, self._sample
        expired = [row for row in sampled.rows if row[1] is not None and row[1] <= now_ms]
        size = sum(row[3] + row[5] for row in expired)
        count, scale = round(len(expired) * sampled.scale), sampled.scale
        if not sampled.whole and sampled.records <= WHOLE_RECORDS_MAX:
            where = {"swarm": self._swarm.context.swarm, "now_ms": now_ms}
            row = self._engine.one("record_expired_count", **where)
            count = int(row[0]) if row else 0
            scale = count / len(expired) if expired else 0
        if not count:
            return None
        said = "" if sampled.whole else "about "
        return Advice(
            SWEEP,
            f"{said}{count:,} expired records can go",
            {"expired": count, "records": sampled.records, **self._basis()},
            round(size * scale),
            "what has expired is not looked at any more",
            f"{APPLY} {SWEEP}",
        )

    def history(self) -> Advice | None:
        """Look for older versions beyond those that the categories keep."""
        with_history = [row[0] for row in self._sample.rows if row[2] is not None]
        looked_at = with_history[:CHAINS_MAX]
        found = self._swarm.retention.beyond(looked_at)
        if not found:
            return None
        scale = self._sample.scale * len(with_history) / len(looked_at)
        versions = round(scale * sum(count for count, _ in found.values()))
        said = "" if scale == SCALE_MIN else "about "
        return Advice(
            HISTORY,
            f"{said}{versions:,} older versions lie beyond what their categories keep",
            {"versions": versions, "keys": round(scale * len(found)), **self._basis()},
            round(scale * sum(size for _, size in found.values())),
            "history is read in fewer steps",
            f"{APPLY} {HISTORY}",
        )

    def compress(self) -> Advice | None:
        """Pack a part of the sample as it could be packed, and look how much less that is."""
        sampled = self._sample
        values = self._packing.values(sampled, PLAN_BYTES_MAX)
        if len(values) < DICTIONARY_VALUES_LEAST:
            return None
        fitting = sum(row[3] <= DICTIONARY_VALUE_BYTES_MAX for row in sampled.rows)
        trial = self._packing.try_out(values, round(sampled.scale * fitting), sizes_max=1)
        share = trial.gain / max(1, trial.stored)
        if share < PACK_RATIO:
            return None
        equal = f"; about {trial.equal:,} share theirs with others" if trial.equal else ""
        return Advice(
            COMPRESS,
            f"{share:.0%} of what values take can go by packing them{equal}",
            {
                "stored_bytes": trial.stored,
                "gain_bytes": trial.gain,
                "dictionary": "trained anew" if trial.size else "as it is",
                "equal": trial.equal,
                "sampled": len(values),
                "of": sampled.records,
            },
            trial.gain,
            "more values fit into memory and into a page",
            f"{APPLY} {COMPRESS}",
        )

    def index(self) -> Advice | None:
        """Look how far the search index is behind, if anybody has ever searched."""
        index = self._swarm.finder.index
        state = index.state(self._engine)
        if state is None or not index.is_behind(state):
            return None
        events = int(state.newest - state.seq)
        return Advice(
            INDEX,
            f"the search index is {events:,} changes behind",
            {"events": events, "being_made": state.scanned is not None},
            0,
            "who searches next does not wait for it",
            f"{APPLY} {INDEX}",
        )

    def statistics(self) -> Advice | None:
        """Ask the engine for tables whose statistics do not fit."""
        stale = self._engine.wear()["stale_tables"]
        if not stale:
            return None
        return Advice(
            STATISTICS,
            f"the planner's statistics of {stale} tables are stale",
            {"tables": stale},
            0,
            "statements are planned by how large tables are now",
            f"{APPLY} {STATISTICS}",
        )

    def vacuum(self, *, saved: int = 0) -> Advice | None:
        """Ask the engine for free space, in pages of their own and inside of others.

        Args:
            saved: Bytes that steps before have left free: of a twentieth it is worth the while.
        """
        wear, size = self._engine.wear(), self._engine.usage()["file_bytes"]
        slack = max(0, wear["slack_bytes"] - slack_left(self._engine, size - wear["free_bytes"]))
        free = wear["free_bytes"] + slack
        much = free > FREE_RATIO * size and free >= FREE_BYTES_MIN
        if not much and saved <= SAVED_RATIO * size:
            return None
        return Advice(
            VACUUM,
            f"{free:,} of the file's {size:,} bytes are free",
            {
                "free_bytes": wear["free_bytes"],
                "slack_bytes": slack,
                "file_bytes": size,
                "dead_rows": wear["dead_rows"],
                "others_wait_s": round(wear["wait_ms"] / 1000, 1),
            },
            free,
            "what lies together is read together",
            f"{APPLY} {VACUUM}",
        )

    def archive(self) -> Advice | None:
        """Look at the counters of sessions that are over."""
        sessions, records, size = sessions_over(self._swarm, self._engine)
        if not records:
            return None
        return Advice(
            ARCHIVE,
            f"up to {records:,} records of {sessions:,} sessions that are over can go to a file",
            {"sessions": sessions, "records": records},
            size,
            "quotas count what is still worked with",
            f"{APPLY} {ARCHIVE} --to DIR",
        )

    def _basis(self) -> dict[str, Json]:
        sampled = self._sample
        return {} if sampled.whole else {"sampled": len(sampled.rows), "of": sampled.records}
