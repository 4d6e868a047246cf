-- Where agents changed files lately, and what was learned from it; see SQLite's migration of that
-- name.

CREATE TABLE touches (
    swarm text COLLATE "C" NOT NULL,
    at_ms bigint NOT NULL,
    path text COLLATE "C" NOT NULL,
    session_id text COLLATE "C" NOT NULL,
    agent_id text COLLATE "C" NOT NULL,
    agent text COLLATE "C" NOT NULL,
    PRIMARY KEY (swarm, at_ms, path, session_id, agent_id)
);

CREATE INDEX touches_by_path ON touches (swarm, path, at_ms);

CREATE TABLE forecasts (
    swarm text COLLATE "C" NOT NULL,
    window_ms bigint NOT NULL,
    model text COLLATE "C" NOT NULL,
    calibrated bigint NOT NULL,
    at_ms bigint NOT NULL,
    PRIMARY KEY (swarm, window_ms)
);
