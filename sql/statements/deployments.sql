-- The deployments in this database, by the comments that setup has written on their schemas; no scratch schema of a trial. What is in
-- them may run as whoever looks at it: `is_trusted` says whether their owner may act as this user anyway, as a member or, before
-- PostgreSQL 16, by CREATEROLE.
SELECT nspname AS schema, coalesce((regexp_match(comment, ', version ([0-9]{{1,9}})$'))[1]::integer, 1) AS version, rolname AS owner,
    pg_has_role(nspowner, current_user, 'MEMBER') OR (rolcreaterole AND current_setting('server_version_num')::integer < 160000
        AND NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)) AS is_trusted
FROM pg_namespace JOIN pg_roles ON pg_roles.oid = nspowner CROSS JOIN LATERAL obj_description(pg_namespace.oid, 'pg_namespace') AS comment
WHERE comment ~ ('^Hybrid backup: bookkeeping, BACKUP_SCHEMA ' || nspname || '(, version [0-9]{{1,9}})?$')
