-- Restore points that somebody keeps for ever.

-- Keeps the newest run up to a number for ever, of each of these sources, and says which; whoever may back up may do so. It waits for a run
-- that is at work: that one may be about to thin it.
CREATE OR REPLACE FUNCTION {schema}.keep_runs(of_sources text[], up_to bigint, reason text) RETURNS TABLE (source text, run bigint)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_advisory_xact_lock_shared({schema}.source_lock(name)) FROM unnest(of_sources) AS name ORDER BY name;
    UPDATE {schema}.runs SET kept_at = clock_timestamp(), kept_by = session_user, kept_for = left(reason, 1000)
    FROM (SELECT source, (
        SELECT max(run) FROM {schema}.runs WHERE runs.source = sources.source AND outcome = 'saved' AND undo_mark >= pruned_to AND run <= up_to
    ) AS meant FROM {schema}.sources WHERE source = ANY (of_sources)) AS points
    WHERE run = meant RETURNING runs.source, runs.run
$$;

-- Lets the retention have again what is kept. Only the owner may: nobody else is given it.
CREATE OR REPLACE FUNCTION {schema}.release_runs(of_sources text[], up_to bigint) RETURNS TABLE (source text, run bigint)
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE {schema}.runs SET kept_at = NULL, kept_by = NULL, kept_for = NULL
    FROM (SELECT source, (
        SELECT max(run) FROM {schema}.runs WHERE runs.source = sources.source AND outcome = 'saved' AND (undo_mark >= pruned_to OR kept_at IS NOT NULL) AND run <= up_to
    ) AS meant FROM {schema}.sources WHERE source = ANY (of_sources)) AS points
    WHERE run = meant AND kept_at IS NOT NULL RETURNING runs.source, runs.run
$$;
