-- Calls, samples and alerts; see SQLite's migration of that name.

CREATE TABLE meters (
    swarm text COLLATE "C" NOT NULL,
    verb text COLLATE "C" NOT NULL,
    bucket bigint NOT NULL,
    calls bigint NOT NULL,
    PRIMARY KEY (swarm, verb, bucket)
);

CREATE TABLE samples (
    swarm text COLLATE "C" NOT NULL,
    span text COLLATE "C" NOT NULL,
    at_ms bigint NOT NULL,
    body text COLLATE "C" NOT NULL,
    PRIMARY KEY (swarm, span, at_ms)
);

CREATE TABLE alerts (
    swarm text COLLATE "C" NOT NULL,
    alert_id text COLLATE "C" NOT NULL,
    rule text COLLATE "C" NOT NULL,
    subject text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    severity text COLLATE "C" NOT NULL,
    text text COLLATE "C" NOT NULL,
    advice text COLLATE "C" NOT NULL,
    value double precision NOT NULL,
    streak bigint NOT NULL,
    raised_ms bigint NOT NULL,
    seen_ms bigint NOT NULL,
    acknowledged_by text COLLATE "C",
    acknowledged_ms bigint,
    resolved_ms bigint,
    PRIMARY KEY (swarm, alert_id)
);

CREATE UNIQUE INDEX alerts_open ON alerts (swarm, rule, subject) WHERE state <> 'resolved';
CREATE INDEX alerts_resolved ON alerts (swarm, resolved_ms) WHERE state = 'resolved';
