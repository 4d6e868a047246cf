-- message_send --
-- Write one message; what is plain can be claimed from now on, without another row.
INSERT INTO messages (swarm, queue, odd, message_id, rank, sender, type, body, correlation,
    reply_to, attempts_max, sent_ms, visible_ms, expires_ms)
VALUES (:swarm, :queue, :odd, :message_id, :rank, :sender, :type, :body, :correlation, :reply_to,
    :attempts_max, :now_ms, :visible_ms, :expires_ms)

-- message_place --
-- Where a queue stands: its cursors, whether there is something ready, new of its own, new for
-- everyone or odd for everyone, and when the next hidden run shows and the next ready one lapses.
SELECT own_seq, all_seq, odd_seq,
    EXISTS (SELECT 1 FROM message_runs
        WHERE swarm = :swarm AND queue = :queue AND state = 'ready'),
    EXISTS (SELECT 1 FROM messages
        WHERE swarm = :swarm AND queue = :queue AND odd IS NULL AND seq > own_seq),
    EXISTS (SELECT 1 FROM messages
        WHERE swarm = :swarm AND queue = :everyone AND odd IS NULL AND seq > all_seq),
    EXISTS (SELECT 1 FROM messages
        WHERE swarm = :swarm AND queue = :everyone AND odd = 1 AND seq > odd_seq),
    (SELECT min(visible_ms) FROM message_runs
        WHERE swarm = :swarm AND queue = :queue AND state = 'hidden'),
    (SELECT min(expires_ms) FROM message_runs
        WHERE swarm = :swarm AND queue = :queue AND state = 'ready' AND attempts > 0
            AND expires_ms IS NOT NULL)
FROM (SELECT coalesce(max(own_seq), 0) AS own_seq, coalesce(max(all_seq), 0) AS all_seq,
        coalesce(max(odd_seq), 0) AS odd_seq
    FROM message_cursors WHERE swarm = :swarm AND queue = :queue) AS place

-- message_cursor --
-- Move a queue's cursors; the writer that read them does so, thus they never go back.
INSERT INTO message_cursors (swarm, queue, own_seq, all_seq, odd_seq)
VALUES (:swarm, :queue, :own_seq, :all_seq, :odd_seq)
ON CONFLICT (swarm, queue) DO UPDATE SET own_seq = excluded.own_seq,
    all_seq = excluded.all_seq, odd_seq = excluded.odd_seq

-- message_advance --
-- Move a queue's cursors from where they were read to behind a message; nothing happens if another
-- claim came between, or the message is not there any more.
UPDATE message_cursors SET own_seq = :own_seq, all_seq = :all_seq
WHERE swarm = :swarm AND queue = :queue AND own_seq = :own_was AND all_seq = :all_was
    AND EXISTS (SELECT 1 FROM messages
        WHERE swarm = :swarm AND seq = :seq AND message_id = :message_id)

-- message_plain --
-- Plain messages of a log behind a place, in their order; those that expire after `alive_ms`.
SELECT seq, queue, message_id, sender, type, body, rank, sent_ms, expires_ms, correlation,
    reply_to, attempts_max, 0, NULL, visible_ms, NULL
FROM messages
WHERE swarm = :swarm AND queue = :log AND odd IS NULL AND seq > :after AND seq <= :upto
    AND (expires_ms IS NULL OR expires_ms > :alive_ms)
ORDER BY seq
LIMIT :limit

-- message_members --
-- Which messages a run of plain ones consists of.
SELECT seq, expires_ms FROM messages
WHERE swarm = :swarm AND queue = :log AND odd IS NULL AND seq BETWEEN :first AND :last
ORDER BY seq

-- message_id --
-- The id of one message.
SELECT message_id FROM messages WHERE seq = :seq

-- message_sent --
-- When one message was sent.
SELECT sent_ms FROM messages WHERE seq = :seq

-- message_newest --
-- The last number that was given to a message.
SELECT max(seq) FROM messages

-- message_drop --
-- Delete one message.
DELETE FROM messages WHERE seq = :seq

-- message_drop_run --
-- Delete the messages of a run of plain ones.
DELETE FROM messages
WHERE swarm = :swarm AND queue = :log AND odd IS NULL AND seq BETWEEN :first AND :last

-- run_post --
-- Give the odd messages that were just sent, the last ones of the table, a run each.
INSERT INTO message_runs (swarm, receipt, queue, first, last, size, log, state, rank, attempts,
    attempts_max, visible_ms, expires_ms)
SELECT swarm, '', queue, seq, seq, 1, queue,
    CASE WHEN visible_ms > :now_ms THEN 'hidden' ELSE 'ready' END, rank, 0, attempts_max,
    visible_ms, expires_ms
FROM messages WHERE seq > (SELECT max(seq) FROM messages) - :count

-- run_spread --
-- Give the odd messages for everyone a run each in an agent's queue; the cursor moves in the same
-- transaction, so each agent gets each of them once.
INSERT INTO message_runs (swarm, receipt, queue, first, last, size, log, state, rank, attempts,
    attempts_max, visible_ms, expires_ms)
SELECT swarm, '', :queue, seq, seq, 1, queue,
    CASE WHEN visible_ms > :now_ms THEN 'hidden' ELSE 'ready' END, rank, 0, attempts_max,
    visible_ms, expires_ms
FROM messages
WHERE swarm = :swarm AND queue = :everyone AND odd = 1 AND seq > :after AND expires_ms > :now_ms

-- run_put --
-- Write a run as it is now.
INSERT INTO message_runs (swarm, receipt, queue, first, last, size, log, state, rank, attempts,
    attempts_max, consumer, session, visible_ms, expires_ms, reason, message_id, dead_ms)
VALUES (:swarm, :receipt, :queue, :first, :last, :size, :log, :state, :rank, :attempts,
    :attempts_max, :consumer, :session, :visible_ms, :expires_ms, :reason, :message_id, :dead_ms)

-- run_drop --
-- Delete a run: it is done, or it is written anew.
DELETE FROM message_runs
WHERE swarm = :swarm AND receipt = :receipt AND queue = :queue AND first = :first

-- run_done --
-- Delete a run that is still what it was when it was read.
DELETE FROM message_runs
WHERE swarm = :swarm AND receipt = :receipt AND queue = :queue AND first = :first
    AND last = :last AND size = :size

-- run_claimed --
-- What a claim has in hand, as far as it was not acknowledged or taken away.
SELECT queue, first, last, size, log, state, rank, attempts, attempts_max, receipt, consumer,
    session, visible_ms, expires_ms, reason
FROM message_runs
WHERE swarm = :swarm AND receipt = :receipt

-- run_ready --
-- The first ready runs, and the message where it is only one; those that expire after `alive_ms`.
SELECT r.queue, r.first, r.last, r.size, r.log, r.state, r.rank, r.attempts, r.attempts_max,
    r.receipt, r.consumer, r.session, r.visible_ms, r.expires_ms, r.reason,
    m.seq, m.queue, m.message_id, m.sender, m.type, m.body, m.rank, m.sent_ms, r.expires_ms,
    m.correlation, m.reply_to, m.attempts_max, r.attempts, r.reason, r.visible_ms, NULL
FROM message_runs AS r LEFT JOIN messages AS m ON m.seq = r.first AND r.size = 1
WHERE r.swarm = :swarm AND r.queue = :queue AND r.state = 'ready'
    AND (r.size > 1 OR r.expires_ms IS NULL OR r.expires_ms > :alive_ms)
ORDER BY r.rank, r.first
LIMIT :limit

-- run_return --
-- Show what was hidden and whose time has come: again, or for the first time.
UPDATE message_runs SET state = 'ready',
    reason = CASE WHEN receipt <> '' THEN :reason || consumer ELSE reason END, receipt = ''
WHERE swarm = :swarm AND queue = :queue AND state = 'hidden' AND visible_ms <= :now_ms
    AND attempts < attempts_max

-- run_failing --
-- Runs of which something dies: the last attempt's time is over, or a message that was tried
-- has expired.
SELECT queue, first, last, size, log, state, rank, attempts, attempts_max, receipt, consumer,
    session, visible_ms, expires_ms, reason
FROM message_runs
WHERE swarm = :swarm AND queue = :queue AND state = 'hidden' AND visible_ms <= :now_ms
    AND attempts >= attempts_max
UNION ALL
SELECT queue, first, last, size, log, state, rank, attempts, attempts_max, receipt, consumer,
    session, visible_ms, expires_ms, reason
FROM message_runs
WHERE swarm = :swarm AND queue = :queue AND state = 'ready' AND attempts > 0
    AND expires_ms IS NOT NULL AND expires_ms <= :now_ms

-- run_overdue --
-- The queues of a swarm in which the time of something is over.
SELECT queue FROM message_runs
WHERE swarm = :swarm AND state = 'hidden' AND visible_ms <= :now_ms
UNION
SELECT queue FROM message_runs
WHERE swarm = :swarm AND state = 'ready' AND attempts > 0 AND expires_ms IS NOT NULL
    AND expires_ms <= :now_ms

-- run_in_hand --
-- Whether an earlier attempt is still open, so that what comes after it must wait.
SELECT 1 FROM message_runs
WHERE swarm = :swarm AND queue = :queue AND state = 'hidden' AND attempts > 0
LIMIT 1

-- run_dead --
-- The dead, the last one first.
SELECT m.seq, r.queue, m.message_id, m.sender, m.type, m.body, m.rank, m.sent_ms, r.expires_ms,
    m.correlation, m.reply_to, m.attempts_max, r.attempts, r.reason, r.visible_ms, r.dead_ms
FROM message_runs AS r JOIN messages AS m ON m.seq = r.first
WHERE r.swarm = :swarm AND r.state = 'dead' AND (:queue = '' OR r.queue = :queue)
ORDER BY r.dead_ms DESC, r.first DESC
LIMIT :limit

-- run_revive --
-- Let a dead message be tried anew, without the end it had.
UPDATE message_runs SET state = 'ready', attempts = 0, message_id = NULL, dead_ms = NULL,
    visible_ms = :now_ms, expires_ms = CASE WHEN expires_ms > :now_ms THEN expires_ms END
WHERE swarm = :swarm AND message_id = :message_id AND state = 'dead'

-- run_counts --
-- How many messages are in which state, and since when the oldest ready one waits; without those
-- that were tried and may have expired, which are looked at one by one.
SELECT CASE WHEN state = 'dead' THEN 'dead'
        WHEN state = 'ready' THEN 'ready'
        WHEN visible_ms <= :now_ms
            THEN CASE WHEN attempts >= attempts_max THEN 'dead' ELSE 'ready' END
        WHEN receipt <> '' THEN 'claimed' ELSE 'delayed' END AS shown,
    sum(size), min((SELECT sent_ms FROM messages WHERE seq = first))
FROM message_runs
WHERE swarm = :swarm AND (state = 'dead' OR expires_ms IS NULL OR expires_ms > :now_ms
    OR (attempts > 0 AND state = 'hidden'
        AND (visible_ms > :now_ms OR attempts >= attempts_max)))
GROUP BY shown

-- run_lapsed --
-- Runs that were tried, are shown or due, and of which a message has expired.
SELECT queue, first, last, size, log, state, rank, attempts, attempts_max, receipt, consumer,
    session, visible_ms, expires_ms, reason
FROM message_runs
WHERE swarm = :swarm AND expires_ms <= :now_ms AND attempts > 0
    AND (state = 'ready'
        OR (state = 'hidden' AND visible_ms <= :now_ms AND attempts < attempts_max))

-- message_fresh_count --
-- How many plain messages nobody claimed yet, and the oldest one.
SELECT count(*), min(m.sent_ms)
FROM messages AS m LEFT JOIN message_cursors AS c ON c.swarm = m.swarm AND c.queue = m.queue
WHERE m.swarm = :swarm AND m.odd IS NULL AND m.queue <> :everyone
    AND m.seq > coalesce(c.own_seq, 0) AND (m.expires_ms IS NULL OR m.expires_ms > :now_ms)

-- run_session_size --
-- How many messages a session has in hand.
SELECT coalesce(sum(size), 0) FROM message_runs
WHERE swarm = :swarm AND state = 'hidden' AND receipt <> '' AND session = :session

-- run_session_end --
-- What a session has in hand goes to the next consumer at once.
UPDATE message_runs SET visible_ms = :now_ms
WHERE swarm = :swarm AND state = 'hidden' AND receipt <> '' AND session = :session

-- run_prunable --
-- The dead after their time, and what is odd and expired before anybody took it.
SELECT queue, first, log, receipt FROM message_runs
WHERE swarm = :swarm AND ((state = 'dead' AND dead_ms <= :dead_ms)
    OR (state <> 'dead' AND attempts = 0 AND expires_ms <= :now_ms))
LIMIT :rows

-- message_prune --
-- Forget what is plain and expired before anybody took it.
DELETE FROM messages
WHERE seq IN (
    SELECT m.seq
    FROM messages AS m LEFT JOIN message_cursors AS c ON c.swarm = m.swarm AND c.queue = m.queue
    WHERE m.swarm = :swarm AND m.odd IS NULL AND m.queue <> :everyone
        AND m.seq > coalesce(c.own_seq, 0) AND m.expires_ms <= :now_ms
    LIMIT :rows)

-- message_expired_for_all --
-- What was said to everyone and has expired.
SELECT seq FROM messages
WHERE swarm = :swarm AND queue = :everyone AND odd IS NULL AND expires_ms <= :now_ms
UNION ALL
SELECT seq FROM messages
WHERE swarm = :swarm AND queue = :everyone AND odd = 1 AND expires_ms <= :now_ms

-- run_spans_for_all --
-- What is referred to of what was said to everyone.
SELECT DISTINCT first, last FROM message_runs WHERE swarm = :swarm AND log = :everyone

-- message_cursor_prune --
-- Forget the cursors of queues that nothing plain is left for.
DELETE FROM message_cursors
WHERE swarm = :swarm
    AND NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.swarm = message_cursors.swarm
        AND m.queue = message_cursors.queue AND m.odd IS NULL)
    AND NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.swarm = message_cursors.swarm
        AND m.queue = :everyone AND m.odd IS NULL AND m.seq <= all_seq)
    AND NOT EXISTS (SELECT 1 FROM messages AS m WHERE m.swarm = message_cursors.swarm
        AND m.queue = :everyone AND m.odd = 1 AND m.seq <= odd_seq)
