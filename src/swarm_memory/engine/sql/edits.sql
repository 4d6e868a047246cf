-- edit_put --
-- Note that an agent changes a file. If its last change of it is long ago it has begun anew. One
-- statement, so that of two hooks that run at once neither is lost.
INSERT INTO edits (swarm, path, worktree, session_id, agent_id, branch, agent, tool, edits,
    since_ms, at_ms, boot_id, expires_ms)
VALUES (:swarm, :path, :worktree, :session_id, :agent_id, :branch, :agent, :tool, 1,
    :now_ms, :now_ms, :boot_id, :uptime_ms + :idle_ms)
ON CONFLICT (swarm, path, worktree, session_id, agent_id) DO UPDATE SET branch = excluded.branch,
    agent = excluded.agent, tool = excluded.tool, at_ms = excluded.at_ms,
    boot_id = excluded.boot_id, expires_ms = excluded.expires_ms,
    edits = CASE WHEN edits.boot_id = :boot_id AND edits.expires_ms > :uptime_ms
        THEN edits.edits + 1 ELSE 1 END,
    since_ms = CASE WHEN edits.boot_id = :boot_id AND edits.expires_ms > :uptime_ms
        THEN edits.since_ms ELSE :now_ms END

-- edit_others --
-- Who else changes a file, or the same one in another worktree, and which paths are reserved by
-- leases. One statement, because it is asked before every edit and mostly finds nothing. Leases of
-- an earlier start of the machine are void, also if nobody has cleared them yet.
SELECT CASE worktree WHEN :worktree THEN 'same' ELSE 'merge' END, agent, session_id, agent_id, path,
    worktree, branch, tool, edits, since_ms, at_ms
FROM edits
WHERE swarm = :swarm AND path = :path
    AND (session_id <> :session_id OR agent_id <> :agent_id)
    AND boot_id = :boot_id AND expires_ms > :uptime_ms
UNION ALL
SELECT 'reserved', owner, coalesce(session, ''), '', pattern, '', reason, mode, 0,
    since_ms + :now_ms - :uptime_ms, since_ms + :now_ms - :uptime_ms
FROM seats
WHERE swarm = :swarm AND name = 'file:' AND state = 'held' AND expires_ms > :uptime_ms
    AND coalesce(session, '') <> :session_id
    AND EXISTS (SELECT 1 FROM facts WHERE swarm = '' AND name = 'boot_id' AND value = :boot_id)

-- edit_parents --
-- Which agents started an agent of a session, and who started those.
WITH RECURSIVE above (agent_id) AS (
    SELECT parent FROM session_agents
    WHERE swarm = :swarm AND session_id = :session_id AND agent_id = :agent_id
    UNION
    SELECT s.parent FROM session_agents AS s JOIN above ON s.agent_id = above.agent_id
    WHERE s.swarm = :swarm AND s.session_id = :session_id
)
SELECT agent_id FROM above WHERE agent_id IS NOT NULL

-- edit_list --
-- Who changes what now, the last change first.
SELECT 'same', agent, session_id, agent_id, path, worktree, branch, tool, edits, since_ms, at_ms
FROM edits
WHERE swarm = :swarm AND boot_id = :boot_id AND expires_ms > :uptime_ms
ORDER BY at_ms DESC, path
LIMIT :limit

-- edit_any --
-- Whether there is anything to free: most turns change no file, and then nothing is written.
SELECT 1 FROM edits WHERE swarm = :swarm AND session_id = :session_id LIMIT 1

-- edit_release --
-- Free what one agent of a session changed.
DELETE FROM edits WHERE swarm = :swarm AND session_id = :session_id AND agent_id = :agent_id

-- edit_commit --
-- Free what all agents of a session changed in one worktree.
DELETE FROM edits WHERE swarm = :swarm AND session_id = :session_id AND worktree = :worktree

-- edit_session_end --
-- Free what all agents of a session changed.
DELETE FROM edits WHERE swarm = :swarm AND session_id = :session_id

-- edit_prune --
-- Drop what is long idle, or of an earlier start of the machine.
DELETE FROM edits WHERE swarm = :swarm AND (boot_id <> :boot_id OR expires_ms <= :uptime_ms)

-- touch_add --
-- Log that an agent changes a file, once in a while: an agent that saves ten times has been there
-- once. One statement, so that of two hooks that run at once neither is lost.
INSERT INTO touches (swarm, at_ms, path, session_id, agent_id, agent)
SELECT :swarm, :now_ms, :path, :session_id, :agent_id, :agent
WHERE NOT EXISTS (
    SELECT 1 FROM touches
    WHERE swarm = :swarm AND path = :path AND at_ms > :since_ms AND session_id = :session_id
        AND agent_id = :agent_id
)
ON CONFLICT (swarm, at_ms, path, session_id, agent_id) DO NOTHING

-- forecast_near --
-- All that a forecast for one path reads, before every edit: its last touches, the last of the
-- swarm, and the model, whose row has no path. One statement, of bounded rows by an index.
SELECT path, session_id, agent_id, agent, at_ms FROM (
    SELECT path, session_id, agent_id, agent, at_ms FROM touches
    WHERE swarm = :swarm AND path = :path
    ORDER BY at_ms DESC
    LIMIT :near
) AS near
UNION
SELECT path, session_id, agent_id, agent, at_ms FROM (
    SELECT path, session_id, agent_id, agent, at_ms FROM touches
    WHERE swarm = :swarm
    ORDER BY at_ms DESC
    LIMIT :recent
) AS recent
UNION
SELECT '', '', '', model, at_ms FROM forecasts WHERE swarm = :swarm AND window_ms = :window_ms
ORDER BY at_ms, path, session_id, agent_id

-- forecast_ready --
-- Whether a forecast is worth asking for: before every edit, and mostly it is not.
SELECT 1 FROM forecasts WHERE swarm = :swarm AND window_ms = :window_ms AND calibrated = 1
