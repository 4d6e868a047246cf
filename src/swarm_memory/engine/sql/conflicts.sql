-- conflict_add --
-- Record a conflict in the transaction that resolves or parks it.
INSERT INTO conflicts (swarm, conflict_id, key, base_version, their_version, strategy, outcome,
    base, theirs, mine, result, author, at_ms)
VALUES (:swarm, :conflict_id, :key, :base_version, :their_version, :strategy, :outcome,
    :base, :theirs, :mine, :result, :author, :at_ms)

-- conflict_list --
-- Conflicts, newest first.
SELECT conflict_id, key, base_version, their_version, strategy, outcome, base, theirs, mine,
    result, author, at_ms
FROM conflicts
WHERE swarm = :swarm AND (:outcome = '' OR outcome = :outcome)
ORDER BY at_ms DESC, conflict_id DESC
LIMIT :limit

-- conflict_get --
-- One conflict.
SELECT conflict_id, key, base_version, their_version, strategy, outcome, base, theirs, mine,
    result, author, at_ms
FROM conflicts
WHERE swarm = :swarm AND conflict_id = :conflict_id

-- conflict_resolve --
-- Close a parked conflict once; of two who decide at the same time one wins.
UPDATE conflicts SET outcome = 'resolved', result = :result
WHERE swarm = :swarm AND conflict_id = :conflict_id AND outcome = 'parked'
