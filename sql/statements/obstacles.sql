-- The mirrors on which there is something of somebody's that may change or refuse what a run writes: rules, triggers, constraints, indexes,
-- columns that Postgres computes.
SELECT relname
FROM pg_catalog.pg_class AS mirror JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = %(mirror_schema)s AND relkind = 'r' AND (
    EXISTS (SELECT FROM pg_catalog.pg_rewrite WHERE ev_class = mirror.oid)
    OR EXISTS (
        SELECT FROM pg_catalog.pg_trigger WHERE tgrelid = mirror.oid
            AND tgfoid NOT IN ({our_triggers}))
    OR EXISTS (SELECT FROM pg_catalog.pg_constraint WHERE mirror.oid IN (conrelid, confrelid) AND contype IN ('c', 'x', 'f'))
    OR EXISTS (
        SELECT FROM pg_catalog.pg_index WHERE indrelid = mirror.oid AND NOT EXISTS (
            SELECT FROM pg_catalog.pg_constraint
            WHERE conindid = indexrelid AND conrelid = mirror.oid AND (contype = 'p' OR contype = 'u' AND condeferrable)))
    OR EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = mirror.oid AND attgenerated <> '' AND NOT attisdropped)
)
