"""The fence around swarms that have moved, on PostgreSQL; see `engine.fence`.

Taking it away only disables the triggers: dropping one would wait for everybody who reads.
"""

from __future__ import annotations

from swarm_memory.engine.fence import FENCED, MARK
from swarm_memory.engine.postgres.faults import MOVED

_FUNCTION = f"""CREATE OR REPLACE FUNCTION refuse_moved() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    told text;
    named text;
BEGIN
    IF TG_OP = 'DELETE' THEN named := OLD.swarm; ELSE named := NEW.swarm; END IF;
    SELECT json_build_object('swarm', swarm, 'url', url, 'state', state, 'move_id', move_id)::text
        INTO told FROM moved WHERE swarm = named;
    IF told IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = '{MOVED}', MESSAGE = '{MARK}' || told;
    END IF;
    IF TG_OP = 'DELETE' THEN RETURN OLD; END IF;
    RETURN NEW;
END $$"""  # noqa: S608 (words of ours)


def statements_of(up: bool) -> list[str]:
    """Return the statements that put the fence up, or take it away."""
    if not up:
        return [f"ALTER TABLE {table} DISABLE TRIGGER moved" for table in FENCED]
    made = [
        f"CREATE OR REPLACE TRIGGER moved BEFORE {' OR '.join(writes)} ON {table}"
        " FOR EACH ROW EXECUTE FUNCTION refuse_moved()"
        for table, writes in FENCED.items()
    ]
    return [_FUNCTION, *made, *(f"ALTER TABLE {table} ENABLE TRIGGER moved" for table in FENCED)]
