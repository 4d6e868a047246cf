-- Choices with their propensity, outcomes, and per strategy the counts that the model reads.

CREATE TABLE choices (
    swarm TEXT NOT NULL,
    choice_id TEXT NOT NULL,
    task_type TEXT NOT NULL,
    strategy TEXT NOT NULL,
    propensity REAL NOT NULL,
    candidates TEXT NOT NULL,
    context TEXT NOT NULL,
    author TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (swarm, choice_id)
);

CREATE TABLE outcomes (
    swarm TEXT NOT NULL,
    outcome_id TEXT NOT NULL,
    task_type TEXT NOT NULL,
    strategy TEXT,
    success INTEGER NOT NULL,
    duration_s REAL NOT NULL,
    cost REAL,
    agents TEXT NOT NULL,
    context TEXT,
    choice_id TEXT,
    propensity REAL,
    author TEXT NOT NULL,
    session TEXT,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (swarm, outcome_id)
);

CREATE INDEX outcomes_by_task ON outcomes (swarm, task_type, strategy, at_ms);

CREATE TABLE arms (
    swarm TEXT NOT NULL,
    task_type TEXT NOT NULL,
    strategy TEXT NOT NULL, -- '' counts the outcomes without a strategy
    trials INTEGER NOT NULL,
    successes INTEGER NOT NULL,
    duration_s REAL NOT NULL,
    cost REAL NOT NULL,
    last_ms INTEGER NOT NULL,
    PRIMARY KEY (swarm, task_type, strategy)
) WITHOUT ROWID;
