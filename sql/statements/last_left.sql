-- What the last saved run left in each table, from which snapshot, and whether its schema and plan were the same as now.
-- Says too whether somebody else's triggers, or foreign keys, are on the mirrors: they may change rows that a merge has written.
SELECT snapshot_hash, definition = %(definition)s, EXISTS (
        SELECT FROM pg_catalog.pg_trigger
        JOIN pg_catalog.pg_class ON pg_class.oid = tgrelid
        JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
        WHERE nspname = %(mirror_schema)s
            AND tgfoid NOT IN (to_regprocedure(quote_ident(%(schema)s) || '.log_undo()'), 'unique_key_recheck()'::regprocedure)
    ), table_name, run_tables.rows, misfits, digest::text
FROM {schema}.run_tables
JOIN {schema}.runs USING (run)
JOIN {schema}.source_schemas USING (source_schema)
WHERE run = (SELECT last_run FROM {schema}.sources WHERE source = %(source)s)
