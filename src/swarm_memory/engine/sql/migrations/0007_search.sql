-- Search: the terms of records, and how far the index has come. All of it is derived from records
-- and made anew whenever it does not fit them, so no backup and no export holds it.

CREATE TABLE search_swarms (
    swarm TEXT PRIMARY KEY,
    number INTEGER NOT NULL UNIQUE,
    analyser INTEGER NOT NULL, -- how texts became terms
    epoch INTEGER NOT NULL, -- of the store, when the index was begun
    seq INTEGER NOT NULL, -- what happened up to this event is in the index
    scanned TEXT, -- while it is made: records up to this key are in it; NULL when all are
    docs INTEGER NOT NULL,
    words INTEGER NOT NULL -- of all docs together
) WITHOUT ROWID;

-- Ids of one swarm are one range (number × 2^40 and up): the full-text index skips all others.
CREATE TABLE search_docs (
    id INTEGER PRIMARY KEY,
    number INTEGER NOT NULL,
    key TEXT NOT NULL,
    version INTEGER NOT NULL,
    words INTEGER NOT NULL
);

CREATE UNIQUE INDEX search_docs_by_key ON search_docs (number, key);

-- No text is stored twice. What goes in is terms already: letters and digits, joined by spaces.
CREATE VIRTUAL TABLE search_index USING fts5(
    terms, content = '', contentless_delete = 1, tokenize = 'ascii'
);

CREATE VIRTUAL TABLE search_terms USING fts5vocab('search_index', 'row');
