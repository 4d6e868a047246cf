-- record_sample --
-- Values to train a dictionary on, spread over the table by the digits of their time.
SELECT value FROM records
WHERE swarm = :swarm AND value IS NOT NULL
ORDER BY created_ms % 1000, key
LIMIT :limit

-- record_pack_next --
-- The next live rows in key order with all that their checksum covers.
SELECT key, version, author, session, created_ms, updated_ms, expires_ms, provenance, value,
    scope, category, telemetry
FROM records
WHERE swarm = :swarm AND key > :after AND value IS NOT NULL
ORDER BY key
LIMIT :limit

-- record_repack --
-- Replace the stored form of a version that nobody has replaced or touched since, and only by a
-- shorter one: its checksum covers the time by which it expires.
UPDATE records SET value = :value
WHERE swarm = :swarm AND key = :key AND version = :version
    AND length(value) = length(:value) + :saved AND expires_ms IS NOT DISTINCT FROM :expires_ms
