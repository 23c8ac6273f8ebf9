-- How many bytes a deployment's own schemas take now, indexes and all. That opens each relation: of a whole fleet (see fleet.sql), it takes too long.
SELECT coalesce(sum(pg_total_relation_size(pg_class.oid)), 0)::bigint
FROM pg_class JOIN pg_namespace AS namespace ON namespace.oid = relnamespace
WHERE relkind IN ('r', 'm') AND (nspname = {schema_name} OR nspname IN (SELECT mirror_schema FROM {schema}.sources))
