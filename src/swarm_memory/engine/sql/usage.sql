-- usage_add --
-- Move a counter that no event moves.
INSERT INTO usage (swarm, scope, category, telemetry, records, bytes)
VALUES (:swarm, :scope, :category, :telemetry, :records, :bytes)
ON CONFLICT (swarm, scope, category) DO UPDATE SET
    records = usage.records + excluded.records, bytes = usage.bytes + excluded.bytes

-- usage_fold --
-- Add the events since the last fold to the counters; the caller then moves `folded_seq`.
INSERT INTO usage (swarm, scope, category, telemetry, records, bytes)
SELECT swarm, scope, category, max(telemetry), sum(records), sum(bytes) FROM events
WHERE seq > (SELECT coalesce(max(value), 0) FROM facts WHERE swarm = '' AND name = 'folded_seq')
GROUP BY swarm, scope, category
ON CONFLICT (swarm, scope, category) DO UPDATE SET
    records = usage.records + excluded.records, bytes = usage.bytes + excluded.bytes

-- usage_folded --
-- Say that all events there are have been added up.
INSERT INTO facts (swarm, name, value)
SELECT '', 'folded_seq', coalesce(max(seq), 0) FROM events WHERE true
ON CONFLICT (swarm, name) DO UPDATE SET value = excluded.value

-- usage_used --
-- What one scope holds, or with '' the whole swarm.
SELECT coalesce(sum(bytes), 0) FROM usage_now
WHERE swarm = :swarm AND telemetry = 0 AND (:scope = '' OR scope = :scope)

-- usage_between --
-- How others moved it since: the events after one and before another.
SELECT coalesce(sum(bytes), 0) FROM events
WHERE seq > :after AND seq < :before AND swarm = :swarm AND telemetry = 0
    AND (:scope = '' OR scope = :scope)

-- usage_within --
-- Whether a scope, or with '' the whole swarm, has grown by no more than :most since an event.
SELECT coalesce(sum(bytes), 0) <= :most FROM events
WHERE seq > :after AND swarm = :swarm AND telemetry = 0 AND (:scope = '' OR scope = :scope)

-- usage_list --
-- Every counter of a swarm.
SELECT scope, category, max(telemetry), sum(records), sum(bytes) FROM usage_now
WHERE swarm = :swarm
GROUP BY scope, category
HAVING sum(records) > 0
ORDER BY scope, category

-- usage_agents --
-- The agents that have a state.
SELECT scope FROM usage_now
WHERE swarm = :swarm AND category = 'agent_state'
GROUP BY scope
HAVING sum(records) > 0
ORDER BY scope
