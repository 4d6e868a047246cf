-- backup_state --
-- What a backup says about the store: the span of the log, and what may never come again.
SELECT coalesce(min(seq), 0), coalesce(max(seq), 0), coalesce(max(at_ms), 0),
    (SELECT max(coalesce((SELECT max(version) FROM records), 0), coalesce((SELECT max(version)
        FROM history), 0), coalesce((SELECT max(value) FROM facts WHERE name = 'version_floor'), 0))),
    (SELECT max(coalesce((SELECT max(max(coalesce(token, 0), coalesce(drawn, 0))) FROM seats), 0),
        coalesce((SELECT max(value) FROM facts WHERE name = 'lease_token_floor'), 0)))
FROM events

-- backup_counts --
-- How many rows a store that was restored from this must have.
SELECT (SELECT count(*) FROM records), (SELECT count(*) FROM history),
    (SELECT count(*) FROM events), (SELECT count(*) FROM choices),
    (SELECT count(*) FROM outcomes), (SELECT count(*) FROM conflicts),
    (SELECT count(*) FROM ops), (SELECT count(*) FROM messages),
    (SELECT count(*) FROM message_runs)

-- backup_swarms --
-- Every swarm that left anything behind.
SELECT swarm FROM records UNION SELECT swarm FROM events UNION SELECT swarm FROM seats
UNION SELECT swarm FROM facts UNION SELECT swarm FROM messages UNION SELECT swarm FROM outcomes
UNION SELECT swarm FROM dictionaries UNION SELECT swarm FROM sessions
ORDER BY swarm

-- backup_records --
-- The next records in key order, tombstones and expired ones among them.
SELECT swarm, key, version, author, session, created_ms, updated_ms, expires_ms, provenance, value,
    scope, category, telemetry, history_id
FROM records
WHERE (swarm, key) > (:after_a, :after_b)
ORDER BY swarm, key
LIMIT :limit

-- backup_record --
-- One of them.
SELECT swarm, key, version, author, session, created_ms, updated_ms, expires_ms, provenance, value,
    scope, category, telemetry, history_id
FROM records
WHERE swarm = :swarm AND key = :key

-- backup_history --
-- All versions before the current one, oldest first; the chain ends where it was trimmed.
WITH RECURSIVE chain (id) AS (
    SELECT history_id FROM records
    WHERE swarm = :swarm AND key = :key AND history_id IS NOT NULL
    UNION
    SELECT history.prev_id FROM chain JOIN history ON history.swarm = :swarm AND history.id = chain.id
    WHERE history.prev_id IS NOT NULL AND history.swarm = :swarm AND history.key = :key
)
SELECT swarm, key, version, author, session, created_ms, updated_ms, expires_ms, provenance, value,
    history.id
FROM chain JOIN history ON history.swarm = :swarm AND history.id = chain.id
WHERE swarm = :swarm AND key = :key
ORDER BY version

-- backup_changed --
-- The keys that changed after an event, with the category each was in and its newest event there.
SELECT swarm, key, category, max(seq) FROM events
WHERE seq > :seq AND op NOT IN ('restore', 'forget')
GROUP BY swarm, key, category
ORDER BY swarm, key

-- backup_tombstones --
-- The keys that were deleted and not yet forgotten, which no event tells.
SELECT swarm, key FROM records
WHERE (swarm, key) > (:after_a, :after_b) AND value IS NULL
ORDER BY swarm, key
LIMIT :limit

-- backup_events --
-- The next events.
SELECT seq, swarm, key, version, op, author, at_ms, scope, category, telemetry, records, bytes
FROM events
WHERE seq > :after_a
ORDER BY seq
LIMIT :limit

-- backup_dictionaries --
-- The next dictionaries.
SELECT swarm, number, created_ms, bytes FROM dictionaries
WHERE (swarm, number) > (:after_a, :after_b)
ORDER BY swarm, number
LIMIT :limit

-- backup_facts --
-- The next facts.
SELECT swarm, name, value FROM facts
WHERE (swarm, name) > (:after_a, :after_b)
ORDER BY swarm, name
LIMIT :limit

-- backup_ops --
-- The next results of calls that apply once.
SELECT swarm, agent, op_id, args_digest, result, at_ms FROM ops
WHERE (swarm, agent, op_id) > (:after_a, :after_b, :after_c)
ORDER BY swarm, agent, op_id
LIMIT :limit

-- backup_choices --
-- The next choices.
SELECT swarm, choice_id, task_type, strategy, propensity, candidates, context, author, at_ms
FROM choices
WHERE (swarm, choice_id) > (:after_a, :after_b)
ORDER BY swarm, choice_id
LIMIT :limit

-- backup_outcomes --
-- The next outcomes.
SELECT swarm, outcome_id, seq, task_type, task, strategy, status, reward, label_source, duration_s,
    cost, agents, context, signals, error_class, failed_agent, failed_step, choice_id,
    propensity, author, session, at_ms
FROM outcomes
WHERE (swarm, outcome_id) > (:after_a, :after_b)
ORDER BY swarm, outcome_id
LIMIT :limit

-- backup_relabels --
-- The next revisions of labels.
SELECT swarm, seq, outcome_id, status, reward, label_source, error_class, was_status, was_reward,
    was_source, was_error_class, author, at_ms
FROM relabels
WHERE (swarm, seq) > (:after_a, :after_b)
ORDER BY swarm, seq
LIMIT :limit

-- backup_arms --
-- The next counts that strategies are chosen by.
SELECT swarm, task_type, strategy, trials, unlabelled, successes, duration_s, cost, last_ms
FROM arms
WHERE (swarm, task_type, strategy) > (:after_a, :after_b, :after_c)
ORDER BY swarm, task_type, strategy
LIMIT :limit

-- backup_conflicts --
-- The next conflicts.
SELECT swarm, conflict_id, key, base_version, their_version, strategy, outcome, base, theirs, mine,
    result, author, at_ms
FROM conflicts
WHERE (swarm, conflict_id) > (:after_a, :after_b)
ORDER BY swarm, conflict_id
LIMIT :limit

-- backup_messages --
-- The next messages.
SELECT seq, swarm, queue, odd, message_id, rank, sender, type, body, correlation, reply_to,
    attempts_max, sent_ms, visible_ms, expires_ms
FROM messages
WHERE seq > :after_a
ORDER BY seq
LIMIT :limit

-- backup_message_runs --
-- The next runs of messages, those in a consumer's hands too: they are under way until
-- acknowledged.
SELECT swarm, queue, first, last, size, log, state, rank, attempts, attempts_max, receipt <> '',
    visible_ms, expires_ms, reason, message_id, dead_ms
FROM message_runs
WHERE (swarm, queue, first) > (:after_a, :after_b, :after_c)
ORDER BY swarm, queue, first
LIMIT :limit

-- backup_message_cursors --
-- The next cursors of queues.
SELECT swarm, queue, own_seq, all_seq, odd_seq FROM message_cursors
WHERE (swarm, queue) > (:after_a, :after_b)
ORDER BY swarm, queue
LIMIT :limit

-- backup_sessions --
-- The next sessions, those that are active too; whose process and until when is of this machine.
SELECT swarm, session_id, short, kind, state, agent, about, ttl_ms, began_ms, touched_ms, ended_ms,
    reason
FROM sessions
WHERE (swarm, session_id) > (:after_a, :after_b)
ORDER BY swarm, session_id
LIMIT :limit

-- backup_session_agents --
-- The next agents of sessions.
SELECT swarm, session_id, agent_id, agent_type, parent, started_ms, ended_ms FROM session_agents
WHERE (swarm, session_id, agent_id) > (:after_a, :after_b, :after_c)
ORDER BY swarm, session_id, agent_id
LIMIT :limit
