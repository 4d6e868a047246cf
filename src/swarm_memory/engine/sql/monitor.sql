-- meter_add --
-- Hand in calls that a process has counted.
INSERT INTO meters (swarm, verb, bucket, calls) VALUES (:swarm, :verb, :bucket, :calls)
ON CONFLICT (swarm, verb, bucket) DO UPDATE SET calls = meters.calls + excluded.calls

-- meter_list --
-- What all processes have handed in since the last sample.
SELECT verb, bucket, calls - sampled FROM meters
WHERE swarm = :swarm AND calls > sampled
ORDER BY verb, bucket

-- meter_sampled --
-- A sample has them.
UPDATE meters SET sampled = calls WHERE swarm = :swarm AND calls > sampled

-- monitor_swarms --
-- Where anything was called since the last sample, or is held, waits, runs or is wrong.
SELECT swarm FROM meters WHERE calls > sampled
UNION SELECT swarm FROM alerts WHERE state <> 'resolved'
UNION SELECT swarm FROM seats
UNION SELECT swarm FROM message_runs
UNION SELECT swarm FROM sessions WHERE state = 'active'
ORDER BY swarm

-- meter_totals --
-- What all processes have handed in since the store was made.
SELECT verb, bucket, calls FROM meters WHERE swarm = :swarm ORDER BY verb, bucket

-- meter_known --
-- Where anything was ever called: from each swarm on to the next one, past the rows between.
WITH RECURSIVE known (swarm) AS (
    SELECT min(swarm) FROM meters
    UNION ALL
    SELECT (SELECT min(m.swarm) FROM meters AS m WHERE m.swarm > known.swarm) FROM known
    WHERE known.swarm IS NOT NULL
)
SELECT swarm FROM known WHERE swarm IS NOT NULL LIMIT :limit

-- sample_put --
-- Keep a sample. Of two at the same moment the later one knows what came between them.
INSERT INTO samples (swarm, span, at_ms, body) VALUES (:swarm, :span, :at_ms, :body)
ON CONFLICT (swarm, span, at_ms) DO UPDATE SET body = excluded.body

-- sample_newest --
-- The newest samples of a span, the newest first.
SELECT at_ms, body FROM samples
WHERE swarm = :swarm AND span = :span
ORDER BY at_ms DESC
LIMIT :limit

-- sample_between --
-- The samples of a span in their order, from a moment on and before another.
SELECT at_ms, body FROM samples
WHERE swarm = :swarm AND span = :span AND at_ms >= :from_ms AND at_ms < :before_ms
ORDER BY at_ms
LIMIT :limit

-- sample_prune --
-- Forget the samples of a span that are older than a moment, or newer than another.
DELETE FROM samples
WHERE swarm = :swarm AND span = :span AND (at_ms < :before_ms OR at_ms > :ahead_ms)

-- sample_key --
-- A key that was written lately, by the number of an event.
SELECT key FROM events WHERE swarm = :swarm AND seq >= :seq ORDER BY seq LIMIT 1

-- sample_values --
-- Values to measure the compression of, with all that their checksum covers: those from a key on.
SELECT key, version, author, session, created_ms, updated_ms, expires_ms, provenance, value
FROM records
WHERE swarm = :swarm AND key >= :from_key AND value IS NOT NULL
ORDER BY key
LIMIT :limit

-- monitor_seats --
-- For each lease that somebody waits for: who has it, how many wait, and since when the first does.
SELECT name, coalesce(max(CASE WHEN state = 'held' THEN owner END), ''),
    sum(CASE WHEN state = 'waiting' THEN 1 ELSE 0 END),
    min(CASE WHEN state = 'waiting' THEN since_ms END)
FROM seats
WHERE swarm = :swarm AND state IN ('held', 'waiting') AND expires_ms > :now_ms
GROUP BY name
HAVING sum(CASE WHEN state = 'waiting' THEN 1 ELSE 0 END) > 0
ORDER BY 4
LIMIT :limit

-- monitor_held --
-- How many leases are held.
SELECT count(*) FROM seats WHERE swarm = :swarm AND state = 'held' AND expires_ms > :now_ms

-- monitor_queues --
-- For each queue how many messages are there, since when the oldest is, and since when one lies
-- that a consumer took and let lapse; the longest queues first.
SELECT queue, sum(size), min(sent_ms), min(lapsed_ms) FROM (
    SELECT queue, size, (SELECT m.sent_ms FROM messages AS m WHERE m.seq = r.first) AS sent_ms,
        CASE WHEN state = 'hidden' AND receipt <> '' AND visible_ms <= :now_ms
            THEN visible_ms END AS lapsed_ms
    FROM message_runs AS r
    WHERE swarm = :swarm AND state <> 'dead'
) AS runs
GROUP BY queue
ORDER BY min(lapsed_ms) IS NULL, 2 DESC, queue
LIMIT :limit

-- monitor_fresh --
-- For each queue how many plain messages nobody has claimed yet, and since when the oldest is there.
SELECT m.queue, count(*), min(m.sent_ms) FROM messages AS m
LEFT JOIN message_cursors AS c ON c.swarm = m.swarm AND c.queue = m.queue
WHERE m.swarm = :swarm AND m.odd IS NULL AND m.seq > coalesce(c.own_seq, 0)
    AND (m.expires_ms IS NULL OR m.expires_ms > :now_ms)
GROUP BY m.queue
ORDER BY 2 DESC, m.queue
LIMIT :limit

-- monitor_conflicts --
-- How many conflicts wait for somebody to settle them.
SELECT count(*) FROM conflicts WHERE swarm = :swarm AND outcome = 'parked'

-- monitor_sessions --
-- How many sessions are active.
SELECT count(*) FROM sessions WHERE swarm = :swarm AND state = 'active'

-- monitor_agents --
-- How many agents run in them.
SELECT count(*) FROM session_agents AS a
JOIN sessions AS s ON s.swarm = a.swarm AND s.session_id = a.session_id
WHERE s.swarm = :swarm AND s.state = 'active' AND a.ended_ms IS NULL

-- monitor_outcomes --
-- The newest outcomes whose end is known, newest first.
SELECT task_type, strategy, reward FROM outcomes
WHERE swarm = :swarm AND strategy IS NOT NULL AND reward IS NOT NULL
ORDER BY seq DESC
LIMIT :limit

-- monitor_learned --
-- How many outcomes there are, and how many of them say how they ended.
SELECT coalesce(sum(trials + unlabelled), 0), coalesce(sum(trials), 0) FROM arms
WHERE swarm = :swarm

-- alert_pending --
-- The alerts that are not resolved.
SELECT alert_id, rule, subject, state, severity, text, advice, value, streak, raised_ms, seen_ms,
    acknowledged_by, acknowledged_ms, resolved_ms
FROM alerts
WHERE swarm = :swarm AND state <> 'resolved'
ORDER BY raised_ms, alert_id

-- alert_recent --
-- The resolved ones, the newest first.
SELECT alert_id, rule, subject, state, severity, text, advice, value, streak, raised_ms, seen_ms,
    acknowledged_by, acknowledged_ms, resolved_ms
FROM alerts
WHERE swarm = :swarm AND state = 'resolved'
ORDER BY resolved_ms DESC, alert_id
LIMIT :limit

-- alert_changed --
-- What was raised or resolved after a moment, by when it was raised.
SELECT alert_id, rule, subject, state, severity, text, advice, value, streak, raised_ms, seen_ms,
    acknowledged_by, acknowledged_ms, resolved_ms
FROM alerts
WHERE swarm = :swarm AND state <> 'pending'
    AND (raised_ms > :after_ms OR (resolved_ms IS NOT NULL AND resolved_ms > :after_ms))
ORDER BY raised_ms, alert_id

-- alert_get --
-- One alert.
SELECT alert_id, rule, subject, state, severity, text, advice, value, streak, raised_ms, seen_ms,
    acknowledged_by, acknowledged_ms, resolved_ms
FROM alerts
WHERE swarm = :swarm AND alert_id = :alert_id

-- alert_put --
-- Begin an alert, or say how it stands now.
INSERT INTO alerts (swarm, alert_id, rule, subject, state, severity, text, advice, value, streak,
    raised_ms, seen_ms, acknowledged_by, acknowledged_ms, resolved_ms)
VALUES (:swarm, :alert_id, :rule, :subject, :state, :severity, :text, :advice, :value, :streak,
    :raised_ms, :seen_ms, :acknowledged_by, :acknowledged_ms, :resolved_ms)
ON CONFLICT (swarm, alert_id) DO UPDATE SET state = excluded.state, severity = excluded.severity,
    text = excluded.text, advice = excluded.advice, value = excluded.value,
    streak = excluded.streak, raised_ms = excluded.raised_ms, seen_ms = excluded.seen_ms,
    acknowledged_by = excluded.acknowledged_by, acknowledged_ms = excluded.acknowledged_ms,
    resolved_ms = excluded.resolved_ms

-- alert_drop --
-- A pending alert was none.
DELETE FROM alerts WHERE swarm = :swarm AND alert_id = :alert_id

-- alert_prune --
-- Forget what was resolved long ago.
DELETE FROM alerts WHERE swarm = :swarm AND state = 'resolved' AND resolved_ms < :before_ms
