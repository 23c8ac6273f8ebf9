-- What a run leaves that is removed, whoever removes it, thinning or somebody in the dashboard: the points after it rely on what it has
-- noted, so the next saved run takes that over.

-- It would delete what a run has noted before that is handed on.
ALTER TABLE {schema}.run_tables DROP CONSTRAINT IF EXISTS run_tables_run_fkey;

-- Which part of what is logged up to a run has still to be packed: see 036_packing.sql. NULL where none has.
ALTER TABLE {schema}.runs ADD COLUMN IF NOT EXISTS packing bigint[];
CREATE INDEX IF NOT EXISTS runs_to_pack ON {schema}.runs (source, run) WHERE packing IS NOT NULL;

-- Gives an heir what some runs have noted that are gone: the newest result of each table, unless it has its own, and all that they changed.
CREATE OR REPLACE FUNCTION {schema}.inherit(heir bigint, gone bigint[]) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO {schema}.run_tables AS own (run, source, table_name, rows, inserted, updated, deleted, misfits, digest, bytes_sent, seconds)
    SELECT heir, source, table_name, (array_agg(rows ORDER BY run DESC))[1], sum(inserted), sum(updated), sum(deleted),
        (array_agg(misfits ORDER BY run DESC))[1], (array_agg(digest ORDER BY run DESC))[1], sum(bytes_sent), sum(seconds)
    FROM {schema}.run_tables WHERE run = ANY (gone) GROUP BY source, table_name
    ON CONFLICT (run, table_name) DO UPDATE SET
        inserted = own.inserted + excluded.inserted, updated = own.updated + excluded.updated, deleted = own.deleted + excluded.deleted;
$$;

-- Where no later run is left, the newest one before is the source's last: what the mirrors have since is found as a change by hand. All runs
-- from the first that is gone on are read once, by their index, whatever Postgres believes of how many there are.
CREATE OR REPLACE FUNCTION {schema}.hand_on() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET enable_bitmapscan = off SET jit = off AS $$
DECLARE
    next record;
BEGIN
    FOR next IN
        WITH places AS (
            SELECT source, min(run) AS first, max(run) AS last FROM gone WHERE outcome = 'saved' GROUP BY source
        ), together AS (
            SELECT source, run, snapshot_hash, true AS is_gone FROM gone WHERE outcome = 'saved'
            UNION ALL
            SELECT runs.source, run, NULL, false FROM places JOIN {schema}.runs USING (source)
            WHERE outcome = 'saved' AND run > first AND run <= coalesce((
                SELECT run FROM {schema}.runs WHERE runs.source = places.source AND outcome = 'saved' AND run > last ORDER BY run LIMIT 1), last)
        ), heirs AS (
            SELECT *, min(run) FILTER (WHERE NOT is_gone) OVER (PARTITION BY source ORDER BY run DESC) AS heir FROM together
        )
        SELECT heir, array_agg(run) AS after, max(run) FILTER (WHERE snapshot_hash IS NOT NULL) AS noted
        FROM heirs WHERE is_gone AND heir IS NOT NULL GROUP BY heir
    LOOP
        PERFORM {schema}.inherit(next.heir, next.after);
        UPDATE {schema}.runs SET packing = '{{}}', rows = coalesce(runs.rows, noted.rows),
            snapshot_hash = coalesce(runs.snapshot_hash, noted.snapshot_hash), snapshot_bytes = coalesce(runs.snapshot_bytes, noted.snapshot_bytes)
        FROM (VALUES (next.noted)) AS given (run) LEFT JOIN gone AS noted USING (run) WHERE runs.run = next.heir;
    END LOOP;
    DELETE FROM {schema}.run_tables WHERE run = ANY (ARRAY(SELECT run FROM gone));
    UPDATE {schema}.sources SET last_run = (SELECT max(run) FROM {schema}.runs WHERE runs.source = sources.source AND outcome = 'saved')
    WHERE last_run IN (SELECT run FROM gone);
    RETURN NULL;
END;
$$;
DROP TRIGGER IF EXISTS hand_on ON {schema}.runs;
CREATE TRIGGER hand_on AFTER DELETE ON {schema}.runs REFERENCING OLD TABLE AS gone
    FOR EACH STATEMENT EXECUTE FUNCTION {schema}.hand_on();

CREATE OR REPLACE FUNCTION {schema}.forget_results() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    DELETE FROM {schema}.run_tables;
    UPDATE {schema}.sources SET last_run = NULL;
    RETURN NULL;
END;
$$;
DROP TRIGGER IF EXISTS forget_results ON {schema}.runs;
CREATE TRIGGER forget_results AFTER TRUNCATE ON {schema}.runs FOR EACH STATEMENT EXECUTE FUNCTION {schema}.forget_results();
ALTER TABLE {schema}.runs ENABLE ALWAYS TRIGGER hand_on, ENABLE ALWAYS TRIGGER forget_results;
