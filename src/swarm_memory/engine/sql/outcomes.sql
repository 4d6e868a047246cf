-- choice_add --
-- Log a choice with its propensity at the moment of choosing.
INSERT INTO choices (swarm, choice_id, task_type, strategy, propensity, candidates, context,
    author, at_ms)
VALUES (:swarm, :choice_id, :task_type, :strategy, :propensity, :candidates, :context,
    :author, :at_ms)

-- choice_get --
-- One choice.
SELECT task_type, strategy, propensity FROM choices
WHERE swarm = :swarm AND choice_id = :choice_id

-- choice_waiting --
-- Choices that no outcome tells of, the oldest first.
SELECT choice_id, task_type, strategy, propensity, context, author, at_ms FROM choices AS c
WHERE swarm = :swarm AND at_ms < :before_ms AND NOT EXISTS (
    SELECT 1 FROM outcomes AS o WHERE o.swarm = c.swarm AND o.choice_id = c.choice_id)
ORDER BY choice_id
LIMIT :limit

-- choice_tried --
-- How many of the last choices were left to chance, for the budget of trying.
SELECT count(*), coalesce(sum(CASE WHEN propensity < 1 THEN 1 ELSE 0 END), 0) FROM (
    SELECT propensity FROM choices WHERE swarm = :swarm ORDER BY choice_id DESC LIMIT :limit) AS c

-- outcome_add --
-- Record an outcome; the same id twice is the same outcome.
INSERT INTO outcomes (swarm, outcome_id, seq, task_type, task, strategy, status, reward, label_source, duration_s,
    cost, agents, context, signals, error_class, failed_agent, failed_step, choice_id,
    propensity, author, session, at_ms)
VALUES (:swarm, :outcome_id, :seq, :task_type, :task, :strategy, :status, :reward, :label_source,
    :duration_s, :cost, :agents, :context, :signals, :error_class, :failed_agent, :failed_step,
    :choice_id, :propensity, :author, :session, :at_ms)
ON CONFLICT (swarm, outcome_id) DO NOTHING

-- outcome_get --
-- One outcome.
SELECT outcome_id, seq, task_type, task, strategy, status, reward, label_source, duration_s, cost,
    agents, context, signals, error_class, failed_agent, failed_step, choice_id, propensity,
    author, session, at_ms
FROM outcomes
WHERE swarm = :swarm AND outcome_id = :outcome_id

-- outcome_list --
-- Outcomes, newest first.
SELECT outcome_id, seq, task_type, task, strategy, status, reward, label_source, duration_s, cost,
    agents, context, signals, error_class, failed_agent, failed_step, choice_id, propensity,
    author, session, at_ms
FROM outcomes
WHERE swarm = :swarm AND (:task_type = '' OR task_type = :task_type)
ORDER BY at_ms DESC, outcome_id DESC
LIMIT :limit

-- outcome_log --
-- The last outcomes, newest first, each with the choice that led to it.
SELECT o.outcome_id, o.seq, o.task_type, o.task, o.strategy, o.status, o.reward, o.label_source,
    o.duration_s, o.cost, o.agents, o.context, o.signals, o.error_class, o.failed_agent,
    o.failed_step, o.propensity, o.at_ms, c.candidates, c.strategy
FROM outcomes AS o LEFT JOIN choices AS c ON c.swarm = o.swarm AND c.choice_id = o.choice_id
WHERE o.swarm = :swarm AND o.seq < :before
ORDER BY o.seq DESC
LIMIT :limit

-- outcome_learn --
-- The next outcomes in the order of learning.
SELECT seq, outcome_id, task_type, strategy, reward, duration_s, cost, context FROM outcomes
WHERE swarm = :swarm AND seq > :after
ORDER BY seq
LIMIT :limit

-- outcome_relabel --
-- What an outcome says from now on.
UPDATE outcomes SET status = :status, reward = :reward, label_source = :label_source,
    error_class = :error_class
WHERE swarm = :swarm AND outcome_id = :outcome_id

-- relabel_add --
-- Log that a label was revised.
INSERT INTO relabels (swarm, seq, outcome_id, status, reward, label_source, error_class, was_status, was_reward,
    was_source, was_error_class, author, at_ms)
VALUES (:swarm, :seq, :outcome_id, :status, :reward, :label_source, :error_class, :was_status,
    :was_reward, :was_source, :was_error_class, :author, :at_ms)

-- relabel_learn --
-- The next revisions in the order of learning, each with its outcome.
SELECT r.seq, r.outcome_id, o.task_type, o.strategy, r.was_reward, r.reward, o.duration_s, o.cost,
    o.context
FROM relabels AS r JOIN outcomes AS o ON o.swarm = r.swarm AND o.outcome_id = r.outcome_id
WHERE r.swarm = :swarm AND r.seq > :after AND r.seq <= :last
ORDER BY r.seq
LIMIT :limit

-- relabel_first --
-- What outcomes that were revised had said at first, the earliest revision of each first.
SELECT r.outcome_id, r.was_reward
FROM outcomes AS o JOIN relabels AS r ON r.swarm = o.swarm AND r.outcome_id = o.outcome_id
WHERE o.swarm = :swarm AND o.seq > :after AND o.seq <= :last
ORDER BY r.seq

-- outcome_count --
-- How many outcomes there are.
SELECT count(*) FROM outcomes WHERE swarm = :swarm

-- arm_add --
-- Count an outcome, or what a revision changes, in its own transaction.
INSERT INTO arms (swarm, task_type, strategy, trials, unlabelled, successes, duration_s, cost,
    last_ms)
VALUES (:swarm, :task_type, :strategy, :trials, :unlabelled, :reward, :duration_s, :cost, :at_ms)
ON CONFLICT (swarm, task_type, strategy) DO UPDATE SET trials = arms.trials + excluded.trials,
    unlabelled = arms.unlabelled + excluded.unlabelled,
    successes = arms.successes + excluded.successes,
    duration_s = arms.duration_s + excluded.duration_s, cost = arms.cost + excluded.cost,
    last_ms = excluded.last_ms

-- arm_list --
-- The counts of every strategy.
SELECT task_type, strategy, trials, successes, duration_s, cost, unlabelled FROM arms
WHERE swarm = :swarm AND (:task_type = '' OR task_type = :task_type)
ORDER BY task_type, strategy

-- arm_elsewhere --
-- What other swarms of this store have seen, the largest counts first: what a new swarm begins with.
SELECT task_type, strategy, sum(trials), sum(successes) FROM arms
WHERE swarm <> :swarm AND strategy <> '' AND trials > 0
GROUP BY task_type, strategy
ORDER BY sum(trials) DESC, task_type, strategy
LIMIT :limit

-- model_open --
-- The head of a model that nobody has written yet.
INSERT INTO models (swarm, part, version, state) VALUES (:swarm, '', :version, :state)
ON CONFLICT (swarm, part) DO NOTHING

-- model_head --
-- What was learned last.
SELECT version, state FROM models WHERE swarm = :swarm AND part = ''

-- model_parts --
-- The parts that changed since.
SELECT part, version, state FROM models
WHERE swarm = :swarm AND version > :known AND part NOT IN ('', 'priors', 'insights')
ORDER BY part

-- model_priors --
-- What the swarm began with.
SELECT state FROM models WHERE swarm = :swarm AND part = 'priors'

-- model_insights --
-- What the outcomes said when somebody last asked, and up to which line.
SELECT version, state FROM models WHERE swarm = :swarm AND part = 'insights'

-- insights_put --
-- Keep what the outcomes say, unless somebody knows more by now.
INSERT INTO models (swarm, part, version, state) VALUES (:swarm, 'insights', :version, :state)
ON CONFLICT (swarm, part) DO UPDATE SET version = excluded.version, state = excluded.state
WHERE models.version < excluded.version

-- model_put --
-- Write a part.
INSERT INTO models (swarm, part, version, state) VALUES (:swarm, :part, :version, :state)
ON CONFLICT (swarm, part) DO UPDATE SET version = excluded.version, state = excluded.state

-- model_clear --
-- Forget what was learned; the log remains, and what the swarm began with.
DELETE FROM models WHERE swarm = :swarm AND part <> 'priors'

-- learn_newest --
-- The highest number in the order of learning.
SELECT max(seq) FROM (
    SELECT coalesce(max(seq), 0) AS seq FROM outcomes WHERE swarm = :swarm
    UNION ALL
    SELECT coalesce(max(seq), 0) FROM relabels WHERE swarm = :swarm) AS log
