-- Messages: queues of agents and topics, and what was said to everyone.

-- `queue` is agent:NAME, topic:NAME or reply:ID. A row is ready, hidden until `visible_ms` (given
-- to a consumer, or not due yet), or dead; an acknowledged one is deleted.
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY,
    swarm TEXT NOT NULL,
    queue TEXT NOT NULL,
    message_id TEXT NOT NULL,
    state TEXT NOT NULL,
    rank INTEGER NOT NULL, -- the priority below zero: what comes first is smallest
    sender TEXT NOT NULL,
    type TEXT,
    body TEXT, -- NULL where it stands in the broadcast
    broadcast_seq INTEGER,
    correlation TEXT,
    reply_to TEXT,
    attempts INTEGER NOT NULL,
    attempts_max INTEGER NOT NULL,
    receipt TEXT, -- of the consumer that has it now
    consumer TEXT,
    session TEXT, -- of that consumer
    sent_ms INTEGER NOT NULL,
    visible_ms INTEGER NOT NULL,
    expires_ms INTEGER,
    reason TEXT, -- why it was given back or died
    dead_ms INTEGER
);

-- One small index per state: claiming never walks over what others hold or what is dead.
CREATE INDEX messages_ready ON messages (swarm, queue, rank, seq) WHERE state = 'ready';
CREATE INDEX messages_hidden ON messages (swarm, queue, visible_ms) WHERE state = 'hidden';
CREATE INDEX messages_dead ON messages (swarm, message_id) WHERE state = 'dead';
CREATE INDEX messages_of_broadcast ON messages (broadcast_seq) WHERE broadcast_seq IS NOT NULL;

-- Pruning never takes the newest one, so seq keeps rising without AUTOINCREMENT.
CREATE TABLE broadcasts (
    seq INTEGER PRIMARY KEY,
    swarm TEXT NOT NULL,
    message_id TEXT NOT NULL,
    rank INTEGER NOT NULL,
    sender TEXT NOT NULL,
    type TEXT,
    body TEXT NOT NULL,
    correlation TEXT,
    reply_to TEXT,
    attempts_max INTEGER NOT NULL,
    sent_ms INTEGER NOT NULL,
    visible_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
);

CREATE INDEX broadcasts_of_swarm ON broadcasts (swarm, seq);

-- How far the broadcasts have been put into an agent's queue.
CREATE TABLE broadcast_cursors (
    swarm TEXT NOT NULL,
    agent TEXT NOT NULL,
    seq INTEGER NOT NULL,
    PRIMARY KEY (swarm, agent)
) WITHOUT ROWID;
