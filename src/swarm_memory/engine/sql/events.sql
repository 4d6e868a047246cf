-- event_append --
-- One line of the change log, in the transaction of the change itself.
INSERT INTO events (swarm, key, version, op, author, at_ms, scope, category, telemetry, records,
    bytes)
VALUES (:swarm, :key, :version, :op, :author, :at_ms, :scope, :category, :telemetry, :records,
    :bytes)
RETURNING seq

-- event_list --
-- The next events of a swarm in order.
SELECT seq, key, version, op, author, at_ms FROM events
WHERE seq > :after AND swarm = :swarm AND ((key >= :low AND key < :high) OR key = :exact)
ORDER BY seq
LIMIT :limit

-- event_span --
-- The oldest and the newest seq of the log; asked for together both ends would cost all of it.
SELECT coalesce((SELECT min(seq) FROM events), 0), coalesce((SELECT max(seq) FROM events), 0)

-- event_prune --
-- Drop old events, but never the newest: seq must keep rising. Nor one that counters still need.
DELETE FROM events
WHERE seq IN (SELECT seq FROM events WHERE at_ms <= :at_ms
        AND seq < (SELECT max(seq) FROM events)
        AND seq <= (SELECT coalesce(max(value), 0) FROM facts
            WHERE swarm = '' AND name = 'folded_seq')
    ORDER BY seq LIMIT :rows)

-- event_newest --
-- The newest event of one swarm.
SELECT seq, at_ms FROM events WHERE swarm = :swarm ORDER BY seq DESC LIMIT 1

-- event_first --
-- The first event of a swarm from a number on.
SELECT seq FROM events WHERE swarm = :swarm AND seq >= :after ORDER BY seq LIMIT 1

-- event_moved --
-- How the events of a swarm were numbered when it was moved here; mostly nothing.
SELECT name, value FROM facts WHERE swarm = :swarm AND name >= 'moved/' AND name < 'moved0'
