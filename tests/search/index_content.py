"""What an index holds, compared with the store."""

import apsw


def whole(swarm):
    """Check that the index holds exactly the live records, once each, and counts them right."""
    assert swarm.finder.index.catch_up(10**6, 10**6)
    db = apsw.Connection(swarm.url.removeprefix("sqlite:///"))
    entries = db.execute(
        "SELECT s.swarm, d.key, d.version FROM search_docs d JOIN search_swarms s USING (number)"
        " ORDER BY 1, 2"
    ).fetchall()
    live = db.execute(
        "SELECT swarm, key, version FROM records WHERE value IS NOT NULL AND telemetry = 0"
        " AND swarm IN (SELECT swarm FROM search_swarms) ORDER BY 1, 2"
    ).fetchall()
    indexed = db.execute("SELECT rowid FROM search_index ORDER BY 1").fetchall()
    ids = db.execute("SELECT id FROM search_docs ORDER BY 1").fetchall()
    counted = db.execute("SELECT sum(docs), sum(words) FROM search_swarms").fetchall()
    words = db.execute("SELECT count(*), coalesce(sum(words), 0) FROM search_docs").fetchall()
    db.close()

    assert live == entries
    assert ids == indexed
    assert words == counted
    return entries
