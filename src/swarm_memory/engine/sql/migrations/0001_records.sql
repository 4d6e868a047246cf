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
    history_id INTEGER, -- the version before this one
    value BLOB, -- NULL marks a tombstone: the key is gone but its version counter is not
    PRIMARY KEY (swarm, key)
);

-- The versions of a key are a chain from its record: finding them by an index would cost every
-- put another page. A row is never deleted while a younger one of its key is there and points
-- further back, so an id that comes again never joins a chain it does not belong to.
CREATE TABLE history (
    id INTEGER PRIMARY KEY,
    prev_id INTEGER,
    swarm TEXT NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    author TEXT NOT NULL,
    session TEXT,
    provenance TEXT,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    value BLOB -- NULL for a deletion, and for a version that has expired
);

-- The change log. An event also says how it moves the counters, so that a put writes no counter:
-- `usage` holds the sums up to the fact `folded_seq`, `usage_now` adds the events since.
-- Pruning never takes the newest event, so seq keeps rising without AUTOINCREMENT.
CREATE TABLE events (
    seq INTEGER PRIMARY KEY,
    swarm TEXT NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    op TEXT NOT NULL,
    author TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    scope TEXT NOT NULL,
    category TEXT NOT NULL,
    telemetry INTEGER NOT NULL,
    records INTEGER NOT NULL,
    bytes INTEGER NOT NULL
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

CREATE VIEW usage_now AS
SELECT swarm, scope, category, telemetry, records, bytes FROM usage
UNION ALL
SELECT swarm, scope, category, telemetry, records, bytes FROM events
WHERE seq > (SELECT coalesce(max(value), 0) FROM facts WHERE swarm = '' AND name = 'folded_seq');
