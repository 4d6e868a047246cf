-- record_sample --
-- Rows of a small table, all or a part that is spread over it by the digits of their time; what
-- the sizes and the first bytes of values say is known without reading these.
SELECT key, expires_ms, history_id, length(value), substr(value, 1, 3), length(key)
FROM records
WHERE swarm = :swarm AND value IS NOT NULL
ORDER BY created_ms % 1000, key
LIMIT :limit

-- record_pick --
-- Rows of a large table by chance, some of them twice; each costs a step down the tree, so it does
-- not matter how many there are.
WITH RECURSIVE pick (n, id) AS (
    SELECT 0, 0
    UNION ALL
    SELECT n + 1, 1 + abs(random() % (SELECT max(rowid) FROM records)) FROM pick WHERE n < :picks
)
SELECT key, expires_ms, history_id, length(value), substr(value, 1, 3), length(key)
FROM pick CROSS JOIN records ON records.rowid = pick.id
WHERE swarm = :swarm AND value IS NOT NULL
LIMIT :limit

-- record_frames --
-- The stored values of some keys.
SELECT key, value FROM records
WHERE swarm = :swarm AND key IN (SELECT value FROM json_each(:keys)) AND value IS NOT NULL

-- record_pack_next --
-- The next live rows in key order with all that their checksum covers, but for those that are
-- packed with the dictionary of the day, or too short to be.
SELECT key, version, author, session, created_ms, updated_ms, expires_ms, provenance, value,
    scope, category, telemetry
FROM records
WHERE swarm = :swarm AND key > :after AND value IS NOT NULL
    AND length(value) > :least AND substr(value, 1, 3) <> :packed
ORDER BY key
LIMIT :limit

-- record_repack --
-- Replace the stored form of a version that nobody has replaced or touched since, and only by a
-- shorter one: its checksum covers the time by which it expires.
UPDATE records SET value = :value
WHERE swarm = :swarm AND key = :key AND version = :version
    AND length(value) = length(:value) + :saved AND expires_ms IS NOT DISTINCT FROM :expires_ms

-- history_pack_next --
-- The next older versions, as above; their numbers rise.
SELECT key, version, author, session, created_ms, updated_ms, expires_ms, provenance, value, id
FROM history
WHERE swarm = :swarm AND id > :after AND value IS NOT NULL
    AND length(value) > :least AND substr(value, 1, 3) <> :packed
ORDER BY id
LIMIT :limit

-- history_repack --
-- Replace the stored form of an older version by a shorter one. A number may come again, so it
-- must be the same version.
UPDATE history SET value = :value
WHERE swarm = :swarm AND id = :id AND key = :key AND version = :version
    AND length(value) = length(:value) + :saved AND expires_ms IS NOT DISTINCT FROM :expires_ms

-- history_keys --
-- The next keys that have older versions.
SELECT key FROM records
WHERE swarm = :swarm AND key > :after AND history_id IS NOT NULL
ORDER BY key
LIMIT :limit

-- history_below --
-- The older versions of some keys that lie :depth or deeper below the current one, with their
-- bytes; the chain is followed as `history_trim` does.
WITH RECURSIVE chain (key, prev_id, depth, bytes) AS (
    SELECT records.key, history.prev_id, 1, coalesce(length(history.value), 0)
    FROM records JOIN history ON history.swarm = :swarm AND history.id = records.history_id
        AND history.key = records.key
    WHERE records.swarm = :swarm AND records.key IN (SELECT value FROM json_each(:keys))
    UNION ALL
    SELECT chain.key, history.prev_id, chain.depth + 1, coalesce(length(history.value), 0)
    FROM chain JOIN history ON history.swarm = :swarm AND history.id = chain.prev_id
        AND history.key = chain.key
)
SELECT key, depth, bytes FROM chain WHERE depth >= :depth

-- records_counted --
-- How many records all swarms have.
SELECT coalesce(sum(records), 0) FROM usage_now

-- records_counted_in --
-- How many records a swarm has, and their bytes, telemetry included.
SELECT coalesce(sum(records), 0), coalesce(sum(bytes), 0) FROM usage_now WHERE swarm = :swarm

-- session_of --
-- Whether a session is over, and since when, by its id or by what it is called in names.
SELECT state, ended_ms FROM sessions
WHERE swarm = :swarm AND (session_id = :name OR session_id = :segment OR short = :segment)
ORDER BY state
LIMIT 1

-- record_archive --
-- Turn a record that lies in an archive into a tombstone, only if it is still stored as it was: the
-- version stays, so whoever brings it back knows it by that.
UPDATE records SET value = NULL, provenance = NULL, updated_ms = :now_ms
WHERE swarm = :swarm AND key = :key AND version = :version AND value = :before

-- record_unlink --
-- Say of a tombstone that it has no older versions any more; they were removed before.
UPDATE records SET history_id = NULL WHERE swarm = :swarm AND key = :key AND value IS NULL
