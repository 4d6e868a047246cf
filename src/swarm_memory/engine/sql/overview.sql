-- overview_swarms --
-- The swarms of which anything is known: by their counters, what was written since these were
-- added up, and their sessions. No table is read that grows with the number of records.
SELECT DISTINCT swarm FROM usage_now
UNION
SELECT DISTINCT swarm FROM sessions
ORDER BY swarm

-- overview_latest --
-- What changed last, from the end of the change log, as far back as is read quickly.
SELECT seq, key, version, op, author, at_ms, category, telemetry
FROM (SELECT seq, swarm, key, version, op, author, at_ms, category, telemetry
    FROM events ORDER BY seq DESC LIMIT :events) AS newest
WHERE swarm = :swarm AND telemetry <= :telemetry
ORDER BY seq DESC
LIMIT :limit

-- overview_activity --
-- How many changes there were in each span of time, from the end of the change log.
SELECT at_ms / :span_ms, telemetry, count(*)
FROM (SELECT swarm, at_ms, telemetry FROM events ORDER BY seq DESC LIMIT :events) AS newest
WHERE swarm = :swarm AND at_ms > :since_ms
GROUP BY 1, 2
ORDER BY 1, 2

-- overview_reach --
-- How far back that end of the change log reaches; one row less than asked for is all of it.
SELECT min(at_ms), count(*)
FROM (SELECT at_ms FROM events ORDER BY seq DESC LIMIT :events) AS newest

-- overview_rows --
-- The next live records of a range, without their values, whatever size these have.
SELECT key, version, author, updated_ms, expires_ms, telemetry, length(value)
FROM records
WHERE swarm = :swarm AND key >= :low AND key < :high AND value IS NOT NULL
    AND (expires_ms IS NULL OR expires_ms > :now_ms)
ORDER BY key
LIMIT :limit

-- overview_some --
-- How many records a range has, counted no further than :limit.
SELECT count(*) FROM (SELECT 1 FROM records
    WHERE swarm = :swarm AND key >= :low AND key < :high AND value IS NOT NULL
        AND (expires_ms IS NULL OR expires_ms > :now_ms)
    LIMIT :limit) AS counted

-- overview_shown --
-- What agents were shown, the last first, of the next :rows lines of the log; where they end, too.
SELECT id, session_id, agent_id, agent, kind, item, version, number, event, score, tokens, at_ms,
    present, cited_ms
FROM (SELECT id, swarm, session_id, agent_id, agent, kind, item, version, number, event, score,
        tokens, at_ms, present, cited_ms
    FROM injections WHERE id < :before ORDER BY id DESC LIMIT :rows) AS newest
WHERE swarm = :swarm AND (:agent = '' OR agent = :agent) AND (:kind = '' OR kind = :kind)
    AND (:item = '' OR item = :item)
ORDER BY id DESC
LIMIT :limit

-- overview_shown_end --
-- The oldest of those lines, and how many there are.
SELECT min(id), count(*)
FROM (SELECT id FROM injections WHERE id < :before ORDER BY id DESC LIMIT :rows) AS newest

-- overview_shown_to --
-- Who was shown how much of late, what of it was cited, and when the last of it.
SELECT agent, count(*), sum(tokens), sum(CASE WHEN cited_ms IS NULL THEN 0 ELSE 1 END), max(at_ms)
FROM (SELECT swarm, agent, tokens, cited_ms, at_ms FROM injections ORDER BY id DESC LIMIT :rows)
    AS newest
WHERE swarm = :swarm
GROUP BY agent
ORDER BY max(at_ms) DESC, agent
LIMIT :limit
