-- Every conflict with both sides, the base and what became of it.

CREATE TABLE conflicts (
    swarm TEXT NOT NULL,
    conflict_id TEXT NOT NULL,
    key TEXT NOT NULL,
    base_version INTEGER NOT NULL,
    their_version INTEGER NOT NULL,
    strategy TEXT NOT NULL,
    outcome TEXT NOT NULL, -- resolved, or parked until somebody decides
    base TEXT,
    theirs TEXT,
    mine TEXT NOT NULL,
    result TEXT,
    author TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (swarm, conflict_id)
);
