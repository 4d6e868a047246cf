-- Who changes which file, what agents were shown, and the short numbers it was shown by.

-- An agent counts as changing a file from its first edit until it stops, commits, or is idle; time
-- is counted as for sessions. This is what happened and no lock: nobody waits for it.
CREATE TABLE edits (
    swarm TEXT NOT NULL,
    path TEXT NOT NULL, -- below the worktree: the same file has it in each of them
    worktree TEXT NOT NULL, -- '' for a file outside of one, whose path is absolute
    session_id TEXT NOT NULL,
    agent_id TEXT NOT NULL, -- '' for the session's own agent
    branch TEXT,
    agent TEXT NOT NULL,
    tool TEXT, -- of the last edit
    edits INTEGER NOT NULL,
    since_ms INTEGER NOT NULL,
    at_ms INTEGER NOT NULL, -- of the last edit
    boot_id INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    PRIMARY KEY (swarm, path, worktree, session_id, agent_id)
) WITHOUT ROWID;

CREATE INDEX edits_by_session ON edits (swarm, session_id, agent_id);

-- What was put before an agent, one row for each item. It is `present` as long as the agent's
-- context holds it: until it was compacted, or a newer version of the item was shown.
CREATE TABLE injections (
    id INTEGER PRIMARY KEY,
    swarm TEXT NOT NULL,
    session_id TEXT NOT NULL,
    agent_id TEXT NOT NULL, -- '' for the session's own agent; each has a context of its own
    agent TEXT NOT NULL,
    kind TEXT NOT NULL,
    item TEXT NOT NULL, -- the key of a memory, the id of anything else
    version INTEGER NOT NULL,
    number INTEGER, -- by which the agent may ask for it
    event TEXT NOT NULL,
    score REAL,
    tokens INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    present INTEGER NOT NULL,
    cited_ms INTEGER
);

-- Two hooks that run at once show an item once.
CREATE UNIQUE INDEX injections_present ON injections (swarm, session_id, agent_id, kind, item)
    WHERE present = 1;

-- Numbers are short, because every agent pays for them, and never mean anything else.
CREATE TABLE handles (
    swarm TEXT NOT NULL,
    number INTEGER NOT NULL,
    kind TEXT NOT NULL,
    item TEXT NOT NULL,
    PRIMARY KEY (swarm, number)
) WITHOUT ROWID;

CREATE UNIQUE INDEX handles_by_item ON handles (swarm, kind, item);
