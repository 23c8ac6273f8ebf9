-- The saved runs of a source, newest first: what each left, whether the undo log still reaches it, and when it was last proven.
SELECT runs.run, to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), rows, snapshot_bytes, undo_mark >= pruned_to,
    (SELECT sum(inserted + updated + deleted)::bigint FROM {schema}.run_tables WHERE run_tables.run = runs.run),
    (SELECT to_char(max(drills.finished_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
     FROM {schema}.drills WHERE drills.source = runs.source AND drills.run = runs.run AND error IS NULL)
FROM {schema}.runs JOIN {schema}.sources USING (source)
WHERE source = %(source)s AND outcome = 'saved'
ORDER BY runs.run DESC
