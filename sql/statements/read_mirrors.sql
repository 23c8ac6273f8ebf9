-- Describes every mirror of a source: columns with their types, the primary key, the unique constraints, which table it is, and whether
-- the undo log sees its changes.
SELECT
    mirror.relname,
    (SELECT jsonb_object_agg(attname, jsonb_build_object(
            'type', format_type(atttypid, atttypmod), 'not_null', attnotnull))
     FROM pg_catalog.pg_attribute WHERE attrelid = mirror.oid AND attnum > 0 AND NOT attisdropped),
    (SELECT jsonb_object_agg(conname, jsonb_build_object('type', contype, 'columns', (
            SELECT jsonb_agg(attname ORDER BY place) FROM unnest(conkey) WITH ORDINALITY AS part (number, place)
            JOIN pg_catalog.pg_attribute ON attrelid = mirror.oid AND attnum = part.number)))
     FROM pg_catalog.pg_constraint WHERE conrelid = mirror.oid AND contype IN ('p', 'u')),
    mirror.oid::bigint,
    {schema}.is_watched(%(source)s, mirror.oid)
FROM pg_catalog.pg_class AS mirror
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = mirror.relnamespace
WHERE namespace.nspname = %(mirror_schema)s AND mirror.relkind = 'r'
