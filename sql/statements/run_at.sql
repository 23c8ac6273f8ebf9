-- The newest saved run of a source up to a run number or a time, and the oldest that can still be restored.
SELECT
    (SELECT max(run) FROM {schema}.runs WHERE source = sources.source AND outcome = 'saved'
        AND (%(run)s::bigint IS NULL OR run <= %(run)s) AND (%(time)s::timestamptz IS NULL OR finished_at <= %(time)s)
        AND undo_mark >= pruned_to),
    (SELECT min(run) FROM {schema}.runs WHERE source = sources.source AND outcome = 'saved' AND undo_mark >= pruned_to),
    (SELECT to_char(min(finished_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') FROM {schema}.runs
     WHERE source = sources.source AND outcome = 'saved' AND undo_mark >= pruned_to)
FROM {schema}.sources WHERE source = %(source)s
