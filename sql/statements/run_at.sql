-- The newest saved run of a source up to a run number, or that had ended before a moment, and the oldest that can still be restored.
WITH restorable AS (
    SELECT run, finished_at FROM {schema}.runs JOIN {schema}.sources USING (source)
    WHERE source = %(source)s AND outcome = 'saved' AND undo_mark >= pruned_to
), oldest AS (
    SELECT run, finished_at FROM restorable ORDER BY run LIMIT 1
)
SELECT
    (SELECT max(run) FROM restorable
        WHERE (%(run)s::bigint IS NULL OR run <= %(run)s) AND (%(before)s::timestamptz IS NULL OR finished_at < %(before)s)),
    (SELECT run FROM oldest),
    (SELECT to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') FROM oldest)
