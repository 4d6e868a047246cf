-- moved_swarms --
-- The swarms that live elsewhere or are on their way here.
SELECT swarm, state, url, move_id FROM moved ORDER BY swarm

-- moved_put --
-- From the commit of this on no row of the swarm is written, where the fence is up.
INSERT INTO moved (swarm, state, url, move_id, at_ms)
VALUES (:swarm, :state, :url, :move_id, :at_ms)
ON CONFLICT (swarm) DO UPDATE SET state = excluded.state, url = excluded.url,
    move_id = excluded.move_id, at_ms = excluded.at_ms

-- moved_drop --
-- The swarm is at home here again, or from now on.
DELETE FROM moved WHERE swarm = :swarm AND state = :state AND move_id = :move_id

-- route_list --
-- All entries of a directory.
SELECT swarm, url, move_id, next FROM routes ORDER BY swarm

-- route_get --
-- Where a swarm lives, else where all others do.
SELECT url, move_id, next FROM routes WHERE swarm IN (:swarm, '') ORDER BY swarm DESC LIMIT 1

-- route_put --
-- Set where a swarm lives.
INSERT INTO routes (swarm, url, move_id, next) VALUES (:swarm, :url, :move_id, :next)
ON CONFLICT (swarm) DO UPDATE SET url = excluded.url, move_id = excluded.move_id,
    next = excluded.next

-- move_present --
-- Whether a store has anything of a swarm that is worth keeping.
SELECT 1 WHERE EXISTS (SELECT 1 FROM records WHERE swarm = :swarm)
    OR EXISTS (SELECT 1 FROM events WHERE swarm = :swarm)
    OR EXISTS (SELECT 1 FROM messages WHERE swarm = :swarm)
    OR EXISTS (SELECT 1 FROM outcomes WHERE swarm = :swarm)
    OR EXISTS (SELECT 1 FROM choices WHERE swarm = :swarm)
    OR EXISTS (SELECT 1 FROM ops WHERE swarm = :swarm)
    OR EXISTS (SELECT 1 FROM seats WHERE swarm = :swarm)
    OR EXISTS (SELECT 1 FROM sessions WHERE swarm = :swarm)

-- move_counts --
-- How many rows of a swarm there are, for whoever is shown what a move would do.
SELECT (SELECT count(*) FROM records WHERE swarm = :swarm),
    (SELECT count(*) FROM history WHERE swarm = :swarm),
    (SELECT count(*) FROM events WHERE swarm = :swarm),
    (SELECT count(*) FROM messages WHERE swarm = :swarm),
    (SELECT count(*) FROM outcomes WHERE swarm = :swarm),
    (SELECT count(*) FROM ops WHERE swarm = :swarm),
    (SELECT count(*) FROM sessions WHERE swarm = :swarm)

-- move_changed --
-- The keys of a swarm that changed after an event.
SELECT DISTINCT key FROM events WHERE seq > :after AND swarm = :swarm ORDER BY key

-- move_events --
-- The next events of a swarm.
SELECT seq, key, version, op, author, at_ms, scope, category, telemetry, records, bytes FROM events
WHERE seq > :after AND swarm = :swarm
ORDER BY seq
LIMIT :limit

-- move_event --
-- One event with its number here, unless an attempt before entered it already.
INSERT INTO events (seq, swarm, key, version, op, author, at_ms, scope, category, telemetry,
    records, bytes)
VALUES (:seq, :swarm, :key, :version, :op, :author, :at_ms, :scope, :category, :telemetry,
    :records, :bytes)
ON CONFLICT DO NOTHING

-- move_facts --
-- The facts about a swarm.
SELECT name, value FROM facts WHERE swarm = :swarm AND name > :a ORDER BY name LIMIT :limit

-- move_ops --
-- The next results of calls that apply once.
SELECT agent, op_id, args_digest, result, at_ms FROM ops
WHERE swarm = :swarm AND (agent, op_id) > (:a, :b)
ORDER BY agent, op_id
LIMIT :limit

-- move_choices --
-- The next choices.
SELECT choice_id, task_type, strategy, propensity, candidates, context, author, at_ms FROM choices
WHERE swarm = :swarm AND choice_id > :a
ORDER BY choice_id
LIMIT :limit

-- move_outcomes --
-- The next outcomes.
SELECT outcome_id, seq, task_type, task, strategy, status, reward, label_source, duration_s, cost,
    agents, context, signals, error_class, failed_agent, failed_step, choice_id, propensity,
    author, session, at_ms
FROM outcomes
WHERE swarm = :swarm AND outcome_id > :a
ORDER BY outcome_id
LIMIT :limit

-- move_relabels --
-- The next revisions of labels.
SELECT seq, outcome_id, status, reward, label_source, error_class, was_status, was_reward,
    was_source, was_error_class, author, at_ms
FROM relabels
WHERE swarm = :swarm AND seq > :a
ORDER BY seq
LIMIT :limit

-- move_relabel_drop --
-- Remove a revision.
DELETE FROM relabels WHERE swarm = :swarm AND seq = :seq

-- move_arms --
-- The next counts that strategies are chosen by.
SELECT task_type, strategy, trials, unlabelled, successes, duration_s, cost, last_ms FROM arms
WHERE swarm = :swarm AND (task_type, strategy) > (:a, :b)
ORDER BY task_type, strategy
LIMIT :limit

-- move_arm_drop --
-- Remove the counts of one strategy.
DELETE FROM arms WHERE swarm = :swarm AND task_type = :task_type AND strategy = :strategy

-- move_conflicts --
-- The next conflicts.
SELECT conflict_id, key, base_version, their_version, strategy, outcome, base, theirs, mine, result,
    author, at_ms
FROM conflicts
WHERE swarm = :swarm AND conflict_id > :a
ORDER BY conflict_id
LIMIT :limit

-- move_dictionaries --
-- The next dictionaries; their numbers stand in the values and stay.
SELECT number, created_ms, bytes FROM dictionaries
WHERE swarm = :swarm AND number > :a
ORDER BY number
LIMIT :limit

-- move_dictionary_drop --
-- Remove a dictionary.
DELETE FROM dictionaries WHERE swarm = :swarm AND number = :number

-- move_messages --
-- The next messages.
SELECT seq, queue, odd, message_id, rank, sender, type, body, correlation, reply_to, attempts_max,
    sent_ms, visible_ms, expires_ms
FROM messages
WHERE swarm = :swarm AND seq > :a
ORDER BY seq
LIMIT :limit

-- move_message --
-- One message with its number here.
INSERT INTO messages (seq, swarm, queue, odd, message_id, rank, sender, type, body, correlation,
    reply_to, attempts_max, sent_ms, visible_ms, expires_ms)
VALUES (:seq, :swarm, :queue, :odd, :message_id, :rank, :sender, :type, :body, :correlation,
    :reply_to, :attempts_max, :sent_ms, :visible_ms, :expires_ms)

-- move_message_drop --
-- Remove a message.
DELETE FROM messages WHERE swarm = :swarm AND seq = :seq

-- move_message_newest --
-- The last number that was ever given to a message.
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'messages'), 0)

-- move_runs --
-- The next runs of messages, those in somebody's hands too.
SELECT queue, first, last, size, log, state, rank, attempts, attempts_max, receipt <> '',
    visible_ms, expires_ms, reason, message_id, dead_ms
FROM message_runs
WHERE swarm = :swarm AND (queue, first) > (:a, :b)
ORDER BY queue, first
LIMIT :limit

-- move_run --
-- One run; who has it in hand loses it, so it is ready for the next.
INSERT INTO message_runs (swarm, receipt, queue, first, last, size, log, state, rank, attempts,
    attempts_max, visible_ms, expires_ms, reason, message_id, dead_ms)
VALUES (:swarm, '', :queue, :first, :last, :size, :log, :state, :rank, :attempts, :attempts_max,
    CASE WHEN :claimed = 1 THEN 0 ELSE :visible_ms END, :expires_ms,
    CASE WHEN :claimed = 1 THEN 'the swarm was moved' ELSE :reason END, :message_id, :dead_ms)

-- move_run_drop --
-- Remove a run that was copied.
DELETE FROM message_runs
WHERE swarm = :swarm AND receipt = '' AND queue = :queue AND first = :first

-- move_cursors --
-- The next cursors of queues.
SELECT queue, own_seq, all_seq, odd_seq FROM message_cursors
WHERE swarm = :swarm AND queue > :a
ORDER BY queue
LIMIT :limit

-- move_sessions --
-- The next sessions.
SELECT session_id, short, kind, state, agent, about, process, ttl_ms, boot_id, began_ms,
    touched_ms, ended_ms, reason
FROM sessions
WHERE swarm = :swarm AND session_id > :a
ORDER BY session_id
LIMIT :limit

-- move_session --
-- One session: its time to live begins anew, by the clock of this store.
INSERT INTO sessions (swarm, session_id, short, kind, state, agent, about, process, ttl_ms, boot_id,
    expires_ms, began_ms, touched_ms, ended_ms, reason)
VALUES (:swarm, :session_id, :short, :kind, :state, :agent, :about, :process, :ttl_ms, :boot_id,
    :expires_ms, :began_ms, :touched_ms, :ended_ms, :reason)

-- move_session_agents --
-- The next agents of sessions.
SELECT session_id, agent_id, agent_type, parent, started_ms, ended_ms FROM session_agents
WHERE swarm = :swarm AND (session_id, agent_id) > (:a, :b)
ORDER BY session_id, agent_id
LIMIT :limit

-- move_session_agent --
-- One of them.
INSERT INTO session_agents (swarm, session_id, agent_id, agent_type, parent, started_ms, ended_ms)
VALUES (:swarm, :session_id, :agent_id, :agent_type, :parent, :started_ms, :ended_ms)

-- move_handles --
-- The next numbers that items are shown by.
SELECT number, kind, item FROM handles
WHERE swarm = :swarm AND number > :a
ORDER BY number
LIMIT :limit

-- move_handle --
-- One of them.
INSERT INTO handles (swarm, number, kind, item) VALUES (:swarm, :number, :kind, :item)

-- move_handle_drop --
-- Remove a number.
DELETE FROM handles WHERE swarm = :swarm AND number = :number

-- move_injections --
-- What agents were shown.
SELECT id, session_id, agent_id, agent, kind, item, version, number, event, score, tokens, at_ms,
    present, cited_ms
FROM injections
WHERE swarm = :swarm AND id > :a
ORDER BY id
LIMIT :limit

-- move_injection --
-- One of them; the row gets a number of this store.
INSERT INTO injections (swarm, session_id, agent_id, agent, kind, item, version, number, event,
    score, tokens, at_ms, present, cited_ms)
VALUES (:swarm, :session_id, :agent_id, :agent, :kind, :item, :version, :number, :event, :score,
    :tokens, :at_ms, :present, :cited_ms)

-- move_tokens --
-- The highest token that any lease of a swarm was given.
SELECT coalesce(max(max(coalesce(token, 0), coalesce(drawn, 0))), 0) FROM seats
WHERE swarm = :swarm

-- move_wipe_records --
-- All records of a swarm; what follows removes the rest of it.
DELETE FROM records WHERE swarm = :swarm

-- move_wipe_history --
-- All older versions.
DELETE FROM history WHERE swarm = :swarm

-- move_wipe_events --
-- Its part of the change log.
DELETE FROM events WHERE swarm = :swarm

-- move_blank_events --
-- The same where its numbers stand among those of other swarms: they stay, because a log with holes
-- would look damaged.
UPDATE events SET swarm = '', key = 'forget', version = 0, op = 'forget', author = 'forget',
    scope = 'forget', category = '', records = 0, bytes = 0
WHERE swarm = :swarm

-- move_wipe_usage --
-- Its counters.
DELETE FROM usage WHERE swarm = :swarm

-- move_wipe_ops --
-- All results of calls.
DELETE FROM ops WHERE swarm = :swarm

-- move_wipe_dictionaries --
-- All dictionaries.
DELETE FROM dictionaries WHERE swarm = :swarm

-- move_wipe_facts --
-- All facts.
DELETE FROM facts WHERE swarm = :swarm

-- move_wipe_choices --
-- All choices.
DELETE FROM choices WHERE swarm = :swarm

-- move_wipe_outcomes --
-- All outcomes.
DELETE FROM outcomes WHERE swarm = :swarm

-- move_wipe_relabels --
-- All revisions of labels.
DELETE FROM relabels WHERE swarm = :swarm

-- move_wipe_models --
-- What was learned: it is learned anew from the outcomes where they are now.
DELETE FROM models WHERE swarm = :swarm

-- move_wipe_arms --
-- All counts of outcomes.
DELETE FROM arms WHERE swarm = :swarm

-- move_wipe_conflicts --
-- All conflicts.
DELETE FROM conflicts WHERE swarm = :swarm

-- move_wipe_seats --
-- All seats at leases: nobody holds one in a store that the swarm does not live in.
DELETE FROM seats WHERE swarm = :swarm

-- move_wipe_messages --
-- All messages.
DELETE FROM messages WHERE swarm = :swarm

-- move_wipe_message_runs --
-- All runs of messages.
DELETE FROM message_runs WHERE swarm = :swarm

-- move_wipe_message_cursors --
-- All cursors of queues.
DELETE FROM message_cursors WHERE swarm = :swarm

-- move_wipe_sessions --
-- All sessions.
DELETE FROM sessions WHERE swarm = :swarm

-- move_wipe_session_agents --
-- All agents of sessions.
DELETE FROM session_agents WHERE swarm = :swarm

-- move_wipe_edits --
-- Who changes which file.
DELETE FROM edits WHERE swarm = :swarm

-- move_wipe_injections --
-- What agents were shown.
DELETE FROM injections WHERE swarm = :swarm

-- move_wipe_handles --
-- All numbers of items.
DELETE FROM handles WHERE swarm = :swarm

-- move_wipe_search --
-- The index is made anew by who searches next.
UPDATE search_swarms SET analyser = 0 WHERE swarm = :swarm

-- move_wipe_touches --
-- Where agents changed files lately.
DELETE FROM touches WHERE swarm = :swarm

-- move_wipe_forecasts --
-- What was learned from it.
DELETE FROM forecasts WHERE swarm = :swarm

-- move_wipe_meters --
-- Calls that were counted here.
DELETE FROM meters WHERE swarm = :swarm

-- move_wipe_samples --
-- What was measured here.
DELETE FROM samples WHERE swarm = :swarm

-- move_wipe_alerts --
-- What was wrong here.
DELETE FROM alerts WHERE swarm = :swarm
