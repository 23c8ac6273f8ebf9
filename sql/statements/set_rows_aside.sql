-- Keeps the rows of a mirror that somebody has altered, as far as they can be read as what they were to be, and drops it with all that
-- is on it. Rows that cannot be read, for whatever reason a type or somebody's view has, are lost with it; the digests of the run then
-- tell. What may pass (a deadlock, no room, a shutdown, a lock) is no such reason: then the run fails, and nothing is dropped.
DROP TABLE IF EXISTS pg_temp.set_aside;
DO $$
BEGIN
    BEGIN
        ALTER TABLE {mirror} NO FORCE ROW LEVEL SECURITY;
    EXCEPTION WHEN wrong_object_type OR insufficient_privilege THEN  -- a view has none, and somebody else's table is not ours to alter
    END;
    CREATE TEMPORARY TABLE set_aside ON COMMIT DROP AS SELECT {cells} FROM {only} {mirror};
EXCEPTION WHEN OTHERS THEN
    IF SQLSTATE ~ '^(40|53|57|55P03)' THEN
        RAISE;
    END IF;
END;
$$;
DROP {kind} {mirror} CASCADE;
