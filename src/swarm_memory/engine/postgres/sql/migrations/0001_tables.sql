-- All tables, as one step. Times are epoch milliseconds by the server's clock; keys have the order
-- of their bytes whatever the database's collation is. What each is for stands in SQLite's migrations.
-- The swarm leads the primary key of all that belongs to one; a table that says "by swarm" can be
-- divided by it. What is rewritten in place leaves room in its pages, so that no index changes.

-- The largest and the smallest of several values; NULL if one of them is. The statements of both
-- engines say it so.
CREATE FUNCTION max(bigint, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN $1 IS NOT NULL AND $2 IS NOT NULL THEN greatest($1, $2) END;

CREATE FUNCTION max(bigint, bigint, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN $1 IS NOT NULL AND $2 IS NOT NULL AND $3 IS NOT NULL
        THEN greatest($1, $2, $3) END;

CREATE FUNCTION min(bigint, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN $1 IS NOT NULL AND $2 IS NOT NULL THEN least($1, $2) END;

CREATE FUNCTION min(bigint, bigint, bigint) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE WHEN $1 IS NOT NULL AND $2 IS NOT NULL AND $3 IS NOT NULL
        THEN least($1, $2, $3) END;

-- 1 if a text is JSON, 0 if not, NULL for none.
CREATE FUNCTION json_valid(said text) RETURNS bigint LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
BEGIN
    RETURN CASE WHEN said::jsonb IS NULL THEN NULL ELSE 1 END;
EXCEPTION WHEN data_exception THEN
    RETURN 0;
END $$;

-- Waits until nobody else writes, and returns the time then. The commit of a transaction that has its
-- turn does not wait for the disk: the next one is let in at once.
CREATE FUNCTION turn(lock bigint) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM pg_advisory_xact_lock(lock);
    RETURN floor(extract(epoch FROM clock_timestamp()) * 1000);
END $$;

-- Ends a transaction that ran ahead of its turn and finds that what it has seen is not so any more.
CREATE FUNCTION still(so boolean) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF so THEN RETURN so; END IF;
    RAISE EXCEPTION 'somebody else was first' USING ERRCODE = 'SMC01';
END $$;

CREATE TABLE records (
    swarm text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    scope text COLLATE "C" NOT NULL,
    category text COLLATE "C" NOT NULL,
    telemetry bigint NOT NULL,
    author text COLLATE "C" NOT NULL,
    session text COLLATE "C",
    provenance text COLLATE "C",
    created_ms bigint NOT NULL,
    updated_ms bigint NOT NULL,
    expires_ms bigint,
    history_id bigint,
    value bytea,
    PRIMARY KEY (swarm, key)
) WITH (fillfactor = 80); -- by swarm

CREATE SEQUENCE history_id_seq;

CREATE TABLE history (
    swarm text COLLATE "C" NOT NULL,
    id bigint NOT NULL DEFAULT nextval('history_id_seq'),
    prev_id bigint,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    author text COLLATE "C" NOT NULL,
    session text COLLATE "C",
    provenance text COLLATE "C",
    created_ms bigint NOT NULL,
    updated_ms bigint NOT NULL,
    expires_ms bigint,
    value bytea,
    PRIMARY KEY (swarm, id)
); -- by swarm

ALTER SEQUENCE history_id_seq OWNED BY history.id;

CREATE INDEX history_by_id ON history (id);

CREATE SEQUENCE events_seq_seq;

CREATE TABLE events (
    swarm text COLLATE "C" NOT NULL,
    seq bigint NOT NULL DEFAULT nextval('events_seq_seq'),
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    op text COLLATE "C" NOT NULL,
    author text COLLATE "C" NOT NULL,
    at_ms bigint NOT NULL,
    scope text COLLATE "C" NOT NULL,
    category text COLLATE "C" NOT NULL,
    telemetry bigint NOT NULL,
    records bigint NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (swarm, seq)
); -- by swarm

ALTER SEQUENCE events_seq_seq OWNED BY events.seq;

CREATE INDEX events_by_seq ON events (seq);

CREATE TABLE usage (
    swarm text COLLATE "C" NOT NULL,
    scope text COLLATE "C" NOT NULL,
    category text COLLATE "C" NOT NULL,
    telemetry bigint NOT NULL,
    records bigint NOT NULL,
    bytes bigint NOT NULL,
    PRIMARY KEY (swarm, scope, category)
) WITH (fillfactor = 50);

CREATE TABLE ops (
    swarm text COLLATE "C" NOT NULL,
    agent text COLLATE "C" NOT NULL,
    op_id text COLLATE "C" NOT NULL,
    args_digest text COLLATE "C" NOT NULL,
    result text COLLATE "C" NOT NULL,
    at_ms bigint NOT NULL,
    PRIMARY KEY (swarm, agent, op_id)
); -- by swarm

CREATE TABLE dictionaries (
    swarm text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    created_ms bigint NOT NULL,
    bytes bytea NOT NULL,
    PRIMARY KEY (swarm, number)
);

CREATE TABLE facts (
    swarm text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    value bigint NOT NULL,
    PRIMARY KEY (swarm, name)
) WITH (fillfactor = 50);

CREATE VIEW usage_now AS
SELECT swarm, scope, category, telemetry, records, bytes FROM usage
UNION ALL
SELECT swarm, scope, category, telemetry, records, bytes FROM events
WHERE seq > (SELECT coalesce(max(value), 0) FROM facts WHERE swarm = '' AND name = 'folded_seq');

CREATE TABLE choices (
    swarm text COLLATE "C" NOT NULL,
    choice_id text COLLATE "C" NOT NULL,
    task_type text COLLATE "C" NOT NULL,
    strategy text COLLATE "C" NOT NULL,
    propensity double precision,
    candidates text COLLATE "C" NOT NULL,
    context text COLLATE "C" NOT NULL,
    author text COLLATE "C" NOT NULL,
    at_ms bigint NOT NULL,
    PRIMARY KEY (swarm, choice_id)
);

CREATE TABLE outcomes (
    swarm text COLLATE "C" NOT NULL,
    outcome_id text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    task_type text COLLATE "C" NOT NULL,
    task text COLLATE "C",
    strategy text COLLATE "C",
    status text COLLATE "C" NOT NULL,
    reward double precision,
    label_source text COLLATE "C" NOT NULL,
    duration_s double precision NOT NULL,
    cost double precision,
    agents text COLLATE "C" NOT NULL,
    context text COLLATE "C",
    signals text COLLATE "C",
    error_class text COLLATE "C",
    failed_agent text COLLATE "C",
    failed_step bigint,
    choice_id text COLLATE "C",
    propensity double precision,
    author text COLLATE "C" NOT NULL,
    session text COLLATE "C",
    at_ms bigint NOT NULL,
    PRIMARY KEY (swarm, outcome_id)
); -- by swarm

CREATE INDEX outcomes_by_task ON outcomes (swarm, task_type, strategy, at_ms);
CREATE INDEX outcomes_by_seq ON outcomes (swarm, seq);
CREATE INDEX outcomes_by_choice ON outcomes (swarm, choice_id) WHERE choice_id IS NOT NULL;

CREATE TABLE relabels (
    swarm text COLLATE "C" NOT NULL,
    seq bigint NOT NULL,
    outcome_id text COLLATE "C" NOT NULL,
    status text COLLATE "C" NOT NULL,
    reward double precision,
    label_source text COLLATE "C" NOT NULL,
    error_class text COLLATE "C",
    was_status text COLLATE "C" NOT NULL,
    was_reward double precision,
    was_source text COLLATE "C" NOT NULL,
    was_error_class text COLLATE "C",
    author text COLLATE "C" NOT NULL,
    at_ms bigint NOT NULL,
    PRIMARY KEY (swarm, seq)
);

CREATE INDEX relabels_by_outcome ON relabels (swarm, outcome_id);

CREATE TABLE arms (
    swarm text COLLATE "C" NOT NULL,
    task_type text COLLATE "C" NOT NULL,
    strategy text COLLATE "C" NOT NULL,
    trials bigint NOT NULL,
    unlabelled bigint NOT NULL,
    successes double precision NOT NULL,
    duration_s double precision NOT NULL,
    cost double precision NOT NULL,
    last_ms bigint NOT NULL,
    PRIMARY KEY (swarm, task_type, strategy)
) WITH (fillfactor = 50);

CREATE TABLE models (
    swarm text COLLATE "C" NOT NULL,
    part text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    state bytea NOT NULL,
    PRIMARY KEY (swarm, part)
) WITH (fillfactor = 50);

CREATE TABLE conflicts (
    swarm text COLLATE "C" NOT NULL,
    conflict_id text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    base_version bigint NOT NULL,
    their_version bigint NOT NULL,
    strategy text COLLATE "C" NOT NULL,
    outcome text COLLATE "C" NOT NULL,
    base text COLLATE "C",
    theirs text COLLATE "C",
    mine text COLLATE "C" NOT NULL,
    result text COLLATE "C",
    author text COLLATE "C" NOT NULL,
    at_ms bigint NOT NULL,
    PRIMARY KEY (swarm, conflict_id)
);

CREATE TABLE seats (
    swarm text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    ticket bigint NOT NULL,
    state text COLLATE "C" NOT NULL,
    holder text COLLATE "C" NOT NULL,
    mode text COLLATE "C" NOT NULL,
    token bigint,
    owner text COLLATE "C" NOT NULL,
    session text COLLATE "C",
    party text COLLATE "C",
    upgrades text COLLATE "C",
    reason text COLLATE "C",
    since_ms bigint NOT NULL,
    expires_ms bigint NOT NULL,
    pattern text COLLATE "C",
    drawn bigint,
    PRIMARY KEY (swarm, name, ticket)
) WITH (fillfactor = 50);

CREATE SEQUENCE messages_seq_seq;

CREATE TABLE messages (
    swarm text COLLATE "C" NOT NULL,
    seq bigint NOT NULL DEFAULT nextval('messages_seq_seq'),
    queue text COLLATE "C" NOT NULL,
    odd bigint,
    message_id text COLLATE "C" NOT NULL,
    rank bigint NOT NULL,
    sender text COLLATE "C" NOT NULL,
    type text COLLATE "C",
    body text COLLATE "C" NOT NULL,
    correlation text COLLATE "C",
    reply_to text COLLATE "C",
    attempts_max bigint NOT NULL,
    sent_ms bigint NOT NULL,
    visible_ms bigint NOT NULL,
    expires_ms bigint,
    PRIMARY KEY (swarm, seq)
); -- by swarm

ALTER SEQUENCE messages_seq_seq OWNED BY messages.seq;

CREATE INDEX messages_by_seq ON messages (seq);

CREATE INDEX messages_plain ON messages (swarm, queue, seq) WHERE odd IS NULL;

CREATE INDEX messages_odd ON messages (swarm, queue, seq) WHERE odd = 1;

CREATE TABLE message_cursors (
    swarm text COLLATE "C" NOT NULL,
    queue text COLLATE "C" NOT NULL,
    own_seq bigint NOT NULL,
    all_seq bigint NOT NULL,
    odd_seq bigint NOT NULL,
    PRIMARY KEY (swarm, queue)
) WITH (fillfactor = 50);

CREATE TABLE message_runs (
    swarm text COLLATE "C" NOT NULL,
    queue text COLLATE "C" NOT NULL,
    first bigint NOT NULL,
    receipt text COLLATE "C" NOT NULL,
    last bigint NOT NULL,
    size bigint NOT NULL,
    log text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    rank bigint NOT NULL,
    attempts bigint NOT NULL,
    attempts_max bigint NOT NULL,
    consumer text COLLATE "C",
    session text COLLATE "C",
    visible_ms bigint NOT NULL,
    expires_ms bigint,
    reason text COLLATE "C",
    message_id text COLLATE "C",
    dead_ms bigint,
    PRIMARY KEY (swarm, receipt, queue, first)
) WITH (fillfactor = 70); -- by swarm

CREATE INDEX message_runs_ready ON message_runs (swarm, queue, rank, first) WHERE state = 'ready';

CREATE INDEX message_runs_hidden ON message_runs (swarm, queue, visible_ms)
    WHERE state = 'hidden';

CREATE INDEX message_runs_lapsing ON message_runs (swarm, queue, expires_ms)
    WHERE state = 'ready' AND attempts > 0 AND expires_ms IS NOT NULL;

CREATE INDEX message_runs_dead ON message_runs (swarm, message_id) WHERE state = 'dead';

CREATE TABLE sessions (
    swarm text COLLATE "C" NOT NULL,
    session_id text COLLATE "C" NOT NULL,
    short text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    state text COLLATE "C" NOT NULL,
    agent text COLLATE "C" NOT NULL,
    about text COLLATE "C" NOT NULL,
    process text COLLATE "C",
    ttl_ms bigint NOT NULL,
    boot_id bigint NOT NULL,
    expires_ms bigint NOT NULL,
    began_ms bigint NOT NULL,
    touched_ms bigint NOT NULL,
    ended_ms bigint,
    reason text COLLATE "C",
    PRIMARY KEY (swarm, session_id)
) WITH (fillfactor = 70);

CREATE UNIQUE INDEX sessions_short ON sessions (swarm, short);

CREATE INDEX sessions_by_state ON sessions (swarm, state, session_id);

CREATE TABLE session_agents (
    swarm text COLLATE "C" NOT NULL,
    session_id text COLLATE "C" NOT NULL,
    agent_id text COLLATE "C" NOT NULL,
    agent_type text COLLATE "C" NOT NULL,
    parent text COLLATE "C",
    started_ms bigint NOT NULL,
    ended_ms bigint,
    PRIMARY KEY (swarm, session_id, agent_id)
);

CREATE TABLE search_swarms (
    swarm text COLLATE "C" PRIMARY KEY,
    number bigint NOT NULL UNIQUE,
    analyser bigint NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL,
    scanned text COLLATE "C",
    docs bigint NOT NULL,
    words bigint NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE search_docs (
    id bigint PRIMARY KEY,
    number bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    words bigint NOT NULL
);

CREATE UNIQUE INDEX search_docs_by_key ON search_docs (number, key);

CREATE TABLE edits (
    swarm text COLLATE "C" NOT NULL,
    path text COLLATE "C" NOT NULL,
    worktree text COLLATE "C" NOT NULL,
    session_id text COLLATE "C" NOT NULL,
    agent_id text COLLATE "C" NOT NULL,
    branch text COLLATE "C",
    agent text COLLATE "C" NOT NULL,
    tool text COLLATE "C",
    edits bigint NOT NULL,
    since_ms bigint NOT NULL,
    at_ms bigint NOT NULL,
    boot_id bigint NOT NULL,
    expires_ms bigint NOT NULL,
    PRIMARY KEY (swarm, path, worktree, session_id, agent_id)
);

CREATE INDEX edits_by_session ON edits (swarm, session_id, agent_id);

CREATE SEQUENCE injections_id_seq;

CREATE TABLE injections (
    swarm text COLLATE "C" NOT NULL,
    id bigint NOT NULL DEFAULT nextval('injections_id_seq'),
    session_id text COLLATE "C" NOT NULL,
    agent_id text COLLATE "C" NOT NULL,
    agent text COLLATE "C" NOT NULL,
    kind text COLLATE "C" NOT NULL,
    item text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    number bigint,
    event text COLLATE "C" NOT NULL,
    score double precision,
    tokens bigint NOT NULL,
    at_ms bigint NOT NULL,
    present bigint NOT NULL,
    cited_ms bigint,
    PRIMARY KEY (swarm, id)
); -- by swarm

ALTER SEQUENCE injections_id_seq OWNED BY injections.id;

CREATE INDEX injections_by_id ON injections (id);

CREATE UNIQUE INDEX injections_present ON injections (swarm, session_id, agent_id, kind, item)
    WHERE present = 1;

CREATE TABLE handles (
    swarm text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    kind text COLLATE "C" NOT NULL,
    item text COLLATE "C" NOT NULL,
    PRIMARY KEY (swarm, number)
);

CREATE UNIQUE INDEX handles_by_item ON handles (swarm, kind, item);

-- In which entries of the search index a term occurs, and how often.
CREATE TABLE search_postings (
    term text COLLATE "C" NOT NULL,
    id bigint NOT NULL REFERENCES search_docs ON DELETE CASCADE,
    occurs bigint NOT NULL,
    PRIMARY KEY (term, id)
);

CREATE INDEX search_postings_by_id ON search_postings (id);

-- Which transaction of a connection was its last that committed; see engine/postgres/commits.py.
CREATE TABLE turns (client bigint PRIMARY KEY, turn bigint NOT NULL, at_ms bigint NOT NULL)
    WITH (fillfactor = 50);

-- What this schema looked like when it was made, for `verify`.
CREATE TABLE made (name text COLLATE "C" PRIMARY KEY, definition text COLLATE "C" NOT NULL);
