-- The newest saved run of a source up to a run number, or that had ended before a moment, what it lacks to be a restore point, and the oldest
-- that lacks nothing.
WITH points AS NOT MATERIALIZED (
    SELECT run, finished_at, {lacks} AS lacks FROM {schema}.runs JOIN {schema}.sources USING (source)
    WHERE source = %(source)s AND outcome = 'saved'
), oldest AS (
    SELECT run, finished_at FROM points WHERE lacks IS NULL ORDER BY run LIMIT 1
), chosen AS (
    SELECT run, lacks FROM points
    WHERE (%(run)s::bigint IS NULL OR run <= %(run)s) AND (%(before)s::timestamptz IS NULL OR finished_at < %(before)s)
    ORDER BY run DESC LIMIT 1
)
SELECT
    (SELECT run FROM chosen),
    (SELECT lacks FROM chosen),
    (SELECT run FROM oldest),
    (SELECT to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') FROM oldest)
