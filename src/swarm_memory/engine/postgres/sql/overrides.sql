-- record_put --
INSERT INTO records (swarm, key, version, scope, category, telemetry, author, session, provenance,
    created_ms, updated_ms, expires_ms, history_id, value)
VALUES (:swarm, :key, :version, :scope, :category, :telemetry, :author, :session, :provenance,
    :created_ms, :updated_ms, :expires_ms,
    CASE WHEN :history_id = -1 THEN currval('history_id_seq') ELSE :history_id END, :value)
ON CONFLICT (swarm, key) DO UPDATE SET version = excluded.version, scope = excluded.scope,
    category = excluded.category, telemetry = excluded.telemetry, author = excluded.author,
    session = excluded.session, provenance = excluded.provenance,
    created_ms = excluded.created_ms, updated_ms = excluded.updated_ms,
    expires_ms = excluded.expires_ms, history_id = excluded.history_id, value = excluded.value

-- lease_token --
-- A parameter without a column beside it has to say its type.
SELECT token FROM seats
WHERE swarm = :swarm
    AND name = CASE left(:name::text, 5) WHEN 'file:' THEN 'file:' ELSE :name::text END
    AND coalesce('file:' || pattern, name) = :name::text AND token = :token AND state = 'held'
    AND expires_ms > :now_ms

-- session_active --
-- The planner finds the index by itself.
SELECT session_id, short, kind, state, agent, about, process, ttl_ms, boot_id, expires_ms,
    began_ms, touched_ms, ended_ms, reason
FROM sessions
WHERE swarm = :swarm AND state = 'active'

-- run_post --
-- Others may have sent something in between: what this transaction has sent bears its number.
INSERT INTO message_runs (swarm, receipt, queue, first, last, size, log, state, rank, attempts,
    attempts_max, visible_ms, expires_ms)
SELECT swarm, '', queue, seq, seq, 1, queue,
    CASE WHEN visible_ms > :now_ms THEN 'hidden' ELSE 'ready' END, rank, 0, attempts_max,
    visible_ms, expires_ms
FROM messages
WHERE swarm = :swarm AND seq > (SELECT max(seq) FROM messages WHERE swarm = :swarm) - :count

-- search_docs_of --
SELECT key, id, words FROM search_docs
WHERE number = :number AND key IN (SELECT jsonb_array_elements_text(:keys::jsonb))

-- search_put_terms --
-- Each term of an entry is a row, with how often it occurs.
WITH gone AS (
    DELETE FROM search_postings
    WHERE id = :id AND term <> ALL (string_to_array(:terms::text, ' '))
)
INSERT INTO search_postings (term, id, occurs)
SELECT term, :id, count(*) FROM string_to_table(:terms::text, ' ') AS entered (term)
WHERE term <> ''
GROUP BY term
ON CONFLICT (term, id) DO UPDATE SET occurs = excluded.occurs

-- search_drop_terms --
DELETE FROM search_postings WHERE id = :id

-- search_wipe_terms --
DELETE FROM search_postings

-- search_frequencies --
SELECT term, count(*) FROM search_postings
WHERE term IN (SELECT jsonb_array_elements_text(:terms::jsonb))
GROUP BY term

-- search_match --
-- BM25 with k1 = 1.2 and b = 0.75, as SQLite's index has it; a term in quotation marks each.
WITH size AS (
    SELECT sum(docs)::float8 AS docs, sum(words)::float8 / greatest(sum(docs), 1) AS words
    FROM search_swarms
), asked AS (
    SELECT a.term, ln(1 + (size.docs - f.n + 0.5) / (f.n + 0.5)) AS rarity
    FROM (SELECT DISTINCT m[1] AS term
        FROM regexp_matches(:query::text, '"([^"]+)"', 'g') AS m) AS a
    CROSS JOIN size
    CROSS JOIN LATERAL (SELECT count(*) AS n FROM search_postings AS p WHERE p.term = a.term) AS f
    WHERE f.n > 0
), scored AS (
    SELECT p.id, sum(asked.rarity * p.occurs * 2.2
        / (p.occurs + 1.2 * (0.25 + 0.75 * d.words / greatest(size.words, 1)))) AS score
    FROM asked JOIN search_postings AS p ON p.term = asked.term
        JOIN search_docs AS d ON d.id = p.id CROSS JOIN size
    WHERE p.id BETWEEN :first AND :last
    GROUP BY p.id
)
SELECT r.key, r.version, r.author, r.session, r.created_ms, r.updated_ms, r.expires_ms,
    r.provenance, r.value
FROM scored AS s JOIN search_docs AS d ON d.id = s.id
    JOIN records AS r ON r.swarm = :swarm AND r.key = d.key
WHERE ((d.key >= :low AND d.key < :high) OR d.key = :exact)
    AND r.value IS NOT NULL AND r.telemetry = 0
    AND (r.expires_ms IS NULL OR r.expires_ms > :now_ms)
    AND (:author::text IS NULL OR r.author = :author) AND r.updated_ms >= :since_ms
ORDER BY s.score DESC, s.id
LIMIT :limit

-- search_live --
SELECT r.key, r.version, r.author, r.session, r.created_ms, r.updated_ms, r.expires_ms,
    r.provenance, r.value
FROM records AS r
WHERE r.swarm = :swarm AND r.key = :key AND r.value IS NOT NULL AND r.telemetry = 0
    AND ((r.key >= :low AND r.key < :high) OR r.key = :exact)
    AND (r.expires_ms IS NULL OR r.expires_ms > :now_ms)
    AND (:author::text IS NULL OR r.author = :author) AND r.updated_ms >= :since_ms

-- search_around --
WITH near (key, folder, before, after) AS (
    SELECT w.key, w.folder,
        (SELECT max(d.key) FROM search_docs AS d
            WHERE number = :number AND d.key > w.folder AND d.key < w.key),
        (SELECT min(d.key) FROM search_docs AS d
            WHERE number = :number AND d.key > w.key AND d.key < w.folder || '{')
    FROM jsonb_each_text(:folders::jsonb) AS w (key, folder)
)
SELECT key, before, after,
    (SELECT max(d.key) FROM search_docs AS d
        WHERE number = :number AND d.key > folder AND d.key < before),
    (SELECT min(d.key) FROM search_docs AS d
        WHERE number = :number AND d.key > after AND d.key < folder || '{')
FROM near

-- alike_sharing --
SELECT m.id, count(*) AS shared
FROM jsonb_array_elements_text(:queries::jsonb) AS q (text)
    CROSS JOIN LATERAL (SELECT array_agg(DISTINCT m[1]) AS terms
        FROM regexp_matches(q.text, '"([^"]+)"', 'g') AS m) AS a
    CROSS JOIN LATERAL (
        SELECT p.id FROM search_postings AS p
        WHERE p.term = ANY (a.terms) AND p.id BETWEEN :first AND :last
        GROUP BY p.id
        HAVING count(*) = cardinality(a.terms)
        ORDER BY p.id DESC LIMIT :each
    ) AS m
GROUP BY m.id
ORDER BY shared DESC, m.id DESC
LIMIT :limit

-- alike_records --
SELECT r.key, r.version, r.author, r.session, r.created_ms, r.updated_ms, r.expires_ms,
    r.provenance, r.value
FROM search_docs AS d CROSS JOIN records AS r
WHERE d.id IN (SELECT value::bigint FROM jsonb_array_elements_text(:ids::jsonb) AS value)
    AND r.swarm = :swarm AND r.key = d.key AND r.value IS NOT NULL AND r.telemetry = 0
    AND (r.expires_ms IS NULL OR r.expires_ms > :now_ms)

-- outcome_latest --
SELECT outcome_id, task_type, status, duration_s, strategy, author, at_ms FROM outcomes
WHERE swarm = :swarm
ORDER BY at_ms DESC, outcome_id DESC
LIMIT :limit

-- forget_events_of_keys --
UPDATE events SET key = 'forget', op = 'forget', author = 'forget', scope = 'forget'
WHERE (swarm, key) IN (
    SELECT value ->> 0, value ->> 1 FROM jsonb_array_elements(:keys::jsonb))

-- forget_events_of_versions --
UPDATE events SET author = 'forget',
    op = CASE WHEN op IN ('put', 'rollback', 'touch') THEN 'delete' ELSE op END
WHERE (swarm, key, version) IN (
    SELECT value ->> 0, value ->> 1, (value ->> 2)::bigint
    FROM jsonb_array_elements(:versions::jsonb))

-- forget_conflicts_of_keys --
DELETE FROM conflicts
WHERE (swarm, key) IN (
    SELECT value ->> 0, value ->> 1 FROM jsonb_array_elements(:keys::jsonb))

-- forget_conflicts_of_versions --
DELETE FROM conflicts
WHERE (swarm, key, base_version) IN (
        SELECT value ->> 0, value ->> 1, (value ->> 2)::bigint
        FROM jsonb_array_elements(:versions::jsonb))
    OR (swarm, key, their_version) IN (
        SELECT value ->> 0, value ->> 1, (value ->> 2)::bigint
        FROM jsonb_array_elements(:versions::jsonb))

-- forget_injections_of_keys --
DELETE FROM injections
WHERE (swarm, item) IN (
    SELECT value ->> 0, value ->> 1 FROM jsonb_array_elements(:keys::jsonb))

-- forget_handles_of_keys --
UPDATE handles SET kind = 'forget', item = number
WHERE (swarm, item) IN (
    SELECT value ->> 0, value ->> 1 FROM jsonb_array_elements(:keys::jsonb))

-- restore_event --
-- The next number lies above those that were restored.
WITH entered AS (
    INSERT INTO events (seq, swarm, key, version, op, author, at_ms, scope, category, telemetry,
        records, bytes)
    VALUES (:seq, :swarm, :key, :version, :op, :author, :at_ms, :scope, :category, :telemetry,
        :records, :bytes)
)
SELECT setval(pg_get_serial_sequence('events', 'seq'), greatest(:seq, last_value))
FROM events_seq_seq

-- restore_message --
WITH entered AS (
    INSERT INTO messages (seq, swarm, queue, odd, message_id, rank, sender, type, body,
        correlation, reply_to, attempts_max, sent_ms, visible_ms, expires_ms)
    VALUES (:seq, :swarm, :queue, :odd, :message_id, :rank, :sender, :type, :body, :correlation,
        :reply_to, :attempts_max, :sent_ms, :visible_ms, :expires_ms)
)
SELECT setval(pg_get_serial_sequence('messages', 'seq'), greatest(:seq, last_value))
FROM messages_seq_seq

-- verify_structure --
-- Pages are the server's to check; what it knows to be broken is said.
SELECT coalesce(
    (SELECT 'index ' || string_agg(c.relname, ', ') || ' is not valid'
        FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
        WHERE c.relnamespace = current_schema()::regnamespace AND NOT i.indisvalid),
    (SELECT 'pages of this database did not match their checksums: '
        || checksum_failures || ' times'
        FROM pg_stat_database
        WHERE datname = current_database() AND checksum_failures > 0),
    'ok')

-- verify_schema --
SELECT c.relname::text, CASE
        WHEN c.relkind IN ('r', 'p') THEN (
            SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
                || CASE WHEN a.attnotnull THEN ' NOT NULL' ELSE '' END, ', ' ORDER BY a.attnum)
            FROM pg_attribute AS a
            WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped)
        WHEN c.relkind = 'v' THEN pg_get_viewdef(c.oid)
        ELSE pg_get_indexdef(c.oid) END
FROM pg_class AS c
WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p', 'v', 'i', 'I')
ORDER BY c.relname

-- verify_records --
-- In the order they lie in. A place is a row's page times 2^26, its line there times 2^10, and which
-- part of a table that is divided it lies in.
WITH parts AS (
    SELECT inhrelid AS part, row_number() OVER (ORDER BY inhrelid) AS number
    FROM pg_inherits WHERE inhparent = 'records'::regclass
), placed AS (
    SELECT r.*, ((r.ctid::text::point)[0]::bigint << 26) + ((r.ctid::text::point)[1]::bigint << 10)
        + coalesce((SELECT number FROM parts WHERE part = r.tableoid), 0) AS place
    FROM records AS r
    WHERE r.ctid >= format('(%s,0)', greatest(:after, 0) >> 26)::tid
)
SELECT r.swarm, r.key, r.version, r.author, r.session, r.created_ms, r.updated_ms, r.expires_ms,
    r.provenance, r.value, r.place, r.history_id, h.swarm, h.key, h.version
FROM (SELECT * FROM placed WHERE place > :after ORDER BY place LIMIT :limit) AS r
    LEFT JOIN history AS h ON h.id = r.history_id
ORDER BY r.place

-- verify_cursors --
SELECT swarm, name, value FROM facts
WHERE (name LIKE 'cursor/%' OR name = 'folded_seq')
    AND (value < 0 OR value > (SELECT coalesce(max(seq), 0) FROM events))
UNION ALL
SELECT swarm, 'messages/' || queue, max(own_seq, all_seq, odd_seq) FROM message_cursors
WHERE min(own_seq, all_seq, odd_seq) < 0 OR max(own_seq, all_seq, odd_seq) > (
    SELECT last_value FROM messages_seq_seq)
LIMIT :limit

-- move_message_newest --
SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM messages_seq_seq

-- model_head --
-- Whoever asks for the head will learn: others wait here until that is committed.
SELECT version, state FROM models WHERE swarm = :swarm AND part = '' FOR UPDATE

-- record_pick --
-- Some pages by chance, and of what they hold a part: neighbours were often written together.
SELECT key, expires_ms, history_id, length(value), substr(value, 1, 3), length(key)
FROM records TABLESAMPLE SYSTEM (least(100, 100 * :share::float8))
WHERE swarm = :swarm AND value IS NOT NULL
ORDER BY random()
LIMIT :limit

-- record_frames --
SELECT key, value FROM records
WHERE swarm = :swarm AND key IN (SELECT jsonb_array_elements_text(:keys::jsonb))
    AND value IS NOT NULL

-- history_below --
WITH RECURSIVE chain (key, prev_id, depth, bytes) AS (
    SELECT records.key, history.prev_id, 1::bigint, coalesce(length(history.value), 0)
    FROM records JOIN history ON history.swarm = :swarm AND history.id = records.history_id
        AND history.key = records.key
    WHERE records.swarm = :swarm
        AND records.key IN (SELECT jsonb_array_elements_text(:keys::jsonb))
    UNION ALL
    SELECT chain.key, history.prev_id, chain.depth + 1, coalesce(length(history.value), 0)
    FROM chain JOIN history ON history.swarm = :swarm AND history.id = chain.prev_id
        AND history.key = chain.key
)
SELECT key, depth, bytes FROM chain WHERE depth >= :depth
