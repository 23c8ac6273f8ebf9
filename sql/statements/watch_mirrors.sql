-- Puts the undo log's triggers on every mirror of a source.
SELECT {schema}.watch(%(source)s, nspname, relname)
FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = %(mirror_schema)s AND relkind = 'r'
