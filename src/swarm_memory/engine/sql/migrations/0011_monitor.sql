-- What the monitor knows: calls that processes counted, samples of the swarm's state, alerts.

-- Calls since the last sample, added up over all processes. The next sample takes them away.
CREATE TABLE meters (
    swarm TEXT NOT NULL,
    verb TEXT NOT NULL,
    bucket INTEGER NOT NULL, -- how long a call took (see `meter`); 0 for what is only counted
    calls INTEGER NOT NULL,
    PRIMARY KEY (swarm, verb, bucket)
) WITHOUT ROWID;

CREATE TABLE samples (
    swarm TEXT NOT NULL,
    span TEXT NOT NULL, -- minute (one sample), hour or day (those of that time as one)
    at_ms INTEGER NOT NULL, -- of a sample when it was taken, else when the time began
    body TEXT NOT NULL,
    PRIMARY KEY (swarm, span, at_ms)
) WITHOUT ROWID;

CREATE TABLE alerts (
    swarm TEXT NOT NULL,
    alert_id TEXT NOT NULL,
    rule TEXT NOT NULL,
    subject TEXT NOT NULL, -- which agent, queue, lease, verb …; '' is the whole swarm
    state TEXT NOT NULL, -- pending (not for long enough yet), open, acknowledged, resolved
    severity TEXT NOT NULL,
    text TEXT NOT NULL,
    advice TEXT NOT NULL,
    value REAL NOT NULL, -- the newest
    streak INTEGER NOT NULL, -- samples in a row for which it held; below 0 for which it did not
    raised_ms INTEGER NOT NULL,
    seen_ms INTEGER NOT NULL, -- when a sample last said so
    acknowledged_by TEXT,
    acknowledged_ms INTEGER,
    resolved_ms INTEGER,
    PRIMARY KEY (swarm, alert_id)
) WITHOUT ROWID;

-- Of one thing there is one alert at a time.
CREATE UNIQUE INDEX alerts_open ON alerts (swarm, rule, subject) WHERE state <> 'resolved';
CREATE INDEX alerts_resolved ON alerts (swarm, resolved_ms) WHERE state = 'resolved';
