-- restore_usage_before --
-- What every counter stands at, so that caches of live processes can be told how it moves.
SELECT swarm, scope, category, max(telemetry), sum(records), sum(bytes) FROM usage_now
GROUP BY swarm, scope, category

-- restore_dictionary_newest --
-- The highest number of a dictionary in the store: live processes keep dictionaries by number.
SELECT coalesce(max(number), 0) FROM dictionaries

-- restore_event --
-- One event, with the number it has in this store; the counters are counted anew.
INSERT INTO events (seq, swarm, key, version, op, author, at_ms, scope, category, telemetry,
    records, bytes)
VALUES (:seq, :swarm, :key, :version, :op, :author, :at_ms, :scope, :category, :telemetry,
    :records, :bytes)

-- restore_arm --
-- The counts of one strategy.
INSERT INTO arms (swarm, task_type, strategy, trials, unlabelled, successes, duration_s, cost,
    last_ms)
VALUES (:swarm, :task_type, :strategy, :trials, :unlabelled, :successes, :duration_s, :cost,
    :last_ms)

-- restore_arms --
-- Count all outcomes.
INSERT INTO arms (swarm, task_type, strategy, trials, unlabelled, successes, duration_s, cost,
    last_ms)
SELECT swarm, task_type, coalesce(strategy, ''), count(reward), count(*) - count(reward),
    coalesce(sum(reward), 0), sum(duration_s), sum(coalesce(cost, 0)), max(at_ms)
FROM outcomes
GROUP BY swarm, task_type, coalesce(strategy, '')

-- restore_message --
-- One message.
INSERT INTO messages (seq, swarm, queue, odd, message_id, rank, sender, type, body, correlation,
    reply_to, attempts_max, sent_ms, visible_ms, expires_ms)
VALUES (:seq, :swarm, :queue, :odd, :message_id, :rank, :sender, :type, :body, :correlation,
    :reply_to, :attempts_max, :sent_ms, :visible_ms, :expires_ms)

-- restore_message_run --
-- One run of messages; nobody has it in hand any more, so the time of whoever had it is over.
INSERT INTO message_runs (swarm, receipt, queue, first, last, size, log, state, rank, attempts,
    attempts_max, visible_ms, expires_ms, reason, message_id, dead_ms)
VALUES (:swarm, '', :queue, :first, :last, :size, :log, :state, :rank, :attempts, :attempts_max,
    CASE WHEN :claimed = 1 THEN 0 ELSE :visible_ms END, :expires_ms,
    CASE WHEN :claimed = 1 THEN 'the store was restored' ELSE :reason END, :message_id, :dead_ms)

-- restore_message_cursor --
-- One cursor, after the messages: a new store's next message has the number after the last one,
-- which no cursor may be past.
INSERT INTO message_cursors (swarm, queue, own_seq, all_seq, odd_seq)
SELECT :swarm, :queue, min(:own_seq, newest), min(:all_seq, newest), min(:odd_seq, newest)
FROM (SELECT coalesce(max(seq), 0) AS newest FROM messages) AS log

-- restore_session --
-- One session, which is over: who was active when the backup was made holds nothing any more.
INSERT INTO sessions (swarm, session_id, short, kind, state, agent, about, ttl_ms, boot_id,
    expires_ms, began_ms, touched_ms, ended_ms, reason)
VALUES (:swarm, :session_id, :short, CASE :kind WHEN 'process' THEN :kind ELSE 'logical' END,
    CASE :state WHEN 'ended' THEN :state ELSE 'lapsed' END, :agent, :about, :ttl_ms, 0, 0,
    :began_ms, :touched_ms, coalesce(:ended_ms, :touched_ms),
    CASE WHEN :ended_ms IS NULL THEN 'the store was restored' ELSE :reason END)
ON CONFLICT DO NOTHING

-- restore_session_agent --
-- One agent, which has stopped; after its session, without which it is nobody's.
INSERT INTO session_agents (swarm, session_id, agent_id, agent_type, parent, started_ms, ended_ms)
SELECT :swarm, :session_id, :agent_id, :agent_type, :parent, :started_ms,
    coalesce(:ended_ms, max(:started_ms, ended_ms))
FROM sessions
WHERE swarm = :swarm AND session_id = :session_id

-- restore_usage --
-- Count all records.
INSERT INTO usage (swarm, scope, category, telemetry, records, bytes)
SELECT swarm, scope, category, max(telemetry), count(*), sum(length(value) + length(key))
FROM records
WHERE value IS NOT NULL
GROUP BY swarm, scope, category

-- restore_drop_record --
-- Remove a record whose older versions were removed before.
DELETE FROM records WHERE swarm = :swarm AND key = :key

-- restore_rewind --
-- Make an older version the current one.
UPDATE records SET version = h.version, author = h.author, session = h.session,
    provenance = h.provenance, created_ms = h.created_ms, updated_ms = h.updated_ms,
    expires_ms = h.expires_ms, history_id = h.prev_id, value = h.value
FROM history AS h
WHERE h.id = :id AND records.swarm = h.swarm AND records.key = h.key

-- restore_bury --
-- Make a record the tombstone that it was.
UPDATE records SET version = :version, history_id = :history_id, value = NULL, provenance = NULL,
    expires_ms = NULL
WHERE swarm = :swarm AND key = :key

-- restore_drop_version --
-- Remove one older version.
DELETE FROM history WHERE id = :id

-- restore_prune_events --
-- Drop the events that the store itself had pruned when its last backup was made.
DELETE FROM events WHERE seq < :seq

-- restore_later_ops --
-- Results of calls after a time.
DELETE FROM ops WHERE at_ms > :at_ms

-- restore_later_choices --
-- Choices after a time.
DELETE FROM choices WHERE at_ms > :at_ms

-- restore_later_outcomes --
-- Outcomes after a time.
DELETE FROM outcomes WHERE at_ms > :at_ms

-- restore_earlier_labels --
-- What outcomes said before their labels were revised after a time.
UPDATE outcomes SET (status, reward, label_source, error_class) = (
    SELECT was_status, was_reward, was_source, was_error_class FROM relabels AS r
    WHERE r.swarm = outcomes.swarm AND r.outcome_id = outcomes.outcome_id AND r.at_ms > :at_ms
    ORDER BY r.seq
    LIMIT 1)
WHERE EXISTS (SELECT 1 FROM relabels AS r
    WHERE r.swarm = outcomes.swarm AND r.outcome_id = outcomes.outcome_id AND r.at_ms > :at_ms)

-- restore_later_relabels --
-- Revisions of labels after a time.
DELETE FROM relabels WHERE at_ms > :at_ms

-- restore_later_conflicts --
-- Conflicts after a time.
DELETE FROM conflicts WHERE at_ms > :at_ms

-- restore_later_messages --
-- Messages sent after a time; what nobody claimed ends where it then ended.
DELETE FROM messages WHERE sent_ms > :at_ms

-- restore_later_sessions --
-- Sessions that began after a time.
DELETE FROM sessions WHERE began_ms > :at_ms

-- restore_later_session_agents --
-- Agents that started after a time, or whose session did.
DELETE FROM session_agents
WHERE started_ms > :at_ms OR NOT EXISTS (SELECT 1 FROM sessions AS s
    WHERE s.swarm = session_agents.swarm AND s.session_id = session_agents.session_id)

-- restore_later_runs --
-- Runs of which no message is left; `at_ms` says since when.
DELETE FROM message_runs
WHERE CAST(:at_ms AS BIGINT) IS NOT NULL AND NOT EXISTS (SELECT 1 FROM messages WHERE seq = first)

-- restore_shorter_runs --
-- Runs of which messages are missing that were sent after a time end before them.
UPDATE message_runs SET (size, last) = (
    SELECT count(*), max(seq) FROM messages AS m
    WHERE m.swarm = message_runs.swarm AND m.queue = log AND m.odd IS NULL
        AND m.seq BETWEEN first AND message_runs.last)
WHERE CAST(:at_ms AS BIGINT) IS NOT NULL AND size > 1

-- restore_clear_records --
-- All records; what follows clears the other tables. Dictionaries stay: processes that are
-- running may still pack values with them.
DELETE FROM records

-- restore_clear_history --
-- All older versions.
DELETE FROM history

-- restore_clear_events --
-- The change log.
DELETE FROM events

-- restore_clear_usage --
-- All counters.
DELETE FROM usage

-- restore_clear_facts --
-- All facts.
DELETE FROM facts

-- restore_clear_ops --
-- All results.
DELETE FROM ops

-- restore_clear_choices --
-- All choices.
DELETE FROM choices

-- restore_clear_outcomes --
-- All outcomes.
DELETE FROM outcomes

-- restore_clear_relabels --
-- All revisions of labels.
DELETE FROM relabels

-- restore_clear_arms --
-- All counts of outcomes.
DELETE FROM arms

-- restore_clear_models --
-- What was learned: it is learned anew from the outcomes.
DELETE FROM models

-- restore_clear_conflicts --
-- All conflicts.
DELETE FROM conflicts

-- restore_clear_messages --
-- All messages.
DELETE FROM messages

-- restore_clear_message_runs --
-- All runs of messages.
DELETE FROM message_runs

-- restore_clear_message_cursors --
-- All cursors of queues.
DELETE FROM message_cursors

-- restore_clear_sessions --
-- All sessions: whoever lives on begins anew.
DELETE FROM sessions

-- restore_clear_session_agents --
-- All their agents.
DELETE FROM session_agents

-- restore_clear_seats --
-- All seats at leases: nobody holds anything after a restore.
DELETE FROM seats
