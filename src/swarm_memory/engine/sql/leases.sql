-- lease_seats --
-- Everybody at one lease in the order of their tickets, those that have lapsed among them.
SELECT holder, state, mode, ticket, token, owner, upgrades, expires_ms
FROM seats
WHERE swarm = :swarm AND name = :name
ORDER BY ticket

-- lease_lapse --
-- Drop holders whose time is over, grants nobody claimed and waiters that have gone.
DELETE FROM seats
WHERE swarm = :swarm AND name = :name AND expires_ms <= :now_ms

-- lease_token_next --
-- Draw the next token. The floor is raised by a restore, so that old tokens stay below new ones.
INSERT INTO lease_tokens (swarm, name, token)
VALUES (:swarm, :name, 1 + coalesce(
    (SELECT value FROM facts WHERE swarm = :swarm AND name = 'lease_token_floor'), 0))
ON CONFLICT (swarm, name) DO UPDATE SET token = CASE
    WHEN excluded.token > lease_tokens.token THEN excluded.token
    ELSE lease_tokens.token + 1 END
RETURNING token

-- lease_token --
-- One row exactly if the token is held and has not expired: what a guarded write must see.
SELECT token FROM seats
WHERE swarm = :swarm AND name = :name AND token = :token AND state = 'held'
    AND expires_ms > :now_ms

-- lease_sit --
-- Take a seat: to hold at once or to wait in line.
INSERT INTO seats (swarm, name, holder, ticket, state, mode, token, owner, session, upgrades,
    reason, since_ms, expires_ms)
VALUES (:swarm, :name, :holder, :ticket, :state, :mode, :token, :owner, :session, :upgrades,
    :reason, :now_ms, :expires_ms)

-- lease_grant --
-- It is a waiter's turn: nobody overtakes it until it claims or its grace is over.
UPDATE seats SET state = 'granted', token = :token, expires_ms = :expires_ms
WHERE swarm = :swarm AND name = :name AND holder = :holder AND state = 'waiting'

-- lease_claim --
-- The waiter is there and takes what it was granted.
UPDATE seats SET state = 'held', upgrades = NULL, since_ms = :now_ms,
    expires_ms = :expires_ms
WHERE swarm = :swarm AND name = :name AND holder = :holder AND state = 'granted'

-- lease_stay --
-- A waiter that is alive keeps its place.
UPDATE seats SET expires_ms = :expires_ms
WHERE swarm = :swarm AND name = :name AND holder = :holder AND state = 'waiting'

-- lease_renew --
-- Move the end of a hold that has not ended; one that has lapsed stays lapsed.
UPDATE seats SET expires_ms = :expires_ms
WHERE swarm = :swarm AND name = :name AND holder = :holder AND token = :token
    AND state = 'held' AND expires_ms > :now_ms

-- lease_leave --
-- Give a seat up, whatever its state.
DELETE FROM seats
WHERE swarm = :swarm AND name = :name AND holder = :holder
RETURNING expires_ms

-- lease_look --
-- What a waiter must know: its own state, how many live waiters stand before it, and when the
-- next seat before it lapses. The first live waiter has to see to those that lapsed.
SELECT (SELECT state FROM seats WHERE swarm = :swarm AND name = :name AND holder = :holder),
    coalesce(sum(CASE WHEN state = 'waiting' AND expires_ms > :now_ms THEN 1 ELSE 0 END), 0),
    min(expires_ms)
FROM seats
WHERE swarm = :swarm AND name = :name AND holder <> :holder
    AND (state <> 'waiting' OR ticket < (
        SELECT ticket FROM seats WHERE swarm = :swarm AND name = :name AND holder = :holder))

-- lease_elsewhere --
-- Whether an owner has any other seat: if not, nobody can be waiting for it.
SELECT 1 FROM seats
WHERE swarm = :swarm AND owner = :owner AND holder <> :holder AND expires_ms > :now_ms
LIMIT 1

-- lease_waits --
-- All seats at the leases that somebody waits for, for the wait-for graph.
SELECT name, holder, state, mode, ticket, token, owner, upgrades, expires_ms
FROM seats
WHERE swarm = :swarm AND expires_ms > :now_ms
    AND name IN (SELECT name FROM seats WHERE swarm = :swarm AND state = 'waiting')
ORDER BY name, ticket

-- lease_list --
-- Who holds and who waits, by name and place in line.
SELECT name, state, mode, owner, session, holder, token, reason, since_ms, expires_ms
FROM seats
WHERE swarm = :swarm AND (:name = '' OR name = :name) AND expires_ms > :now_ms
ORDER BY name, ticket
LIMIT :limit

-- lease_session_names --
-- The leases at which a session has a seat.
SELECT DISTINCT name FROM seats
WHERE swarm = :swarm AND session = :session
ORDER BY name

-- lease_session_end --
-- Free all that a session holds or waits for.
DELETE FROM seats WHERE swarm = :swarm AND session = :session
