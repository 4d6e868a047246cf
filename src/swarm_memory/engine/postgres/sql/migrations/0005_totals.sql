-- Calls are kept for good; see SQLite's migration of that name.

ALTER TABLE meters ADD COLUMN sampled bigint NOT NULL DEFAULT 0;
CREATE INDEX meters_waiting ON meters (swarm, verb, bucket) WHERE calls > sampled;
