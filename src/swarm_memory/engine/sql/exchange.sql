-- export_swarms --
-- Every swarm that wrote something.
SELECT DISTINCT swarm FROM records UNION SELECT swarm FROM arms UNION SELECT swarm FROM choices
UNION SELECT swarm FROM conflicts
ORDER BY swarm

-- export_records --
-- The next rows in key order, tombstones among them: a copy must not reuse their versions.
SELECT key, version, author, session, created_ms, updated_ms, expires_ms, provenance, value,
    history_id
FROM records
WHERE swarm = :swarm AND key > :after
ORDER BY key
LIMIT :limit

-- export_choices --
-- The next choices in order of their ids.
SELECT choice_id, task_type, strategy, propensity, candidates, context, author, at_ms
FROM choices
WHERE swarm = :swarm AND choice_id > :after
ORDER BY choice_id
LIMIT :limit

-- export_outcomes --
-- The next outcomes in order of their ids; the counts are made again from them.
SELECT outcome_id, task_type, task, strategy, status, reward, label_source, duration_s, cost,
    agents, context, signals, error_class, failed_agent, failed_step, choice_id, propensity,
    author, session, at_ms
FROM outcomes
WHERE swarm = :swarm AND outcome_id > :after
ORDER BY outcome_id
LIMIT :limit

-- export_conflicts --
-- The next conflicts in order of their ids.
SELECT conflict_id, key, base_version, their_version, strategy, outcome, base, theirs, mine,
    result, author, at_ms
FROM conflicts
WHERE swarm = :swarm AND conflict_id > :after
ORDER BY conflict_id
LIMIT :limit

-- history_load --
-- Put one older version of a copied record in front of those that it is older than.
INSERT INTO history (prev_id, swarm, key, version, author, session, provenance, created_ms,
    updated_ms, expires_ms, value)
VALUES (:prev_id, :swarm, :key, :version, :author, :session, :provenance, :created_ms,
    :updated_ms, :expires_ms, :value)
RETURNING id

-- choice_load --
-- Copy a choice once.
INSERT INTO choices (swarm, choice_id, task_type, strategy, propensity, candidates, context,
    author, at_ms)
VALUES (:swarm, :choice_id, :task_type, :strategy, :propensity, :candidates, :context,
    :author, :at_ms)
ON CONFLICT (swarm, choice_id) DO NOTHING

-- conflict_load --
-- Copy a conflict once; one that was settled here since stays settled.
INSERT INTO conflicts (swarm, conflict_id, key, base_version, their_version, strategy, outcome,
    base, theirs, mine, result, author, at_ms)
VALUES (:swarm, :conflict_id, :key, :base_version, :their_version, :strategy, :outcome,
    :base, :theirs, :mine, :result, :author, :at_ms)
ON CONFLICT (swarm, conflict_id) DO NOTHING
