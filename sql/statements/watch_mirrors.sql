-- Puts the undo log's triggers on every mirror of a source that lacks one.
SELECT {schema}.watch(%(source)s, nspname, relname)
FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = %(mirror_schema)s AND relkind = 'r' AND pg_has_role(relowner, 'USAGE') AND NOT {schema}.is_watched(%(source)s, pg_class.oid)
