-- Leases: who holds a name, who stands in line for it, and the tokens that only grow.

-- The row stays when nobody holds the name: a token must never come again.
CREATE TABLE lease_tokens (
    swarm TEXT NOT NULL,
    name TEXT NOT NULL,
    token INTEGER NOT NULL,
    PRIMARY KEY (swarm, name)
) WITHOUT ROWID;

-- One row per acquire that holds or waits; few at any time, so it needs no index but its key.
CREATE TABLE seats (
    swarm TEXT NOT NULL,
    name TEXT NOT NULL,
    holder TEXT NOT NULL, -- a random id per acquire
    ticket INTEGER NOT NULL, -- the place in line
    state TEXT NOT NULL, -- waiting, granted (its turn, not yet claimed), held
    mode TEXT NOT NULL, -- read, write, exclusive
    token INTEGER, -- from the grant on
    owner TEXT NOT NULL,
    session TEXT,
    upgrades TEXT, -- the holder whose read lease this one is to replace
    reason TEXT,
    since_ms INTEGER NOT NULL, -- when the wait or the hold began
    expires_ms INTEGER NOT NULL, -- when the row stops counting, whatever its state
    PRIMARY KEY (swarm, name, holder)
) WITHOUT ROWID;
