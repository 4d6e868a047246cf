-- Leases: who holds a name, who stands in line for it, and the tokens that only grow.

-- One row per acquire that holds or waits. The first seat of a name (ticket 0) stays when it is
-- free, because a token must never come again; who finds the name empty takes that seat, so that
-- a lease nobody else wants is one row changed and changed back. Free seats are forgotten in time
-- (lease_prune), so the table stays small and needs no index but its key.
--
-- Leases on paths may overlap, so all of a swarm are seats at one name, 'file:': whoever wants a path
-- sees all that may be in its way, and their tokens are drawn from one counter.
CREATE TABLE seats (
    swarm TEXT NOT NULL,
    name TEXT NOT NULL,
    ticket INTEGER NOT NULL, -- the place in line; below 0 for a reader that upgrades
    state TEXT NOT NULL, -- waiting, granted (its turn, not yet claimed), held; free if first
    holder TEXT NOT NULL, -- a random id per acquire
    mode TEXT NOT NULL, -- read, write, exclusive
    token INTEGER, -- from the grant on; at the first seat also that of whoever had it last
    owner TEXT NOT NULL,
    session TEXT,
    party TEXT, -- the flow of control that acquires: a thread of a process, an asyncio task
    upgrades TEXT, -- the holder whose read lease this one is to replace
    reason TEXT,
    since_ms INTEGER NOT NULL, -- when the wait or the hold began
    expires_ms INTEGER NOT NULL, -- when the row stops counting, whatever its state
    pattern TEXT, -- which paths; several, one a line, while they are taken together
    drawn INTEGER, -- at the first seat: the last token that was drawn for another seat
    PRIMARY KEY (swarm, name, ticket)
) WITHOUT ROWID;
