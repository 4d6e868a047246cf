-- Sessions: who acts for how long unless renewed, and the agents within them.

-- Time is counted as for leases: `expires_ms` is an uptime, and counts in the start of the machine
-- that `boot_id` names. A row stays when its session has ended, until it is forgotten.
CREATE TABLE sessions (
    swarm TEXT NOT NULL,
    session_id TEXT NOT NULL,
    short TEXT NOT NULL, -- what it is called in names of agents
    kind TEXT NOT NULL, -- logical, or process
    state TEXT NOT NULL, -- active, lapsed (ended by whoever came by), ended (by who acted in it)
    agent TEXT NOT NULL, -- who began it
    about TEXT NOT NULL,
    process TEXT, -- whose session it is, if it is one process's
    ttl_ms INTEGER NOT NULL,
    boot_id INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    began_ms INTEGER NOT NULL,
    touched_ms INTEGER NOT NULL, -- when it was last renewed
    ended_ms INTEGER,
    reason TEXT, -- why it ended
    PRIMARY KEY (swarm, session_id)
) WITHOUT ROWID;

-- Nobody may act by another session's name.
CREATE UNIQUE INDEX sessions_short ON sessions (swarm, short);
-- Who comes by looks at what is active, not at all that ever was.
CREATE INDEX sessions_by_state ON sessions (swarm, state, session_id);

CREATE TABLE session_agents (
    swarm TEXT NOT NULL,
    session_id TEXT NOT NULL,
    agent_id TEXT NOT NULL, -- one of its session's, and of no other
    agent_type TEXT NOT NULL,
    parent TEXT, -- the agent that started it; NULL for the session's own
    started_ms INTEGER NOT NULL,
    ended_ms INTEGER, -- NULL while it runs
    PRIMARY KEY (swarm, session_id, agent_id)
) WITHOUT ROWID;
