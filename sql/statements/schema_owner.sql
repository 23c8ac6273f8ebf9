-- Whose schemas these are: setup writes a comment on each of its own.
SELECT nspname, coalesce(obj_description(oid, 'pg_namespace'), ''), pg_get_userbyid(nspowner)
FROM pg_namespace WHERE nspname = ANY (%(schemas)s)
