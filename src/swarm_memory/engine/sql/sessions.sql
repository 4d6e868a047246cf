-- session_get --
-- One session.
SELECT session_id, short, kind, state, agent, about, process, ttl_ms, boot_id, expires_ms,
    began_ms, touched_ms, ended_ms, reason
FROM sessions
WHERE swarm = :swarm AND session_id = :session_id

-- session_called --
-- The session with a short name.
SELECT session_id, short, kind, state, agent, about, process, ttl_ms, boot_id, expires_ms,
    began_ms, touched_ms, ended_ms, reason
FROM sessions
WHERE swarm = :swarm AND short = :short

-- session_active --
-- What nobody has ended yet; whose time is over is judged by who reads it. Without a word about
-- the index all that ever was would be read.
SELECT session_id, short, kind, state, agent, about, process, ttl_ms, boot_id, expires_ms,
    began_ms, touched_ms, ended_ms, reason
FROM sessions INDEXED BY sessions_by_state
WHERE swarm = :swarm AND state = 'active'

-- session_list --
-- Sessions, the active ones first, then by when they were last renewed.
SELECT session_id, short, kind, state, agent, about, process, ttl_ms, boot_id, expires_ms,
    began_ms, touched_ms, ended_ms, reason
FROM sessions
WHERE swarm = :swarm AND (:state = '' OR state = :state)
ORDER BY state = 'active' DESC, touched_ms DESC, session_id
LIMIT :limit

-- session_ended_since --
-- Sessions that ended after a moment, in the order of their end. Those of one moment stay together,
-- so that a reader can go on behind it.
SELECT session_id, short, kind, state, agent, about, process, ttl_ms, boot_id, expires_ms,
    began_ms, touched_ms, ended_ms, reason
FROM sessions
WHERE swarm = :swarm AND state <> 'active' AND ended_ms > :after_ms
    AND ended_ms <= coalesce((SELECT ended_ms FROM sessions
        WHERE swarm = :swarm AND state <> 'active' AND ended_ms > :after_ms
        ORDER BY ended_ms LIMIT 1 OFFSET :limit - 1), 9223372036854775807)
ORDER BY ended_ms, session_id

-- session_held --
-- What sessions hold: seats at leases, messages in hand, agents that run.
SELECT session, sum(leases), sum(messages), sum(agents) FROM (
    SELECT session, count(*) AS leases, 0 AS messages, 0 AS agents FROM seats
    WHERE swarm = :swarm AND state <> 'free' AND expires_ms > :uptime_ms
    GROUP BY session
    UNION ALL
    SELECT session, 0, sum(size), 0 FROM message_runs
    WHERE swarm = :swarm AND state = 'hidden' AND receipt <> '' AND visible_ms > :now_ms
    GROUP BY session
    UNION ALL
    SELECT session_id, 0, 0, count(*) FROM session_agents
    WHERE swarm = :swarm AND ended_ms IS NULL
    GROUP BY session_id) AS held
WHERE session IS NOT NULL AND (:session_id = '' OR session = :session_id)
GROUP BY session

-- session_shorts --
-- The short names that begin alike.
SELECT short FROM sessions WHERE swarm = :swarm AND short >= :low AND short < :high

-- session_begin --
-- Begin a session, or begin one anew that has ended; its short name stays.
INSERT INTO sessions (swarm, session_id, short, kind, state, agent, about, process, ttl_ms,
    boot_id, expires_ms, began_ms, touched_ms)
VALUES (:swarm, :session_id, :short, :kind, 'active', :agent, :about, :process, :ttl_ms, :boot_id,
    :expires_ms, :now_ms, :now_ms)
ON CONFLICT (swarm, session_id) DO UPDATE SET kind = excluded.kind, state = excluded.state,
    agent = excluded.agent, about = excluded.about, process = excluded.process,
    ttl_ms = excluded.ttl_ms, boot_id = excluded.boot_id, expires_ms = excluded.expires_ms,
    began_ms = excluded.began_ms, touched_ms = excluded.touched_ms, ended_ms = NULL, reason = NULL

-- session_touch --
-- Begin the time to live anew, if it has not run out and nobody has ended the session: of this
-- statement and one who ends it, the second finds what the first has done.
UPDATE sessions SET boot_id = :boot_id, expires_ms = :uptime_ms + ttl_ms, touched_ms = :now_ms
WHERE swarm = :swarm AND session_id = :session_id AND state = 'active'
    AND (boot_id <> :boot_id OR expires_ms > :uptime_ms)
RETURNING session_id, short, kind, state, agent, about, process, ttl_ms, boot_id, expires_ms,
    began_ms, touched_ms, ended_ms, reason

-- session_renew --
-- The same for one that is begun again while it is active, with what is said of it then.
UPDATE sessions SET boot_id = :boot_id, expires_ms = :uptime_ms + :ttl_ms, touched_ms = :now_ms,
    ttl_ms = :ttl_ms, about = :about
WHERE swarm = :swarm AND session_id = :session_id

-- session_carry --
-- Count what is left of a logical session in the new start of the machine from now on.
UPDATE sessions SET boot_id = :boot_id, expires_ms = :expires_ms
WHERE swarm = :swarm AND session_id = :session_id AND state = 'active'

-- session_end --
-- End an active session.
UPDATE sessions SET state = :state, ended_ms = :now_ms, reason = :reason
WHERE swarm = :swarm AND session_id = :session_id AND state = 'active'

-- session_end_agents --
-- Its agents end with it.
UPDATE session_agents SET ended_ms = :now_ms
WHERE swarm = :swarm AND session_id = :session_id AND ended_ms IS NULL

-- session_prune_agents --
-- Forget the agents of sessions that ended long ago; before these.
DELETE FROM session_agents
WHERE swarm = :swarm AND session_id IN (SELECT session_id FROM sessions
    WHERE swarm = :swarm AND state <> 'active' AND ended_ms <= :at_ms)

-- session_prune --
-- Forget the sessions themselves.
DELETE FROM sessions WHERE swarm = :swarm AND state <> 'active' AND ended_ms <= :at_ms

-- agent_get --
-- One agent of a session.
SELECT agent_id, agent_type, parent, started_ms, ended_ms FROM session_agents
WHERE swarm = :swarm AND session_id = :session_id AND agent_id = :agent_id

-- agent_list --
-- The agents of a session in the order in which they started.
SELECT agent_id, agent_type, parent, started_ms, ended_ms FROM session_agents
WHERE swarm = :swarm AND session_id = :session_id
ORDER BY started_ms, agent_id
LIMIT :limit

-- agent_start --
-- Note that an agent runs, once however often it is said; one that stopped may run again.
INSERT INTO session_agents (swarm, session_id, agent_id, agent_type, parent, started_ms)
SELECT :swarm, :session_id, :agent_id, :agent_type, :parent, :now_ms
WHERE EXISTS (SELECT 1 FROM sessions
    WHERE swarm = :swarm AND session_id = :session_id AND state = 'active')
ON CONFLICT (swarm, session_id, agent_id) DO UPDATE SET ended_ms = NULL
RETURNING agent_id, agent_type, parent, started_ms, ended_ms

-- agent_stop --
-- Note that an agent has stopped, if it runs.
UPDATE session_agents SET ended_ms = :now_ms
WHERE swarm = :swarm AND session_id = :session_id AND agent_id = :agent_id AND ended_ms IS NULL
RETURNING 1
