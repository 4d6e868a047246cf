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
-- The next outcomes in the order of learning; the counts are made again from them. Behind the
-- columns stands what each said at first, if its label was revised and the log still tells how it
-- became what it is.
SELECT o.seq, o.outcome_id, o.task_type, o.task, o.strategy, o.status, o.reward, o.label_source,
    o.duration_s, o.cost, o.agents, o.context, o.signals, o.error_class, o.failed_agent,
    o.failed_step, o.choice_id, o.propensity, o.author, o.session, o.at_ms,
    f.was_status, f.was_reward, f.was_source, f.was_error_class
FROM outcomes AS o
LEFT JOIN relabels AS l ON l.swarm = o.swarm AND l.outcome_id = o.outcome_id
    AND l.status = o.status AND l.reward = o.reward AND l.label_source = o.label_source
    AND l.seq = (SELECT max(seq) FROM relabels
        WHERE swarm = o.swarm AND outcome_id = o.outcome_id)
LEFT JOIN relabels AS f ON f.swarm = l.swarm AND f.outcome_id = l.outcome_id
    AND f.seq = (SELECT min(seq) FROM relabels
        WHERE swarm = o.swarm AND outcome_id = o.outcome_id)
WHERE o.swarm = :swarm AND o.seq > :after
ORDER BY o.seq
LIMIT :limit

-- export_relabels --
-- The next revisions of labels in the order of learning, in which outcomes count too.
SELECT seq, outcome_id, status, reward, label_source, error_class, was_status, was_reward,
    was_source, was_error_class, author, at_ms
FROM relabels
WHERE swarm = :swarm AND seq > :after
ORDER BY seq
LIMIT :limit

-- relabel_known --
-- Whether a revision is here already, as a copy of the same one.
SELECT 1 FROM relabels
WHERE swarm = :swarm AND outcome_id = :outcome_id AND at_ms = :at_ms AND author = :author
    AND status = :status AND label_source = :label_source AND was_status = :was_status

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
