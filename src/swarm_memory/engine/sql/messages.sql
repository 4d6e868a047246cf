-- message_send --
-- Put one message into a queue.
INSERT INTO messages (swarm, queue, message_id, state, rank, sender, type, body, correlation,
    reply_to, attempts, attempts_max, sent_ms, visible_ms, expires_ms)
VALUES (:swarm, :queue, :message_id, :state, :rank, :sender, :type, :body, :correlation,
    :reply_to, 0, :attempts_max, :now_ms, :visible_ms, :expires_ms)

-- broadcast_send --
-- Say something to everyone; it is put into each agent's queue when that agent is looked at.
INSERT INTO broadcasts (swarm, message_id, rank, sender, type, body, correlation, reply_to,
    attempts_max, sent_ms, visible_ms, expires_ms)
VALUES (:swarm, :message_id, :rank, :sender, :type, :body, :correlation, :reply_to,
    :attempts_max, :now_ms, :visible_ms, :expires_ms)

-- broadcast_span --
-- How far an agent's queue has come, and the newest broadcast.
SELECT coalesce((SELECT seq FROM broadcast_cursors WHERE swarm = :swarm AND agent = :agent), 0),
    coalesce((SELECT max(seq) FROM broadcasts WHERE swarm = :swarm), 0)

-- broadcast_spread --
-- Put the broadcasts after the cursor into an agent's queue; the cursor moves in the same
-- transaction, so each agent gets each of them once.
INSERT INTO messages (swarm, queue, message_id, state, rank, sender, type, broadcast_seq,
    correlation, reply_to, attempts, attempts_max, sent_ms, visible_ms, expires_ms)
SELECT swarm, :queue, message_id, CASE WHEN visible_ms > :now_ms THEN 'hidden' ELSE 'ready' END,
    rank, sender, type, seq, correlation, reply_to, 0, attempts_max, sent_ms, visible_ms,
    expires_ms
FROM broadcasts
WHERE swarm = :swarm AND seq > :after AND seq <= :upto AND expires_ms > :now_ms
ORDER BY seq

-- broadcast_cursor --
-- Move an agent's cursor, never back.
INSERT INTO broadcast_cursors (swarm, agent, seq) VALUES (:swarm, :agent, :upto)
ON CONFLICT (swarm, agent) DO UPDATE SET seq = excluded.seq
    WHERE excluded.seq > broadcast_cursors.seq

-- message_ready --
-- Whether a claim would find something.
SELECT 1 FROM messages
WHERE swarm = :swarm AND queue = :queue AND state = 'ready'
LIMIT 1

-- message_shows --
-- When the next hidden message shows, NULL if there is none.
SELECT min(visible_ms) FROM messages
WHERE swarm = :swarm AND queue = :queue AND state = 'hidden'

-- message_return --
-- Show what was hidden and whose time has come: again, for the first time, or to the dead.
UPDATE messages SET receipt = NULL,
    state = CASE WHEN attempts >= attempts_max THEN 'dead' ELSE 'ready' END,
    dead_ms = CASE WHEN attempts >= attempts_max THEN :now_ms END,
    reason = CASE WHEN receipt IS NOT NULL THEN :reason || consumer ELSE reason END
WHERE swarm = :swarm AND queue = :queue AND state = 'hidden' AND visible_ms <= :now_ms

-- message_in_hand --
-- Whether an earlier attempt is still open, so that what comes after it must wait.
SELECT 1 FROM messages
WHERE swarm = :swarm AND queue = :queue AND state = 'hidden' AND attempts > 0
LIMIT 1

-- message_next --
-- The first ready ones as they will be once they are claimed, those that expired among them.
SELECT message_id, queue, sender, type,
    coalesce(body, (SELECT body FROM broadcasts WHERE seq = broadcast_seq), 'null'),
    rank, attempts + 1, sent_ms, :visible_ms, expires_ms, correlation, reply_to, reason, dead_ms,
    seq
FROM messages
WHERE swarm = :swarm AND queue = :queue AND state = 'ready'
ORDER BY rank, seq
LIMIT :limit

-- message_claim --
-- Give one of them to a consumer; the writer that read them does so, thus nobody else has them.
UPDATE messages SET state = 'hidden', attempts = attempts + 1, receipt = :receipt,
    consumer = :consumer, session = :session, visible_ms = :visible_ms
WHERE seq = :seq

-- message_drop --
-- Delete a message that expired before anybody took it.
DELETE FROM messages WHERE seq = :seq

-- message_ack --
-- Done: only the consumer whose receipt is current may say so.
DELETE FROM messages
WHERE seq = :seq AND swarm = :swarm AND state = 'hidden' AND receipt = :receipt

-- message_nack --
-- Give it back, or to the dead after the last attempt.
UPDATE messages SET receipt = NULL, reason = :reason, visible_ms = :visible_ms,
    state = CASE WHEN attempts >= attempts_max THEN 'dead'
        WHEN :visible_ms > :now_ms THEN 'hidden' ELSE 'ready' END,
    dead_ms = CASE WHEN attempts >= attempts_max THEN :now_ms END
WHERE seq = :seq AND swarm = :swarm AND state = 'hidden' AND receipt = :receipt

-- message_extend --
-- Keep it hidden for longer.
UPDATE messages SET visible_ms = :visible_ms
WHERE seq = :seq AND swarm = :swarm AND state = 'hidden' AND receipt = :receipt

-- message_peek --
-- What a claim would find, in its order, without taking it.
SELECT m.message_id, m.queue, m.sender, m.type, coalesce(m.body, b.body), m.rank, m.attempts,
    m.sent_ms, m.visible_ms, m.expires_ms, m.correlation, m.reply_to, m.reason, m.dead_ms
FROM messages m LEFT JOIN broadcasts b ON b.seq = m.broadcast_seq
WHERE m.swarm = :swarm AND m.queue = :queue AND m.state = 'ready'
    AND (m.expires_ms IS NULL OR m.expires_ms > :now_ms)
ORDER BY m.rank, m.seq
LIMIT :limit

-- message_dead --
-- The dead, the last one first.
SELECT m.message_id, m.queue, m.sender, m.type, coalesce(m.body, b.body), m.rank, m.attempts,
    m.sent_ms, m.visible_ms, m.expires_ms, m.correlation, m.reply_to, m.reason, m.dead_ms
FROM messages m LEFT JOIN broadcasts b ON b.seq = m.broadcast_seq
WHERE m.swarm = :swarm AND m.state = 'dead' AND (:queue = '' OR m.queue = :queue)
ORDER BY m.dead_ms DESC, m.seq DESC
LIMIT :limit

-- message_overdue --
-- The queues of a swarm in which the time of something hidden is over.
SELECT DISTINCT queue FROM messages
WHERE swarm = :swarm AND state = 'hidden' AND visible_ms <= :now_ms

-- message_revive --
-- Let a dead message be tried anew, without the end it had.
UPDATE messages SET state = 'ready', attempts = 0, dead_ms = NULL, visible_ms = :now_ms,
    expires_ms = CASE WHEN expires_ms > :now_ms THEN expires_ms END
WHERE swarm = :swarm AND message_id = :message_id AND state = 'dead'

-- message_counts --
-- How many messages are in which state, and since when the oldest ready one waits.
SELECT CASE WHEN state = 'ready' OR (state = 'hidden' AND visible_ms <= :now_ms) THEN 'ready'
        WHEN state = 'dead' THEN 'dead'
        WHEN receipt IS NOT NULL THEN 'claimed' ELSE 'delayed' END AS shown,
    count(*), min(sent_ms)
FROM messages
WHERE swarm = :swarm AND (state = 'dead' OR expires_ms IS NULL OR expires_ms > :now_ms)
GROUP BY shown

-- message_session_end --
-- What a session has in hand goes to the next consumer at once.
UPDATE messages SET visible_ms = :now_ms
WHERE swarm = :swarm AND state = 'hidden' AND receipt IS NOT NULL AND session = :session

-- message_prune --
-- Forget what expired before anybody took it, and the dead after their time.
DELETE FROM messages
WHERE seq IN (
    SELECT seq FROM messages
    WHERE swarm = :swarm AND ((state <> 'dead' AND receipt IS NULL AND expires_ms <= :now_ms)
        OR (state = 'dead' AND dead_ms <= :dead_ms))
    LIMIT :rows)

-- broadcast_prune --
-- Forget broadcasts that expired and that no queue refers to; never the newest.
DELETE FROM broadcasts
WHERE swarm = :swarm AND expires_ms <= :now_ms AND seq < (SELECT max(seq) FROM broadcasts)
    AND NOT EXISTS (SELECT 1 FROM messages WHERE messages.broadcast_seq = broadcasts.seq)
