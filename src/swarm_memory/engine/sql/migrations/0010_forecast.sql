-- Where agents changed files lately, and what was learned from it about who meets whom.

-- The log of a forecast: one row for a file that an agent changed, however often within a minute.
-- Bounded: the newest of each swarm are kept.
CREATE TABLE touches (
    swarm TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    path TEXT NOT NULL, -- as in `edits`
    session_id TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    agent TEXT NOT NULL,
    PRIMARY KEY (swarm, at_ms, path, session_id, agent_id)
) WITHOUT ROWID;

CREATE INDEX touches_by_path ON touches (swarm, path, at_ms);

-- What the log said when it was last read, for each length of the window that was asked for.
CREATE TABLE forecasts (
    swarm TEXT NOT NULL,
    window_ms INTEGER NOT NULL,
    model TEXT NOT NULL,
    calibrated INTEGER NOT NULL, -- 1: its numbers are probabilities, and not only a rank
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (swarm, window_ms)
) WITHOUT ROWID;
