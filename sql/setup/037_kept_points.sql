-- Restore points that somebody keeps for ever.

DROP FUNCTION IF EXISTS {schema}.keep_runs(text[], bigint, text);

-- Keeps the newest run up to a number for ever, of each of these sources, and says which; whoever may back up may do so. Where one of them is
-- no whole restore point, none is kept, and what each lacks is said. It waits for a run that is at work: that one may be about to thin it.
CREATE FUNCTION {schema}.keep_runs(of_sources text[], up_to bigint, reason text) RETURNS TABLE (source text, run bigint, lacks text)
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT pg_advisory_xact_lock_shared({schema}.source_lock(name)) FROM unnest(of_sources) AS name ORDER BY name;
    WITH meant AS (
        SELECT runs.source, runs.run, {lacks} AS lacks FROM {schema}.sources JOIN {schema}.runs ON runs.run = (
            SELECT max(run) FROM {schema}.runs WHERE runs.source = sources.source AND outcome = 'saved' AND run <= up_to)
        WHERE sources.source = ANY (of_sources)
    ), kept AS (
        UPDATE {schema}.runs SET kept_at = clock_timestamp(), kept_by = session_user, kept_for = left(reason, 1000)
        FROM meant WHERE runs.run = meant.run AND NOT EXISTS (SELECT FROM meant WHERE lacks IS NOT NULL)
    )
    SELECT * FROM meant
$$;

-- Lets the retention have again what is kept. Only the owner may: nobody else is given it.
CREATE OR REPLACE FUNCTION {schema}.release_runs(of_sources text[], up_to bigint) RETURNS TABLE (source text, run bigint)
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    UPDATE {schema}.runs SET kept_at = NULL, kept_by = NULL, kept_for = NULL
    FROM (SELECT source, (
        SELECT max(run) FROM {schema}.runs WHERE runs.source = sources.source AND outcome = 'saved' AND run <= up_to
    ) AS meant FROM {schema}.sources WHERE source = ANY (of_sources)) AS points
    WHERE run = meant AND kept_at IS NOT NULL RETURNING runs.source, runs.run
$$;
