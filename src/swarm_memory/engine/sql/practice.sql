-- practice_operations --
-- The operations that were recorded last, in their order, from the end of the change log as far
-- back as is read quickly; one that was told twice stands where it was told first.
SELECT r.key, r.version, r.author, r.session, r.created_ms, r.updated_ms, r.expires_ms,
    r.provenance, r.value
FROM (SELECT key, min(seq) AS seq
    FROM (SELECT seq, swarm, key FROM events ORDER BY seq DESC LIMIT :events) AS newest
    WHERE swarm = :swarm AND key >= :low AND key < :high
    GROUP BY key
    ORDER BY min(seq) DESC
    LIMIT :limit) AS e CROSS JOIN records AS r
WHERE r.swarm = :swarm AND r.key = e.key AND r.value IS NOT NULL AND length(r.value) <= :bytes
ORDER BY e.seq

-- practice_shown --
-- What of practice the agents of a session were shown, and when.
SELECT item, at_ms, event FROM injections
WHERE swarm = :swarm AND session_id = :session_id AND kind = 'practice'
