-- The saved runs of a source, newest first: what each left, whether the undo log still reaches it with all its tables, when it was last
-- proven, and of which tables its state may be lost.
SELECT runs.run, to_char(runs.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), noted.rows, noted.snapshot_bytes,
    runs.undo_mark >= pruned_to AND lost.tables IS NULL,
    (SELECT coalesce(sum(inserted + updated + deleted), 0)::bigint
     FROM {schema}.run_tables WHERE run_tables.run = runs.run AND table_name NOT LIKE E'sqlite\\_%%'),
    (SELECT to_char(max(drills.finished_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
     FROM {schema}.drills WHERE drills.source = runs.source AND drills.run = runs.run AND error IS NULL),
    coalesce(lost.tables, '{{}}')
FROM {schema}.runs JOIN {schema}.sources USING (source)
LEFT JOIN LATERAL (
    SELECT rows, snapshot_bytes FROM {schema}.runs AS earlier
    WHERE earlier.source = runs.source AND earlier.run <= runs.run AND snapshot_hash IS NOT NULL ORDER BY run DESC LIMIT 1
) AS noted ON true
LEFT JOIN LATERAL (
    SELECT array_agg(table_name ORDER BY table_name) AS tables FROM {schema}.lost_history
    WHERE lost_history.source = runs.source AND before_run > runs.run
) AS lost ON true
WHERE runs.source = %(source)s AND runs.outcome = 'saved'
ORDER BY runs.run DESC
