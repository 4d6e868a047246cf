-- Records with their history, the change log, and the counters that quotas are checked against.

CREATE TABLE records (
    swarm TEXT NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    scope TEXT NOT NULL,
    category TEXT NOT NULL,
    telemetry INTEGER NOT NULL,
    author TEXT NOT NULL,
    session TEXT,
    provenance TEXT,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    value BLOB, -- NULL marks a tombstone: the key is gone but its version counter is not
    PRIMARY KEY (swarm, key)
);

CREATE TABLE history (
    swarm TEXT NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    author TEXT NOT NULL,
    session TEXT,
    provenance TEXT,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    value BLOB,
    PRIMARY KEY (swarm, key, version)
);

-- Pruning never takes the newest event, so seq keeps rising without AUTOINCREMENT.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    swarm TEXT NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    op TEXT NOT NULL,
    author TEXT NOT NULL,
    at_ms INTEGER NOT NULL
);

CREATE TABLE usage (
    swarm TEXT NOT NULL,
    scope TEXT NOT NULL,
    category TEXT NOT NULL,
    telemetry INTEGER NOT NULL,
    records INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    PRIMARY KEY (swarm, scope, category)
) WITHOUT ROWID;

CREATE TABLE ops (
    swarm TEXT NOT NULL,
    agent TEXT NOT NULL,
    op_id TEXT NOT NULL,
    args_digest TEXT NOT NULL,
    result TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (swarm, agent, op_id)
) WITHOUT ROWID;

CREATE TABLE dictionaries (
    swarm TEXT NOT NULL,
    number INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    bytes BLOB NOT NULL,
    PRIMARY KEY (swarm, number)
);

-- Single facts about a swarm: the version floor, where the sweep goes on, cursors of readers.
CREATE TABLE facts (
    swarm TEXT NOT NULL,
    name TEXT NOT NULL,
    value INTEGER NOT NULL,
    PRIMARY KEY (swarm, name)
) WITHOUT ROWID;
