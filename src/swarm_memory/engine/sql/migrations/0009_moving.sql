-- Which swarms live elsewhere, and, in a store that is a directory, where all of them live.

-- `gone`: it lives at `url` now, and what this store still has of it takes no writes. `arriving`:
-- it is being copied here and still lives at `url`. Triggers look at this table; there are none
-- until a swarm moves. A URL here never holds a password.
CREATE TABLE moved (
    swarm TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    url TEXT NOT NULL,
    move_id TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) WITHOUT ROWID;

-- The swarm '' stands for all that have no row.
CREATE TABLE routes (
    swarm TEXT PRIMARY KEY,
    url TEXT NOT NULL,
    move_id TEXT, -- of the move that led there, or that is under way if `next` is there
    next TEXT -- where a move under way goes
) WITHOUT ROWID;
