-- tuned_list --
-- What the tuner has set in this store, and whether it is off.
SELECT name, value FROM facts WHERE swarm = :swarm AND name >= 'tuned/' AND name < 'tuned0'

-- tuned_clear --
-- Go back to what the configuration says.
DELETE FROM facts WHERE swarm = :swarm AND name = :name
