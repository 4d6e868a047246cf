-- search_state --
-- How far the index of a swarm has come, the epoch and the events of the store that it has to fit,
-- and what is indexed of all swarms: how rare a word is, is known of all of them together.
SELECT number, analyser, epoch, seq, scanned,
    (SELECT coalesce(max(value), 0) FROM facts WHERE swarm = '' AND name = 'epoch'),
    coalesce((SELECT min(seq) FROM events), 0), coalesce((SELECT max(seq) FROM events), 0),
    (SELECT sum(docs) FROM search_swarms), (SELECT sum(words) FROM search_swarms)
FROM search_swarms WHERE swarm = :swarm

-- search_begin --
-- Begin to make the index of a swarm, or to make it anew over what there is. The event is the
-- newest one: what happens from now on is followed after the scan.
INSERT INTO search_swarms (swarm, number, analyser, epoch, seq, scanned, docs, words)
SELECT :swarm, coalesce(max(number), 0) + 1, :analyser,
    (SELECT coalesce(max(value), 0) FROM facts WHERE swarm = '' AND name = 'epoch'),
    (SELECT coalesce(max(seq), 0) FROM events), '', 0, 0
FROM search_swarms WHERE true
ON CONFLICT (swarm) DO UPDATE SET analyser = excluded.analyser, epoch = excluded.epoch,
    seq = excluded.seq, scanned = ''

-- search_move --
-- Move the cursors with what was indexed, in one transaction.
UPDATE search_swarms
SET seq = :seq, scanned = :scanned, docs = docs + :docs, words = words + :words
WHERE swarm = :swarm

-- search_scan --
-- The next records in key order, while the index is made; never telemetry.
SELECT key, version, author, session, created_ms, updated_ms, expires_ms, provenance, value
FROM records
WHERE swarm = :swarm AND key > :after AND value IS NOT NULL AND telemetry = 0
ORDER BY key
LIMIT :limit

-- search_changes --
-- The next events that an index has to follow.
SELECT seq, key FROM events
WHERE seq > :after AND swarm = :swarm AND telemetry = 0
ORDER BY seq
LIMIT :limit

-- search_record --
-- A record that has changed, as it is now.
SELECT key, version, author, session, created_ms, updated_ms, expires_ms, provenance, value
FROM records
WHERE swarm = :swarm AND key = :key AND value IS NOT NULL AND telemetry = 0

-- search_known --
-- The indexed keys of a range, to find those whose records are gone.
SELECT key FROM search_docs WHERE number = :number AND key > :after AND key <= :upto

-- search_docs_of --
-- The entries of several keys.
SELECT key, id, words FROM search_docs
WHERE number = :number AND key IN (SELECT value FROM json_each(:keys))

-- search_next --
-- The id for a new entry of a swarm.
SELECT coalesce(max(id), :first) + 1 FROM search_docs WHERE id BETWEEN :first AND :last

-- search_put --
-- Enter a record, or its next version.
INSERT INTO search_docs (id, number, key, version, words)
VALUES (:id, :number, :key, :version, :words)
ON CONFLICT (id) DO UPDATE SET version = excluded.version, words = excluded.words

-- search_put_terms --
-- Replace the terms of an entry.
INSERT OR REPLACE INTO search_index (rowid, terms) VALUES (:id, :terms)

-- search_drop --
-- Remove an entry; its terms go with it.
DELETE FROM search_docs WHERE id = :id

-- search_drop_terms --
-- Remove the terms of an entry.
DELETE FROM search_index WHERE rowid = :id

-- search_wipe_terms --
-- Forget every term of every swarm, also of an index that is damaged.
INSERT INTO search_index (search_index) VALUES ('delete-all')

-- search_wipe_docs --
-- Forget every entry.
DELETE FROM search_docs

-- search_wipe_swarms --
-- Forget how far the indexes have come: each is made anew by who searches next.
DELETE FROM search_swarms

-- search_frequencies --
-- In how many entries terms occur.
SELECT term, doc FROM search_terms WHERE term IN (SELECT value FROM json_each(:terms))

-- search_match --
-- The best live records for a query by BM25, as they are now. In this order of the joins the
-- engine ranks first and looks up records only until there are enough.
SELECT r.key, r.version, r.author, r.session, r.created_ms, r.updated_ms, r.expires_ms,
    r.provenance, r.value
FROM search_index CROSS JOIN search_docs AS d CROSS JOIN records AS r
WHERE search_index MATCH :query AND search_index.rowid BETWEEN :first AND :last
    AND d.id = search_index.rowid
    AND ((d.key >= :low AND d.key < :high) OR d.key = :exact)
    AND r.swarm = :swarm AND r.key = d.key AND r.value IS NOT NULL AND r.telemetry = 0
    AND (r.expires_ms IS NULL OR r.expires_ms > :now_ms)
    AND (:author IS NULL OR r.author = :author) AND r.updated_ms >= :since_ms
ORDER BY search_index.rank
LIMIT :limit

-- search_around --
-- What stands before and behind keys in their folders: one, and two places away.
WITH wanted (key, folder) AS (SELECT key, value FROM json_each(:folders)),
near (key, folder, before, after) AS (
    SELECT key, folder,
        (SELECT max(d.key) FROM search_docs AS d
            WHERE number = :number AND d.key > folder AND d.key < w.key),
        (SELECT min(d.key) FROM search_docs AS d
            WHERE number = :number AND d.key > w.key AND d.key < folder || '{')
    FROM wanted AS w
)
SELECT key, before, after,
    (SELECT max(d.key) FROM search_docs AS d
        WHERE number = :number AND d.key > folder AND d.key < before),
    (SELECT min(d.key) FROM search_docs AS d
        WHERE number = :number AND d.key > after AND d.key < folder || '{')
FROM near

-- search_live --
-- One live record that stands beside a match.
SELECT r.key, r.version, r.author, r.session, r.created_ms, r.updated_ms, r.expires_ms,
    r.provenance, r.value
FROM records AS r
WHERE r.swarm = :swarm AND r.key = :key AND r.value IS NOT NULL AND r.telemetry = 0
    AND ((r.key >= :low AND r.key < :high) OR r.key = :exact)
    AND (r.expires_ms IS NULL OR r.expires_ms > :now_ms)
    AND (:author IS NULL OR r.author = :author) AND r.updated_ms >= :since_ms

-- alike_ahead --
-- The live records of the newest events, as they are now, whether or not they are indexed yet. An
-- event that a later one of its key has overtaken is none of the newest.
SELECT r.key, r.version, r.author, r.session, r.created_ms, r.updated_ms, r.expires_ms,
    r.provenance, r.value
FROM events AS e CROSS JOIN records AS r
WHERE e.seq > :after AND e.swarm = :swarm AND e.telemetry = 0
    AND r.swarm = e.swarm AND r.key = e.key AND r.version = e.version
    AND r.value IS NOT NULL AND r.telemetry = 0
    AND (r.expires_ms IS NULL OR r.expires_ms > :now_ms)
ORDER BY e.seq DESC
LIMIT :limit

-- alike_sharing --
-- The entries that match most of some queries, of the newest that match each. Unranked, so that it
-- costs what is returned and not what matches.
SELECT i.value, count(*) AS shared
FROM json_each(:queries) AS q CROSS JOIN json_each((
    SELECT json_group_array(id) FROM (
        SELECT rowid AS id FROM search_index
        WHERE search_index MATCH q.value AND rowid BETWEEN :first AND :last
        ORDER BY rowid DESC LIMIT :each
    )
)) AS i
GROUP BY i.value
ORDER BY shared DESC, i.value DESC
LIMIT :limit

-- alike_records --
-- The live records of some entries, as they are now.
SELECT r.key, r.version, r.author, r.session, r.created_ms, r.updated_ms, r.expires_ms,
    r.provenance, r.value
FROM search_docs AS d CROSS JOIN records AS r
WHERE d.id IN (SELECT value FROM json_each(:ids))
    AND r.swarm = :swarm AND r.key = d.key AND r.value IS NOT NULL AND r.telemetry = 0
    AND (r.expires_ms IS NULL OR r.expires_ms > :now_ms)
