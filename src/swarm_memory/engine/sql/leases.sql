-- lease_name --
-- Make the first seat of a name, free, if there is none yet.
INSERT INTO seats (swarm, name, ticket, state, holder, mode, token, owner, since_ms, expires_ms,
    drawn)
VALUES (:swarm, :name, 0, 'free', '', '', 0, '', 0, 0, 0)
ON CONFLICT (swarm, name, ticket) DO NOTHING

-- lease_take --
-- Hold the first seat if nobody is at the name, and draw the token in the same statement. The
-- floor is raised by a restore, so that old tokens stay below new ones.
UPDATE seats SET state = 'held', holder = :holder, mode = :mode, owner = :owner,
    session = :session, party = :party, reason = :reason, pattern = :pattern, since_ms = :now_ms,
    expires_ms = :expires_ms,
    token = 1 + max(token, drawn, coalesce((SELECT value FROM facts
        WHERE swarm = :swarm AND name = 'lease_token_floor'), 0))
WHERE swarm = :swarm AND name = :name AND ticket = 0 AND state = 'free' AND NOT EXISTS (
    SELECT 1 FROM seats AS others
    WHERE others.swarm = :swarm AND others.name = :name AND others.ticket <> 0)
RETURNING token

-- lease_seats --
-- Everybody at one lease in the order of their tickets, those that have lapsed among them.
SELECT holder, state, mode, ticket, token, owner, party, upgrades, expires_ms, reason, pattern
FROM seats
WHERE swarm = :swarm AND name = :name AND state <> 'free'
ORDER BY ticket

-- lease_lapse --
-- Drop holders whose time is over, grants nobody claimed and waiters that have gone.
DELETE FROM seats
WHERE swarm = :swarm AND name = :name AND ticket <> 0 AND expires_ms <= :now_ms

-- lease_lapse_first --
-- The same for the first seat, which stays.
UPDATE seats SET state = 'free'
WHERE swarm = :swarm AND name = :name AND ticket = 0 AND expires_ms <= :now_ms

-- lease_draw --
-- Draw the next token of a name for somebody behind the first seat.
UPDATE seats SET drawn = 1 + max(token, drawn, coalesce((SELECT value FROM facts
    WHERE swarm = :swarm AND name = 'lease_token_floor'), 0))
WHERE swarm = :swarm AND name = :name AND ticket = 0
RETURNING drawn

-- lease_token --
-- One row exactly if the token is held and has not expired: what a guarded write must see. All
-- leases on paths are seats at one name, and each guards by its own.
SELECT token FROM seats
WHERE swarm = :swarm AND name = CASE substr(:name, 1, 5) WHEN 'file:' THEN 'file:' ELSE :name END
    AND coalesce('file:' || pattern, name) = :name AND token = :token AND state = 'held'
    AND expires_ms > :now_ms

-- lease_sit --
-- Take a seat behind the first: to hold at once or to wait in line.
INSERT INTO seats (swarm, name, holder, ticket, state, mode, token, owner, session, party,
    upgrades, reason, pattern, since_ms, expires_ms)
VALUES (:swarm, :name, :holder, :ticket, :state, :mode, :token, :owner, :session, :party,
    :upgrades, :reason, :pattern, :now_ms, :expires_ms)

-- lease_narrow --
-- Leave a holder the first of the paths that it was granted together; the others get own seats.
UPDATE seats SET pattern = :pattern
WHERE swarm = :swarm AND name = :name AND holder = :holder AND state = 'held'
    AND expires_ms > :now_ms

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

-- lease_leave_alone --
-- Free the first seat if nobody else is there to be let in. It comes out the same a second time.
UPDATE seats SET state = 'free'
WHERE swarm = :swarm AND name = :name AND ticket = 0 AND holder = :holder
    AND state IN ('held', 'free') AND expires_ms > :now_ms AND NOT EXISTS (
    SELECT 1 FROM seats AS others
    WHERE others.swarm = :swarm AND others.name = :name AND others.ticket <> 0)
RETURNING 1

-- lease_leave_first --
-- Free the first seat, and tell whether anybody else is there to be let in. It forgets whose it was:
-- who comes with it again, as with a read lease that was upgraded, has lost it.
UPDATE seats SET state = 'free', holder = ''
WHERE swarm = :swarm AND name = :name AND ticket = 0 AND holder = :holder AND state = 'held'
RETURNING expires_ms, EXISTS (
    SELECT 1 FROM seats AS others
    WHERE others.swarm = :swarm AND others.name = :name AND others.ticket <> 0)

-- lease_leave --
-- Give a seat behind the first up, whatever its state.
DELETE FROM seats
WHERE swarm = :swarm AND name = :name AND ticket <> 0 AND holder = :holder
RETURNING expires_ms, 1

-- lease_look --
-- What a waiter must know: its own state, how many live waiters stand before it, and when the
-- next seat before it lapses. The first live waiter has to see to those that lapsed.
SELECT (SELECT state FROM seats WHERE swarm = :swarm AND name = :name AND holder = :holder),
    coalesce(sum(CASE WHEN state = 'waiting' AND expires_ms > :now_ms THEN 1 ELSE 0 END), 0),
    min(expires_ms)
FROM seats
WHERE swarm = :swarm AND name = :name AND holder <> :holder AND state <> 'free'
    AND (state <> 'waiting' OR ticket < (
        SELECT ticket FROM seats WHERE swarm = :swarm AND name = :name AND holder = :holder))

-- lease_elsewhere --
-- Whether a party has any other seat: if not, nobody can be waiting for it.
SELECT 1 FROM seats
WHERE swarm = :swarm AND party = :party AND holder <> :holder AND expires_ms > :now_ms
    AND state <> 'free'
LIMIT 1

-- lease_waits --
-- All seats at the leases that somebody waits for, for the wait-for graph.
SELECT name, holder, state, mode, ticket, token, owner, party, upgrades, expires_ms, reason,
    pattern
FROM seats
WHERE swarm = :swarm AND expires_ms > :now_ms AND state <> 'free'
    AND name IN (SELECT name FROM seats WHERE swarm = :swarm AND state = 'waiting')
ORDER BY name, ticket

-- lease_list --
-- Who holds and who waits, by name and place in line.
SELECT name, state, mode, owner, session, holder, token, reason, since_ms, expires_ms, pattern
FROM seats
WHERE swarm = :swarm AND (:name = '' OR name = :name) AND expires_ms > :now_ms
    AND state <> 'free'
ORDER BY name, ticket
LIMIT :limit

-- lease_session_lines --
-- The leases at which a session has a seat.
SELECT DISTINCT name FROM seats
WHERE swarm = :swarm AND session = :session AND state <> 'free'
ORDER BY name

-- lease_session_end --
-- End all that a session holds or waits for; settling each of the names then drops it.
UPDATE seats SET expires_ms = 0
WHERE swarm = :swarm AND session = :session AND state <> 'free'

-- lease_prune_span --
-- The highest token of the names to be forgotten, for the floor.
SELECT max(max(token, drawn)) FROM seats AS first
WHERE swarm = :swarm AND state = 'free' AND expires_ms <= :now_ms AND NOT EXISTS (
    SELECT 1 FROM seats AS others
    WHERE others.swarm = :swarm AND others.name = first.name AND others.ticket <> 0)

-- lease_prune --
-- Forget names at which nobody is; the floor, raised before, keeps their tokens from coming again.
DELETE FROM seats AS first
WHERE swarm = :swarm AND state = 'free' AND expires_ms <= :now_ms AND NOT EXISTS (
    SELECT 1 FROM seats AS others
    WHERE others.swarm = :swarm AND others.name = first.name AND others.ticket <> 0)

-- lease_free_all --
-- Free the first seats of all swarms, which keep the tokens.
UPDATE seats SET state = 'free' WHERE ticket = 0

-- lease_drop_all --
-- Drop all other seats.
DELETE FROM seats WHERE ticket <> 0
