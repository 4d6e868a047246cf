-- record_get --
-- One point read; the caller decides by its clock whether the row has expired.
SELECT key, version, author, session, created_ms, updated_ms, expires_ms, provenance, value
FROM records
WHERE swarm = :swarm AND key = :key AND value IS NOT NULL

-- record_head --
-- What a write must know of the row it replaces, tombstone or not.
SELECT version, expires_ms, scope, category, telemetry, created_ms, length(value)
FROM records
WHERE swarm = :swarm AND key = :key

-- record_put --
-- Insert or replace the current version; the replaced one went to history before, and if that was
-- just now, its id is -1 here.
INSERT INTO records (swarm, key, version, scope, category, telemetry, author, session, provenance,
    created_ms, updated_ms, expires_ms, history_id, value)
VALUES (:swarm, :key, :version, :scope, :category, :telemetry, :author, :session, :provenance,
    :created_ms, :updated_ms, :expires_ms,
    CASE WHEN :history_id = -1 THEN last_insert_rowid() ELSE :history_id END, :value)
ON CONFLICT (swarm, key) DO UPDATE SET version = excluded.version, scope = excluded.scope,
    category = excluded.category, telemetry = excluded.telemetry, author = excluded.author,
    session = excluded.session, provenance = excluded.provenance,
    created_ms = excluded.created_ms, updated_ms = excluded.updated_ms,
    expires_ms = excluded.expires_ms, history_id = excluded.history_id, value = excluded.value

-- record_scan --
-- One page in key order; a range and never LIKE, so the primary key serves it.
SELECT key, version, author, session, created_ms, updated_ms, expires_ms, provenance, value
FROM records
WHERE swarm = :swarm AND key >= :low AND key < :high AND value IS NOT NULL
    AND (expires_ms IS NULL OR expires_ms > :now_ms)
    AND telemetry <= :telemetry
ORDER BY key
LIMIT :limit

-- record_scan_down --
-- The same page from the end: newest first where keys begin with a time.
SELECT key, version, author, session, created_ms, updated_ms, expires_ms, provenance, value
FROM records
WHERE swarm = :swarm AND key >= :low AND key < :high AND value IS NOT NULL
    AND (expires_ms IS NULL OR expires_ms > :now_ms)
    AND telemetry <= :telemetry
ORDER BY key DESC
LIMIT :limit

-- record_keys --
-- One page of keys; no value is read, whatever its size.
SELECT key FROM records
WHERE swarm = :swarm AND key >= :low AND key < :high AND value IS NOT NULL
    AND (expires_ms IS NULL OR expires_ms > :now_ms)
    AND telemetry <= :telemetry
ORDER BY key
LIMIT :limit

-- record_count --
-- Live records and their stored bytes in a range.
SELECT count(*), coalesce(sum(length(value) + length(key)), 0)
FROM records
WHERE swarm = :swarm AND key >= :low AND key < :high AND value IS NOT NULL
    AND (expires_ms IS NULL OR expires_ms > :now_ms)
    AND telemetry <= :telemetry

-- record_bury --
-- Turn an expired row into a tombstone, only if nobody wrote or repacked it since it was seen: its
-- size is what the counters lose.
UPDATE records SET value = NULL, provenance = NULL, updated_ms = :now_ms
WHERE swarm = :swarm AND key = :key AND version = :version AND expires_ms <= :now_ms
    AND length(value) = :size

-- record_touch --
-- Let a version expire at another time, only if it is still stored as it was seen: the new frame
-- was made of that one.
UPDATE records SET expires_ms = :expires_ms, value = :value
WHERE swarm = :swarm AND key = :key AND version = :version AND value = :before

-- record_expired --
-- The next rows of a bounded sweep that have expired, tombstones that have aged among them.
SELECT key, version, scope, category, telemetry, length(value)
FROM records
WHERE swarm = :swarm AND key > :after AND key <= :upto
    AND ((value IS NOT NULL AND expires_ms <= :now_ms)
        OR (value IS NULL AND updated_ms <= :tombstone_ms))
ORDER BY key

-- record_nth --
-- Where a sweep of at most :rows rows ends.
SELECT max(key), count(*) FROM (
    SELECT key FROM records WHERE swarm = :swarm AND key > :after ORDER BY key LIMIT :rows) AS next

-- record_expired_in --
-- Expired rows of one scope, for a quota that is about to refuse.
SELECT key, version, scope, category, telemetry, length(value)
FROM records
WHERE swarm = :swarm AND (:scope = '' OR scope = :scope) AND value IS NOT NULL
    AND expires_ms <= :now_ms
LIMIT :rows

-- record_expired_count --
-- How many records wait to be swept.
SELECT count(*) FROM records
WHERE swarm = :swarm AND value IS NOT NULL AND expires_ms <= :now_ms

-- tombstone_mark --
-- Look again under the lock that it is the tombstone that was seen.
UPDATE records SET updated_ms = updated_ms
WHERE swarm = :swarm AND key = :key AND version = :version AND value IS NULL

-- tombstone_drop --
-- Forget a key for good; its history went before, and the version floor lies above it.
DELETE FROM records WHERE swarm = :swarm AND key = :key AND value IS NULL

-- history_push --
-- Keep the version that is about to be replaced; it points to the one before.
INSERT INTO history (prev_id, swarm, key, version, author, session, provenance, created_ms,
    updated_ms, expires_ms, value)
SELECT history_id, swarm, key, version, author, session, provenance, created_ms, updated_ms,
    expires_ms, value
FROM records
WHERE swarm = :swarm AND key = :key
RETURNING id

-- history_list --
-- The versions before the current one, newest first, by following the chain.
WITH RECURSIVE chain (id, depth) AS (
    SELECT history_id, 1 FROM records
    WHERE swarm = :swarm AND key = :key AND history_id IS NOT NULL AND :depth > 0
    UNION ALL
    SELECT history.prev_id, chain.depth + 1
    FROM chain JOIN history ON history.swarm = :swarm AND history.id = chain.id
    WHERE history.prev_id IS NOT NULL AND chain.depth < :depth
)
SELECT key, version, author, session, created_ms, updated_ms, expires_ms, provenance, value
FROM chain JOIN history ON history.swarm = :swarm AND history.id = chain.id
WHERE history.swarm = :swarm AND history.key = :key
    AND (expires_ms IS NULL OR expires_ms > :now_ms)
ORDER BY version DESC

-- history_trim --
-- Forget the versions beyond the last ones that the category keeps.
WITH RECURSIVE chain (id, depth) AS (
    SELECT history_id, 1 FROM records
    WHERE swarm = :swarm AND key = :key AND history_id IS NOT NULL
    UNION ALL
    SELECT history.prev_id, chain.depth + 1
    FROM chain JOIN history ON history.swarm = :swarm AND history.id = chain.id
    WHERE history.prev_id IS NOT NULL AND history.swarm = :swarm AND history.key = :key
)
DELETE FROM history
WHERE swarm = :swarm AND key = :key AND id IN (SELECT id FROM chain WHERE depth > :keep)

-- history_expire --
-- Empty the versions of a key that have expired; the links between the others stay.
WITH RECURSIVE chain (id) AS (
    SELECT history_id FROM records
    WHERE swarm = :swarm AND key = :key AND history_id IS NOT NULL
    UNION ALL
    SELECT history.prev_id FROM chain JOIN history ON history.swarm = :swarm AND history.id = chain.id
    WHERE history.prev_id IS NOT NULL AND history.swarm = :swarm AND history.key = :key
)
UPDATE history SET value = NULL, provenance = NULL
WHERE swarm = :swarm AND key = :key AND expires_ms <= :now_ms AND id IN (SELECT id FROM chain)

-- record_current --
-- The current version whether it is live, deleted or expired, for history.
SELECT key, version, author, session, created_ms, updated_ms, expires_ms, provenance, value
FROM records
WHERE swarm = :swarm AND key = :key

-- op_get --
-- The first result of a call that may be a retry.
SELECT args_digest, result FROM ops
WHERE swarm = :swarm AND agent = :agent AND op_id = :op_id

-- op_put --
-- Remember a call's result in its own transaction.
INSERT INTO ops (swarm, agent, op_id, args_digest, result, at_ms)
VALUES (:swarm, :agent, :op_id, :args_digest, :result, :at_ms)

-- op_touch --
-- Write before a retry is acknowledged: the first commit may not be on disk yet.
UPDATE ops SET at_ms = :at_ms
WHERE swarm = :swarm AND agent = :agent AND op_id = :op_id

-- op_prune --
-- Forget results past the time for which "applies once" is promised.
DELETE FROM ops WHERE swarm = :swarm AND at_ms <= :at_ms

-- dictionary_get --
-- The bytes of one dictionary.
SELECT bytes FROM dictionaries WHERE swarm = :swarm AND number = :number

-- dictionary_newest --
-- The number of the newest dictionary.
SELECT coalesce(max(number), 0) FROM dictionaries WHERE swarm = :swarm

-- dictionary_put --
-- Keep a new dictionary; the number must be the next one, so one trainer wins.
INSERT INTO dictionaries (swarm, number, created_ms, bytes)
VALUES (:swarm, :number, :created_ms, :bytes)
ON CONFLICT DO NOTHING

-- fact_get --
-- One fact about the swarm.
SELECT value FROM facts WHERE swarm = :swarm AND name = :name

-- fact_set --
-- Set a fact.
INSERT INTO facts (swarm, name, value) VALUES (:swarm, :name, :value)
ON CONFLICT (swarm, name) DO UPDATE SET value = excluded.value

-- fact_raise --
-- Raise a fact, never lower it.
INSERT INTO facts (swarm, name, value) VALUES (:swarm, :name, :value)
ON CONFLICT (swarm, name) DO UPDATE SET value = excluded.value 
    WHERE excluded.value > facts.value

-- fact_claim --
-- Set a time only if it lies before :before: of many processes one gets a row back.
INSERT INTO facts (swarm, name, value) VALUES (:swarm, :name, :value)
ON CONFLICT (swarm, name) DO UPDATE SET value = excluded.value 
    WHERE facts.value <= :before
RETURNING value

-- moved_get --
-- Where a swarm lives, if it has left this store or is on its way here.
SELECT state, url, move_id FROM moved WHERE swarm = :swarm
