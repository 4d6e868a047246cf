-- touch_log --
-- The newest touches of a swarm in the order of their time: what a model is learned from.
SELECT path, session_id, agent_id, agent, at_ms FROM (
    SELECT path, session_id, agent_id, agent, at_ms FROM touches
    WHERE swarm = :swarm
    ORDER BY at_ms DESC
    LIMIT :limit
) AS newest
ORDER BY at_ms, path, session_id, agent_id

-- touch_events --
-- The same of records, from the change log.
SELECT key, '', '', author, at_ms FROM (
    SELECT key, author, at_ms, seq FROM events
    WHERE swarm = :swarm AND telemetry = 0
    ORDER BY seq DESC
    LIMIT :limit
) AS newest
ORDER BY seq

-- touch_since --
-- How many touches have come since a model was learned, as far as anybody wants to know.
SELECT count(*) FROM (
    SELECT 1 FROM touches WHERE swarm = :swarm AND at_ms > :after_ms LIMIT :limit
) AS later

-- touch_prune --
-- Keep the newest touches of a swarm.
DELETE FROM touches
WHERE swarm = :swarm AND at_ms < (
    SELECT at_ms FROM touches WHERE swarm = :swarm ORDER BY at_ms DESC LIMIT 1 OFFSET :kept
)

-- forecast_get --
-- A model, and when it was learned.
SELECT model, at_ms FROM forecasts WHERE swarm = :swarm AND window_ms = :window_ms

-- forecast_put --
-- Replace a model by one that was learned later.
INSERT INTO forecasts (swarm, window_ms, model, calibrated, at_ms)
VALUES (:swarm, :window_ms, :model, :calibrated, :at_ms)
ON CONFLICT (swarm, window_ms) DO UPDATE SET model = excluded.model,
    calibrated = excluded.calibrated, at_ms = excluded.at_ms
WHERE forecasts.at_ms <= excluded.at_ms

-- forecast_prune --
-- Keep the models that were learned last: anybody may ask for any length of the window.
DELETE FROM forecasts
WHERE swarm = :swarm AND at_ms < (
    SELECT at_ms FROM forecasts WHERE swarm = :swarm ORDER BY at_ms DESC LIMIT 1 OFFSET :kept
)

-- forecast_claims --
-- Who has reserved paths: few, so each is compared in full.
SELECT owner, coalesce(session, ''), pattern FROM seats
WHERE swarm = :swarm AND name = 'file:' AND state = 'held' AND expires_ms > :uptime_ms
    AND coalesce(session, '') <> :session_id
    AND EXISTS (SELECT 1 FROM facts WHERE swarm = '' AND name = 'boot_id' AND value = :boot_id)
