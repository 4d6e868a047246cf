-- Choices with their propensity, outcomes with their labels, and what was learned from both.

CREATE TABLE choices (
    swarm TEXT NOT NULL,
    choice_id TEXT NOT NULL,
    task_type TEXT NOT NULL,
    strategy TEXT NOT NULL, -- what was recommended; what was used stands in the outcome
    propensity REAL, -- null: somebody chose who does not know it
    candidates TEXT NOT NULL,
    context TEXT NOT NULL,
    author TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (swarm, choice_id)
);

CREATE TABLE outcomes (
    swarm TEXT NOT NULL,
    outcome_id TEXT NOT NULL,
    seq INTEGER NOT NULL, -- the order of learning, which relabels count in too
    task_type TEXT NOT NULL,
    task TEXT, -- outcomes of one task share its difficulty
    strategy TEXT,
    status TEXT NOT NULL,
    reward REAL, -- 0 to 1; null: nobody knows how it ended
    label_source TEXT NOT NULL,
    duration_s REAL NOT NULL,
    cost REAL,
    agents TEXT NOT NULL,
    context TEXT,
    signals TEXT,
    error_class TEXT,
    failed_agent TEXT,
    failed_step INTEGER,
    choice_id TEXT,
    propensity REAL,
    author TEXT NOT NULL,
    session TEXT,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (swarm, outcome_id)
);

CREATE INDEX outcomes_by_task ON outcomes (swarm, task_type, strategy, at_ms);
CREATE INDEX outcomes_by_seq ON outcomes (swarm, seq);
CREATE INDEX outcomes_by_choice ON outcomes (swarm, choice_id) WHERE choice_id IS NOT NULL;

-- Labels that were revised: what an outcome said before, and says since.
CREATE TABLE relabels (
    swarm TEXT NOT NULL,
    seq INTEGER NOT NULL,
    outcome_id TEXT NOT NULL,
    status TEXT NOT NULL,
    reward REAL,
    label_source TEXT NOT NULL,
    error_class TEXT,
    was_status TEXT NOT NULL,
    was_reward REAL,
    was_source TEXT NOT NULL,
    was_error_class TEXT,
    author TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (swarm, seq)
) WITHOUT ROWID;

CREATE INDEX relabels_by_outcome ON relabels (swarm, outcome_id);

CREATE TABLE arms (
    swarm TEXT NOT NULL,
    task_type TEXT NOT NULL,
    strategy TEXT NOT NULL, -- '' counts the outcomes without a strategy
    trials INTEGER NOT NULL, -- outcomes whose reward is known
    unlabelled INTEGER NOT NULL, -- the others
    successes REAL NOT NULL, -- the sum of the rewards
    duration_s REAL NOT NULL,
    cost REAL NOT NULL,
    last_ms INTEGER NOT NULL,
    PRIMARY KEY (swarm, task_type, strategy)
) WITHOUT ROWID;

-- What was learned, in parts, so that an outcome writes only those that it changes. The row with
-- an empty name is the head: its version is the seq that was learned last. The log is the truth:
-- whoever finds no head learns anew.
CREATE TABLE models (
    swarm TEXT NOT NULL,
    part TEXT NOT NULL,
    version INTEGER NOT NULL,
    state BLOB NOT NULL,
    PRIMARY KEY (swarm, part)
) WITHOUT ROWID;
