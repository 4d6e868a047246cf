-- doctor_swarms --
-- Every swarm that has anything in the store.
SELECT swarm FROM usage_now UNION SELECT swarm FROM seats UNION SELECT swarm FROM messages
UNION SELECT swarm FROM sessions
ORDER BY swarm
LIMIT :limit

-- doctor_times --
-- The newest times of the last events, and the greatest step back between neighbours: events are
-- written one after the other, so only a clock that was set back makes a later one older.
SELECT max(at_ms), max(before_ms - at_ms)
FROM (SELECT at_ms, lag(at_ms) OVER (ORDER BY seq) AS before_ms
    FROM (SELECT seq, at_ms FROM events ORDER BY seq DESC LIMIT :rows))

-- doctor_lapsed --
-- Seats whose time is over although nobody left them: their owners died or were too slow.
SELECT swarm, name, owner, session FROM seats
WHERE state <> 'free' AND (expires_ms <= :now_ms OR :earlier_boot)
ORDER BY expires_ms
LIMIT :limit

-- doctor_abandoned --
-- Who took messages and neither finished them nor gave them back in time.
SELECT swarm, consumer, session, sum(size) FROM message_runs
WHERE state = 'hidden' AND receipt <> '' AND visible_ms <= :now_ms
GROUP BY swarm, consumer, session
LIMIT :limit

-- doctor_sessions --
-- Sessions that nobody has ended, of all swarms; the column before them is whose.
SELECT swarm, session_id, short, kind, state, agent, about, process, ttl_ms, boot_id, expires_ms,
    began_ms, touched_ms, ended_ms, reason
FROM sessions
WHERE state = 'active'
LIMIT :limit

-- doctor_dead --
-- The queues that hold dead messages.
SELECT swarm, queue, count(*) FROM message_runs
WHERE state = 'dead'
GROUP BY swarm, queue
LIMIT :limit

-- doctor_imported --
-- Whether anything below a key is there: what an import has brought in bears its source's label.
SELECT 1 FROM records
WHERE swarm = :swarm AND key >= :below AND key < :above AND value IS NOT NULL
LIMIT 1
