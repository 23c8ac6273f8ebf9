-- Puts the undo log's triggers on those of these mirrors that lack one.
SELECT {schema}.watch(%(source)s, nspname, relname)
FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_namespace.oid = relnamespace
WHERE nspname = %(mirror_schema)s AND relname = ANY (%(names)s::text[]) AND relkind = 'r' AND pg_has_role(relowner, 'USAGE')
    AND NOT {schema}.is_watched(%(source)s, pg_class.oid)
