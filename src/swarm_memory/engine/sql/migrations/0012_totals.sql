-- Calls are kept for good: who asks for totals must never see one fall. A sample takes what came
-- since the one before, so each row knows how many calls a sample has.
ALTER TABLE meters ADD COLUMN sampled INTEGER NOT NULL DEFAULT 0;

-- What the next sample takes, and where it is taken.
CREATE INDEX meters_waiting ON meters (swarm, verb, bucket) WHERE calls > sampled;
