-- What the last saved run left in each table, from which snapshot, and whether its schema and plan were the same as now.
SELECT snapshot_hash, definition_hash = md5(%(definition)s), table_name, run_tables.rows, misfits, digest::text
FROM {schema}.run_tables
JOIN {schema}.runs USING (run)
JOIN {schema}.source_schemas USING (source_schema)
WHERE run = (SELECT last_run FROM {schema}.sources WHERE source = %(source)s)
