-- verify_structure --
-- What SQLite finds wrong with pages, trees and indexes; one row "ok" if nothing.
PRAGMA integrity_check(100)

-- verify_schema --
-- The tables, indexes and views as they were made, to be compared with those of a new store; but
-- for those that SQLite makes for the full-text index, in which its versions may differ.
SELECT name, sql FROM sqlite_schema
WHERE sql IS NOT NULL AND type <> 'trigger' AND name NOT LIKE 'sqlite_%'
    AND name NOT GLOB 'search_index_*'
ORDER BY name

-- verify_sizes --
-- How many rows a full check has before it.
SELECT (SELECT count(*) FROM records), (SELECT count(*) FROM history),
    (SELECT count(*) FROM events)

-- verify_records --
-- The next records of all swarms with what they point to, expired ones and tombstones too; in the
-- order they lie in, because an index may be what is damaged.
SELECT r.swarm, r.key, r.version, r.author, r.session, r.created_ms, r.updated_ms, r.expires_ms,
    r.provenance, r.value, r.rowid, r.history_id, h.swarm, h.key, h.version
FROM records AS r LEFT JOIN history AS h ON h.id = r.history_id
WHERE r.rowid > :after
ORDER BY r.rowid
LIMIT :limit

-- verify_history --
-- The next older versions, each with the one before it if that belongs to the same key.
SELECT h.swarm, h.key, h.version, h.author, h.session, h.created_ms, h.updated_ms, h.expires_ms,
    h.provenance, h.value, h.id, p.id, p.version
FROM history AS h LEFT JOIN history AS p
    ON p.id = h.prev_id AND p.swarm = h.swarm AND p.key = h.key
WHERE h.id > :after
ORDER BY h.id
LIMIT :limit

-- verify_history_heads --
-- The versions that records lead to.
SELECT history_id FROM records WHERE history_id IS NOT NULL

-- verify_history_owner --
-- The record of a version that nothing leads to, and below which version keys were forgotten.
SELECT h.swarm, h.key, h.version, r.version,
    coalesce((SELECT value FROM facts WHERE swarm = h.swarm AND name = 'version_floor'), 0)
FROM history AS h LEFT JOIN records AS r ON r.swarm = h.swarm AND r.key = h.key
WHERE h.id = :id

-- verify_events --
-- The next events of all swarms, each with the record as it is now.
SELECT e.seq, e.swarm, e.key, e.version, e.op, e.at_ms, r.version, r.value IS NOT NULL
FROM events AS e LEFT JOIN records AS r ON r.swarm = e.swarm AND r.key = e.key
WHERE e.seq > :after
ORDER BY e.seq
LIMIT :limit

-- verify_usage --
-- Where the counters differ from a recount: by how many records and bytes.
SELECT swarm, scope, category, sum(records), sum(bytes) FROM (
    SELECT swarm, scope, category, records, bytes FROM usage_now
    UNION ALL
    SELECT swarm, scope, category, -1, -(length(value) + length(key)) FROM records
    WHERE value IS NOT NULL) AS counts
GROUP BY swarm, scope, category
HAVING sum(records) <> 0 OR sum(bytes) <> 0
LIMIT :limit

-- verify_arms --
-- Where the counts that the model reads differ from the outcomes they were made of.
SELECT swarm, task_type, strategy, sum(trials), sum(successes) FROM (
    SELECT swarm, task_type, strategy, trials + unlabelled AS trials, successes FROM arms
    UNION ALL
    SELECT swarm, task_type, coalesce(strategy, ''), -1, -coalesce(reward, 0) FROM outcomes)
    AS counted
GROUP BY swarm, task_type, strategy
HAVING sum(trials) <> 0 OR abs(sum(successes)) > 0.000001
LIMIT :limit

-- verify_models --
-- Models that learned of something else than the log has.
SELECT m.swarm, m.version, coalesce(newest.seq, 0) FROM models AS m LEFT JOIN (
    SELECT swarm, max(seq) AS seq
    FROM (SELECT swarm, seq FROM outcomes UNION ALL SELECT swarm, seq FROM relabels) AS log
    GROUP BY swarm) AS newest ON newest.swarm = m.swarm
WHERE m.part = '' AND m.version <> coalesce(newest.seq, 0)
ORDER BY m.swarm
LIMIT :limit

-- verify_model_parts --
-- What was learned, all of it but the heads.
SELECT swarm, part, state FROM models WHERE part <> ''

-- verify_json --
-- Rows whose JSON is none, of all tables but those with a checksum of their own.
SELECT 'ops', swarm, op_id FROM ops WHERE json_valid(result) = 0
UNION ALL
SELECT 'choices', swarm, choice_id FROM choices
WHERE json_valid(candidates) = 0 OR json_valid(context) = 0
UNION ALL
SELECT 'outcomes', swarm, outcome_id FROM outcomes
WHERE json_valid(agents) = 0 OR json_valid(context) = 0 OR json_valid(signals) = 0
UNION ALL
SELECT 'conflicts', swarm, conflict_id FROM conflicts
WHERE json_valid(mine) = 0 OR json_valid(base) = 0 OR json_valid(theirs) = 0
    OR json_valid(result) = 0
UNION ALL
SELECT 'messages', swarm, message_id FROM messages WHERE json_valid(body) = 0
UNION ALL
SELECT 'sessions', swarm, session_id FROM sessions WHERE json_valid(about) = 0
LIMIT :limit

-- verify_seats --
-- Seats at leases that no sequence of calls leads to.
SELECT swarm, name, ticket, CASE
        WHEN state NOT IN ('waiting', 'granted', 'held', 'free') THEN 'unknown state ' || state
        WHEN state IN ('held', 'granted') AND (token IS NULL OR token < 1) THEN 'held with no token'
        WHEN state = 'free' THEN 'a free seat behind the first'
        ELSE 'its first seat, which keeps the tokens, is missing' END
FROM seats AS s
WHERE state NOT IN ('waiting', 'granted', 'held', 'free')
    OR (state IN ('held', 'granted') AND (token IS NULL OR token < 1))
    OR (state = 'free' AND ticket <> 0)
    OR NOT EXISTS (
        SELECT 1 FROM seats AS f WHERE f.swarm = s.swarm AND f.name = s.name AND f.ticket = 0)
LIMIT :limit

-- verify_holders --
-- Leases that two hold at once although one of them admits nobody else, or by the same token.
SELECT swarm, name FROM seats
WHERE state = 'held' AND expires_ms > :now_ms
GROUP BY swarm, name, pattern
HAVING count(*) > 1 AND (max(mode) <> 'read' OR min(mode) <> 'read'
    OR count(DISTINCT token) < count(*))
LIMIT :limit

-- verify_sessions --
-- Sessions and agents that no sequence of calls leads to.
SELECT swarm, session_id, CASE
        WHEN state NOT IN ('active', 'lapsed', 'ended') THEN 'unknown state ' || state
        WHEN kind NOT IN ('logical', 'process') THEN 'unknown kind ' || kind
        ELSE 'is ' || state || ', which does not fit the time of its end' END
FROM sessions
WHERE state NOT IN ('active', 'lapsed', 'ended') OR kind NOT IN ('logical', 'process')
    OR (state = 'active') <> (ended_ms IS NULL)
UNION ALL
SELECT a.swarm, a.session_id, CASE
        WHEN s.session_id IS NULL THEN 'is missing, but its agent ' || a.agent_id || ' is there'
        ELSE 'is over, but its agent ' || a.agent_id || ' runs' END
FROM session_agents AS a LEFT JOIN sessions AS s
    ON s.swarm = a.swarm AND s.session_id = a.session_id
WHERE s.session_id IS NULL OR (s.state <> 'active' AND a.ended_ms IS NULL)
LIMIT :limit

-- verify_messages --
-- Runs of messages that no sequence of calls leads to, by what was sent first in them.
SELECT r.swarm, coalesce(m.message_id, r.log || ' ' || r.first), r.queue, CASE
        WHEN r.state NOT IN ('ready', 'hidden', 'dead') THEN 'unknown state ' || r.state
        WHEN r.state <> 'hidden' AND r.receipt <> '' THEN 'claimed but not hidden'
        WHEN r.attempts < 0 OR r.attempts > r.attempts_max THEN 'more attempts than it may have'
        WHEN m.seq IS NULL THEN 'its text is missing'
        ELSE 'other messages in its run than were claimed' END
FROM message_runs AS r LEFT JOIN messages AS m
    ON m.seq = r.first AND m.swarm = r.swarm AND m.queue = r.log
WHERE r.state NOT IN ('ready', 'hidden', 'dead')
    OR (r.state <> 'hidden' AND r.receipt <> '')
    OR r.attempts < 0 OR r.attempts > r.attempts_max
    OR m.seq IS NULL
    OR (r.size = 1 AND r.first <> r.last)
    OR (r.size > 1 AND r.size <> (SELECT count(*) FROM messages AS n
        WHERE n.swarm = r.swarm AND n.queue = r.log AND n.odd IS NULL
            AND n.seq BETWEEN r.first AND r.last))
LIMIT :limit

-- verify_cursors --
-- Places in the change log and among the messages that nothing was written at yet.
SELECT swarm, name, value FROM facts
WHERE (name LIKE 'cursor/%' OR name = 'folded_seq')
    AND (value < 0 OR value > (SELECT coalesce(max(seq), 0) FROM events))
UNION ALL
SELECT swarm, 'messages/' || queue, max(own_seq, all_seq, odd_seq) FROM message_cursors
WHERE min(own_seq, all_seq, odd_seq) < 0 OR max(own_seq, all_seq, odd_seq) > (
    SELECT seq FROM sqlite_sequence WHERE name = 'messages')
LIMIT :limit

-- verify_handles --
-- What was shown by a number that stands for nothing, or for something else.
SELECT i.swarm, i.number, i.kind, i.item FROM injections AS i LEFT JOIN handles AS h
    ON h.swarm = i.swarm AND h.number = i.number
WHERE i.number IS NOT NULL AND (h.item IS NULL OR h.kind <> i.kind OR h.item <> i.item)
LIMIT :limit

-- verify_dictionaries --
-- Every dictionary: one changed byte of it would change values unnoticed.
SELECT swarm, number, bytes FROM dictionaries ORDER BY swarm, number

-- verify_moved --
-- Where the numbers of swarms that were moved here end, and where they begin.
SELECT value FROM facts WHERE name IN ('moved/end', 'moved/offset') ORDER BY swarm, name
