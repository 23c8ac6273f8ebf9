-- What a restore needs of a source as a run left it: the schema of that run, what it left in each table, which mirrors
-- have changed since, and how large its file was.
SELECT
    runs.run,
    to_char(runs.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
    runs.undo_mark,
    sources.mirror_schema,
    source_schemas.definition,
    (SELECT jsonb_object_agg(table_name, jsonb_build_object('rows', rows, 'digest', digest::text, 'misfits', misfits))
     FROM {schema}.run_tables WHERE run_tables.run = runs.run),
    runs.snapshot_hash,
    (SELECT array_agg(DISTINCT mirror) FROM {schema}.undo_log WHERE undo_log.source = sources.source AND record > runs.undo_mark),
    runs.snapshot_bytes
FROM {schema}.sources
JOIN {schema}.runs ON runs.run = coalesce(%(run)s, sources.last_run)
JOIN {schema}.source_schemas USING (source_schema)
WHERE sources.source = %(source)s
