-- What the last saved run left in each table, if it read the very same file with the very same plan; nothing otherwise.
SELECT table_name, rows, misfits, digest::text
FROM {schema}.run_tables
WHERE run = (
    SELECT run FROM {schema}.runs JOIN {schema}.source_schemas USING (source_schema)
    WHERE run = (SELECT last_run FROM {schema}.sources WHERE source = %(source)s)
        AND snapshot_hash = %(snapshot_hash)s AND definition_hash = md5(%(definition)s)
)
