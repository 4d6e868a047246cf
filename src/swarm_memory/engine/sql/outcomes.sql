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

-- outcome_add --
-- Record an outcome; the same id twice is the same outcome.
INSERT INTO outcomes (swarm, outcome_id, task_type, strategy, success, duration_s, cost, agents,
    context, choice_id, propensity, author, session, at_ms)
VALUES (:swarm, :outcome_id, :task_type, :strategy, :success, :duration_s, :cost, :agents,
    :context, :choice_id, :propensity, :author, :session, :at_ms)
ON CONFLICT (swarm, outcome_id) DO NOTHING

-- outcome_list --
-- Outcomes, newest first.
SELECT outcome_id, task_type, agents, success, duration_s, strategy, cost, choice_id, propensity,
    context, author, at_ms
FROM outcomes
WHERE swarm = :swarm AND (:task_type = '' OR task_type = :task_type)
ORDER BY at_ms DESC, outcome_id DESC
LIMIT :limit

-- outcome_count --
-- How many outcomes there are.
SELECT count(*) FROM outcomes WHERE swarm = :swarm

-- arm_add --
-- Count an outcome, in its own transaction.
INSERT INTO arms (swarm, task_type, strategy, trials, successes, duration_s, cost, last_ms)
VALUES (:swarm, :task_type, :strategy, 1, :success, :duration_s, :cost, :at_ms)
ON CONFLICT (swarm, task_type, strategy) DO UPDATE SET trials = arms.trials + 1,
    successes = arms.successes + excluded.successes,
    duration_s = arms.duration_s + excluded.duration_s, cost = arms.cost + excluded.cost,
    last_ms = excluded.last_ms

-- arm_list --
-- The counts of every strategy.
SELECT task_type, strategy, trials, successes, duration_s, cost FROM arms
WHERE swarm = :swarm AND (:task_type = '' OR task_type = :task_type)
ORDER BY task_type, strategy
