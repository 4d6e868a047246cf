-- Which swarms live elsewhere, and, in a store that is a directory, where all of them live; see
-- SQLite's migration of that name.

CREATE TABLE moved (
    swarm text COLLATE "C" PRIMARY KEY,
    state text COLLATE "C" NOT NULL,
    url text COLLATE "C" NOT NULL,
    move_id text COLLATE "C" NOT NULL,
    at_ms bigint NOT NULL
);

CREATE TABLE routes (
    swarm text COLLATE "C" PRIMARY KEY,
    url text COLLATE "C" NOT NULL,
    move_id text COLLATE "C",
    next text COLLATE "C"
);
