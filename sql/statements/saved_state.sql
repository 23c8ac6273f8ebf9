-- What a restore needs of a source as a run left it: the schema of that run, what it or the newest run before it has left in each table,
-- which mirrors have changed since, and how large its file was. In an emergency nobody need upgrade a target first: an older release's
-- runs have noted all of their tables themselves, and its schemas have no `mirrors`. Misfits that are there are read, whatever is noted.
SELECT
    runs.run,
    to_char(runs.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
    runs.undo_mark,
    sources.mirror_schema,
    source_schemas.definition,
    (SELECT jsonb_object_agg(table_name, jsonb_build_object('rows', rows, 'digest', digest::text, 'misfits', misfits))
     FROM (
        SELECT DISTINCT ON (table_name) table_name, run_tables.rows, digest, greatest(misfits, EXISTS (
            SELECT FROM {schema}.misfit_rows WHERE misfit_rows.source = sources.source AND misfit_rows.table_name = run_tables.table_name)::int
        ) AS misfits
        FROM {schema}.run_tables JOIN {schema}.runs AS earlier USING (run)
        WHERE earlier.source = sources.source AND earlier.run <= runs.run AND CASE to_jsonb(source_schemas) ? 'mirrors'
            WHEN true THEN (to_jsonb(source_schemas) ->> 'mirrors')::jsonb ? table_name ELSE earlier.run = runs.run END
        ORDER BY table_name, earlier.run DESC
     ) AS newest),
    noted.snapshot_hash,
    (SELECT array_agg(DISTINCT mirror) FROM {schema}.undo_log WHERE undo_log.source = sources.source AND record > runs.undo_mark),
    noted.snapshot_bytes
FROM {schema}.sources
JOIN {schema}.runs ON runs.run = coalesce(%(run)s, sources.last_run)
JOIN {schema}.source_schemas USING (source_schema)
LEFT JOIN LATERAL (
    SELECT snapshot_hash, snapshot_bytes FROM {schema}.runs AS earlier
    WHERE earlier.source = sources.source AND earlier.run <= runs.run AND snapshot_hash IS NOT NULL ORDER BY run DESC LIMIT 1
) AS noted ON true
WHERE sources.source = %(source)s
