-- Describes whatever stands in a source's mirror schema, as one JSON, by name: which table it is and in which file (no trigger sees what
-- ALTER TABLE writes anew), whether the undo log sees its changes, what keeps it from being a mirror (then it is made anew), its columns
-- with their numbers and types, the primary key and the unique constraints. Setup makes a function of it, too (sql/setup/950_told.sql).
SELECT coalesce(jsonb_agg(jsonb_build_array(
    mirror.relname,
    concat_ws('.', mirror.oid, pg_relation_filenode(mirror.oid)),
    relkind <> 'r' OR {schema}.is_watched({source}, mirror.oid),
    CASE
        WHEN relkind = 'v' THEN 'is a view'
        WHEN relkind = 'm' THEN 'is a materialized view'
        WHEN relkind = 'f' THEN 'is a foreign table'
        WHEN relkind = 'p' THEN 'is divided into partitions'
        WHEN EXISTS (SELECT FROM pg_catalog.pg_inherits WHERE inhrelid = mirror.oid) THEN 'is part of another table'
        WHEN relpersistence <> 'p' THEN 'does not survive a crash of the server'
        WHEN NOT pg_has_role(nspowner, relowner, 'USAGE') THEN 'belongs to ' || pg_get_userbyid(relowner)
        WHEN relforcerowsecurity OR EXISTS (SELECT FROM pg_catalog.pg_policy WHERE polrelid = mirror.oid AND NOT polpermissive)
            THEN 'has a policy that hides rows'
        WHEN EXISTS (
            SELECT FROM pg_catalog.pg_trigger
            WHERE tgrelid = mirror.oid AND tginitdeferred AND tgfoid <> 'unique_key_recheck()'::regprocedure)
            THEN 'has a check that comes at the end of a transaction'
        WHEN EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = mirror.oid AND attidentity <> '' AND NOT attisdropped)
            THEN 'numbers its rows by itself'
        WHEN EXISTS (
            SELECT FROM pg_catalog.pg_attribute JOIN pg_catalog.pg_collation ON pg_collation.oid = attcollation
            WHERE attrelid = mirror.oid AND NOT attisdropped AND NOT collisdeterministic) THEN 'takes different texts for equal'
        ELSE ''
    END,
    (SELECT coalesce(jsonb_agg(jsonb_build_array(attnum, format_type(atttypid, atttypmod), attnotnull, attname) ORDER BY attnum), '[]')
     FROM pg_catalog.pg_attribute WHERE attrelid = mirror.oid AND attnum > 0 AND NOT attisdropped),
    coalesce(to_jsonb({schema}.key_of(mirror.oid)), '[]'),
    (SELECT coalesce(jsonb_agg(jsonb_build_array(conname, (
            SELECT jsonb_agg(attname ORDER BY place) FROM unnest(conkey) WITH ORDINALITY AS part (number, place)
            JOIN pg_catalog.pg_attribute ON attrelid = mirror.oid AND attnum = part.number)) ORDER BY conname COLLATE "C"), '[]')
     FROM pg_catalog.pg_constraint WHERE conrelid = mirror.oid AND contype = 'u')
) ORDER BY mirror.relname COLLATE "C"), '[]')
FROM pg_catalog.pg_class AS mirror
JOIN pg_catalog.pg_namespace AS namespace ON namespace.oid = mirror.relnamespace
WHERE namespace.nspname = {mirror_schema} AND mirror.relkind IN ('r', 'v', 'm', 'f', 'p')
