-- Keeps the rows of a mirror that somebody has altered, as far as they can be read as what they were to be, and drops it with all that
-- is on it. Rows that cannot be read are lost with it; the digests of the run then tell.
DROP TABLE IF EXISTS pg_temp.set_aside;
DO $$
BEGIN
    BEGIN
        ALTER TABLE {mirror} NO FORCE ROW LEVEL SECURITY;
    EXCEPTION WHEN OTHERS THEN  -- a view has none, and somebody else's table is not ours to alter
    END;
    CREATE TEMPORARY TABLE set_aside ON COMMIT DROP AS SELECT {cells} FROM {only} {mirror};
EXCEPTION WHEN OTHERS THEN
END;
$$;
DROP {kind} {mirror} CASCADE;
