-- The newest saved runs of a source, so many or since a time, and those that are kept, newest first: what each left, whether the undo log
-- still reaches it with all its tables and nobody has deleted their definition, when it was last proven, of which tables its state may be
-- lost, who keeps it, and how many there are in all. An older release's runs have none that is kept: hence to_jsonb.
SELECT runs.run, to_char(finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'), noted.rows, noted.snapshot_bytes,
    undo_mark >= pruned_to AND lost.tables IS NULL AND has_schema,
    (SELECT coalesce(sum(inserted + updated + deleted), 0)::bigint
     FROM {schema}.run_tables WHERE run_tables.run = runs.run AND table_name NOT LIKE E'sqlite\\_%%'),
    (SELECT to_char(max(drills.finished_at) AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')
     FROM {schema}.drills WHERE drills.source = runs.source AND drills.run = runs.run AND error IS NULL),
    coalesce(lost.tables, '{{}}'), kept, in_all
FROM (
    SELECT source, run, finished_at, undo_mark, row_number() OVER (ORDER BY run DESC) AS place,
        source_schema IN (SELECT source_schema FROM {schema}.source_schemas) AS has_schema, count(*) OVER () AS in_all,
        CASE WHEN to_jsonb(runs)->>'kept_at' IS NOT NULL THEN jsonb_build_object('why', to_jsonb(runs)->>'kept_for', 'by', to_jsonb(runs)->>'kept_by',
            'at', to_char((to_jsonb(runs)->>'kept_at')::timestamptz AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')) END AS kept
    FROM {schema}.runs WHERE source = %(source)s AND outcome = 'saved'
) AS runs JOIN {schema}.sources USING (source)
LEFT JOIN LATERAL (
    SELECT rows, snapshot_bytes FROM {schema}.runs AS earlier
    WHERE earlier.source = runs.source AND earlier.run <= runs.run AND snapshot_hash IS NOT NULL ORDER BY run DESC LIMIT 1
) AS noted ON true
LEFT JOIN LATERAL (
    SELECT array_agg(table_name ORDER BY table_name) AS tables FROM {schema}.lost_history
    WHERE lost_history.source = runs.source AND before_run > runs.run
) AS lost ON true
WHERE kept IS NOT NULL OR (place <= %(most)s) IS NOT FALSE AND (finished_at >= %(since)s) IS NOT FALSE
ORDER BY runs.run DESC
