"""The search index of a swarm, and how it follows the change log.

A put writes no index: searching in the transaction of a put made it ten times slower. Whoever
searches, or does the upkeep, brings the index up to date first, in batches: rows are read on a
snapshot, their terms made without any lock, and written in a short transaction that also moves the
cursor, provided nobody moved it meanwhile. So a batch applies once or not at all, whoever is
killed and however many do it at once; and as a batch enters records as they are and not as their
events were, nothing is entered twice.

An index that does not fit the store is made anew over what there is, record by record in key order
beside a cursor: after a restore (another epoch), when events that it had not seen are gone, and
when texts become terms in another way.
"""

from __future__ import annotations

from swarm_memory import lean_json
from swarm_memory.errors import CorruptValueError
from swarm_memory.key import KEY_END
from swarm_memory.lean import NamedTuple
from swarm_memory.paging import PAGE_BYTES, Pager
from swarm_memory.rows import records_of
from swarm_memory.text import ANALYSER, document_of, terms_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from swarm_memory.context import Context
    from swarm_memory.engine import Reader, Row, Tx

ID_BITS = 40  # of a swarm's entries; their ids begin with the swarm's number
BATCH_ROWS = 250
VALUE = 8  # the column of a record's row that its value stands in
IDLE_EVENTS = 1000  # of other swarms, before the cursor is moved past them
_CURSORS = 5  # the first columns of a state: what has to be as it was for a batch to apply


class State(NamedTuple):
    """How far the index of one swarm has come.

    `oldest` and `newest` are events of the store, `docs` and `words` those of all swarms.
    """

    number: int
    analyser: int
    epoch: int
    seq: int
    scanned: str | None
    store_epoch: int
    oldest: int
    newest: int
    docs: int
    words: int

    @property
    def first(self) -> int:
        """The id before the swarm's first entry."""
        return int(self.number) << ID_BITS

    @property
    def last(self) -> int:
        """The id of the last entry that it may have."""
        return int(self.first) + (1 << ID_BITS) - 1


class _Batch(NamedTuple):
    """What is to be entered (`rows`) and removed (keys), and where the cursors stand then.

    `seq` None: the index has to be begun.
    """

    state: State | None
    seq: int | None
    scanned: str | None
    rows: list[Row]
    gone: list[str]


class _Entry(NamedTuple):
    """What is entered for a record: its terms as one text (None for a damaged one), its words."""

    key: str
    version: int
    terms: str | None
    words: int


class Index:
    """The search index of one swarm."""

    __slots__ = ("_context", "_db")

    def __init__(self, db: Reader, context: Context) -> None:
        self._db = db
        self._context = context

    def state(self, db: Reader) -> State | None:
        """Return how far the index has come, None if it was never begun."""
        row = db.one("search_state", swarm=self._context.swarm)
        return None if row is None else State(*row)

    def catch_up(self, rows_max: int, within_s: float) -> bool:
        """Follow what happened since, for at most so many rows and seconds; tell if that is all.

        A batch that was begun is finished.
        """
        deadline_ms = self._db.uptime_ms + round(within_s * 1000)
        pager = Pager()
        left = rows_max
        while True:
            batch = self._db.read(lambda tx: self._next(tx, pager))
            if batch is None:
                return True
            if left <= 0 or self._db.uptime_ms >= deadline_ms:
                return False
            entries = [self._entry(row) for row in batch.rows]
            self._db.write(
                lambda tx, batch=batch, entries=entries: self._apply(tx, batch, entries),  # type: ignore[misc]
                durability="relaxed",
            )
            left -= max(1, len(entries))

    def is_behind(self, state: State) -> bool:
        """Tell whether an index is being made, cannot be followed, or is many events behind."""
        far = state.newest - state.seq >= IDLE_EVENTS
        return far or state.scanned is not None or _is_unfit(state)

    def is_begun(self) -> bool:
        """Tell whether anybody has searched this swarm yet."""
        return self.state(self._db) is not None

    def wipe(self) -> None:
        """Forget the indexes of all swarms, damaged or not; each is made anew by who searches."""

        def wipe(tx: Tx) -> None:
            tx.run("search_wipe_terms")
            tx.run("search_wipe_docs")
            tx.run("search_wipe_swarms")

        self._db.write(wipe, durability="relaxed")

    # --- what comes next ---

    def _next(self, tx: Tx, pager: Pager) -> _Batch | None:
        """Return the next batch, None if there is nothing to do."""
        state = self.state(tx)
        if state is None or _is_unfit(state):
            return _Batch(state, None, None, [], [])
        if state.scanned is not None:
            return self._scan(tx, state, pager)
        if state.seq == state.newest:
            return None
        return self._follow(tx, state)

    def _scan(self, tx: Tx, state: State, pager: Pager) -> _Batch:
        """Return the next records in key order, and the keys between them that are no more."""
        swarm, limit = self._context.swarm, min(pager.rows, BATCH_ROWS)
        rows = tx.all("search_scan", swarm=swarm, after=state.scanned, limit=limit)
        if rows:
            pager.saw(rows, VALUE)
        whole = len(rows) < limit
        upto = KEY_END if whole else rows[-1][0]
        known = tx.all("search_known", number=state.number, after=state.scanned, upto=upto)
        gone = {row[0] for row in known} - {row[0] for row in rows}
        return _Batch(state, state.seq, None if whole else upto, rows, sorted(gone))

    def _follow(self, tx: Tx, state: State) -> _Batch | None:
        """Return the records that the next events are about, as they are now."""
        swarm = self._context.swarm
        events = tx.all("search_changes", swarm=swarm, after=state.seq, limit=BATCH_ROWS)
        if not events and state.newest - state.seq < IDLE_EVENTS:
            return None
        found: dict[str, Row | None] = {}
        size, reached = 0, state.newest if len(events) < BATCH_ROWS else events[-1][0]
        for seq, key in events:
            if key not in found:
                found[key] = row = tx.one("search_record", swarm=swarm, key=key)
                size += 0 if row is None else len(row[VALUE])
            if size > PAGE_BYTES:
                reached = seq
                break
        rows = [row for row in found.values() if row is not None]
        gone = [key for key, row in found.items() if row is None]
        return _Batch(state, reached, None, rows, gone)

    def _entry(self, row: Row) -> _Entry:
        """Return key, version and terms of a row; None for the terms of a damaged one."""
        try:
            record = records_of(self._context, (row,))[0]
        except CorruptValueError:
            return _Entry(row[0], row[1], None, 0)  # `verify` names it; the others go on
        terms, words = terms_of(document_of(record))
        return _Entry(record.key, record.version, " ".join(terms), words)

    # --- writing it ---

    def _apply(self, tx: Tx, batch: _Batch, entries: list[_Entry]) -> None:
        """Enter a batch, unless somebody else has moved the cursors since it was read."""
        swarm, state = self._context.swarm, self.state(tx)
        if state is not None and batch.state is not None:
            if state[:_CURSORS] != batch.state[:_CURSORS]:
                return
        elif state is not batch.state:
            return
        if state is None or batch.seq is None:
            tx.run("search_begin", swarm=swarm, analyser=ANALYSER)
            return
        docs, words = _enter(tx, state, batch.gone, entries)
        tx.do(
            "search_move", swarm=swarm, seq=batch.seq, scanned=batch.scanned, docs=docs, words=words
        )


def _is_unfit(state: State) -> bool:
    """Tell whether an index cannot be brought up to date by events."""
    made_otherwise = state.analyser != ANALYSER or state.epoch != state.store_epoch
    return bool(made_otherwise or state.seq + 1 < state.oldest or state.seq > state.newest)


def _enter(tx: Tx, state: State, gone: list[str], entries: list[_Entry]) -> tuple[int, int]:
    """Enter records and remove others; return how entries and words have changed in number.

    It asks twice, however many there are: on a server each question is a trip that holds others up.
    """
    gone = gone + [entry.key for entry in entries if entry.terms is None]
    keys = lean_json.dumps(gone + [entry.key for entry in entries])
    known = {row[0]: row[1:] for row in tx.all("search_docs_of", number=state.number, keys=keys)}
    row = tx.one("search_next", first=state.first, last=state.last)
    place = int(row[0]) if row else state.first + 1
    docs = words = 0
    for key in gone:
        if key in known:
            at, size = known[key]
            tx.do("search_drop_terms", id=at)
            tx.do("search_drop", id=at)
            docs, words = docs - 1, words - int(size)
    for entry in entries:
        if entry.terms is None:
            continue
        at, size = known.get(entry.key, (None, 0))
        if at is None:
            at, place, docs = place, place + 1, docs + 1
        about = {"key": entry.key, "version": entry.version, "words": entry.words}
        tx.do("search_put", id=at, number=state.number, **about)
        tx.do("search_put_terms", id=at, terms=entry.terms)
        words += entry.words - int(size)
    return docs, words
