-- Messages: what was sent, and for each queue who has what of it.

-- Written once and never changed, so that a claim costs the same whatever it weighs. `queue` is
-- agent:NAME, topic:NAME, reply:ID, or everyone. Sequence numbers never come again, so a cursor
-- stays right when everything before it is gone.
CREATE TABLE messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    swarm TEXT NOT NULL,
    queue TEXT NOT NULL,
    odd INTEGER, -- 1: has a priority, a delay or a number of attempts of its own; else NULL
    message_id TEXT NOT NULL,
    rank INTEGER NOT NULL, -- the priority below zero: what comes first is smallest
    sender TEXT NOT NULL,
    type TEXT,
    body TEXT NOT NULL,
    correlation TEXT,
    reply_to TEXT,
    attempts_max INTEGER NOT NULL,
    sent_ms INTEGER NOT NULL,
    visible_ms INTEGER NOT NULL,
    expires_ms INTEGER
);

CREATE INDEX messages_plain ON messages (swarm, queue, seq) WHERE odd IS NULL;
CREATE INDEX messages_odd ON messages (swarm, queue, seq) WHERE odd = 1;

-- How far a queue has come: what is plain behind `own_seq` of its own messages and `all_seq` of
-- those for everyone was never claimed; what is odd for everyone has a run up to `odd_seq`.
CREATE TABLE message_cursors (
    swarm TEXT NOT NULL,
    queue TEXT NOT NULL,
    own_seq INTEGER NOT NULL,
    all_seq INTEGER NOT NULL,
    odd_seq INTEGER NOT NULL,
    PRIMARY KEY (swarm, queue)
) WITHOUT ROWID;

-- A run is one message, or all plain ones of `log` from `first` to `last`, that share a state in
-- `queue`: ready, hidden until `visible_ms` (in hand, or not due yet), or dead. What is
-- acknowledged leaves its run and is deleted, unless it was said to everyone.
CREATE TABLE message_runs (
    swarm TEXT NOT NULL,
    queue TEXT NOT NULL,
    first INTEGER NOT NULL,
    receipt TEXT NOT NULL, -- of the claim that has it in hand; '' if none has
    last INTEGER NOT NULL,
    size INTEGER NOT NULL,
    log TEXT NOT NULL, -- the queue that the messages were sent to: this one, or everyone
    state TEXT NOT NULL,
    rank INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    attempts_max INTEGER NOT NULL,
    consumer TEXT,
    session TEXT, -- of that consumer
    visible_ms INTEGER NOT NULL,
    expires_ms INTEGER, -- of the message that expires first
    reason TEXT, -- why an earlier attempt failed, or why it died
    message_id TEXT, -- of a dead one
    dead_ms INTEGER,
    PRIMARY KEY (swarm, receipt, queue, first)
) WITHOUT ROWID;

-- One small index per state: claiming never walks over what others hold or what is dead.
CREATE INDEX message_runs_ready ON message_runs (swarm, queue, rank, first) WHERE state = 'ready';
CREATE INDEX message_runs_hidden ON message_runs (swarm, queue, visible_ms)
    WHERE state = 'hidden';
CREATE INDEX message_runs_lapsing ON message_runs (swarm, queue, expires_ms)
    WHERE state = 'ready' AND attempts > 0 AND expires_ms IS NOT NULL;
CREATE INDEX message_runs_dead ON message_runs (swarm, message_id) WHERE state = 'dead';
