"""Writing exported rows back: with their versions, times and authors, each once."""

from __future__ import annotations

from swarm_memory import codec
from swarm_memory.importers.jsonl import FIRST, OUTCOMES, RELABELS
from swarm_memory.key import scope_of
from swarm_memory.outcomes import Outcomes
from swarm_memory.quota import TELEMETRY_SCOPE, Quota
from swarm_memory.rows import meaning, records_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.context import Context
    from swarm_memory.engine import Row, Tx
    from swarm_memory.importers.jsonl import Copy
    from swarm_memory.model import Json, Record

ROW = "row"  # the kind of what is neither a memory nor telemetry
IMPORTED, UNCHANGED, CHANGED, KEPT = "imported", "unchanged", "changed", "kept"


class Restorer:
    """Restores rows into one swarm.

    A key that is not there gets all its versions. One that is there is brought forward if what
    is there is one of the versions exported, and left alone otherwise.

    Args:
        later_ms: For an archive, how long ago its rows left the store: they expire so much later,
            and come back to where they left. None for an export.
    """

    def __init__(self, context: Context, later_ms: int | None = None) -> None:
        self._context = context
        self._later_ms = later_ms
        self._quota = Quota(context)

    def restore(self, tx: Tx, copies: list[Copy]) -> dict[tuple[str, str], dict[str, int]]:
        """Write `copies` of this swarm; return how many rows of (table, kind) had which fate."""
        fates: dict[tuple[str, str], dict[str, int]] = {}

        def count(table: str, kind: str, fate: str, rows: int = 1) -> None:
            known = fates.setdefault((table, kind), {})
            known[fate] = known.get(fate, 0) + rows

        for copy in copies:
            if copy.table != "records":
                added = self._add(tx, copy.table, dict(copy.rows[0]))
                count(copy.table, ROW, IMPORTED if added else UNCHANGED)
                continue
            fate, older = self._record(tx, copy.rows)
            count("records", ROW if copy.rows[-1].deleted else copy.kind, fate)
            present = len(copy.rows) - 1 - older
            count("history", ROW, IMPORTED if fate == CHANGED else fate, older)
            count("history", ROW, UNCHANGED, present)
        return fates

    # --- records ---

    def _record(self, tx: Tx, versions: list[Record]) -> tuple[str, int]:
        """Return the fate of the newest version and how many older ones share it."""
        key = versions[-1].key
        current = tx.one("record_current", swarm=self._context.swarm, key=key)
        if current is None:
            kept = self._context.config.category_of(key).versions_max
            floor = tx.one("fact_get", swarm=self._context.swarm, name="version_floor")
            # A version must not come again: start above what was forgotten here.
            shift = max(0, (floor[0] if floor else 0) + 1 - versions[0].version)
            self._append(tx, versions[-kept:], shift, None)
            return IMPORTED, len(versions) - 1
        mine = records_of(self._context, (current,))[0]
        if self._later_ms is not None and _left(mine, versions[-1]):
            kept = self._context.config.category_of(key).versions_max
            back = versions[-kept:]
            # Above what has left: a version must not come again.
            self._append(tx, back, mine.version + 1 - back[0].version, None)
            return IMPORTED, len(versions) - 1
        known = _identity(mine)
        # From the end: versions of one millisecond may be alike.
        places = range(len(versions) - 1, -1, -1)
        place = next((i for i in places if _identity(versions[i]) == known), None)
        if place is None:
            return KEPT, len(versions) - 1
        newer = versions[place + 1 :]
        if not newer:
            return UNCHANGED, 0
        self._append(tx, newer, mine.version - versions[place].version, current)
        return CHANGED, len(newer) - 1

    def _append(self, tx: Tx, versions: list[Record], shift: int, current: Row | None) -> None:
        """Write `versions` over `current`: the last one as the record, the others as history."""
        swarm, key = self._context.swarm, versions[-1].key
        kept = self._context.config.category_of(key).versions_max
        history_id = None
        if current is not None and kept > 1:
            pushed = tx.one("history_push", swarm=swarm, key=key)
            history_id = pushed[0] if pushed else None
        for version in versions[:-1]:
            if kept > 1:
                row = self._row(version, shift)
                stored = tx.one("history_load", prev_id=history_id, **row)
                history_id = stored[0] if stored else None
        self._write(tx, versions[-1], self._row(versions[-1], shift), history_id)
        if current is not None:
            tx.run("history_trim", swarm=swarm, key=key, keep=kept - 1)

    def _row(self, record: Record, shift: int) -> dict[str, Json]:
        """Return the columns of one version, its value sealed."""
        config = self._context.config
        about = None
        if record.provenance is not None:
            about = codec.encode(record.provenance, bytes_max=config.value_bytes_max).decode()
        row: dict[str, Json] = {
            "swarm": self._context.swarm,
            "key": record.key,
            "version": record.version + shift,
            "author": record.author,
            "session": record.session,
            "created_ms": record.created_ms,
            "updated_ms": record.updated_ms,
            "expires_ms": record.expires_ms,
            "provenance": about,
        }
        if self._later_ms and record.expires_ms is not None:
            row["expires_ms"] = record.expires_ms + self._later_ms
        if record.deleted:
            return row | {"value": None, "provenance": None}
        encoded = codec.encode(
            record.value, bytes_max=config.value_bytes_max, depth_max=config.value_depth_max
        )
        said = meaning(*row.values())
        return row | {"value": codec.seal(*self._context.compressor.compress(encoded), said)}

    def _write(self, tx: Tx, record: Record, row: dict[str, Json], history_id: int | None) -> None:
        context, key = self._context, record.key
        category = context.config.category_of(key)
        scope = TELEMETRY_SCOPE if category.telemetry else scope_of(key)
        head = tx.one("record_head", swarm=context.swarm, key=key)
        tx.run(
            "record_put",
            scope=scope,
            category=category.name,
            telemetry=int(category.telemetry),
            history_id=history_id,
            **row,
        )
        version = row["version"]
        if not record.deleted:
            size = len(row["value"])
            self._quota.write(tx, key, version, "put", scope, category, head, size)
        elif head is not None and head[6] is not None:
            self._quota.remove(tx, key, version, "delete", head)

    # --- the other tables ---

    def _add(self, tx: Tx, table: str, row: dict[str, Json]) -> bool:
        """Add one row unless it is there; tell if it was added."""
        swarm = self._context.swarm
        if table == OUTCOMES:
            said = row.pop("first") or row  # the revisions follow
            return Outcomes(tx, self._context).load(row | {name: said[name] for name in FIRST})
        if table == RELABELS:
            return Outcomes(tx, self._context).load_revision(row)
        if table == "choices":
            row = _as_text(row, "candidates", "context")
            return bool(tx.run("choice_load", swarm=swarm, **row))
        if table == "conflicts":
            row = _as_text(row, "base", "theirs", "result") | {"mine": _text(row["mine"])}
            return bool(tx.run("conflict_load", swarm=swarm, **row))
        if row["name"] != "version_floor":
            return False  # the other facts belong to the store they come from
        return bool(tx.run("fact_raise", swarm=swarm, **row))


def _left(mine: Record, archived: Record) -> bool:
    """Tell whether what is there is only the place that an archived version left."""
    same = (mine.version, mine.created_ms, mine.author)
    return mine.deleted and same == (archived.version, archived.created_ms, archived.author)


def _identity(record: Record) -> bytes:
    """Return what makes two stored versions the same one, in whatever store they lie."""
    return codec.canonical(
        [record.author, record.created_ms, record.updated_ms, record.deleted, record.value]
    )


def _text(value: Json) -> str:
    return codec.canonical(value).decode()


def _as_text(row: dict[str, Json], *names: str) -> dict[str, Json]:
    return row | {name: None if row[name] is None else _text(row[name]) for name in names}
