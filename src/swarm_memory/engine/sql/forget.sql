-- forget_events_of_keys --
-- Of the changes of keys that are dropped only their numbers and times stay: a log with holes would
-- look damaged.
UPDATE events SET key = 'forget', op = 'forget', author = 'forget', scope = 'forget'
WHERE (swarm, key) IN (SELECT value ->> 0, value ->> 1 FROM json_each(:keys))

-- forget_events_of_versions --
-- A version that lost its value reads as a deletion, so the log has to say so too.
UPDATE events SET author = 'forget',
    op = CASE WHEN op IN ('put', 'rollback', 'touch') THEN 'delete' ELSE op END
WHERE (swarm, key, version) IN (
    SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(:versions))

-- forget_event --
-- Empty one event, of a key whose record is no more.
UPDATE events SET key = 'forget', op = 'forget', author = 'forget', scope = 'forget'
WHERE seq = :seq

-- forget_event_author --
-- Forget who made a change.
UPDATE events SET author = 'forget' WHERE seq = :seq

-- forget_version --
-- Remove an older version that no record leads to; its id may be another key's by now.
DELETE FROM history WHERE id = :id AND swarm = :swarm AND key = :key

-- forget_conflicts_of_keys --
-- A conflict holds copies of the values that met in it.
DELETE FROM conflicts
WHERE (swarm, key) IN (SELECT value ->> 0, value ->> 1 FROM json_each(:keys))

-- forget_conflicts_of_versions --
-- The same for single versions, as the base and as theirs.
DELETE FROM conflicts
WHERE (swarm, key, base_version) IN (
        SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(:versions))
    OR (swarm, key, their_version) IN (
        SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(:versions))

-- forget_op --
-- Remove the result of a call.
DELETE FROM ops WHERE swarm = :swarm AND agent = :agent AND op_id = :op_id

-- forget_choice --
-- Remove a choice.
DELETE FROM choices WHERE swarm = :swarm AND choice_id = :choice_id

-- forget_outcome --
-- Remove an outcome; the caller counts all of them anew.
DELETE FROM outcomes WHERE swarm = :swarm AND outcome_id = :outcome_id

-- forget_relabels --
-- Remove the revisions of an outcome's label.
DELETE FROM relabels WHERE swarm = :swarm AND outcome_id = :outcome_id

-- forget_conflict --
-- Remove a conflict.
DELETE FROM conflicts WHERE swarm = :swarm AND conflict_id = :conflict_id

-- forget_runs_shorten --
-- A run of several messages begins and ends with those of it that are left.
UPDATE message_runs SET (size, first, last) = (
    SELECT count(*), coalesce(min(seq), first), coalesce(max(seq), last) FROM messages AS m
    WHERE m.swarm = message_runs.swarm AND m.queue = log AND m.odd IS NULL
        AND m.seq BETWEEN message_runs.first AND message_runs.last)
WHERE size > 1

-- forget_runs_empty --
-- A run of which nothing is left goes.
DELETE FROM message_runs
WHERE size = 0 OR NOT EXISTS (SELECT 1 FROM messages WHERE seq = first)

-- forget_run_pages --
-- Who has messages in hand, and why they came back.
SELECT swarm, queue, first, receipt, consumer, session, reason FROM message_runs
WHERE (swarm, queue, first) > (:after_a, :after_b, :after_c)
ORDER BY swarm, queue, first
LIMIT :limit

-- forget_run --
-- Forget who had a run in hand; it stays with its receipt.
UPDATE message_runs SET consumer = 'forget', session = NULL, reason = NULL
WHERE swarm = :swarm AND receipt = :receipt AND queue = :queue AND first = :first

-- forget_seat_pages --
-- The next seats at leases.
SELECT swarm, name, ticket, owner, session, party, reason, pattern FROM seats
WHERE (swarm, name, ticket) > (:after_a, :after_b, :after_c)
ORDER BY swarm, name, ticket
LIMIT :limit

-- forget_seat_tokens --
-- The highest token that was given for a name, for the floor.
SELECT coalesce(max(max(coalesce(token, 0), coalesce(drawn, 0))), 0) FROM seats
WHERE swarm = :swarm AND name = :name

-- forget_seats_of_name --
-- Forget a name with all its seats; the floor, raised before, keeps its tokens from coming again.
DELETE FROM seats WHERE swarm = :swarm AND name = :name

-- forget_seat --
-- Remove a seat other than the first.
DELETE FROM seats WHERE swarm = :swarm AND name = :name AND ticket = :ticket AND ticket <> 0

-- forget_seat_first --
-- The first seat stays for its tokens, with nobody in it.
UPDATE seats SET state = 'free', owner = 'forget', session = NULL, party = NULL, reason = NULL,
    pattern = NULL, upgrades = NULL, expires_ms = 0
WHERE swarm = :swarm AND name = :name AND ticket = 0 AND ticket = :ticket

-- forget_session --
-- Remove a session, after its agents.
DELETE FROM sessions WHERE swarm = :swarm AND session_id = :session_id

-- forget_session_agents --
-- Remove the agents of a session.
DELETE FROM session_agents WHERE swarm = :swarm AND session_id = :session_id

-- forget_session_agent --
-- Remove one agent of a session.
DELETE FROM session_agents
WHERE swarm = :swarm AND session_id = :session_id AND agent_id = :agent_id

-- forget_fact --
-- Remove a cursor of a reader.
DELETE FROM facts WHERE swarm = :swarm AND name = :name

-- forget_cursor --
-- Remove how far a queue has come.
DELETE FROM message_cursors WHERE swarm = :swarm AND queue = :queue

-- forget_usage --
-- A counter that stands at nothing still names its scope.
DELETE FROM usage WHERE records = 0 AND bytes = 0

-- forget_repack_record --
-- Store a value in another form, if nobody has replaced it meanwhile.
UPDATE records SET value = :value
WHERE swarm = :swarm AND key = :key AND version = :version AND value = :before

-- forget_repack_version --
-- The same for an older version.
UPDATE history SET value = :value WHERE id = :id AND value = :before

-- forget_dictionaries --
-- Remove the dictionaries before the newest, which nothing is packed with any more.
DELETE FROM dictionaries WHERE swarm = :swarm AND number < :number

-- forget_edit_pages --
-- Who changes files at this moment; they are few.
SELECT swarm, path, worktree, session_id, agent_id, branch, agent, tool FROM edits

-- forget_edit --
-- Forget that somebody changes a file.
DELETE FROM edits
WHERE swarm = :swarm AND path = :path AND worktree = :worktree AND session_id = :session_id
    AND agent_id = :agent_id

-- forget_injection_pages --
-- What agents were shown.
SELECT id, swarm, session_id, agent_id, agent, kind, item, event FROM injections
WHERE id > :after_a
ORDER BY id
LIMIT :limit

-- forget_injection --
-- Forget that an agent was shown something.
DELETE FROM injections WHERE id = :id

-- forget_injections_of_keys --
-- Nobody was shown what is dropped.
DELETE FROM injections
WHERE (swarm, item) IN (SELECT value ->> 0, value ->> 1 FROM json_each(:keys))

-- forget_handle_pages --
-- The numbers that items are shown by.
SELECT swarm, number, kind, item FROM handles
WHERE (swarm, number) > (:after_a, :after_b)
ORDER BY swarm, number
LIMIT :limit

-- forget_handle --
-- The number stays, so that it never means anything else; what it meant goes.
UPDATE handles SET kind = 'forget', item = number WHERE swarm = :swarm AND number = :number

-- forget_handles_of_keys --
-- The same for the keys that are dropped.
UPDATE handles SET kind = 'forget', item = number
WHERE (swarm, item) IN (SELECT value ->> 0, value ->> 1 FROM json_each(:keys))

-- forget_sample_pages --
-- Samples of the monitor; their number is bounded.
SELECT swarm, span, at_ms, body FROM samples

-- forget_sample --
-- Forget a sample, which names who had most at that time.
DELETE FROM samples WHERE swarm = :swarm AND span = :span AND at_ms = :at_ms

-- forget_alert_pages --
-- Alerts, those that are over too; of each thing there is one at a time.
SELECT swarm, alert_id, rule, subject, text, acknowledged_by FROM alerts

-- forget_alert --
-- Forget an alert; if it still holds, the next sample raises it anew.
DELETE FROM alerts WHERE swarm = :swarm AND alert_id = :alert_id

-- forget_touch_pages --
-- Where agents changed files lately; their number is bounded.
SELECT swarm, at_ms, path, session_id, agent_id, agent FROM touches

-- forget_touch --
-- Forget that an agent changed a file.
DELETE FROM touches
WHERE swarm = :swarm AND at_ms = :at_ms AND path = :path AND session_id = :session_id
    AND agent_id = :agent_id
