-- What a restore needs of a source: its newest saved run, the schema of that run, and what that run left in each table.
SELECT
    runs.run,
    to_char(runs.finished_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS'),
    runs.rows,
    sources.mirror_schema,
    source_schemas.definition,
    (SELECT jsonb_object_agg(table_name, jsonb_build_object('rows', rows, 'digest', digest::text))
     FROM {schema}.run_tables WHERE run_tables.run = runs.run)
FROM {schema}.sources
JOIN {schema}.runs ON runs.run = sources.last_run
JOIN {schema}.source_schemas USING (source_schema)
WHERE sources.source = %(source)s
