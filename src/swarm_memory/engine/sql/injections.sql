-- injection_present --
-- What an agent's context holds.
SELECT kind, item, version FROM injections
WHERE swarm = :swarm AND session_id = :session_id AND agent_id = :agent_id AND present = 1

-- injection_replace --
-- An older version of an item stands in the context no more as what is known of it.
UPDATE injections SET present = 0
WHERE swarm = :swarm AND session_id = :session_id AND agent_id = :agent_id AND kind = :kind
    AND item = :item AND version <> :version AND present = 1

-- injection_add --
-- Note that an item is shown, unless the context holds it; tells whether it is to be shown.
INSERT INTO injections (swarm, session_id, agent_id, agent, kind, item, version, number, event,
    score, tokens, at_ms, present)
VALUES (:swarm, :session_id, :agent_id, :agent, :kind, :item, :version, :number, :event, :score,
    :tokens, :at_ms, 1)
ON CONFLICT DO NOTHING
RETURNING 1

-- injection_compact --
-- A context was compacted: nothing of it counts as known, but for what was shown right after.
UPDATE injections SET present = 0
WHERE swarm = :swarm AND session_id = :session_id AND agent_id = :agent_id AND present = 1
    AND NOT (event = :renewing AND at_ms > :since_ms)

-- injection_uncited --
-- What agents of a session were shown and have not cited.
SELECT id, kind, item, number FROM injections
WHERE swarm = :swarm AND session_id = :session_id AND present = 1 AND cited_ms IS NULL

-- injection_cite --
-- Note that an item was cited.
UPDATE injections SET cited_ms = :at_ms WHERE id = :id AND cited_ms IS NULL

-- injection_list --
-- What was shown, the last first; of one session if it is named, by its id or its short name.
SELECT i.id, i.session_id, i.agent_id, i.agent, i.kind, i.item, i.version, i.number, i.event,
    i.score, i.tokens, i.at_ms, i.present, i.cited_ms
FROM injections AS i
WHERE i.swarm = :swarm AND (:session_id = '' OR i.session_id = :session_id OR i.session_id = (
    SELECT s.session_id FROM sessions AS s WHERE s.swarm = :swarm AND s.short = :session_id))
ORDER BY i.id DESC
LIMIT :limit

-- injection_topics --
-- The memories that a session's own agent was shown for its prompts, the last first: what its
-- subagents work on, too.
SELECT item, score FROM injections
WHERE swarm = :swarm AND session_id = :session_id AND agent_id = '' AND kind = 'memory'
    AND present = 1 AND event = :event
ORDER BY id DESC
LIMIT :limit

-- injection_prune --
-- Forget what was shown long ago.
DELETE FROM injections WHERE swarm = :swarm AND at_ms <= :at_ms

-- handle_find --
-- The number of an item.
SELECT number FROM handles WHERE swarm = :swarm AND kind = :kind AND item = :item

-- handle_make --
-- Give an item the next number. The highest one is never forgotten, so none comes again.
INSERT INTO handles (swarm, number, kind, item)
SELECT :swarm, 1 + coalesce(max(number), 0), :kind, :item FROM handles WHERE swarm = :swarm
RETURNING number

-- handle_get --
-- What a number stands for.
SELECT kind, item FROM handles WHERE swarm = :swarm AND number = :number

-- handle_prune --
-- Forget numbers that nobody was shown for as long as the log reaches back, but the highest one.
DELETE FROM handles
WHERE swarm = :swarm AND number < (SELECT max(number) FROM handles WHERE swarm = :swarm)
    AND number NOT IN (SELECT number FROM injections
        WHERE swarm = :swarm AND number IS NOT NULL)

-- memory_changed --
-- The memories that changed last, from the end of the change log, as far back as is read quickly.
SELECT r.key, r.version, r.author, r.session, r.created_ms, r.updated_ms, r.expires_ms,
    r.provenance, r.value
FROM (SELECT key, max(seq) AS seq
    FROM (SELECT seq, swarm, key, telemetry FROM events ORDER BY seq DESC LIMIT :events) AS newest
    WHERE swarm = :swarm AND telemetry = 0
    GROUP BY key) AS e CROSS JOIN records AS r
WHERE r.swarm = :swarm AND r.key = e.key AND r.value IS NOT NULL AND r.telemetry = 0
    AND (r.expires_ms IS NULL OR r.expires_ms > :now_ms) AND length(r.value) <= :bytes
ORDER BY e.seq DESC
LIMIT :limit

-- memory_entered --
-- The memories that entered the search index last: where many operations have pushed the changes
-- of memories out of the end of the change log.
SELECT r.key, r.version, r.author, r.session, r.created_ms, r.updated_ms, r.expires_ms,
    r.provenance, r.value
FROM search_docs AS d CROSS JOIN records AS r
WHERE d.id BETWEEN :first AND :last
    AND r.swarm = :swarm AND r.key = d.key AND r.value IS NOT NULL AND r.telemetry = 0
    AND (r.expires_ms IS NULL OR r.expires_ms > :now_ms) AND length(r.value) <= :bytes
ORDER BY d.id DESC
LIMIT :limit

-- outcome_latest --
-- The outcomes that were recorded last, by the order of their rows: no index has their times.
SELECT outcome_id, task_type, status, duration_s, strategy, author, at_ms FROM outcomes
WHERE swarm = :swarm
ORDER BY rowid DESC
LIMIT :limit

-- outcome_named --
-- One outcome, for whoever was shown its number.
SELECT outcome_id, task_type, agents, status, duration_s, strategy, context, author, at_ms
FROM outcomes
WHERE swarm = :swarm AND outcome_id = :item

-- message_named --
-- One message, for whoever was shown its number, as long as nobody acknowledged it.
SELECT message_id, sender, type, body, sent_ms FROM messages
WHERE swarm = :swarm AND message_id = :item
